"""The placements in a state folder judged by another rule book, without a server: what a change would have done."""

from __future__ import annotations

import collections
import datetime as dt
import functools
import pathlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from orchestrator.bootstrap import states
from orchestrator.domain import ids, journal
from orchestrator.placement import contents
from orchestrator.policy import rulebook
from orchestrator.ports import stores
from orchestrator.scheduler import replays
from orchestrator.store import opening
from orchestrator.telemetry import clocks

_PAGE = 5_000
_PLACED = "job.placed"
EXAMPLES_MAX = 50
"""Placements that come out otherwise, named one by one; beyond it they are counted."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A placement that comes out otherwise. ``refused``: the codes that deny its site now."""

    job: str
    tenant: str
    site: str
    placed_at: dt.datetime
    refused: tuple[str, ...]
    shut: tuple[str, ...]
    opened: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What a replay came to. ``unreadable`` counts placements whose records are gone, with the first reason."""

    placements: int = 0
    same: int = 0
    refused: int = 0
    elsewhere: int = 0
    """The site stays permitted, and others open or shut."""
    unreadable: int = 0
    why_unreadable: str = ""
    codes: collections.Counter[str] = field(default_factory=collections.Counter)
    examples: list[Changed] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Say whether any placement comes out otherwise, or could not be read."""
        return bool(self.refused or self.elsewhere or self.unreadable)


def replay(
    folder: str,
    book: rulebook.RuleBook,
    *,
    at: dt.datetime | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> Report:
    """Judge every placement of the journal by ``book``, on its own day or at ``at``. Raises StoreError, OSError.

    A server may run meanwhile. ``progress`` is told how many placements are done, page by page.
    """
    path = pathlib.Path(folder) / states.DATABASE
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: no server has kept its state here")
    store = opening.open_store(str(path), clocks.SystemClock())
    try:
        return _replay(store, replays.Replayer(store.content, book, at), progress)
    finally:
        store.close()


def _replay(store: stores.Store, replayer: replays.Replayer, progress: Callable[[int], None]) -> Report:
    report = Report()
    decision_of = functools.lru_cache(maxsize=replays.CLASSES_MAX)(store.decision)
    for link in _placements(store, lambda: progress(report.placements)):
        entry, report.placements = link.entry, report.placements + 1
        site, job = str(entry.body["site"]), entry.subject.removeprefix("job/")
        try:
            digest = ids.Digest(str(entry.body["decision"]))
            decision = decision_of(digest)
            if decision is None:
                raise contents.ContentError(f"the decision {digest} is not stored")
            found = replayer.placement(decision, site, entry.at)
        except (contents.ContentError, ValueError, KeyError, TypeError) as error:
            report.unreadable += 1
            report.why_unreadable = report.why_unreadable or f"{job}: {error}"
            continue
        if found.same:
            report.same += 1
            continue
        report.refused += bool(found.refused)
        report.elsewhere += not found.refused
        report.codes.update(found.refused)
        if len(report.examples) < EXAMPLES_MAX:
            who = entry.tenant or ""
            report.examples.append(Changed(job, who, site, entry.at, found.refused, found.shut, found.opened))
    progress(report.placements)
    return report


def _placements(store: stores.Store, after_page: Callable[[], None]) -> Iterator[journal.ChainedEntry]:
    at = 0
    while page := store.entries(after=at, limit=_PAGE, kind=_PLACED):
        yield from (link for link in page if "decision" in link.entry.body)
        at = page[-1].seq
        after_page()
