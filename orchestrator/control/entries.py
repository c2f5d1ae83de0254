"""What the journal says of a change the loop made: from, to, attempt, site, decision, reason; nothing of the spec."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import assert_never

from orchestrator.domain import decisions, events, jobs, journal
from orchestrator.evidence import observations, tables

CONTROLLER = "controller"


def of(
    before: jobs.Job, after: jobs.Job, event: events.Event, placement: decisions.Placement | None = None
) -> journal.Entry | None:
    """Return the entry for ``event``; None for a change that is no news (a handle learned, a doubtful read).

    ``placement`` stands beside a ``Placed``: the digest of its record is said with it.
    """
    if isinstance(event, (events.GoneRead, events.SeenWaiting, events.Started)) and before.phase is after.phase:
        return None
    body: dict[str, object] = {"from": before.phase.value, "to": after.phase.value}
    # The attempt that the event was about: after a refusal or an end it still is the last one.
    attempt = after.attempt
    if attempt is not None and not isinstance(event, events.ConditionChanged):
        body |= {"attempt": attempt.number, "site": str(attempt.site), "decision": str(attempt.decision)}
    if placement is not None:
        body["record"] = tables.record_of(placement)
    body |= _details(event, after)
    return _entry(word(event), after, event.at, body)


def of_parent(before: jobs.Job, after: jobs.Job, at: dt.datetime) -> journal.Entry | None:
    """Return the entry for an array whose elements moved it."""
    if before.phase is after.phase:
        return None
    body: dict[str, object] = {"from": before.phase.value, "to": after.phase.value, "reason": after.reason}
    return _entry("job.array", after, at, body)


def word(event: events.Event) -> str:
    """Return the dotted word of an event."""
    match event:
        case events.Placed():
            return "job.placed"
        case events.SubmitTried():
            return "job.submit-tried"
        case events.SubmitAccepted() | events.SeenWaiting():
            return "job.accepted"
        case events.SubmitRefused():
            return "job.refused"
        case events.Withdrawn():
            return "job.withdrawn"
        case events.Abandoned():
            return "job.abandoned"
        case events.Started():
            return "job.started"
        case events.Ended() | events.Vanished():
            return "job.ended"
        case events.GoneRead():
            return "job.gone-read"
        case events.StopRequested():
            return "job.stop-requested"
        case events.RefereeAsked():
            return "job.referee-asked"
        case events.Judged():
            return "job.verified"
        case events.Attested():
            return "job.attested"
        case events.ConditionChanged():
            return "job.condition"
        case _:
            assert_never(event)


def _details(event: events.Event, after: jobs.Job) -> Mapping[str, object]:
    match event:
        case events.ConditionChanged():
            return {"condition": event.type, "status": event.status, "reason": event.reason}
        case events.StopRequested():
            return {"reason": event.cause.value}
        case events.RefereeAsked():
            return {"number": event.number}
        case events.Judged():
            return {"reason": event.reason, "accepted": event.accepted, "receipt": event.receipt}
        case events.SubmitRefused():
            return {"reason": event.code}
        case events.Withdrawn() | events.Abandoned():
            return {"reason": event.reason}
        case events.Ended() | events.Vanished():
            attempt = after.attempt
            outcome = attempt.outcome if attempt else None
            found: dict[str, object] = {"reason": attempt.reason if attempt else ""}
            fixed = observations.fingerprint(attempt.execution) if attempt else None
            if fixed is not None:
                found["execution"] = str(fixed)
            if outcome is not None and outcome.exit_code is not None:
                found["exitCode"] = outcome.exit_code
            if outcome is not None and outcome.signal is not None:
                found["signal"] = outcome.signal
            return found
        case events.Attested():
            result = event.result
            return {"tee": result.tee, "token": str(result.token), "until": result.until.isoformat()}
        case _:
            return {}


def _entry(kind: str, job: jobs.Job, at: dt.datetime, body: Mapping[str, object]) -> journal.Entry:
    return journal.Entry(kind, f"job/{job.id}", at, CONTROLLER, body, job.tenant)
