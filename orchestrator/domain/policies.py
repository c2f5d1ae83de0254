"""What the house declares beside facts: rules of its own as text, and dated directives. Values only."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Directive:
    """A dated overlay that names models, and perhaps parties. Both days are included; None: open.

    ``immediate`` says that whoever runs under it is not held back for a second look when it comes into force.
    """

    name: str
    models: tuple[str, ...] = ()
    parties: tuple[str, ...] = ()
    start: dt.date | None = None
    end: dt.date | None = None
    immediate: bool = False
    source: str | None = None

    def in_force(self, day: dt.date) -> bool:
        """Say whether it holds on ``day``."""
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)


@dataclass(frozen=True, slots=True)
class CedarPolicy:
    """Rules of the house's own, as Cedar text, and when they hold. Both days are included; None: open.

    ``problem`` is None but for a document that cannot be read any more: nobody knows what it forbids.
    """

    name: str
    text: str
    start: dt.date | None = None
    end: dt.date | None = None
    problem: str | None = None

    def in_force(self, day: dt.date) -> bool:
        """Say whether it holds on ``day``; one that cannot be read always does."""
        if self.problem is not None:
            return True
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)
