"""Signed claims, as they stand on the documents that carry them: who said what, and on which days it does not count.

A claim is verified once, where sites are assembled (``inventory.claimants``); what is left here is plain and dated, so
that rules can judge it on any day and a record holds it for years. The token itself stays in the document.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain import ids


class Fault(enum.Enum):
    """What is wrong with a claim; the word after ``claim.`` in the code of the refusal."""

    EXPIRED = "expired"
    """Its own last day is over."""
    NOT_YET_VALID = "not-yet-valid"
    UNTRUSTED_ISSUER = "untrusted-issuer"
    """The trust list does not name the issuer, or the key, for this kind of fact at that time."""
    REVOKED = "revoked"
    """The trust list takes it back: the claim, its key or its issuer."""
    WRONG_AUDIENCE = "wrong-audience"
    BAD_SIGNATURE = "bad-signature"
    SUBJECT_MISMATCH = "subject-mismatch"
    """It speaks of somebody or something else than what it stands on."""
    REPLAYED_NONCE = "replayed-nonce"
    NOT_AFFIRMING = "not-affirming"
    """The verifier of an attestation did not affirm it."""
    MALFORMED = "malformed"
    CONTRADICTION = "contradiction"
    """It says another value than the document it stands on."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One fault, on the days from ``first`` to ``last``; both are included, None is open.

    ``path`` names the fact of a contradiction, ``said`` what the claim has there and ``stated`` what the document has.
    """

    fault: Fault
    detail: str
    first: dt.date | None = None
    last: dt.date | None = None
    path: str | None = None
    said: str | None = None
    stated: str | None = None

    @property
    def lasting(self) -> bool:
        """Say whether it stands on every day."""
        return self.first is None and self.last is None

    def on(self, day: dt.date) -> bool:
        """Say whether it stands on ``day``."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim on a document. ``path`` says where it stands; what the token does not say, or cannot prove, is None."""

    path: str
    digest: ids.Digest
    kind: str | None = None
    issuer: str | None = None
    key: str | None = None
    id: str | None = None
    issued: dt.date | None = None
    valid_to: dt.date | None = None
    """The last whole day, UTC, before it ends."""
    flaws: tuple[Flaw, ...] = ()

    @property
    def sound(self) -> bool:
        """Say whether there are days on which it counts. On the others its flaws refuse, whatever it certifies."""
        return not any(flaw.lasting for flaw in self.flaws)

    @property
    def label(self) -> str:
        """Return how it is named as a source."""
        return f"claim {self.id or self.digest[:19]} of {self.issuer or 'nobody known'}"


def lasting(found: Iterable[Claim]) -> frozenset[str]:
    """Return the words of the faults that stand on every day."""
    return frozenset(flaw.fault.value for claim in found for flaw in claim.flaws if flaw.lasting)


def first_day(found: Iterable[Claim], fault: Fault) -> dt.date | None:
    """Return the first day on which a claim has this fault; None: never, or on every day (see :func:`lasting`)."""
    days = [f.first for claim in found for f in claim.flaws if f.fault is fault and f.first is not None]
    return min(days, default=None)


def last_day(found: Iterable[Claim], fault: Fault) -> dt.date | None:
    """Return the last day on which a claim has a fault that ends."""
    days = [f.last for claim in found for f in claim.flaws if f.fault is fault and f.last is not None]
    return max(days, default=None)


def contradicted(found: Iterable[Claim]) -> tuple[str, ...]:
    """Return the document paths that a claim contradicts, sorted."""
    return tuple(sorted({flaw.path for claim in found for flaw in claim.flaws if flaw.path is not None}))
