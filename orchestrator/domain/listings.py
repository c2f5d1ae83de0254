"""Sanctions and entity lists as values: what a list says of a party, which copy is in force, what people answered.

A :class:`Snapshot` is one published list on one day, read whole or not at all. :class:`Screening` is what all lists in
force say about one operator and its owners. Nothing is judged here; names are compared in ``policy.screening``.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field

from orchestrator.domain import ids


class Kind(enum.Enum):
    """What an entry names."""

    PERSON = "person"
    ENTITY = "entity"
    VESSEL = "vessel"
    AIRCRAFT = "aircraft"
    UNKNOWN = "unknown"
    """The publisher does not say (the Entity List, for one)."""


class Reach(enum.Enum):
    """Whether what a listed party owns is listed with it."""

    OWNED = "owned"
    """Blocked or frozen: what it owns to 50 % or more, alone or with others, is treated as listed."""
    AFFILIATES = "affiliates"
    """Export lists whose reach to affiliates is a switch with dates (the pack ``us-affiliates-50``)."""
    NAMED = "named"
    """Only the party that is named."""


REGIMES = ("cn", "eu", "uk", "un", "us")
"""Whose law lists a party. Whoever states nothing is bound by all of them."""


@dataclass(frozen=True, slots=True)
class BlockingLaw:
    """A law that forbids to obey the measures of another regime, as somebody states that it binds them."""

    law: str
    forbids: str


@dataclass(frozen=True, slots=True)
class Identifier:
    """A number that names a party. ``kind`` is ``lei``, ``swift``, ``registration``, ``tax``, ``imo`` or ``other``.

    ``country`` is the ISO 3166-1 code of who gave the number; None: not stated, or not a country we know.
    """

    kind: str
    value: str
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One listed party. ``names`` holds the primary name first; ``regime`` is whose law lists it (us, eu, uk, un ...).

    ``remarks`` is the digest of the publisher's free text, which we do not keep: it may hold facts about people.
    """

    id: str
    regime: str
    kind: Kind
    names: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    countries: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    listed_from: dt.date | None = None
    reach: Reach = Reach.OWNED
    remarks: ids.Digest = ids.NO_DIGEST


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One list as it was published, whole. ``raw`` is the digest of the file as it came, ``digest`` that of this value.

    ``published`` is the day the file itself states; ``as_of`` the day for which it counts as current: that day, or a
    later one on which somebody says that it still was the current one. Its age counts from there.
    """

    list: str
    regime: str
    format: str
    as_of: dt.date
    age_days_max: int
    raw: ids.Digest
    entries: tuple[Entry, ...]
    published: dt.date | None = None
    digest: ids.Digest = ids.NO_DIGEST

    @property
    def fresh_to(self) -> dt.date:
        """Return the last day on which it may be relied on."""
        return self.as_of + dt.timedelta(days=self.age_days_max)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a list that should be in force. ``kept`` says whether an earlier good copy still counts."""

    list: str
    text: str
    kept: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a named person said about a match at one operator: ``same`` party or not, why, when, until when it holds.

    ``party`` is the operator or one of its owners, ``recorded`` the token that said it. It is bound to
    ``entry_digest`` and ``party_digest``: when the publisher changes the entry, or the party its identifiers or
    country, it is asked again.
    """

    list: str
    entry: str
    party: str
    same: bool
    reason: str
    by: str
    at: dt.datetime
    entry_digest: ids.Digest
    party_digest: ids.Digest
    valid_to: dt.date | None = None
    recorded: str = ""

    def holds(self, day: dt.date) -> bool:
        """Say whether it counts on ``day``; the last day named is included."""
        return self.at.date() <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The lists in force: the good snapshots in order of name, and what is wrong.

    ``missing`` names lists that should be in force and have no good copy at all.
    """

    snapshots: tuple[Snapshot, ...] = ()
    problems: tuple[Problem, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def configured(self) -> bool:
        """Say whether any list is meant to be in force."""
        return bool(self.snapshots or self.missing)


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that is, or may be, this party. ``by`` says how it was found, ``matched`` what was compared.

    ``party`` is the operator's own name or that of one of its owners.
    """

    list: str
    regime: str
    entry: str
    entry_name: str
    party: str
    by: str
    matched: str
    percent: float | None = None
    """Share of the operator that an owner holds; None: the operator itself."""
    reach: Reach = Reach.OWNED
    programs: tuple[str, ...] = ()
    entry_digest: ids.Digest = ids.NO_DIGEST
    party_digest: ids.Digest = ids.NO_DIGEST


@dataclass(frozen=True, slots=True)
class Consulted:
    """A list that a party was screened against: which copy, and the last day on which it may be relied on."""

    list: str
    regime: str
    digest: ids.Digest
    as_of: dt.date
    fresh_to: dt.date


@dataclass(frozen=True, slots=True)
class Screening:
    """What all lists in force say about one operator.

    ``identified`` are certain: an identifier, or a person's answer. ``reviews`` are names that match and that nobody
    has answered with "the same": they stop new placements, and nothing else, on every day for which no answer in
    ``answered`` clears them. Percentages are 0..100: what listed owners hold together (``owned``), the same with owners
    on export lists (``affiliates``), and what nobody states the owner of.
    """

    consulted: tuple[Consulted, ...] = ()
    missing: tuple[str, ...] = ()
    identified: tuple[Hit, ...] = ()
    reviews: tuple[Hit, ...] = ()
    answered: tuple[Answer, ...] = field(default=())
    owned_percent: float = 0.0
    affiliates_percent: float = 0.0
    unknown_percent: float = 100.0

    @property
    def configured(self) -> bool:
        """Say whether any list is meant to be in force."""
        return bool(self.consulted or self.missing)

    def stale(self, day: dt.date) -> tuple[str, ...]:
        """Return the lists that cannot be relied on that day: too old, or not there at all."""
        old = (one.list for one in self.consulted if day > one.fresh_to)
        return tuple(sorted({*self.missing, *old}))

    def relied_to(self) -> dt.date:
        """Return the last day on which every list may be relied on; the first of all days where one is missing."""
        return dt.date.min if self.missing else min((one.fresh_to for one in self.consulted), default=dt.date.max)

    def open(self, day: dt.date) -> tuple[Hit, ...]:
        """Return the name matches that no answer clears that day."""
        clearing = self._clearing()
        return tuple(hit for hit in self.reviews if not _holds(clearing.get(_match(hit)), day))

    def clear(self) -> tuple[dt.date, dt.date] | None:
        """Return the first and the last day on which no match is open; None: one is open on every day."""
        first, last = dt.date.min, dt.date.max
        clearing = self._clearing()
        for hit in self.reviews:
            answer = clearing.get(_match(hit))
            if answer is None:
                return None
            first, last = max(first, answer.at.date()), min(last, answer.valid_to or dt.date.max)
        return (first, last) if first <= last else None

    def may_reach(self, percent: float) -> bool:
        """Say whether owners that nobody stated could lift the share of listed ones to ``percent``."""
        return self.owned_percent < percent <= self.owned_percent + self.unknown_percent

    def _clearing(self) -> dict[tuple[str, str, str], Answer]:
        return {_match(one): one for one in self.answered if not one.same}


def _match(of: Hit | Answer) -> tuple[str, str, str]:
    return (of.list, of.entry, of.party)


def _holds(answer: Answer | None, day: dt.date) -> bool:
    return answer is not None and answer.holds(day)
