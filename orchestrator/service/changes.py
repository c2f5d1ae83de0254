"""Changes that are held because they would stop many running jobs: shown, and confirmed by a person with a reason.

The policy clock is confirmed in the same way where it went back: somebody says that the time is right as it is.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from orchestrator.domain import changes, journal
from orchestrator.inventory import changes as stored
from orchestrator.ports import stores
from orchestrator.service import access, contexts, problems

READS = (access.Role.OPERATE, access.Role.POLICY, access.Role.AUDIT)
CONFIRMS = (access.Role.OPERATE, access.Role.POLICY)
WORD_MAX = 1_024
"""Length of a person's name and of a reason."""
LOAD_FAILED = "PolicyLoadFailed"
CLOCK_WENT_BACK = "ClockWentBack"
TOLERANCE = dt.timedelta(seconds=30)
"""As the loop's: a smaller correction of the clock is none."""


def listed(context: contexts.Context, who: access.Principal) -> list[dict[str, Any]]:
    """Return every kept change, newest first, the clock before them where it went back."""
    access.require(who, READS)
    found = sorted(_all(context), key=lambda one: one.at, reverse=True)
    clock = clock_back(context)
    shown = [_clock_shown(clock)] if clock is not None else []
    return shown + [_shown(who, one) for one in found]


def confirm(context: contexts.Context, who: access.Principal, id: str, *, person: str, reason: str) -> dict[str, Any]:
    """Let a held change go on: its jobs are stopped at the next turn. Twice is once. Raises ServiceError."""
    access.require(who, CONFIRMS)
    person, reason = _line(person, "by"), _line(reason, "reason")
    for _ in range(contexts.CONFLICT_TRIES):
        try:
            return (
                _confirm_clock(context, who, person, reason)
                if id == changes.CLOCK
                else _confirm(context, who, id, person, reason)
            )
        except stores.VersionConflictError:
            continue
    raise problems.ServiceError(problems.Kind.UNAVAILABLE, "store.busy", f"change {id} changes too quickly")


def conditions(context: contexts.Context, document: stores.Document) -> list[dict[str, Any]]:
    """Return ``ChangeHeld`` for each held change that a document is part of; the control plane has all of them.

    The control plane also says ``ClockWentBack`` and, for each pack that fails to load, ``PolicyLoadFailed``.
    """
    named = f"{document.kind.lower()}/{document.name}"
    whole = document.kind == "ControlPlane"
    found = [
        _condition(changes.HELD, one.id, _sentence(one), one.at)
        for one in _all(context)
        if one.confirmed is None and (whole or named in one.documents)
    ]
    clock = clock_back(context) if whole else None
    if clock is not None:
        text = (
            f"it was {_moment(clock)} before, and is earlier now: nothing is placed until it is past again, or "
            f"somebody says that it is right (comity policy confirm {changes.CLOCK})"
        )
        found.append(_condition(CLOCK_WENT_BACK, CLOCK_WENT_BACK, text, None))
    if whole:
        found += [
            _condition(
                LOAD_FAILED, name, f"{problem}; what was in force before stays, and a pack that never was denies", None
            )
            for name, problem in sorted(context.packs_failed().items())
        ]
    return found


def held(context: contexts.Context) -> int:
    """Return how many changes wait for a person."""
    return sum(1 for one in _all(context) if one.confirmed is None)


def clock_is_back(context: contexts.Context) -> bool:
    """Say whether placements stop because the clock went back."""
    return clock_back(context) is not None


def _confirm(context: contexts.Context, who: access.Principal, id: str, person: str, reason: str) -> dict[str, Any]:
    document = context.store.document(stored.KIND, id)
    change = _read(document) if document is not None else None
    if document is None or change is None:
        raise problems.not_found(f"change {access.shown(id)}", "change.not-found")
    if change.confirmed is not None:
        return _shown(who, change)
    said = changes.Confirmation(person, reason, context.clock.now(), who.token_id)
    new = dataclasses.replace(change, confirmed=said)
    body = {"person": person, "reason": reason, "stops": change.count, "documents": list(change.documents)}
    entry = journal.Entry("change.confirmed", f"change/{id}", said.at, who.token_id, body)
    contexts.commit(context, stores.Changes(documents=(stored.document(new, document.version),), entries=(entry,)))
    return _shown(who, new)


