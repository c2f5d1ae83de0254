"""Domain values to the answers of the HTTP interface, as plain data ready for JSON.

Times are RFC 3339 in UTC with ``Z``; what is not known is left out, but for the fields a reader always expects.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.domain import decisions, executions, ids, jobs, obligations, reasons
from orchestrator.evidence import observations
from orchestrator.verification import receipts
from orchestrator.wire import errors, quantities
from orchestrator.wire.convert import jobs as job_conversion


def timestamp(moment: dt.datetime) -> str:
    """Return RFC 3339 text in UTC: ``2026-11-22T10:00:00Z``, with a fraction only where there is one."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _time(moment: dt.datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)


def reason(value: reasons.Reason) -> dict[str, Any]:
    """Return ``{code, effect, basis, message, facts, remedy}``."""
    return {
        "code": value.code,
        "effect": value.effect.value,
        "basis": value.basis.value,
        "message": value.message,
        "facts": [_citation(fact) for fact in value.facts],
        "remedy": None if value.remedy is None else remedy(value.remedy),
    }


def remedy(value: reasons.Remedy) -> dict[str, Any]:
    """Return ``{kind, change, until}``, and ``dropsConstraint`` where it is true."""
    found: dict[str, Any] = {"kind": value.kind.value, "change": value.change, "until": _time(value.until)}
    if value.drops_constraint:
        found["dropsConstraint"] = True
    return found


def _citation(fact: reasons.FactCitation) -> dict[str, Any]:
    return {
        "path": fact.path,
        "value": fact.value,
        "source": fact.source,
        "asOf": None if fact.as_of is None else fact.as_of.isoformat(),
        "validTo": None if fact.valid_to is None else fact.valid_to.isoformat(),
        "assurance": None if fact.assurance is None else fact.assurance.word,
    }


def site_answer(value: decisions.SiteAnswer) -> dict[str, Any]:
    """Return what was decided about one site."""
    price, starts_in = value.price_per_hour, value.starts_in
    found: dict[str, Any] = {
        "site": value.site,
        "backend": value.backend,
        "allowed": value.allowed,
        "reasons": [reason(entry) for entry in value.reasons],
        "scores": dict(value.scores),
        "price": None if price is None else quantities.format_money(price),
        "startsIn": None if starts_in is None else quantities.format_duration(starts_in),
    }
    extra = {
        "total": value.total,
        "country": value.country,
        "operator": value.operator,
        "parentHq": value.parent_hq,
        "gramsPerHour": value.grams_per_hour,
        "rttMs": value.rtt_ms,
    }
    return found | {key: member for key, member in extra.items() if member is not None}


def plan(
    value: decisions.Answer,
    *,
    chosen: ids.SiteName | None,
    notices: Sequence[str] = (),
    halted: Sequence[reasons.Reason] = (),
    verified: receipts.Forecast | None = None,
) -> dict[str, Any]:
    """Return ``{digest, placeable, chosen, at, sites, ...}``; ``halted`` is why nothing is placed anywhere now,
    ``verified`` what a verified job would meet.
    """
    versions = value.versions
    expected = {} if verified is None else {"verification": verification(verified)}
    return expected | {
        "digest": value.digest,
        "placeable": value.placeable and (verified is None or verified.why is None),
        "chosen": chosen,
        "at": timestamp(value.at),
        "sites": [site_answer(site) for site in value.sites],
        "ranking": list(value.ranking),
        "expires": _time(value.expires),
        "versions": {
            "policy": versions.policy,
            "facts": versions.facts,
            "evaluator": versions.evaluator,
            "packs": dict(versions.packs),
            "packsOff": list(versions.packs_off),
            "mode": versions.mode,
        },
        "nearestChange": [remedy(entry) for entry in value.nearest_change],
        "notices": list(notices),
        "halted": [reason(entry) for entry in halted],
    }


def verification(value: receipts.Forecast) -> dict[str, Any]:
    """Return ``{replicas, quorum, hands, trusted, missing, price, passes}``."""
    price = value.price
    return {
        "replicas": value.wanted.replicas,
        "quorum": value.wanted.quorum,
        "hands": value.hands,
        "trusted": list(value.trusted),
        "missing": value.why,
        "price": None
        if price is None
        else {
            "least": quantities.format_money(price.least),
            "expected": quantities.format_money(price.expected),
            "most": quantities.format_money(price.most),
        },
        "pricesTrusted": value.prices_trusted,
        "passes": [{"colluding": count, "probability": chance} for count, chance in value.passes],
    }


def job(value: jobs.Job, *, owed: Sequence[obligations.Obligation] = ()) -> dict[str, Any]:
    """Return the job's document with ``metadata.id`` and ``status``; ``owed`` is what its placements oblige to."""
    document = job_conversion.job_spec_document(value.spec)
    metadata: dict[str, Any] = {"id": value.id, "tenant": value.tenant, **document["metadata"]}
    if value.parent is not None:
        metadata["parent"] = value.parent
    if value.index is not None:
        metadata["index"] = value.index
    document["metadata"] = metadata
    document["status"] = job_status(value)
    if owed:
        document["status"]["obligations"] = [obligation(one) for one in owed]
    return document


