"""The receipt of a verdict: all it rests on, by digest, so that whoever holds it can judge again; and its price.

A receipt is canonical JSON without any content of outputs: what was asked, each result with its hand, subject and
answer, how each pair compared, and the verdict. :func:`rejudge` runs the same decision over it. Signing is
``evidence.dsse``, under :data:`TYPE`. A digest of a short output can be guessed: who sees receipts may see outputs.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import executions, ids, jobs, money
from orchestrator.evidence import canonical
from orchestrator.verification import decisions, results

TYPE = "application/vnd.comity.verification.v1+json"
_MEMBERS = frozenset({"version", "job", "at", "audit", "exact", "request", "results", "pairs", "verdict"})


class ReceiptError(ValueError):
    """The value is no receipt."""


@dataclass(frozen=True, slots=True)
class Blame:
    """What is known of an operator from one job: a dated fact. ``receipt`` is the digest of what it rests on."""

    operator: str
    job: str
    result: str
    finding: decisions.Finding
    at: dt.datetime
    receipt: ids.Digest


@dataclass(frozen=True, slots=True)
class Price:
    """What verification costs: at least, expected while nobody cheats and nothing fails, and at most."""

    least: money.Money
    expected: money.Money
    most: money.Money


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected of a verified job now."""

    wanted: jobs.Verification
    hands: int
    """How many independent hands may take a run now."""
    trusted: tuple[ids.SiteName, ...]
    """Where a trusted run could go, best first."""
    why: str | None
    """What keeps its runs from places; None: nothing."""
    price: Price | None
    """An hour, all runs together; None: not all prices are known, or there are several currencies."""
    prices_trusted: bool
    """Whether trusted runs are in it: their price is known, or there are none."""
    passes: tuple[tuple[int, float], ...]
    """(colluding hands, probability that their wrong answer is accepted), by ``verification.odds``."""


def receipt(
    job: str,
    at: dt.datetime,
    request: results.Request,
    found: Iterable[results.Result],
    relation: results.Relation,
    *,
    audit: bool = False,
) -> dict[str, Any]:
    """Judge, and return the verdict with all it rests on. ``at`` has a time zone. Raises ValueError as ``decide``."""
    if at.tzinfo is None:
        raise ValueError("the moment of a receipt has a time zone")
    everything = sorted(found, key=lambda one: one.name)
    pairs = {
        (one.name, other.name): relation(one, other)
        for one, other in itertools.combinations(everything, 2)
        if one.answer() is not None and other.answer() is not None
    }
    verdict = decisions.decide(request, everything, lambda one, other: pairs[one.name, other.name], audit=audit)
    return {
        "version": 1,
        "job": job,
        "at": at.astimezone(dt.UTC).isoformat(),
        "audit": audit,
        "exact": relation is results.exact,
        "request": _request(request),
        "results": [_result(one) for one in everything],
        "pairs": [[one, other, said.value] for (one, other), said in pairs.items()],
        "verdict": _verdict(verdict),
    }


def rejudge(value: Mapping[str, Any]) -> bool:
    """Say whether the verdict of a receipt follows from the rest of it. Raises ReceiptError.

    Exact comparisons are repeated from the answers; of others, only that the same answer is the same.
    """
    try:
        if set(value) != _MEMBERS or value["version"] != 1:
            raise ReceiptError("not the members of a receipt")
        pairs = {(one, other): results.Answer(said) for one, other, said in value["pairs"]}
        found = [_read(one) for one in value["results"]]
        answers = {one["name"]: one["answer"] for one in value["results"]}
        if not all(one in answers and other in answers for one, other in pairs):
            raise ReceiptError("a pair of results that are not there")
        wanted = value["request"]
        request = results.Request(
            ids.Digest(wanted["subject"]), wanted["replicas"], wanted["quorum"],
            frozenset(jobs.Distinct(one) for one in wanted["distinct"]), wanted["sealed"], wanted["referees"],
        )  # fmt: skip
        again = decisions.decide(request, found, lambda one, other: pairs[one.name, other.name], audit=value["audit"])
    except (KeyError, TypeError, ValueError) as error:
        raise ReceiptError(f"no receipt: {error}") from error
    for (one, other), said in pairs.items():
        same = answers[one] is not None and answers[one] == answers[other]
        # The same bytes are the same answer whatever the relation; other bytes may be, unless it is exact.
        if (same or value["exact"]) and said is not (results.Answer.SAME if same else results.Answer.DIFFERENT):
            return False
    return bool(_verdict(again) == value["verdict"])


def blames(value: Mapping[str, Any]) -> tuple[Blame, ...]:
    """Return who answers for what, by a receipt that :func:`rejudge` holds good; raises ReceiptError otherwise.

    Nobody is blamed whose operator is not known, and no trusted site.
    """
    if not rejudge(value):
        raise ReceiptError("the verdict does not follow from the results")
    digest, at = canonical.digest(dict(value)), dt.datetime.fromisoformat(value["at"])
    hands = {one["name"]: one["operator"] for one in value["results"] if one["role"] == results.Role.REPLICA.value}
    findings = [(name, decisions.Finding(word)) for name, word in value["verdict"]["findings"]]
    return tuple(
        Blame(hands[name], value["job"], name, finding, at, digest)
        for name, finding in findings
        if finding in decisions.BLAMED and hands.get(name)
    )


def price(replicas: Iterable[money.Money], referee: money.Money | None, rate: tuple[int, int]) -> Price | None:
    """Return what a job costs with its verification; None where a price or the referee's is in another currency.

    ``replicas`` are the prices at the sites that would be drawn, ``referee`` that of one trusted run (None: there is
    no trusted site, so none is paid), ``rate`` the spot checks as (checked, of so many). Rounded up to a micro-unit.
    """
    prices = list(replicas)
    currencies = {one.currency for one in prices} | ({referee.currency} if referee is not None else set())
    checked, of = rate
    if not prices or len(currencies) != 1 or not 0 <= checked <= of or of < 1:
        return None
    (currency,) = currencies
    least, trusted = sum(one.micro for one in prices), referee.micro if referee is not None else 0
    amounts = (least, least - (-trusted * checked // of), least + 2 * trusted)
    return Price(*(money.Money(micro, currency) for micro in amounts))


def _request(request: results.Request) -> dict[str, Any]:
    return {
        "subject": request.subject,
        "replicas": request.replicas,
        "quorum": request.quorum,
        "distinct": sorted(one.value for one in request.distinct),
        "sealed": request.sealed,
        "referees": request.referees,
    }


def _result(one: results.Result) -> dict[str, Any]:
    return {
        "name": one.name, "operator": one.operator, "country": one.country, "subject": one.subject,
        "answer": one.answer(), "role": one.role.value, "seal": one.seal.value,
    }  # fmt: skip


def _read(value: Mapping[str, Any]) -> results.Result:
    """Return a result whose outputs are its answer: there or not is all that the decision asks of them."""
    left = None if value["answer"] is None else (executions.OutputFile("", 0, value["answer"]),)
    return results.Result(
        value["name"], value["operator"], value["country"], value["subject"], left,
        results.Role(value["role"]), results.Seal(value["seal"]),
    )  # fmt: skip


def _verdict(verdict: decisions.Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.value,
        "findings": [[name, finding.value] for name, finding in verdict.findings],
        "accepted": verdict.accepted,
        "agreeing": list(verdict.agreeing),
        "independent": verdict.independent,
        "by": verdict.by.value if verdict.by is not None else None,
    }
