"""Which result holds, who answers for the others, and what is needed where that is open.

    1. set aside   results of other work, without outputs, of unknown hands, or without the seal that was asked for
    2. referee     where a trusted site ran it: its answer, once one other run says the same
    3. quorum      else the answer that enough independent hands gave
    4. blame       those that differ from every result of the accepted group, which has at least two members

Nothing missing, unknown or not comparable counts as agreement, and nothing of that kind is blamed. A quorum is no
proof: as many colluding hands pass (``odds`` says how often), and then the honest ones are those who differ.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.verification import hands, results


class Outcome(enum.Enum):
    """What follows."""

    __hash__ = object.__hash__

    ACCEPTED = "accepted"
    WAIT = "wait"
    """Replicas that have not answered could still make a quorum."""
    REFEREE = "referee"
    """One more run on a trusted site is needed."""
    UNSETTLED = "unsettled"
    """Trusted runs failed, or nothing says the same as they do: the work does not repeat. Nothing is accepted, and
    nobody is blamed for a difference."""


class Finding(enum.Enum):
    """What is said of one result."""

    __hash__ = object.__hash__

    AGREES = "agrees"
    DIFFERS = "differs"
    """It differs from every result of the accepted group."""
    OTHER_SUBJECT = "other-subject"
    """It says itself that it ran something else: other inputs, another image."""
    SEAL_BROKEN = "seal-broken"
    NEAR = "near"
    """Within the tolerance of a result of the accepted group, not of the accepted one."""
    NOT_COMPARED = "not-compared"
    NO_OUTPUTS = "no-outputs"
    NO_SUBJECT = "no-subject"
    NO_SEAL = "no-seal"
    HAND_UNKNOWN = "hand-unknown"
    OPEN = "open"
    """Nothing is accepted yet."""


BLAMED = frozenset({Finding.DIFFERS, Finding.OTHER_SUBJECT, Finding.SEAL_BROKEN})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, with the finding on each result by name.

    ``accepted`` names the result that holds, ``agreeing`` those that say the same, itself included; ``independent``
    is how many hands these are. ``by`` says whether a quorum or a referee decided.
    """

    outcome: Outcome
    findings: tuple[tuple[str, Finding], ...]
    accepted: str | None = None
    agreeing: tuple[str, ...] = ()
    independent: int = 0
    by: results.Role | None = None

    @property
    def blamed(self) -> tuple[str, ...]:
        """Return the names of the results that somebody answers for."""
        return tuple(name for name, finding in self.findings if finding in BLAMED)


@dataclass(frozen=True, slots=True)
class _Group:
    """A result and those that say the same."""

    centre: results.Result
    members: tuple[results.Result, ...]
    independent: int


class _Table:
    """Each pair is compared once, in the order of names, so that nothing depends on the order of arrival."""

    def __init__(self, relation: results.Relation) -> None:
        self._relation = relation
        self._known: dict[tuple[str, str], results.Answer] = {}

    def __call__(self, one: results.Result, other: results.Result) -> results.Answer:
        first, second = sorted((one, other), key=lambda each: each.name)
        pair = (first.name, second.name)
        if pair not in self._known:
            self._known[pair] = self._relation(first, second)
        return self._known[pair]


