"""The nearest change: the fewest remedies that would make one site acceptable.

Facts change only as evidence to obtain, never as another claim about data, place or owner: such remedies do not
exist, so a site with a refusal that nothing remedies is not near. Giving up a sovereignty constraint is offered only
where nothing else would do, and stays marked. It is an offer to a person. Judging the changed document, which proves
it, needs policy too: the caller gives the proof.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from orchestrator.domain import decisions, ids, reasons

PROOFS_MAX = 50
"""Changed jobs that are judged for one answer."""

_ORDER = {kind: number for number, kind in enumerate(reasons.RemedyKind)}
_DENY = reasons.Effect.DENY


def remedies(answer: decisions.SiteAnswer) -> tuple[reasons.Remedy, ...] | None:
    """Return what would take away every denial of a site, each change once; None: something has no remedy."""
    found: dict[tuple[int, str], reasons.Remedy] = {}
    for remedy in [reason.remedy for reason in answer.reasons if reason.effect is _DENY]:
        if remedy is None:
            return None
        key = (_ORDER[remedy.kind], remedy.change)
        if found.setdefault(key, remedy) is not remedy and remedy.drops_constraint and not found[key].drops_constraint:
            found[key] = remedy
    return tuple([found[key] for key in sorted(found)])


@dataclass(frozen=True, slots=True)
class Candidate:
    """What would take away every denial of one site, as far as its reasons say."""

    site: ids.SiteName
    remedies: tuple[reasons.Remedy, ...]
    answer: decisions.SiteAnswer
    drops: bool
    """Whether it gives up a sovereignty constraint."""


class Proof(enum.Enum):
    """What judging the changed job says about a candidate."""

    HOLDS = "holds"
    """The site then refuses nothing more but what waiting, its operator or the house would have to change."""
    FAILS = "fails"
    """Something else refuses then."""
    OPEN = "open"
    """Some of it is no change that a program can make to the document."""


Prove = Callable[[Candidate], tuple[Proof, tuple[reasons.Remedy, ...]]]
"""Judges a candidate, and returns which of its remedies are needed: a smaller job may find room without waiting."""


def candidates(answers: Iterable[decisions.SiteAnswer]) -> list[Candidate]:
    """Return what would help, nearest first; nothing where a site is acceptable already.

    Fewest remedies first; ties by WAIT, CHANGE_JOB, FIX_BACKEND, CHANGE_POLICY, then the site's name. A change that
    drops a sovereignty constraint comes after every change that does not, however many remedies that takes.
    """
    answers = list(answers)
    if any(answer.allowed for answer in answers):
        return []
    found = []
    for answer in answers:
        needed = remedies(answer)
        if needed:
            found.append(_candidate(answer, needed))
    return sorted(found, key=_rank)


def _candidate(answer: decisions.SiteAnswer, needed: tuple[reasons.Remedy, ...]) -> Candidate:
    return Candidate(answer.site, needed, answer, True in [remedy.drops_constraint for remedy in needed])


def _rank(candidate: Candidate) -> tuple[bool, int, tuple[int, ...], str]:
    needed = candidate.remedies
    return candidate.drops, len(needed), tuple([_ORDER[remedy.kind] for remedy in needed]), candidate.site


def nearest(answers: Iterable[decisions.SiteAnswer], prove: Prove | None = None) -> tuple[reasons.Remedy, ...]:
    """Return the nearest change over all sites; empty where a site is acceptable already, or none can become so.

    With ``prove`` a change is offered only if the changed job is acceptable there. Where no change can be proved, the
    nearest one that nothing disproves is offered as what is needed at least; one that drops no constraint goes before
    a proved one that does.
    """
    ordered = candidates(answers)
    if prove is None:
        return ordered[0].remedies if ordered else ()
    best: Candidate | None = None
    open_one: Candidate | None = None
    tries = 0
    for candidate in ordered:
        if best is not None and (best.drops, len(best.remedies)) < (candidate.drops, _least(candidate)):
            continue
        if candidate.drops and open_one is not None and not open_one.drops:
            break
        tries += 1
        if tries > PROOFS_MAX:
            open_one = open_one or candidate
            break
        proof, needed = prove(candidate)
        if proof is Proof.OPEN and open_one is None:
            open_one = candidate
        if proof is Proof.HOLDS:
            proved = _candidate(candidate.answer, needed)
            best = proved if best is None else min(best, proved, key=_rank)
    if best is not None:
        return best.remedies
    return () if open_one is None else tuple(_at_least(remedy) for remedy in open_one.remedies)


def _least(candidate: Candidate) -> int:
    """Return how many remedies a proof could leave at the least: changes of the job stay."""
    return max(1, [remedy.kind for remedy in candidate.remedies].count(reasons.RemedyKind.CHANGE_JOB))


def _at_least(remedy: reasons.Remedy) -> reasons.Remedy:
    return dataclasses.replace(remedy, change=f"at least: {remedy.change}")
