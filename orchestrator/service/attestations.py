"""Remembering which attestation results were shown, and telling what claims a document carries.

A result is remembered in the commit that declares its backend, so that a restart forgets none: shown once more after
it was replaced, or for another backend, it is a replay.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

from orchestrator.domain import claims
from orchestrator.inventory import presentations, readings
from orchestrator.ports import stores
from orchestrator.service import contexts

KEPT = dt.timedelta(days=7)
"""So long after a result ended by itself it is still remembered."""
SWEEP_MAX = 100
"""Most old results forgotten in one commit."""

Changes = tuple[tuple[stores.Document, ...], tuple[tuple[str, str, str, int], ...]]
"""Documents to write, and documents to delete."""


def shown(context: contexts.Context, old: stores.Document | None, new: stores.Document) -> Changes:
    """Return what to commit along with a backend that shows an attestation result; nothing where it proves nothing."""
    if new.kind != "Backend" or _token(new) is None:
        return (), ()
    backend = readings.read(new)
    if isinstance(backend, readings.BrokenDocument):
        return (), ()
    made = context.inventory.verifier().presentation(backend)  # type: ignore[arg-type]
    if made is None or (old is not None and _token(old) == _token(new)):
        return (), ()
    stored = context.store.document(presentations.KIND, made.name, tenant="")
    if stored is not None:
        try:
            known = presentations.of_document(stored)
        except ValueError:
            return (), ()  # it says that something is lost, which refuses whatever is shown
        if known.again:
            return (), ()
        made = dataclasses.replace(known, again=True)
    old_ones = presentations.over(context.store.documents(presentations.KIND), context.clock.now(), KEPT)
    gone = tuple((*each.key, each.version) for each in old_ones[:SWEEP_MAX] if each.name != made.name)
    return (presentations.document(made, stored),), gone


def carried(context: contexts.Context, kind: str, name: str) -> dict[str, Any]:
    """Return the claims of a document as its status says them; empty where it carries none."""
    world, today = context.world(), context.clock.now().date()
    found: dict[claims.Claim, None] = {}
    said: dict[str, Any] = {}
    match kind:
        case "Operator":
            found = dict.fromkeys(world.proofs.operators.get(name, ()))
        case "ControlPlane":
            found = dict.fromkeys(world.proofs.control_plane)
            said = {"audience": context.inventory.verifier().audience}  # what issuers write as aud
        case "Backend":
            own = (one for site in world.sites if site.backend == name for one in site.claims)
            found = dict.fromkeys(one for one in own if one.path.startswith("backend."))
    return said | ({"claims": [_said(one, today) for one in found]} if found else {})


def conditions(context: contexts.Context) -> list[dict[str, Any]]:
    """Return the condition of a trust list that cannot be read; the control plane has it."""
    problem = context.inventory.verifier().problem
    if problem is None:
        return []
    text = f"{problem}; the last good list is in force, or nobody is trusted where there is none"
    return [{"type": "TrustListFailed", "status": True, "reason": "trust.yaml", "message": text[:1000], "since": None}]


def _token(document: stores.Document) -> str | None:
    claim = json.loads(document.body).get("spec", {}).get("attestation")
    return claim.get("token") if isinstance(claim, dict) else None


def _said(claim: claims.Claim, today: dt.date) -> dict[str, Any]:
    wrong = [flaw for flaw in claim.flaws if flaw.on(today)]
    return {
        "path": claim.path,
        "kind": claim.kind,
        "issuer": claim.issuer,
        "key": claim.key,
        "id": claim.id,
        "issued": claim.issued.isoformat() if claim.issued else None,
        "validTo": claim.valid_to.isoformat() if claim.valid_to else None,
        "holds": not wrong,
        "problems": [{"code": f"claim.{flaw.fault.value}", "detail": flaw.detail} for flaw in wrong],
    }
