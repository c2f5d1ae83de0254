"""The time by which rules and facts are judged, and what happens when it goes back (``ClockWentBack``).

A clock that was set back would make expired facts good again, and laws not begun. So time that was seen is a floor:
while the wall clock is behind it nothing is placed and nothing is launched, running jobs stay, and exits are taken as
ever. The floor is durable: it is written down when the clock is first found behind it, and a new loop also reads the
times of the journal's newest entries. A person may say that the clock is right (``comity policy confirm clock``).

Running jobs are never judged by a leap: a wall clock that is more than a day ahead of the steady one counts for new
placements only.
"""

from __future__ import annotations

import datetime as dt

from orchestrator.control import steady
from orchestrator.domain import ids, journal
from orchestrator.inventory import changes
from orchestrator.ports import environment, stores

TOLERANCE = dt.timedelta(seconds=30)
"""Time servers correct clocks by less, and replicas differ by less."""
LEAP = dt.timedelta(days=1)
ENTRIES_MAX = 64
"""Newest entries of the journal that a new loop asks for the time."""
ACTOR = "controller"


class PolicyClock:
    """Used by the loop; ``is_back`` is safe from any thread."""

    def __init__(self, store: stores.Store, clock: environment.Clock, steady_: steady.SteadyClock) -> None:
        self._store = store
        self._clock = clock
        self._steady = steady_
        self._floor: dt.datetime | None = None
        self._noted: changes.ClockMark | None = None

    @property
    def back(self) -> bool:
        """Say whether the clock is behind its floor: nothing may be placed."""
        return self.is_back(self._clock.now())

    def is_back(self, now: dt.datetime) -> bool:
        """Say whether ``now`` lies before a time that was seen. Just before an effect."""
        floor = self._floor
        return floor is None or now < floor - TOLERANCE

    def review_now(self) -> dt.datetime:
        """Return the time by which running jobs are judged: not earlier than the floor, and no leap."""
        steady_now, now = self._steady.now(), self._clock.now()
        if self._floor is not None:
            now = max(now, self._floor)
        return steady_now if now - steady_now > LEAP else now

    def look(self, term: ids.Term) -> None:
        """See what time it is, once a tick, before anything is placed. Raises StoreError."""
        now = self._clock.now()
        if self._floor is None:
            self._floor, self._noted = _floor_of(self._store, now)
        if now >= self._floor - TOLERANCE:
            self._floor = max(self._floor, now)
            if self._noted is not None and self._noted.back:
                self._note(term, back=False)
        elif self._noted is None or not self._noted.back or self._noted.floor < self._floor:
            self._note(term, back=True)
        else:
            self._asked()

    def _asked(self) -> None:
        """See whether a person said that the clock is right."""
        mark, _ = changes.clock(self._store)
        if mark is not None and not mark.back:
            self._floor, self._noted = mark.floor, mark

    def _note(self, term: ids.Term, *, back: bool) -> None:
        floor, now = self._floor, self._clock.now()
        assert floor is not None  # noqa: S101 -- looked at before
        stored, version = changes.clock(self._store)
        mark = changes.ClockMark(floor, back, stored.seq if stored is not None else 0)
        word = "clock.went-back" if back else "clock.past-again"
        entry = journal.Entry(word, "clock", now, ACTOR, {"seen": floor.isoformat(), "now": now.isoformat()})
        document = changes.clock_document(mark, version)
        self._store.commit(stores.Changes(documents=(document,), entries=(entry,), term=term))
        self._noted = mark


def _floor_of(store: stores.Store, now: dt.datetime) -> tuple[dt.datetime, changes.ClockMark | None]:
    """Return the newest time that is on record, and what was noted of the clock; ``now`` where nothing is."""
    mark, _ = changes.clock(store)
    after = max(store.head().seq - ENTRIES_MAX, mark.seq if mark is not None else 0)
    times = [link.entry.at for link in store.entries(after=after, limit=ENTRIES_MAX)]
    if mark is not None:
        times.append(mark.floor)
    return max(times, default=now), mark
