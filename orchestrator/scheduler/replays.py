"""Recorded placements judged by other rules, other facts or on another day: what would have come out.

Jobs of a class at the same sites share one judgement until something dated changes, so a journal of a million
placements costs hardly more judgements than it holds pairs of (class, sites). Only policy is judged: room, price and
reachability of that moment are not.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from orchestrator.domain import decisions, ids, sites
from orchestrator.placement import contents, records
from orchestrator.policy import attributes, conversions, evaluator, memory, rulebook, table

CLASSES_MAX, PLACES_MAX = 1024, 8
"""Classes and decisions, and lists of sites, that are kept at hand; twice as many at most."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One placement judged again. ``refused`` are the codes that deny the chosen site; empty: it would go there.

    ``shut`` and ``opened`` name the sites that policy permitted then and refuses now, and the other way round.
    """

    refused: tuple[str, ...]
    shut: tuple[str, ...]
    opened: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Say whether policy answers alike at every site."""
        return not (self.refused or self.shut or self.opened)


@dataclass(slots=True, eq=False)
class _Past:
    """A recorded decision, and what became of it under the judgement that was asked last."""

    job: str
    places: str
    then: table.Bools
    judged: evaluator.Judgement | None = None
    shut: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    answers: dict[str, Replayed] = field(default_factory=dict)


class Replayer:
    """Judges recorded placements by ``book``. ``at`` None: at the time of each placement.

    ``stored`` looks a content up. What is remembered is bounded. Not thread-safe.
    """

    def __init__(
        self,
        stored: Callable[[ids.Digest], decisions.Content | None],
        book: rulebook.RuleBook,
        at: dt.datetime | None = None,
    ) -> None:
        self._stored = stored
        self._book = book
        self._at = at
        self._jobs: memory.Memory[attributes.JobAttributes] = memory.Memory(CLASSES_MAX)
        self._places: memory.Memory[table.SiteTable] = memory.Memory(PLACES_MAX)
        self._judged: memory.Memory[evaluator.Judgement] = memory.Memory(CLASSES_MAX)
        self._pasts: memory.Memory[_Past] = memory.Memory(CLASSES_MAX)

    def placement(self, decision: decisions.Decision, site: str, placed_at: dt.datetime) -> Replayed:
        """Return what the placement of a job at ``site`` comes to. Raises ``contents.ContentError`` without records."""
        past = self._pasts.get(decision.digest)
        if past is None:
            past = self._past(decision)
            self._pasts.keep(decision.digest, past)
        at, judged = self._at or placed_at, past.judged
        if judged is None or not _stands(judged, at):
            _compare(past, judged := self._judgement(past.job, past.places, at))
        known = past.answers.get(site)
        if known is None:
            if site not in judged.sites.rows:
                raise contents.ContentError(f"{site} is none of the sites of {decision.digest}")
            refused = tuple(sorted(judged.refusing(judged.sites.rows[site])))
            known = past.answers[site] = Replayed(refused, past.shut, past.opened)
        return known

    def _past(self, decision: decisions.Decision) -> _Past:
        body = json.loads(decision.body)
        then = records.denied_of(body, len(self._places_of(body["sites"])))
        return _Past(body["class"], body["sites"], then)

    def _judgement(self, job: str, places: str, at: dt.datetime) -> evaluator.Judgement:
        """Judge a class, or return what holds still: placements come in the order of time."""
        known = self._judged.get((job, places))
        if known is None or not _stands(known, at):
            known = evaluator.judge(self._job(job), self._places_of(places), self._book, at)
            self._judged.keep((job, places), known)
        return known

    def _job(self, digest: str) -> attributes.JobAttributes:
        known = self._jobs.get(digest)
        if known is None:
            raw = contents.parse(self._content(digest))
            known = contents.decode(attributes.JobAttributes, raw["job"])
            self._jobs.keep(digest, known)
        return known

    def _places_of(self, digest: str) -> table.SiteTable:
        known = self._places.get(digest)
        if known is None:
            listed = contents.parse(self._content(digest))
            found = [contents.read(sites.Site, self._content(each)) for _, each in listed]
            known = table.SiteTable(conversions.of_site(site) for site in found)
            self._places.keep(digest, known)
        return known

    def _content(self, digest: str) -> decisions.Content:
        content = self._stored(ids.Digest(digest))
        if content is None:
            raise contents.ContentError(f"{digest} is not stored")
        return content


def _stands(judged: evaluator.Judgement, at: dt.datetime) -> bool:
    """Say whether a judgement holds at another moment too."""
    return judged.at <= at and (judged.expires is None or at < judged.expires)


def _compare(past: _Past, judged: evaluator.Judgement) -> None:
    """Note what a judgement makes of a recorded decision."""
    names, now = [site.name for site in judged.sites.sites], judged.denied
    past.judged, past.answers = judged, {}
    past.shut = tuple(names[each] for each in np.flatnonzero(now & ~past.then).tolist())
    past.opened = tuple(names[each] for each in np.flatnonzero(past.then & ~now).tolist())
