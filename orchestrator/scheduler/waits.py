"""Why jobs of a class wait, in one sentence that stays the same while nothing changes.

It becomes a condition of every job of the class, so it names codes and numbers of sites, not amounts of room. The
whole answer, with every fact, is ``answers``' to give when somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.domain import reasons
from orchestrator.placement import columns, select
from orchestrator.placement.filters import capability, registry
from orchestrator.policy import evaluator
from orchestrator.scheduler import queues

CODES_MAX = 6
"""Codes that a sentence names, the most frequent first."""
_POWERS = np.uint64(sum(1 << bit for bit, one in enumerate(registry.FILTERS) if isinstance(one, capability.Capability)))
ASKED_MAX = 50
"""Sites up to which a filter is asked for its code at each."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A condition: ``type`` is ``Unplaceable`` or ``Waiting``."""

    type: str
    reason: str
    message: str


def explain(selection: select.Selection, table: columns.Columns) -> Wait:
    """Say why a class waits. ``Unplaceable``: every site has a reason that waiting does not take away.

    Codes are those that sentences have, with their instances (``exposure.US``); the sentences are not made.
    """
    verdict = selection.verdict
    permitted = int(np.count_nonzero(verdict.permitted))
    if not len(verdict.permitted):
        return Wait(queues.UNPLACEABLE, "NoSites", "no backend is registered")
    if permitted:
        codes = _codes(_filters(selection.bits, verdict.permitted, verdict, table)) or "capacity.full"
        sites = "1 site" if permitted == 1 else f"{permitted} sites"
        return Wait(queues.WAITING, "NoRoom", f"{sites} may take it, none has room now: {codes}")
    counts = _filters(verdict.bits, np.ones_like(verdict.permitted), verdict, table)
    judgement = verdict.judgement
    if isinstance(judgement, evaluator.Judgement):
        counts |= judgement.codes()
        if _helped_by_waiting(verdict, judgement):
            return Wait(queues.WAITING, "NotYet", f"no site may take it yet: {_codes(counts)}")
    if unasked := _unasked(verdict, table):
        sites = "1 site has" if len(unasked) == 1 else f"{len(unasked)} sites have"
        states = (table.items[row].backend for row in unasked)
        if failing := sorted({state.detail for state in states if state is not None and state.detail}):
            text = f"{sites} not said what it takes, for its backend fails ({', '.join(failing[:CODES_MAX])})"
            return Wait(queues.WAITING, "NotAnswering", f"{text}: {_codes(counts)}")
        return Wait(queues.WAITING, "NotAsked", f"{sites} not been asked yet what it takes: {_codes(counts)}")
    return Wait(queues.UNPLACEABLE, "NoSiteMayTakeIt", f"no site may take it: {_codes(counts)}")


def _unasked(verdict: select.Verdict, table: columns.Columns) -> list[int]:
    """Return which sites are refused for powers alone whose adapter has not told of any: it was not asked yet."""
    only_powers = (verdict.bits != 0) & ((verdict.bits & ~_POWERS) == 0)
    found: list[int] = np.flatnonzero(only_powers & (table.capabilities == 0) & ~verdict.judgement.denied).tolist()
    return found


def _helped_by_waiting(verdict: select.Verdict, judgement: evaluator.Judgement) -> bool:
    """Say whether some site is refused only by what goes away by itself, as rules' dates go."""
    patient = judgement.bits.copy()
    for number, rule in enumerate(judgement.book.rules, evaluator.FIRST_RULE):
        waits = any(remedy.kind is reasons.RemedyKind.WAIT for remedy in rule.remedies)
        if waits or rule.effect is not reasons.Effect.DENY:
            word, shift = divmod(number, 64)
            patient[word] &= ~np.uint64(1 << shift)
    for number in judgement.duties():
        word, shift = divmod(number, 64)
        patient[word] &= ~np.uint64(1 << shift)
    near = (verdict.bits == 0) & ~patient.any(axis=0)
    for found in judgement.explained(near) if near.any() else ():
        denials = [reason for reason in found if reason.effect is reasons.Effect.DENY]
        if denials and all(r.remedy is not None and r.remedy.kind is reasons.RemedyKind.WAIT for r in denials):
            return True
    return False


def _filters(
    bits: select.Words, among: columns.Bools, verdict: select.Verdict, table: columns.Columns
) -> dict[str, int]:
    """Return each code of the filters and at how many of the sites it stands; a filter of many sites by its form."""
    found: dict[str, int] = {}
    for bit, item in enumerate(registry.FILTERS):
        rows = np.flatnonzero(among & (bits >> np.uint64(bit) & np.uint64(1)).astype(np.bool_)).tolist()
        if not rows:
            continue
        if item.momentary or len(rows) > ASKED_MAX:
            found[item.form or item.name] = len(rows)
            continue
        for row in rows:
            reason = item.check(verdict.question, table.items[row])
            code = reason.code if reason else item.name
            found[code] = found.get(code, 0) + 1
    return found


def _codes(counts: dict[str, int]) -> str:
    listed = sorted(counts, key=lambda code: (-counts[code], code))
    rest = len(listed) - CODES_MAX
    named = ", ".join(f"{code} ({counts[code]})" for code in listed[:CODES_MAX])
    return f"{named} and {rest} more" if rest > 0 else named
