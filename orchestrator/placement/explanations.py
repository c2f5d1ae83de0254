"""Decisions as sentences: every site with every reason, made from bits when somebody reads.

``explain`` does it for a selection just made, ``render`` for a stored decision. A site's reasons are policy's (given
by the caller, who knows policy) and the filters'; both sorted by code, all of them, never only the first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Mapping, Sequence

from orchestrator.domain import decisions, ids, reasons
from orchestrator.placement import (
    changes,
    columns,
    exchanges,
    identities,
    judgements,
    records,
    requirements,
    rows,
    screenings,
    select,
)
from orchestrator.placement.filters import registry

PolicyOf = Callable[[records.Past], judgements.Explains | None]
"""Gives policy's sentences for a stored decision; None: that policy is not at hand, so only its codes are known."""


Known = dict[tuple[int, Hashable], tuple[reasons.Reason, ...]]
"""Reasons by the bit of a filter and what it read."""


def explain(
    selection: select.Selection,
    table: columns.Columns,
    explains: judgements.Explains,
    *,
    decision: decisions.Decision,
    versions: decisions.Versions,
    prove: changes.Prove | None = None,
) -> decisions.Answer:
    """Return the whole answer for a selection just made; facts of offers are those of the table now.

    ``prove`` judges the changed job of a nearest change before it is offered.
    """
    verdict = selection.verdict
    bits, denied = selection.bits.tolist(), verdict.judgement.denied.tolist()
    scores = {name: column.tolist() for name, column in verdict.scores.items()}
    totals = verdict.totals.tolist()
    answers = []
    known: Known = {}
    for position, row in enumerate(table.items):
        allowed = not bits[position] and not denied[position]
        why = filter_reasons(verdict.question, row, bits[position], now=True, known=known)
        found = _sorted((*explains(position, row.site), *why, *_caveats(verdict.question, row)))
        own = {name: column[position] for name, column in scores.items()} if allowed else {}
        answers.append(
            site_answer(
                verdict.question,
                row,
                found,
                allowed=allowed,
                scores=own,
                total=totals[position] if allowed else None,
                starts_in=rows.starts_in(row, verdict.question),
            )
        )
    ranking = tuple(selection.names[position] for position in selection.ranking)
    return _answer(decision, versions, answers, ranking, prove)


def render(
    decision: decisions.Decision,
    stored: Mapping[ids.Digest, decisions.Content],
    policy_of: PolicyOf,
) -> decisions.Answer:
    """Return the whole answer of a stored decision. Raises ContentError when a content is missing or damaged.

    Sentences of policy are made again by ``policy_of``. Where they do not deny what the stored bits deny, the answer
    keeps the bits' word and says so: a record is what was decided, not what would be decided today.
    """
    past = records.read(decision, stored)
    explains = policy_of(past)
    rank = {row: number for number, row in enumerate(past.order)}
    answers = []
    known: Known = {}
    for position, row in enumerate(past.rows):
        bits, denied = past.filter_bits[position], past.denied[position]
        why = filter_reasons(past.question, row, bits, now=False, known=known)
        found = _sorted((*_policy_reasons(past, position, explains), *why, *_caveats(past.question, row)))
        allowed = not bits and not denied
        at = rank.get(position)
        scored = allowed and at is not None
        answers.append(
            site_answer(
                past.question,
                row,
                found,
                allowed=allowed,
                scores={name: values[at] for name, values in past.scores.items()} if scored and at is not None else {},
                total=past.totals[at] if scored and at is not None else None,
                starts_in=None,
            )
        )
    ranking = tuple(past.rows[position].site.name for position in past.order if not past.filter_bits[position])
    return _answer(decision, past.versions, answers, ranking)


def filter_reasons(
    question: requirements.Question, row: rows.Row, bits: int, *, now: bool, known: Known | None = None
) -> tuple[reasons.Reason, ...]:
    """Return the sentences of the filters whose bit is set. ``now`` False: the row's offer was not stored.

    ``known`` remembers, for one question, what filters said of rows that agree in all that they read.
    """
    found: list[reasons.Reason] = []
    while bits:
        low = bits & -bits
        bits ^= low
        item = registry.FILTERS[low.bit_length() - 1]
        reads = None if known is None or item.momentary else item.reads(row)
        if known is not None and reads is not None:
            why = known.get((low, reads)) or known.setdefault((low, reads), item.every(question, row))
        else:
            why = item.every(question, row) if now or not item.momentary else (item.recall(row),)
        if not why:
            # Only a bug could bring this about: the two readings of a filter differ.
            raise AssertionError(f"{item.name} refused {row.site.name} in the columns but not in the row")
        found += why
    return tuple(found)


def site_answer(
    question: requirements.Question,
    row: rows.Row,
    why: tuple[reasons.Reason, ...],
    *,
    allowed: bool,
    scores: Mapping[str, int],
    total: int | None,
    starts_in: dt.timedelta | None,
) -> decisions.SiteAnswer:
    """Return one line of an answer."""
    site = row.site
    return decisions.SiteAnswer(
        site=site.name,
        backend=site.backend,
        allowed=allowed,
        reasons=why,
        scores=scores,
        total=total,
        price_per_hour=rows.price_per_hour(site, question),
        starts_in=starts_in,
        country=site.location.country,
        operator=site.operator_name,
        parent_hq=site.operator.ultimate_parent_hq if site.operator else None,
        grams_per_hour=rows.grams_per_hour(site, question),
        rtt_ms=rows.rtt_ms(site, question),
    )


def _caveats(question: requirements.Question, row: rows.Row) -> tuple[reasons.Reason, ...]:
    return (*screenings.caveats(row.site), *identities.caveats(row.site), *exchanges.caveats(question, row))


def _policy_reasons(
    past: records.Past, position: int, explains: judgements.Explains | None
) -> tuple[reasons.Reason, ...]:
    found = explains(position, past.rows[position].site) if explains else _codes_only(past, position)
    if past.denied[position] and not any(reason.effect is reasons.Effect.DENY for reason in found):
        message = "policy refused this site when it was decided; its sentence cannot be made again"
        found += (reasons.Reason("policy.recorded", reasons.Effect.DENY, reasons.Basis.DILIGENCE, message),)
    return found


def _codes_only(past: records.Past, position: int) -> tuple[reasons.Reason, ...]:
    bits = past.policy_bits[position] >> past.policy.first_bit
    named = [rule for number, rule in enumerate(past.policy.rules) if bits >> number & 1]
    effect = reasons.Effect.DENY if past.denied[position] else reasons.Effect.OBLIGE
    message = f"fired when it was decided; policy {past.policy.digest} is not at hand"
    return tuple(reasons.Reason(rule, effect, reasons.Basis.DILIGENCE, message) for rule in named)


def _answer(
    decision: decisions.Decision,
    versions: decisions.Versions,
    answers: Sequence[decisions.SiteAnswer],
    ranking: tuple[ids.SiteName, ...],
    prove: changes.Prove | None = None,
) -> decisions.Answer:
    return decisions.Answer(
        digest=decision.digest,
        class_digest=decision.class_digest,
        at=decision.at,
        versions=versions,
        sites=tuple(answers),
        ranking=ranking,
        expires=decision.expires,
        nearest_change=changes.nearest(answers, prove),
    )


def _sorted(found: tuple[reasons.Reason, ...]) -> tuple[reasons.Reason, ...]:
    by_code = {reason.code: reason for reason in found}
    if len(by_code) == len(found):
        return tuple([by_code[code] for code in sorted(by_code)])
    return tuple(sorted(found, key=lambda reason: (reason.code, reason.effect.value, reason.message)))
