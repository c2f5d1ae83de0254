"""A journal of placements made up for B2: what ``policy replay`` reads, at the size of a busy month.

200 classes at 1,000 sites, each placed at every site that it was permitted in turn, a second between two rounds.
Every placement stands among the other entries that a job brings about, which a replay has to pass over.
"""

from __future__ import annotations

import datetime as dt
import pathlib
from collections.abc import Iterator

from bench import compiled, fleets
from orchestrator.bootstrap import replays, states
from orchestrator.domain import ids, journal
from orchestrator.policy import rulebook
from orchestrator.ports import stores
from orchestrator.scheduler import answers, caches, snapshots
from orchestrator.store import opening
from orchestrator.telemetry import clocks

CLASSES = 200
_AFTER = ("job.accepted", "job.started", "job.ended")
_PAGE = 2_000
_ROUND = dt.timedelta(seconds=1)


def write(snapshot: snapshots.Snapshot, count: int) -> pathlib.Path:
    """Return a state folder with so many recorded placements."""
    folder = compiled.folder("history")
    store = opening.open_store(str(folder / states.DATABASE), clocks.SystemClock())
    try:
        cache, placed = caches.Cache(), []
        for number in range(CLASSES):
            plan = answers.plan_one(fleets.job(number), snapshot, tenant=fleets.TENANT, cache=cache)
            store.commit(stores.Changes(contents=plan.contents, decisions=[plan.decision]))
            placed.append((plan.decision.digest, plan.answer.ranking))
        assert all(ranking for _, ranking in placed)
        entries = list(_entries(placed, count))
        for start in range(0, len(entries), _PAGE):
            store.commit(stores.Changes(entries=entries[start : start + _PAGE]))
    finally:
        store.close()
    return folder


def _entries(placed: list[tuple[ids.Digest, tuple[ids.SiteName, ...]]], count: int) -> Iterator[journal.Entry]:
    for number in range(count):
        digest, ranking = placed[number % len(placed)]
        site = ranking[number // len(placed) % len(ranking)]
        job, at = f"job/01M81X270VJ2HA86NE{number:08}", fleets.AT + number // len(placed) * _ROUND
        said = {"from": "QUEUED", "to": "PLACED", "attempt": 1, "site": str(site), "decision": str(digest)}
        yield journal.Entry("job.placed", job, at, "controller", said, fleets.TENANT)
        for kind in _AFTER:
            yield journal.Entry(kind, job, at, "controller", {"attempt": 1, "site": str(site)}, fleets.TENANT)


def replay(folder: pathlib.Path, book: rulebook.RuleBook, count: int) -> None:
    """Judge every placement again by another book."""
    report = replays.replay(str(folder), book)
    assert (report.placements, report.unreadable) == (count, 0), report