def decide(
    request: results.Request, found: Iterable[results.Result], relation: results.Relation, *, audit: bool = False
) -> Verdict:
    """Judge what came back so far; the same for any order of ``found``.

    ``audit``: a spot check was drawn for the job, so that a quorum alone does not do. Pass one result a replica: what
    was tried again replaces what it replaces. Raises ValueError for two results of one name, and for more replicas
    or referees than were asked for.
    """
    everything = sorted(found, key=lambda one: one.name)
    replicas = [one for one in everything if one.role is results.Role.REPLICA]
    if len({one.name for one in everything}) != len(everything):
        raise ValueError("two results have one name")
    if len(replicas) > request.replicas or len(everything) - len(replicas) > request.referees:
        raise ValueError("more results than were asked for")
    aside = {one.name: why for one in everything if (why := _set_aside(request, one)) is not None}
    counted = [one for one in everything if one.name not in aside]
    table = _Table(relation)
    referees = [one for one in counted if one.role is results.Role.REFEREE]
    ran = len(everything) - len(replicas)
    if referees:
        group = _refereed(request, referees, counted, table)
        if group is not None:
            return _accepted(request, group, everything, aside, table, results.Role.REFEREE)
        return _open(_more(request, ran), everything, aside)
    groups = [_group(request, one, counted, table) for one in counted]
    best = max(groups, key=lambda one: (one.independent, len(one.members)), default=None)
    if best is not None and best.independent >= request.quorum:
        if audit:
            return _open(_more(request, ran), everything, aside)
        return _accepted(request, best, everything, aside, table, results.Role.REPLICA)
    hopes = request.replicas - len(replicas) + (best.independent if best is not None else 0)
    return _open(Outcome.WAIT if hopes >= request.quorum else _more(request, ran), everything, aside)


def _set_aside(request: results.Request, one: results.Result) -> Finding | None:
    """Return why a result does not count, None where it does."""
    if one.seal is results.Seal.BROKEN:
        return Finding.SEAL_BROKEN
    if one.subject is None:
        return Finding.NO_SUBJECT
    if one.subject != request.subject:
        return Finding.OTHER_SUBJECT
    if one.answer() is None:
        return Finding.NO_OUTPUTS
    if one.role is results.Role.REFEREE:
        return None
    if not hands.is_known(one, request.distinct):
        return Finding.HAND_UNKNOWN
    return Finding.NO_SEAL if request.sealed and one.seal is not results.Seal.KEPT else None


def _group(
    request: results.Request, centre: results.Result, counted: Iterable[results.Result], table: _Table
) -> _Group:
    members = tuple(one for one in counted if one is centre or table(centre, one) is results.Answer.SAME)
    replicas = [one for one in members if one.role is results.Role.REPLICA]
    return _Group(centre, members, hands.independent(replicas, request.distinct))


def _refereed(
    request: results.Request, referees: list[results.Result], counted: list[results.Result], table: _Table
) -> _Group | None:
    """Return the group of trusted runs that all agree, once a second run says the same; None where they do not."""
    if any(table(one, other) is not results.Answer.SAME for one, other in itertools.combinations(referees, 2)):
        return None
    group = _group(request, referees[0], counted, table)
    return group if len(group.members) > 1 else None


def _more(request: results.Request, ran: int) -> Outcome:
    """Ask for a trusted run while the job may have one; ``ran`` counts failed ones too."""
    return Outcome.REFEREE if ran < request.referees else Outcome.UNSETTLED


def _open(outcome: Outcome, everything: Iterable[results.Result], aside: dict[str, Finding]) -> Verdict:
    return Verdict(outcome, tuple((one.name, aside.get(one.name, Finding.OPEN)) for one in everything))


def _accepted(
    request: results.Request,
    group: _Group,
    everything: Iterable[results.Result],
    aside: dict[str, Finding],
    table: _Table,
    by: results.Role,
) -> Verdict:
    names = tuple(one.name for one in group.members)
    findings = tuple((one.name, aside.get(one.name) or _finding(one, group, table)) for one in everything)
    return Verdict(Outcome.ACCEPTED, findings, group.centre.name, names, group.independent, by)


def _finding(one: results.Result, group: _Group, table: _Table) -> Finding:
    if one in group.members:
        return Finding.AGREES
    said = {table(one, member) for member in group.members}
    if results.Answer.SAME in said:
        return Finding.NEAR
    # One run against one run tells nobody who is wrong.
    if said == {results.Answer.DIFFERENT} and len(group.members) > 1:
        return Finding.DIFFERS
    return Finding.NOT_COMPARED
