"""A bundle checked without a server: the checks of ``evidence``, and the evaluator that judges again."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.evidence import bundles, chain, comparisons, verification
from orchestrator.scheduler import rejudging

_WORDS = {
    rejudging.Outcome.SAME: comparisons.Word.SAME,
    rejudging.Outcome.DIFFERENT: comparisons.Word.DIFFERENT,
    rejudging.Outcome.NOT_POSSIBLE: comparisons.Word.NOT_POSSIBLE,
}


def verify(data: bytes, trust: verification.Trust, *, against: Sequence[comparisons.Kept] = ()) -> verification.Report:
    """Check the bytes of a bundle. Raises ``bundles.BundleError`` for what is none."""
    return verification.verify(bundles.loads(data), trust, rejudge, against=against)


def rejudge(case: verification.Case) -> comparisons.Answer:
    """Judge one decision again."""
    try:
        at = chain.time_of(case.clock)
    except ValueError:
        return comparisons.Answer(comparisons.Word.DIFFERENT, f"{case.clock[:40]!r} is no moment")
    found = rejudging.rejudge(
        case.decision,
        case.records,
        at=at,
        chosen=case.chosen,
        plain=case.plain,
        shown=case.candidates,
    )
    return comparisons.Answer(_WORDS[found.outcome], found.why)