def obligation(value: obligations.Obligation) -> dict[str, Any]:
    """Return ``{job, code, state, message, basis, source, site, attempt, placedAt, dueAt, ...}``."""
    duty, done = value.duty, value.fulfilment
    found: dict[str, Any] = {
        "job": value.job,
        "code": duty.code,
        "state": value.state.value,
        "message": duty.message,
        "basis": duty.basis.value,
        "source": duty.source,
        "site": value.site,
        "attempt": value.attempt,
        "placedAt": timestamp(value.placed_at),
        "dueAt": _time(value.due_at),
    }
    extra: dict[str, Any] = {
        "overdueAt": _time(value.overdue_at),
        "reason": value.reason or None,
        "endedAt": _time(value.ended_at),
    }
    if done is not None:
        evidence = {"ref": done.reference} | ({"digest": done.digest} if done.digest else {})
        extra |= {"evidence": evidence, "by": done.by, "at": timestamp(done.at), "actor": done.actor}
        extra |= {"note": done.note or None}
    return found | {key: member for key, member in extra.items() if member is not None}


def job_status(value: jobs.Job) -> dict[str, Any]:
    """Return ``{phase, conditions, exitCode, signal, attempts, ...}``; the outcome is that of the last attempt."""
    last = value.attempt
    outcome = last.outcome if last is not None and value.phase.terminal else None
    found: dict[str, Any] = {
        "phase": value.phase.value,
        "conditions": [_condition(entry) for entry in value.conditions],
        "exitCode": None if outcome is None else outcome.exit_code,
        "signal": None if outcome is None else outcome.signal,
        "reason": value.reason,
        "attempts": [_attempt(entry) for entry in value.attempts],
        "submittedAt": timestamp(value.submitted_at),
        "submittedBy": value.submitted_by,
        "endedAt": _time(value.ended_at),
    }
    if (state := value.array_state) is not None:
        phases = {phase.value: count for phase, count in state.counts if count}
        size = value.spec.array.size if value.spec.array is not None else state.untouched_count + sum(phases.values())
        found["elements"] = {"size": size, "untouched": state.untouched_count, "phases": phases}
    return found


def _condition(value: jobs.Condition) -> dict[str, Any]:
    return {
        "type": value.type,
        "status": value.status,
        "reason": value.reason,
        "message": value.message,
        "since": timestamp(value.since),
    }


def _attempt(value: jobs.Attempt) -> dict[str, Any]:
    outcome = value.outcome
    found: dict[str, Any] = {
        "number": value.number,
        "site": value.site,
        "phase": value.phase.value,
        "exitCode": None if outcome is None else outcome.exit_code,
        "signal": None if outcome is None else outcome.signal,
        "startedAt": _time(value.started_at),
        "endedAt": _time(value.ended_at),
        "reason": value.reason,
    }
    if outcome is not None and outcome.detail:
        found["detail"] = outcome.detail
    if value.execution != executions.NOTHING:
        found["seen"] = _seen(value.execution)
    return found


def _seen(value: executions.Execution) -> dict[str, Any]:
    """Return what was observed of an attempt, without the files it left: they are listed by themselves."""
    found: dict[str, Any] = {"nodes": [observations.node(one) for one in value.nodes]}
    said = observations.values(value)
    for name, path in (("adapter", observations.ADAPTER), ("attestation", observations.ATTESTATION)):
        if said[path] is not None:
            found[name] = said[path]
    return found


def page(items: Iterable[dict[str, Any]], *, cursor: str | None = None) -> dict[str, Any]:
    """Return ``{items, cursor}``."""
    return {"items": list(items), "cursor": cursor}


def problem(
    *,
    status: int,
    code: str,
    title: str,
    detail: str = "",
    remedy: str = "",
    invalid: Iterable[errors.DocumentError] = (),
    refused: Iterable[reasons.Reason] = (),
) -> dict[str, Any]:
    """Return an RFC 9457 problem; empty members are left out."""
    found: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "code": code}
    optional = {
        "detail": detail,
        "remedy": remedy,
        "errors": [error.as_json() for error in invalid],
        "reasons": [reason(entry) for entry in refused],
    }
    return found | {key: member for key, member in optional.items() if member}


def invalid_document(error: errors.InvalidDocumentError) -> dict[str, Any]:
    """Return the problem of a document that cannot be read.

    400 where the body is no JSON at all, 413 where it is too large, else 422 ``document.invalid``. Where every error
    is a field without meaning the code is that field's (``job.unsupported:<path>``).
    """
    codes = {entry.code for entry in error.errors}
    detail = "; ".join(entry.render() for entry in error.errors[:3])
    if codes <= {errors.SYNTAX, errors.TOO_COMPLEX}:
        return problem(
            status=400, code=min(codes), title="The body cannot be read", detail=detail, invalid=error.errors
        )
    if codes == {errors.TOO_LARGE}:
        return problem(
            status=413, code=errors.TOO_LARGE, title="The body is too large", detail=detail, invalid=error.errors
        )
    unsupported = [code for code in codes if code.partition(":")[0] in _UNSUPPORTED]
    code = min(unsupported) if len(unsupported) == len(codes) else errors.INVALID
    return problem(status=422, code=code, title="The document is not valid", detail=detail, invalid=error.errors)


_UNSUPPORTED = frozenset({errors.JOB_UNSUPPORTED, errors.DOCUMENT_UNSUPPORTED})
