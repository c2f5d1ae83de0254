"""The runs of one verified job as numbered children: which must exist, where each may lie, what follows when they end.

    0 ... replicas - 1                       the replicas, all of them from the start
    replicas ... replicas + referees - 1     the trusted runs, one at a time, each only when it is asked for

A number is all the identity that a child has, so whoever was killed between deciding and writing asks for the same
children again, and their count is bounded by the request. Pure: nothing here starts, writes or reads anything.
The control loop does not ask it yet (ADR 0036).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from orchestrator.domain import jobs
from orchestrator.verification import decisions, draws, results


@dataclass(frozen=True, slots=True)
class Child:
    """One run. ``held``: every place that it was ever given, oldest first; ``result``: None until it has ended.

    ``waits``: it needs a place, for the first time or again. What ended without an answer has a result without
    outputs. Raises ValueError for a child that has ended and waits.
    """

    held: tuple[draws.Candidate, ...] = ()
    waits: bool = False
    result: results.Result | None = None

    def __post_init__(self) -> None:
        if self.waits and self.result is not None:
            raise ValueError("a child that has ended needs no place")


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: children to create, children to stop, and the verdict so far.

    ``final``: the verdict stands, and nothing is created any more. The same children give the same step.
    """

    verdict: decisions.Verdict
    create: tuple[int, ...] = ()
    stop: tuple[int, ...] = ()
    final: bool = False


def children_max(request: results.Request) -> int:
    """Return how many children a job has at most."""
    return request.replicas + request.referees


def role(request: results.Request, number: int) -> results.Role:
    """Return what a child is for. Raises ValueError for a number that no child of the request has."""
    if not 0 <= number < children_max(request):
        raise ValueError(f"child {number}: a job has 0 to {children_max(request) - 1}")
    return results.Role.REPLICA if number < request.replicas else results.Role.REFEREE


def step(
    request: results.Request, children: Mapping[int, Child], relation: results.Relation, *, audit: bool = False
) -> Step:
    """Say what follows from the children that there are; ``audit`` as in ``decisions.decide``.

    Nothing is called unsettled, and no further trusted run is asked for, while one still runs: it could say the same
    as the first. Raises ValueError for a number or a role that the request does not have.
    """
    for number, child in children.items():
        kind = role(request, number)
        if child.result is not None and child.result.role is not kind:
            raise ValueError(f"child {number} is a {kind.value}")
    verdict = decisions.decide(request, _results(children), relation, audit=audit)
    still_open = tuple(sorted(number for number, child in children.items() if child.result is None))
    missing = tuple(number for number in range(request.replicas) if number not in children)
    match verdict.outcome:
        case decisions.Outcome.ACCEPTED:
            return Step(verdict, stop=still_open, final=True)
        case decisions.Outcome.WAIT:
            return Step(verdict, create=missing)
        case decisions.Outcome.REFEREE:
            if missing or any(number >= request.replicas for number in still_open):
                return Step(verdict, create=missing)
            return Step(verdict, create=(request.replicas + sum(number >= request.replicas for number in children),))
        case decisions.Outcome.UNSETTLED:
            return Step(verdict, create=missing, final=not (missing or still_open))


def may_lie(request: results.Request, number: int, children: Mapping[int, Child], place: draws.Candidate) -> bool:
    """Say whether a child may be placed there, beside all places that its siblings have or ever had.

    A sibling that was moved leaves its hand behind: who has seen the work once is no second hand. A child may go back
    to a hand of its own. A trusted run lies with none who ran a replica, else one hand would confirm itself; trusted
    runs may share a site, since the second one says whether the work repeats. An unknown hand is none.
    """
    others = [
        (role(request, other), held) for other, child in children.items() if other != number for held in child.held
    ]
    if role(request, number) is results.Role.REFEREE:
        return place.operator is not None and all(
            kind is results.Role.REFEREE or (held.site != place.site and held.operator != place.operator)
            for kind, held in others
        )
    if any(_value(place, field) is None for field in request.distinct):
        return False
    return all(_apart(request, kind, held, place) for kind, held in others)


def places(
    key: bytes,
    job: str,
    request: results.Request,
    children: Mapping[int, Child],
    candidates: Collection[draws.Candidate],
) -> dict[int, str] | None:
    """Return a site for each replica that waits; None where there are not enough that lie apart.

    One that had a place goes back to a hand of its own where that still stands, and takes no other's room; the rest
    is drawn (``draws.replicas``), among places that may lie beside all others. ``candidates``: the sites that the
    policy allows for this job, judged for each replica on its own, and that have room.
    """
    waiting = [number for number in range(request.replicas) if number in children and children[number].waits]
    found: dict[int, str] = {}
    rest: list[int] = []
    for number in waiting:
        own = [one for one in candidates if _is_own(request, children[number], one)]
        own = [one for one in own if may_lie(request, number, children, one)]
        back = draws.replicas(key, job, own, 1, request.distinct)
        if back is None:
            rest.append(number)
            continue
        (found[number],) = back
    # Beside all places that anybody has had, those of who goes back included: any of the rest may take any of these.
    free = [one for one in candidates if all(may_lie(request, number, children, one) for number in rest)]
    drawn = draws.replicas(key, job, free, len(rest), request.distinct)
    return None if drawn is None else found | dict(zip(rest, drawn, strict=True))


def _results(children: Mapping[int, Child]) -> Iterable[results.Result]:
    return [child.result for child in children.values() if child.result is not None]


def _is_own(request: results.Request, child: Child, place: draws.Candidate) -> bool:
    if not request.distinct:
        return any(held.site == place.site for held in child.held)
    return any(all(_value(held, field) == _value(place, field) for field in request.distinct) for held in child.held)


def _apart(request: results.Request, kind: results.Role, held: draws.Candidate, place: draws.Candidate) -> bool:
    if held.site == place.site:
        return False
    if kind is results.Role.REFEREE:
        return held.operator != place.operator
    return all(_value(held, field) != _value(place, field) for field in request.distinct)


def _value(place: draws.Candidate, field: jobs.Distinct) -> str | None:
    match field:
        case jobs.Distinct.OPERATOR:
            return place.operator
        case jobs.Distinct.COUNTRY:
            return place.country
