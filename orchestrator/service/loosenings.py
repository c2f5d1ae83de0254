"""What a declaration allows that was refused before: told to who makes it, and journaled with who and why."""

from __future__ import annotations

import json
from collections.abc import Sequence

from orchestrator.domain import journal, modes
from orchestrator.policy import loosening
from orchestrator.ports import stores
from orchestrator.service import access, contexts, problems

REASON_MAX = 1_000


def of(old: stores.Document | None, body: str | None) -> tuple[loosening.Loosening, ...]:
    """Return what loosens when a document gets another body, or is withdrawn (None)."""
    if old is None:
        return ()
    new = None if body is None else json.loads(body).get("spec") or {}
    return loosening.found(old.kind, json.loads(old.body).get("spec") or {}, new)


def entries(
    context: contexts.Context,
    who: access.Principal,
    old: stores.Document | None,
    found: Sequence[loosening.Loosening],
    reason: str | None,
) -> tuple[journal.Entry, ...]:
    """Return what the journal says beside the change itself.

    Raises ``change.reason-required`` where nobody says why and roles are separate: there another looks at it later.
    """
    if not found or old is None:
        return ()
    if not reason and who.mode is modes.Mode.SEPARATE_ROLES:
        text = f"this loosens: {'; '.join(f'{one.path}: {one.text}' for one in found[:10])}; say why with --reason"
        raise problems.ServiceError(problems.Kind.INVALID, "change.reason-required", text)
    tenant = old.name if old.kind == "Tenant" else old.tenant
    body = {
        "kind": old.kind,
        "name": old.name,
        "loosens": [one.as_json() for one in found],
        "reason": reason or None,
        "mode": who.mode.value,
    }
    subject = f"{old.kind.lower()}/{old.name}"
    return (journal.Entry(loosening.WORD, subject, context.clock.now(), who.token_id, body, tenant or None),)
