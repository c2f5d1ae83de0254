"""Judges a recorded decision again, years later: the same class of jobs, sites, rules and clock, by the evaluator kept.

All of it is data from the record; nothing else is asked, and nothing of it is run. Compared are the bits of every
rule and standing filter at every site, scores, order, and, where they are at hand, the codes that a person was shown.
Not judged again: how much room was free and who could be reached at that moment, which no record holds; their bits
stand as recorded.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.domain import decisions, ids, reasons
from orchestrator.evidence import canonical
from orchestrator.placement import columns, contents, records, requirements, select
from orchestrator.placement.filters import registry
from orchestrator.policy import attributes, conversions, evaluator, rulebook, table
from orchestrator.policy.cedar import engine
from orchestrator.scheduler import answers

EVALUATORS = {"eval 1": evaluator.judge}
"""Versions of the evaluator that are kept, by name: the next one stands beside this one, and this one stays."""


class Outcome(enum.Enum):
    """What judging again says."""

    SAME = "same"
    DIFFERENT = "different"
    NOT_POSSIBLE = "not possible"


@dataclass(frozen=True, slots=True)
class Rejudged:
    """The outcome; ``why`` names what differs first, or what is needed."""

    outcome: Outcome
    why: str


class _MissingError(Exception):
    """Something that is needed is not there; the message says what."""


class _DifferentError(Exception):
    """The first thing that differs."""


def rejudge(
    digest: str,
    found: Mapping[str, Any],
    *,
    at: dt.datetime,
    chosen: str,
    plain: Mapping[str, Any],
    shown: Sequence[Mapping[str, Any]] | None,
) -> Rejudged:
    """Judge the decision of this digest again.

    Args:
        digest: of the decision's body.
        found: the records by digest, as JSON; the caller has held each to its digest.
        at: the policy clock that the journal recorded.
        chosen: the site that the journal recorded.
        plain: what else the signed statement says of the decision (versions, packs).
        shown: the answer of each site as it was shown to people; None: not at hand.
    """
    try:
        past, decision, job, book = _read(digest, found, at)
        count = _judged(past, job, book, at)
        _said(past, plain, book, decision)
        _choice(past, chosen)
        if shown is not None:
            _codes(past, decision, found, book, shown)
    except _MissingError as missing:
        return Rejudged(Outcome.NOT_POSSIBLE, f"needs {missing}")
    except _DifferentError as different:
        return Rejudged(Outcome.DIFFERENT, str(different))
    except (contents.ContentError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        # A record of a form that no version writes: its digest holds, so somebody signed it so.
        return Rejudged(Outcome.DIFFERENT, f"the record cannot be judged: {type(error).__name__}: {error}"[:300])
    return Rejudged(Outcome.SAME, f"{count} sites, {len(book.rules)} rules, {past.policy.evaluator}")


def _read(
    digest: str, found: Mapping[str, Any], at: dt.datetime
) -> tuple[records.Past, decisions.Decision, Mapping[str, Any], rulebook.RuleBook]:
    body = _need(found, digest, "the record of the decision")
    if body.get("placement") != registry.VERSION or body.get("format") != records.FORMAT:
        raise _MissingError(f"a version that reads {body.get('placement')!r}, format {body.get('format')!r}")
    stored = _Stored(found)
    decision = decisions.Decision(
        ids.Digest(digest), ids.Digest(body["class"]), at, None, bool(body["order"]), canonical.dumps(body)
    )
    for name, what in (("class", "the class of the job"), ("sites", "the list of sites"), ("policy", "the policy")):
        _need(found, body[name], what)
    past = records.read(decision, answers.gather(decision, stored.content))
    if past.policy.evaluator not in EVALUATORS:
        raise _MissingError(f"{past.policy.evaluator} (kept here: {', '.join(sorted(EVALUATORS))})")
    raw = _need(found, past.policy.digest, "the rule book")
    book = rulebook.decode(canonical.dumps(raw))
    job = _need(found, body["class"], "the class of the job")
    if contents.decode(requirements.Requirement, job["requirement"]) != past.question.requirement:
        raise _DifferentError("the question put to the sites is not that of the job's class")
    return past, decision, job, book


def _judged(past: records.Past, job: Mapping[str, Any], book: rulebook.RuleBook, at: dt.datetime) -> int:
    """Judge again. Another version of a library may answer otherwise: then its own would be needed to know."""
    try:
        return _again(past, job, book, at)
    except _DifferentError as different:
        named = past.policy.engine
        if named and named != engine.version():
            raise _MissingError(f"{named} (here is {engine.version()}, and with it: {different})") from different
        raise


def _again(past: records.Past, job: Mapping[str, Any], book: rulebook.RuleBook, at: dt.datetime) -> int:
    """Judge, and compare bits, scores and order. Returns the number of sites."""
    asked = contents.decode(attributes.JobAttributes, job["job"])
    known = table.SiteTable(conversions.of_site(row.site) for row in past.rows)
    judged = EVALUATORS[past.policy.evaluator](asked, known, book, at)
    names = [str(row.site.name) for row in past.rows]
    if evaluator.names(book) != past.policy.rules:
        raise _DifferentError("the rules in force are not those that the record lists")
    for at_row, bits in enumerate(past.policy_bits):
        mine = sum(int(judged.bits[word, at_row]) << (64 * word) for word in range(judged.bits.shape[0]))
        if mine != bits or bool(judged.denied[at_row]) != past.denied[at_row]:
            raise _DifferentError(f"{names[at_row]}: {_which(past, book, mine ^ bits)}")
    grid = columns.build(past.rows)
    if [str(name) for name in grid.names] != names:
        raise _DifferentError("the sites are not in their order")
    verdict = select.judge(past.question, grid, judged)
    mask = ~np.uint64(registry.MOMENTARY)
    theirs = np.array(past.filter_bits, dtype=np.uint64) & mask
    wrong = np.flatnonzero((verdict.bits & mask) != theirs)
    if len(wrong):
        bits = int(verdict.bits[wrong[0]]) ^ int(theirs[wrong[0]])
        which = ", ".join(item.name for bit, item in enumerate(registry.FILTERS) if bits >> bit & 1)
        raise _DifferentError(f"{names[int(wrong[0])]}: {which}")
    if tuple(verdict.order.tolist()) != past.order:
        raise _DifferentError("the order of the sites that nothing standing refuses")
    if {name: tuple(column[verdict.order].tolist()) for name, column in verdict.scores.items()} != past.scores:
        raise _DifferentError("the scores")
    if tuple(verdict.totals[verdict.order].tolist()) != past.totals:
        raise _DifferentError("the weighted scores")
    return len(names)


def _which(past: records.Past, book: rulebook.RuleBook, bits: int) -> str:
    wrong = [name for number, name in enumerate(evaluator.names(book)) if bits >> (past.policy.first_bit + number) & 1]
    return f"answers differ in {', '.join(wrong[:5]) or 'what nobody can judge'}"


def _said(past: records.Past, plain: Mapping[str, Any], book: rulebook.RuleBook, decision: decisions.Decision) -> None:
    """Hold what the statement says of versions to the record."""
    body = contents.parse(decisions.Content(decision.digest, decision.body))
    wanted = {**versions(past.policy, book), "factsDigest": body["sites"]}
    # A later version may plan more packs, so which are absent cannot be said again; the statement is signed.
    del wanted["packsAbsent"]
    for name, value in wanted.items():
        if plain.get(name) != value:
            raise _DifferentError(f"the statement says another {name} than the record")


def versions(policy: records.Policy, book: rulebook.RuleBook) -> dict[str, Any]:
    """Return what a statement says of the rules: packs on and off, their versions and digests."""
    raw = {name: canonical.digest([rules, facts]) for name, rules, facts in contents_of(book)["packs"]}
    # Records from before these were said have none.
    said = {name: value for name, value in (("mode", policy.mode), ("engine", policy.engine)) if value}
    return {
        **said,
        "policy": str(policy.digest),
        "evaluator": policy.evaluator,
        "placement": registry.VERSION,
        "packs": [{"id": name, "version": version, "digest": raw.get(name)} for name, version in policy.packs],
        "packsOff": list(policy.off),
        "packsFailed": [name for name, _ in book.failed],
        "packsAbsent": list(book.absent),
    }


def contents_of(book: rulebook.RuleBook) -> Any:
    """Return what a book was made from, as JSON."""
    return contents.parse(decisions.Content(book.digest, book.body))


def _choice(past: records.Past, chosen: str) -> None:
    allowed = [str(past.rows[position].site.name) for position in past.order if not past.filter_bits[position]]
    if chosen not in allowed:
        where = ", ".join(allowed) or "nowhere"
        raise _DifferentError(f"{chosen} was chosen, and the record lets the job go to: {where}")


def _codes(
    past: records.Past,
    decision: decisions.Decision,
    found: Mapping[str, Any],
    book: rulebook.RuleBook,
    shown: Sequence[Mapping[str, Any]],
) -> None:
    """Hold the denials and duties that people were shown to those made again.

    Sentences may be worded anew by a later version, and caveats are its own; codes and effects may not change.
    """
    answer = answers.render(decision, _Stored(found).content, {past.policy.digest: book})
    mine = [
        (str(one.site), one.allowed, _counted((why.code, why.effect.value) for why in one.reasons))
        for one in answer.sites
    ]
    theirs = [
        (one["site"], one["allowed"], _counted((why["code"], why["effect"]) for why in one["reasons"])) for one in shown
    ]
    for ours, recorded in zip(mine, theirs, strict=False):
        if ours != recorded:
            raise _DifferentError(f"{ours[0]}: the reasons shown are not those that the record gives")
    if len(mine) != len(theirs):
        raise _DifferentError("the sites shown are not those of the record")


def _counted(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(pair for pair in pairs if pair[1] != reasons.Effect.CAVEAT.value)


def _need(found: Mapping[str, Any], digest: str, what: str) -> Any:
    if digest not in found:
        raise _MissingError(f"{what} ({digest})")
    return found[digest]


@dataclass(frozen=True, slots=True)
class _Stored:
    """Records as ``answers`` looks them up."""

    found: Mapping[str, Any]

    def content(self, digest: ids.Digest) -> decisions.Content | None:
        if digest not in self.found:
            raise _MissingError(f"the record {digest}")
        return decisions.Content(digest, canonical.dumps(self.found[digest]))
