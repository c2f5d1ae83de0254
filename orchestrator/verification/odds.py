"""How often cheating passes: computed, as exact fractions, so that a tenant can choose replicas and rates by figures.

Assumptions, all of them: work repeats exactly; replicas are drawn by ``draws`` with ``distinct: [operator]``; a trusted
run is honest; colluders know each other, cannot see who else was drawn, and give one common wrong answer whenever
they run. Whoever copies a colluder's answer counts as a colluder. A copy of an *honest* answer is no wrong answer: it
passes, and takes one independent hand away; a seal stops it only where answers are seen through us.
"""

from __future__ import annotations

import fractions
import math
from dataclasses import dataclass

from orchestrator.verification import results

Fraction = fractions.Fraction
NEVER = Fraction(0)


@dataclass(frozen=True, slots=True)
class Odds:
    """Probabilities for one job. ``untouched + caught + accepted_wrong = 1``."""

    untouched: Fraction
    """No cheater was drawn."""
    caught: Fraction
    """A cheater ran, the right answer was accepted and every cheater that ran was blamed."""
    accepted_wrong: Fraction
    """A wrong answer was accepted."""
    honest_blamed: Fraction
    """A wrong answer was accepted over honest ones, which were blamed. Part of ``accepted_wrong``."""
    refereed: Fraction
    """A trusted run was needed, by a spot check or for want of a quorum."""


def colluding(request: results.Request, *, operators: int, colluders: int, rate: Fraction = NEVER) -> Odds:
    """Return the odds where ``colluders`` of ``operators`` hands give one common wrong answer.

    The number of colluders among the replicas is hypergeometric. k of them pass where k reaches the quorum and no
    spot check (``rate``) was drawn; in every other case a quorum or a trusted run tells. Raises ValueError.
    """
    if not 0 <= colluders <= operators or request.replicas > operators or not 0 <= rate <= 1:
        raise ValueError("colluders and replicas are at most the operators, a rate lies between 0 and 1")
    drawn = _hypergeometric(request.replicas, operators, colluders)
    n, quorum = request.replicas, request.quorum
    passes = sum((p for k, p in drawn.items() if k >= quorum), NEVER)
    over_honest = sum((p for k, p in drawn.items() if quorum <= k < n), NEVER)
    tied = sum((p for k, p in drawn.items() if k < quorum and n - k < quorum), NEVER)
    untouched = drawn.get(0, NEVER)
    wrong = (1 - rate) * passes
    return Odds(untouched, 1 - untouched - wrong, wrong, (1 - rate) * over_honest, tied + rate * (1 - tied))


def alone(request: results.Request, *, cheating: Fraction, rate: Fraction = NEVER) -> Odds:
    """Return the odds where each replica cheats by itself with probability ``cheating``, with an answer of its own.

    This holds for an invented answer and for one to another input. A single execution passes unless it is checked;
    among replicas no two wrong answers agree, and none is accepted.
    """
    if not 0 <= cheating <= 1 or not 0 <= rate <= 1:
        raise ValueError("a rate lies between 0 and 1")
    n, quorum = request.replicas, request.quorum
    ran = {k: math.comb(n, k) * cheating**k * (1 - cheating) ** (n - k) for k in range(n + 1)}
    wrong = (1 - rate) * cheating if quorum == 1 else NEVER
    tied = sum((p for k, p in ran.items() if n - k < quorum), NEVER) if quorum > 1 else NEVER
    return Odds(ran[0], 1 - ran[0] - wrong, wrong, NEVER, tied + rate * (1 - tied))


def caught_within(runs: int, rate: Fraction) -> Fraction:
    """Return the probability that somebody who always cheats is checked at least once in ``runs`` jobs."""
    return 1 - (1 - rate) ** runs


def runs_until(certainty: Fraction, rate: Fraction) -> int:
    """Return after how many jobs :func:`caught_within` reaches ``certainty`` (0 < certainty < 1, 0 < rate <= 1)."""
    if not 0 < certainty < 1 or not 0 < rate <= 1:
        raise ValueError("certainty lies between 0 and 1, a rate is above 0 and at most 1")
    if rate == 1:
        return 1
    near = max(1, math.floor(math.log(1 - certainty) / math.log(1 - rate)) - 1)
    while caught_within(near, rate) < certainty:
        near += 1
    return near


def _hypergeometric(drawn: int, everybody: int, marked: int) -> dict[int, Fraction]:
    whole = math.comb(everybody, drawn)
    return {
        k: Fraction(math.comb(marked, k) * math.comb(everybody - marked, drawn - k), whole)
        for k in range(max(0, drawn - everybody + marked), min(drawn, marked) + 1)
    }
