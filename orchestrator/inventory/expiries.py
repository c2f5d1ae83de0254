"""What a backend's sites rest on, and when each of it ends: facts, papers, claims, lists. Pure.

Facts that ended stay in the answer until somebody renews them; a paper that ended long ago is no news, and counts only
while it lasts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.domain import claims, sites
from orchestrator.inventory import worlds

THRESHOLDS_DAYS = (30, 7, 1)
"""Days before an end at which people are told, each once."""


@dataclass(frozen=True, slots=True, order=True)
class Expiry:
    """The last day on which something holds, and what it is (``facts``, ``certifications[hds-v2]`` ...)."""

    day: dt.date
    what: str

    def seconds_left(self, now: dt.datetime) -> float:
        """Return the time until it holds no more, negative when that is past: its last day is included."""
        end = dt.datetime.combine(self.day + dt.timedelta(days=1), dt.time(), tzinfo=dt.UTC)
        return (end - now).total_seconds()

    def threshold(self, today: dt.date) -> int | None:
        """Return the smallest of the thresholds that is reached; None: there is time enough."""
        left = (self.day - today).days + 1
        reached = [days for days in THRESHOLDS_DAYS if left <= days]
        return min(reached, default=None)


def of_backends(world: worlds.World, today: dt.date, *, backend: str | None = None) -> Mapping[str, Sequence[Expiry]]:
    """Return for each backend, or for one, all that ends, the first first; one of which nothing ends is left out."""
    found: dict[str, set[Expiry]] = {}
    for site in world.sites:
        for one in _of_site(site, today) if backend in (None, site.backend) else ():
            found.setdefault(site.backend, set()).add(one)
    return {name: sorted(ends) for name, ends in found.items()}


def of_claims(found: Iterable[claims.Claim], today: dt.date) -> Sequence[Expiry]:
    """Return what ends of the claims on one document, from today on, the first first."""
    return sorted(set(_lasting((("claims", one.path, one.valid_to) for one in found), today)))


def _of_site(site: sites.Site, today: dt.date) -> Iterator[Expiry]:
    if site.facts_valid_to is not None:
        yield Expiry(site.facts_valid_to, "facts")
    papers = [("certifications", one.scheme, one.valid_to) for one in site.certifications]
    papers += [("evidence", one.type, one.valid_to) for one in site.evidence]
    papers += [("claims", one.path, one.valid_to) for one in site.claims]
    if site.screening is not None:
        papers += [("lists", one.list, one.fresh_to) for one in site.screening.consulted]
    yield from _lasting(papers, today)


def _lasting(papers: Iterable[tuple[str, str, dt.date | None]], today: dt.date) -> Iterator[Expiry]:
    for kind, name, day in papers:
        if day is not None and day >= today:
            yield Expiry(day, f"{kind}[{name}]")
