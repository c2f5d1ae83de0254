"""The nearest change: the fewest remedies that would make one site acceptable.

Facts change only as evidence to obtain, never as another claim about data, place or owner: such remedies do not
exist, so a site with a refusal that nothing remedies is not near. Giving up a sovereignty constraint is offered only
where nothing else would do, and stays marked. It is an offer to a person; what it would give is proved by judging the
changed document, which is the caller's to do.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.domain import decisions, reasons

_ORDER = {kind: number for number, kind in enumerate(reasons.RemedyKind)}


def remedies(answer: decisions.SiteAnswer) -> tuple[reasons.Remedy, ...] | None:
    """Return what would take away every denial of a site, each change once; None: something has no remedy."""
    found: dict[tuple[reasons.RemedyKind, str], reasons.Remedy] = {}
    for reason in answer.reasons:
        if reason.effect is not reasons.Effect.DENY:
            continue
        if reason.remedy is None:
            return None
        key = (reason.remedy.kind, reason.remedy.change)
        known = found.get(key)
        if known is None or (reason.remedy.drops_constraint and not known.drops_constraint):
            found[key] = reason.remedy
    return tuple(sorted(found.values(), key=lambda remedy: (_ORDER[remedy.kind], remedy.change)))


def nearest(answers: Iterable[decisions.SiteAnswer]) -> tuple[reasons.Remedy, ...]:
    """Return the nearest change over all sites; empty where a site is acceptable already, or none can become so.

    Fewest remedies first; ties by WAIT, CHANGE_JOB, FIX_BACKEND, CHANGE_POLICY, then the site's name. A change that
    drops a sovereignty constraint comes after every change that does not, however many remedies that takes.
    """
    best: tuple[bool, int, tuple[int, ...], str] | None = None
    chosen: tuple[reasons.Remedy, ...] = ()
    for answer in answers:
        if answer.allowed:
            return ()
        needed = remedies(answer)
        if needed is None:
            continue
        drops = any(remedy.drops_constraint for remedy in needed)
        rank = (drops, len(needed), tuple(_ORDER[remedy.kind] for remedy in needed), str(answer.site))
        if best is None or rank < best:
            best, chosen = rank, needed
    return chosen
