"""Recorded placements judged by other rules, other facts or on another day: what would have come out.

Jobs of a class at the same sites share one judgement, so a journal of a million placements costs as many judgements
as it holds pairs of (class, sites, day). Only policy is judged: room, price and reachability of that moment are not.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from orchestrator.domain import decisions, ids, sites
from orchestrator.placement import contents, records
from orchestrator.policy import attributes, conversions, evaluator, rulebook, table


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


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    names: tuple[str, ...]
    table: table.SiteTable


class Replayer:
    """Judges recorded placements by ``book``. ``at`` None: on the day of each placement.

    ``stored`` looks a content up. Not thread-safe.
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
        self._jobs: dict[str, attributes.JobAttributes] = {}
        self._places: dict[str, _Places] = {}
        self._judged: dict[tuple[str, str, dt.date | dt.datetime], evaluator.Judgement] = {}
        self._answers: dict[tuple[ids.Digest, str, dt.date], Replayed] = {}

    def placement(self, decision: decisions.Decision, site: str, placed_at: dt.datetime) -> Replayed:
        """Return what the placement of a job at ``site`` comes to. Raises ``contents.ContentError`` without records."""
        at = self._at or placed_at
        key = (decision.digest, site, at.astimezone(dt.UTC).date())
        known = self._answers.get(key)
        if known is None:
            known = self._answers[key] = self._replay(decision, site, at)
        return known

    def _replay(self, decision: decisions.Decision, site: str, at: dt.datetime) -> Replayed:
        body = json.loads(decision.body)
        places = self._places_of(body["sites"])
        judged = self._judgement(body["class"], body["sites"], at)
        then = records.denied_of(body, len(places.names))
        now = judged.denied
        row = places.names.index(site)
        shut = tuple(places.names[each] for each in np.flatnonzero(now & ~then).tolist())
        opened = tuple(places.names[each] for each in np.flatnonzero(then & ~now).tolist())
        codes = tuple(reason.code for reason in judged.reasons(row)) if now[row] else ()
        return Replayed(codes, shut, opened)

    def _judgement(self, job: str, places: str, at: dt.datetime) -> evaluator.Judgement:
        asked = self._job(job)
        # Only a job that asks for attested environments reads more of the clock than its day.
        clock = at if asked.constraints.tee else at.astimezone(dt.UTC).date()
        key = (job, places, clock)
        known = self._judged.get(key)
        if known is None:
            known = evaluator.judge(asked, self._places_of(places).table, self._book, at)
            self._judged[key] = known
        return known

    def _job(self, digest: str) -> attributes.JobAttributes:
        known = self._jobs.get(digest)
        if known is None:
            raw = contents.parse(self._content(digest))
            known = self._jobs[digest] = contents.decode(attributes.JobAttributes, raw["job"])
        return known

    def _places_of(self, digest: str) -> _Places:
        known = self._places.get(digest)
        if known is None:
            listed = contents.parse(self._content(digest))
            found = [contents.read(sites.Site, self._content(each)) for _, each in listed]
            rows = table.SiteTable(conversions.of_site(site) for site in found)
            known = self._places[digest] = _Places(tuple(str(site.name) for site in found), rows)
        return known

    def _content(self, digest: str) -> decisions.Content:
        content = self._stored(ids.Digest(digest))
        if content is None:
            raise contents.ContentError(f"{digest} is not stored")
        return content