def _confirm_clock(context: contexts.Context, who: access.Principal, person: str, reason: str) -> dict[str, Any]:
    mark, version = stored.clock(context.store)
    now = context.clock.now()
    if mark is None or not mark.back:
        raise problems.ServiceError(problems.Kind.CONFLICT, "change.not-held", "the clock did not go back")
    right = stored.ClockMark(now, back=False, seq=context.store.head().seq)
    body = {"person": person, "reason": reason, "seen": _moment(mark.floor), "now": _moment(now)}
    entry = journal.Entry("clock.confirmed", "clock", now, who.token_id, body)
    contexts.commit(context, stores.Changes(documents=(stored.clock_document(right, version),), entries=(entry,)))
    return {"id": changes.CLOCK, "state": "confirmed", "at": _moment(now), "by": person, "reason": reason}


def _all(context: contexts.Context) -> list[changes.Change]:
    return [one for each in context.store.documents(stored.KIND) if (one := _read(each)) is not None]


def _read(document: stores.Document) -> changes.Change | None:
    try:
        return stored.of_document(document)
    except ValueError:
        return None  # it holds nobody back either


def clock_back(context: contexts.Context) -> dt.datetime | None:
    """Return the time that was seen, where it is not reached again; None: the clock is right."""
    mark, _ = stored.clock(context.store)
    if mark is None or not mark.back or context.clock.now() >= mark.floor - TOLERANCE:
        return None
    return mark.floor


def _shown(who: access.Principal, one: changes.Change) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": one.id,
        "state": "held" if one.confirmed is None else "confirmed",
        "at": _moment(one.at),
        "codes": list(one.codes),
        "documents": list(one.documents),
        "stops": one.count,
        "tenants": [hit_shown(who, hit) for hit in one.hits],
    }
    if one.confirmed is not None:
        said = one.confirmed
        found["confirmed"] = {"by": said.by, "reason": said.reason, "at": _moment(said.at)}
    return found


def hit_shown(who: access.Principal, hit: changes.Hit) -> dict[str, Any]:
    """Return what a change does to a tenant; another tenant is counted, and neither it nor its jobs are named."""
    own = hit.tenant == who.tenant or who.is_admin
    return {
        "tenant": hit.tenant if own else None,
        "stops": hit.stopped,
        "running": hit.running,
        "jobs": list(hit.jobs) if own else [],
    }


def _clock_shown(seen: dt.datetime) -> dict[str, Any]:
    return {
        "id": changes.CLOCK,
        "state": "held",
        "at": _moment(seen),
        "codes": [CLOCK_WENT_BACK],
        "documents": [],
        "stops": 0,
        "tenants": [],
    }


def _sentence(one: changes.Change) -> str:
    return (
        f"running jobs that it would stop ({one.count} when it was held) go on; nothing new is placed against it. "
        f"Undo it, or: comity policy confirm {one.id}"
    )


def _condition(type_: str, reason: str, message: str, since: dt.datetime | None) -> dict[str, Any]:
    moment = _moment(since) if since is not None else None
    return {"type": type_, "status": True, "reason": reason, "message": message[:1000], "since": moment}


def _line(text: str, path: str) -> str:
    """Return a line that says something. Raises ServiceError."""
    line = text.strip()
    if not line or len(line) > WORD_MAX or not line.isprintable():
        what = "name the person who answers for it" if path == "by" else "say why, in one line"
        raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", f"{path}: {what}")
    return line


def _moment(at: dt.datetime) -> str:
    return str(at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z"))
