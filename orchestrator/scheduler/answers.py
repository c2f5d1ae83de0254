"""Answers for people: where one document would go and why nowhere else, and what a stored decision said.

Neither queues nor changes anything. The digest of a plan is that of the decision a cycle would record for the same
class while nothing changed, so that a job can be submitted "as decided".
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from orchestrator.domain import decisions, ids, jobs
from orchestrator.placement import contents, explanations, judgements, records, select
from orchestrator.policy import attributes, conversions, evaluator, rulebook, table
from orchestrator.scheduler import caches, classes, forecasts, proofs, snapshots, waits
from orchestrator.verification import receipts


@dataclass(frozen=True, slots=True)
class Planned:
    """An answer, with what would be stored for it, and the condition a job would wait with."""

    answer: decisions.Answer
    decision: decisions.Decision
    contents: tuple[decisions.Content, ...]
    wait: waits.Wait | None
    """None where a site takes it now."""
    verified: receipts.Forecast | None = None
    """What a verified job would meet."""


def plan_one(
    spec: jobs.JobSpec,
    snapshot: snapshots.Snapshot,
    *,
    tenant: str,
    at: dt.datetime | None = None,
    cache: caches.Cache | None = None,
) -> Planned:
    """Judge one document without queueing it, on the snapshot's day or another.

    ``cache`` must not be the control loop's own: it belongs to one thread. Raises what a poisonous spec brings about.
    """
    at = at or snapshot.at
    memory = cache if cache is not None else caches.Cache()
    grid = memory.refresh(snapshot)
    job = memory.class_of(classes.kind_of(tenant, spec))
    verdict = memory.verdict(job, at)
    selection = select.choose(verdict, grid)
    decision, own = memory.decision(job, selection, at)
    facts = memory.facts()
    answer = explanations.explain(
        selection,
        grid,
        explains(selection),
        decision=decision,
        versions=records.versions(memory.policy(), facts.facts.digest),
        prove=proofs.prover(spec, tenant, snapshot.world, grid, memory.table(), selection),
    )
    wait = None if len(selection.ranking) else memory.wait(job, selection)
    verified = None
    if spec.verification is not None:
        verified = forecasts.forecast(spec.verification, answer, snapshot.sites, snapshot.world)
    stored = (*own, memory.book(), facts.facts, facts.shapes, *facts.each)
    return Planned(answer, decision, stored, wait, verified)


def explains(selection: select.Selection) -> judgements.Explains:
    """Return policy's sentences for a selection just made.

    A refused site gets what refuses or obliges, from the bits; one that policy permits also gets its caveats, because
    every yes carries them.
    """
    judgement = selection.verdict.judgement
    assert isinstance(judgement, evaluator.Judgement)  # noqa: S101 - the scheduler asks no other judge

    found = judgement.explained(full=(selection.bits == 0) & ~judgement.denied)
    return lambda position, _site: found[position]


def render(
    decision: decisions.Decision,
    stored: Callable[[ids.Digest], decisions.Content | None],
    books: Mapping[ids.Digest, rulebook.RuleBook],
) -> decisions.Answer:
    """Return the whole answer of a stored decision. Raises ``contents.ContentError`` when something is missing.

    ``stored`` looks a content up; ``books`` holds the rule books at hand, by digest; any other is made again from
    what was stored of it. Where nothing was, the codes of what fired are known, and no more.
    """
    found = gather(decision, stored)

    def policy_of(past: records.Past) -> judgements.Explains | None:
        if past.policy.evaluator != evaluator.EVALUATOR_VERSION:
            return None
        book = books.get(past.policy.digest)
        if book is None:
            content = stored(past.policy.digest)
            if content is None:
                return None
            book = stored_book(content)
        raw = contents.parse(found[decision.class_digest])
        job = contents.decode(attributes.JobAttributes, raw["job"])
        allowed = [not bits and not denied for bits, denied in zip(past.filter_bits, past.denied, strict=True)]
        known = table.SiteTable(conversions.of_site(row.site) for row in past.rows)
        judged = evaluator.judge(job, known, book, decision.at)
        why = judged.explained(full=np.array(allowed, dtype=np.bool_))
        return lambda position, _site: why[position]

    return explanations.render(decision, found, policy_of)


def stored_book(content: decisions.Content) -> rulebook.RuleBook:
    """Return the rule book of a stored content. Raises ``contents.ContentError``."""
    contents.parse(content)
    return _decoded(content.digest, content.body)


@functools.lru_cache(maxsize=8)
def _decoded(_digest: ids.Digest, body: bytes) -> rulebook.RuleBook:
    try:
        return rulebook.decode(body)
    except ValueError as error:
        raise contents.ContentError(str(error)) from error


def gather(
    decision: decisions.Decision, stored: Callable[[ids.Digest], decisions.Content | None]
) -> dict[ids.Digest, decisions.Content]:
    """Return everything that a decision names, sites included. Raises ``contents.ContentError`` when one is missing."""
    found: dict[ids.Digest, decisions.Content] = {}

    def fetch(digest: ids.Digest) -> decisions.Content:
        content = stored(digest)
        if content is None:
            raise contents.ContentError(f"{digest} is not stored")
        found[digest] = content
        return content

    *own, listed = records.references(decision)
    for digest in own:
        fetch(digest)
    for digest in records.site_references(fetch(listed)):
        fetch(digest)
    return found
