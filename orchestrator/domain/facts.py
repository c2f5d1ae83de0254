"""Facts: values with a source, dates and an assurance level. What nobody stated is ``None``, and never a yes."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass


class Assurance(enum.IntEnum):
    """How well a fact is known. Ordered: a rule may demand a minimum."""

    DECLARED = 0
    """Somebody wrote it into a document."""
    DOCUMENTED = 1
    """Evidence with digest and date is named."""
    CERTIFIED = 2
    """A signed, unexpired claim of an issuer trusted for this kind of fact."""
    ATTESTED = 3
    """A verified attestation result, bound to the job and fresh."""

    @property
    def word(self) -> str:
        """The word used in documents: ``declared`` ... ``attested``."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class FactStamp:
    """Where the facts of one document come from, and until when they hold (the day named is included)."""

    source: str | None = None
    as_of: dt.date | None = None
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    assurance: Assurance = Assurance.DECLARED
    proven: Assurance = Assurance.DECLARED
    """What signed claims make of it: set where claims are verified, never by a document."""
