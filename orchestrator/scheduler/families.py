"""The runs of verified jobs in a cycle: all that wait get places that lie apart, or none of them does.

Replicas are drawn among the places that may take the job now (:func:`orchestrator.verification.families.places`), and
not among those of a trusted operator while there are enough others: a trusted run lies at nobody's who ran a replica.
Trusted is the operator that runs the control plane, which judges all the same; its best place gets the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.domain import ids, jobs, sites
from orchestrator.scheduler import queues, snapshots, worlds
from orchestrator.verification import draws, families, hands, results


@dataclass(frozen=True, slots=True)
class Seat:
    """A run that waits is to go to a site. ``touched``: it is a job of its own already."""

    number: int
    touched: bool
    row: int
    hand: jobs.Hand


class Families:
    """What a cycle knows of verified jobs."""

    def __init__(self, snapshot: snapshots.Snapshot, names: Sequence[ids.SiteName]) -> None:
        """Read nothing yet. ``names``: of the sites, by row."""
        self._snapshot = snapshot
        self._names = names
        self._sites: dict[ids.SiteName, sites.Site] | None = None

    def is_fresh(self, parent: ids.JobId) -> bool:
        """Say whether none of its runs ever had a place: another one like it finds what it finds."""
        return not self._snapshot.queue.arrays[parent].held

    def waiting(self, parent: ids.JobId) -> list[tuple[int, bool]]:
        """Return (number, touched) of the runs that wait now, in order."""
        room = self._room(parent)
        found = {number: False for low, high in room.untouched for number in range(low, high)}
        for number in range(self._wanted(room).children_max):
            if ids.element_id(parent, number) in self._snapshot.queue:
                found[number] = True
        return sorted(found.items())

    def seats(self, parent: ids.JobId, rows: Sequence[int]) -> list[Seat] | str:
        """Return a place for each run that waits, or why there is none for all of them.

        :param rows: where the policy allows it and there is room now, best first.
        """
        room, waiting = self._room(parent), self.waiting(parent)
        key = self._snapshot.settings.draw_key
        if not key:
            return "this control plane has no key for draws"
        here = {one.site: (row, one) for row in rows if (one := self._candidate(row)) is not None}
        request = results.request(self._wanted(room), ids.NO_DIGEST)
        children = _children(room, {number for number, _ in waiting})
        world = self._snapshot.world
        found = drawn(key, parent, request, children, [one for _, one in here.values()], trusted(world))
        if isinstance(found, str):
            return found
        touched = dict(waiting)
        seats = []
        for number, site in sorted(found.items()):
            row, one = here[ids.SiteName(site)]
            hand = jobs.Hand(number, ids.SiteName(site), one.operator, one.country)
            seats.append(Seat(number, touched[number], row, hand))
        return seats

    def _candidate(self, row: int) -> draws.Candidate | None:
        if self._sites is None:
            self._sites = {site.name: site for site in self._snapshot.sites}
        site = self._sites.get(self._names[row])
        return None if site is None else candidate(site, self._snapshot.world.operators)

    def _room(self, parent: ids.JobId) -> queues.ArrayRoom:
        return self._snapshot.queue.arrays[parent]

    @staticmethod
    def _wanted(room: queues.ArrayRoom) -> jobs.Verification:
        if room.verification is None:
            raise ValueError("not a verified job")
        return room.verification


def candidate(site: sites.Site, operators: Mapping[str, sites.Operator]) -> draws.Candidate:
    """Return a site as a draw sees it."""
    return draws.Candidate(site.name, hands.of_operator(site.operator_name, operators), site.location.country)


def trusted(world: worlds.World) -> str | None:
    """Return whose places are trusted: that of the control plane's operator; None: nobody says who that is."""
    plane = world.control_plane
    return hands.of_operator(plane.operator, world.operators) if plane is not None else None


def drawn(
    key: bytes,
    job: str,
    request: results.Request,
    children: Mapping[int, families.Child],
    candidates: Sequence[draws.Candidate],
    trusted: str | None,
) -> dict[int, str] | str:
    """Return the site of each run that waits, or why there is none for all of them. ``candidates``: best first."""
    found: dict[int, str] = {}
    replicas = [number for number, child in children.items() if child.waits and number < request.replicas]
    if replicas:
        strangers = [one for one in candidates if one.operator != trusted]
        made = families.places(key, job, request, children, strangers)
        made = made or families.places(key, job, request, children, candidates)
        if made is None:
            return _too_few(request, children, len(replicas), len(candidates))
        found |= made
    for number in (number for number, child in children.items() if child.waits and number >= request.replicas):
        own = [one for one in candidates if one.operator is not None and one.operator == trusted]
        own = [one for one in own if families.may_lie(request, number, children, one)]
        if not own:
            who = f"of {trusted}, which runs the control plane," if trusted is not None else "that is trusted"
            return f"a trusted run needs a place {who} and ran no replica of it: none may take it now"
        found[number] = own[0].site
    return found


def _children(room: queues.ArrayRoom, waiting: set[int]) -> dict[int, families.Child]:
    held: dict[int, list[draws.Candidate]] = {number: [] for number in sorted(waiting)}
    for hand in room.held:
        held.setdefault(hand.number, []).append(draws.Candidate(hand.site, hand.operator, hand.country))
    return {number: families.Child(tuple(places), waits=number in waiting) for number, places in held.items()}


def _too_few(request: results.Request, children: Mapping[int, families.Child], wanted: int, there: int) -> str:
    fields = " and ".join(sorted(field.value for field in request.distinct))
    how = f"no two of one {fields}" if fields else "all different"
    places = f"{wanted} places" if wanted > 1 else "a place"
    beside = " beside those that its runs had" if any(child.held for child in children.values()) else ""
    return f"its runs need {places}, {how}{beside}; {there} may take it now"
