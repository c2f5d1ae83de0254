"""Dated sets: who is a member of what, from when to when, and who says so.

A membership changes with the day, never with the code. ``FactBase.on(day)`` freezes every set for one day; the day
named by ``valid_to`` is included.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.domain import countries, facts, words

ISO = "iso-3166-1"
"""Name of the set of all country codes; given to the fact base by whoever reads the list."""


class Mark(enum.Enum):
    """How weakly a fact is known, where it is weaker than its source suggests."""

    MEMORY = "memory"
    """A single reading, not confirmed against the source: used, with a caveat."""
    UNVERIFIED = "unverified"
    """Looked for and not confirmed: the stricter reading is used."""


@dataclass(frozen=True, slots=True)
class Member:
    """One value of a set, with its own dates and source. ``condition`` names a framework the recipient must be in."""

    value: str
    stamp: facts.FactStamp
    condition: str | None = None
    mark: Mark | None = None
    note: str = ""
    amount: float | None = None
    """The number that a table gives for the value: a threshold, a weight."""

    def live(self, day: dt.date) -> bool:
        """Say whether the membership holds on ``day``."""
        start, end = self.stamp.valid_from, self.stamp.valid_to
        return (start is None or start <= day) and (end is None or day <= end)


@dataclass(frozen=True, slots=True)
class DatedSet:
    """A set with dated members, and other sets added (``includes``) and then taken away (``excludes``).

    ``public`` is the name under which jobs may use it in country lists; None: rules only.
    """

    name: str
    title: str
    stamp: facts.FactStamp
    members: tuple[Member, ...] = ()
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    public: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LiveSet:
    """A dated set on one day. As a collection it holds the values that depend on no condition."""

    name: str
    stamp: facts.FactStamp
    members: Mapping[str, Member]
    codes: frozenset[str]

    def __contains__(self, value: object) -> bool:
        return value in self.codes

    def __iter__(self) -> Iterator[str]:
        return iter(self.codes)

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True, eq=False)
class DayFacts:
    """Every dated set, frozen for one day."""

    day: dt.date
    sets: Mapping[str, LiveSet]
    public: Mapping[str, LiveSet]
    names: frozenset[str] = frozenset()
    """Every name that stands for a country or a set of them."""

    def countries(self, names: Iterable[str]) -> tuple[frozenset[str], tuple[str, ...]]:
        """Return the country codes that the names stand for, and the names that stand for nothing."""
        codes: set[str] = set()
        unknown: list[str] = []
        iso = self.sets[ISO].codes
        for name in names:
            if name in iso:
                codes.add(name)
            elif name in self.public:
                codes |= self.public[name].codes
            else:
                unknown.append(name)
        return frozenset(codes), tuple(unknown)

    def nearest(self, name: str) -> str | None:
        """Return the country code or set that somebody who wrote ``name`` probably meant, or None.

        Codes are two letters: one of them that differs is another country, so only their case is forgiven.
        """
        upper = name.upper()
        code = countries.COMMON_MISTAKES.get(upper) or (upper if upper in self.names else None)
        return code or words.nearest(name, self.public)


class FactError(ValueError):
    """A set refers to one that does not exist, or to itself."""


@dataclass(slots=True)
class FactBase:
    """All dated sets. Freezing one day is remembered: the days asked about are few."""

    sets: Mapping[str, DatedSet]
    _days: dict[dt.date, DayFacts] = field(default_factory=dict)

    def on(self, day: dt.date) -> DayFacts:
        """Return every set as it stands on ``day``."""
        known = self._days.get(day)
        if known is None:
            live: dict[str, LiveSet] = {}
            for name in self.sets:
                self._freeze(name, day, live, ())
            public = {s.public: live[s.name] for s in self.sets.values() if s.public}
            known = DayFacts(day, live, public, frozenset((*live[ISO].codes, *public)))
            if len(self._days) > 64:
                self._days.clear()
            self._days[day] = known
        return known

    def _freeze(self, name: str, day: dt.date, live: dict[str, LiveSet], above: tuple[str, ...]) -> LiveSet:
        if name in live:
            return live[name]
        if name in above or name not in self.sets:
            raise FactError(f"set {name!r} is not known, or includes itself")
        source = self.sets[name]
        members: dict[str, Member] = {}
        for other in source.includes:
            members.update(self._freeze(other, day, live, (*above, name)).members)
        members.update({m.value: m for m in source.members if m.live(day)})
        for other in source.excludes:
            for value in self._freeze(other, day, live, (*above, name)).members:
                members.pop(value, None)
        codes = frozenset(m.value for m in members.values() if m.condition is None)
        live[name] = LiveSet(name, source.stamp, members, codes)
        return live[name]

    def boundaries(self) -> frozenset[dt.date]:
        """Return every day on which some membership starts to hold or no longer holds."""
        stamps = (m.stamp for s in self.sets.values() for m in s.members)
        return frozenset(day for stamp in stamps for day in changes(stamp.valid_from, stamp.valid_to))

    def starts(self, name: str, value: str, day: dt.date) -> dt.date | None:
        """Return the first day after ``day`` on which ``value`` becomes an unconditional member of a set."""
        days = [
            m.stamp.valid_from
            for m in self.sets[name].members
            if m.value == value and m.condition is None and m.stamp.valid_from and m.stamp.valid_from > day
        ]
        return min(days, default=None)


def changes(valid_from: dt.date | None, valid_to: dt.date | None) -> tuple[dt.date, ...]:
    """Return the days on which something valid in this window changes: its first day, and the day after its last."""
    days = []
    if valid_from is not None:
        days.append(valid_from)
    if valid_to is not None and valid_to < dt.date.max:
        days.append(valid_to + dt.timedelta(days=1))
    return tuple(days)
