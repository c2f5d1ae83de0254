"""Tallies: what was already counted towards a threshold that adds up, once for each thing that is counted.

Some limits of law are cumulative: persons whose data reached a place within twelve months, persons exported since
1 January, operations spent on training one model. The ledger is the set of tallies; a rule reads what they add up to
together with the job that is judged.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """One thing counted for one counter.

    ``scope`` is whom it adds up for (a controller of data, a model's lineage), ``item`` what is counted (a data set,
    an attempt): the same item is counted once, with the largest amounts seen.
    """

    counter: str
    scope: str
    item: str
    at: dt.datetime
    classes: tuple[str, ...] = ()
    persons: int = 0
    sensitive: int = 0
    operations: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is counted under."""
        return (self.counter, self.scope, self.item)

    def united(self, other: Tally) -> Tally:
        """Return one tally of the same item with the larger amounts of both, of the later day."""
        return Tally(
            self.counter,
            self.scope,
            self.item,
            max(self.at, other.at),
            tuple(sorted({*self.classes, *other.classes})),
            max(self.persons, other.persons),
            max(self.sensitive, other.sensitive),
            max(self.operations, other.operations),
        )
