"""Which attempts of one backend need not be asked for, because it would have said so if anything changed.

An attempt rests once a read said that it runs and nothing of it was new: not before that is durable, so what a failed
commit loses is asked for again. It rests until its backend has news of it, until its job changes (a stop is a change
too), or until everything is asked for. News are asked for in the same call as observations, and before them: what
changes in between is news again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain import ids, jobs
from orchestrator.ports import backends

CURSOR_MAX = 512


@dataclass(frozen=True, slots=True)
class Told:
    """What a call brought that asked for news: what is new, and observations of what was asked for and of that."""

    news: backends.News
    found: Sequence[object]
    owners: Mapping[ids.AttemptKey, ids.JobId]
    """Whose the attempts are that were observed because there was news of them."""


@dataclass(slots=True)
class News:
    """Of one lane. Used by the loop only; what ``ask`` returns runs elsewhere and only reads."""

    due: bool = False
    """Whether the next call of this round asks for news."""
    taken: int = 0
    """Serial of when news were last taken: what was read before that may be older than they are."""
    _teller: backends.TellsNews | None = None
    _adapter: backends.BackendAdapter | None = None
    _cursor: str | None = None
    _all_at_s: float = float("-inf")
    _resting: dict[ids.AttemptKey, tuple[backends.AttemptRef, ids.JobId]] = field(default_factory=dict)
    _rows: dict[ids.JobId, jobs.Job] = field(default_factory=dict)
    """Job -> the very row whose attempt rests: whatever changes a job, its stop too, ends the rest of its attempt."""

    def of(self, adapter: backends.BackendAdapter) -> None:
        """Take the adapter of now; of another one nothing is known."""
        if adapter is not self._adapter:
            self._adapter, self._teller = adapter, adapter if isinstance(adapter, backends.TellsNews) else None
            self.distrust()

    def distrust(self) -> None:
        """Let nothing rest."""
        self.due, self._cursor = False, None
        self._resting, self._rows = {}, {}
        self._all_at_s = float("-inf")

    def round(self, here: Mapping[ids.JobId, jobs.Job], now_s: float, all_every_s: float) -> list[ids.JobId]:
        """Return the jobs to be asked for now, of those that are at the backend."""
        self.due = self._teller is not None
        if not self.due or self._cursor is None or now_s - self._all_at_s >= all_every_s:
            self._all_at_s, self._cursor, self._resting, self._rows = now_s, None, {}, {}
            return list(here)
        resting = self._rows.get  # asked of every attempt, twice a second
        return [id for id, job in here.items() if resting(id) is not job]

    def ask(self, refs: Sequence[backends.AttemptRef], limit: int) -> Callable[[], Told]:
        """Return the call that asks for news, then observes ``refs`` and at most ``limit`` of what there is news of."""
        adapter, teller, cursor, resting = self._adapter, self._teller, self._cursor, self._resting
        if adapter is None or teller is None:
            raise AssertionError("news are due of an adapter that tells them only")
        self.due = False

        def call() -> Told:
            news = teller.news(cursor)
            woken = [found for key in news.keys or () if (found := resting.get(key)) is not None][:limit]
            wanted = [*refs, *(ref for ref, _ in woken)]
            return Told(news, adapter.observe(wanted) if wanted else (), {ref.key: owner for ref, owner in woken})

        return call

    def take(self, told: Told, serial: int) -> Sequence[object]:
        """Take news and return the observations that came with them. What they name rests no more."""
        keys, cursor = told.news.keys, told.news.cursor
        self.taken = serial
        if keys is None and self._cursor is not None:
            self.distrust()
        elif isinstance(cursor, str) and len(cursor) <= CURSOR_MAX:
            self._cursor = cursor
        for key in keys or ():
            woken = self._resting.pop(key, None)
            if woken is not None:
                self._rows.pop(woken[1], None)
        return told.found

    def rest(self, same: Iterable[tuple[jobs.Job, jobs.Attempt]]) -> None:
        """Let attempts rest of which a read, made after the news that are known, said nothing new."""
        if self._teller is None or self._cursor is None:
            return
        for job, attempt in same:
            self._rows[job.id] = job
            self._resting[attempt.key] = (
                backends.AttemptRef(attempt.key, attempt.handle, attempt.submitted_at),
                job.id,
            )
