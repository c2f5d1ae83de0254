"""Policy documents to domain values, and to their normal form: rules of the house's own, and directives."""

from __future__ import annotations

import datetime as dt
from typing import Any

from orchestrator.domain import policies
from orchestrator.policy import stored
from orchestrator.wire import fields
from orchestrator.wire.documents import policies as policy_documents


def policy(document: policy_documents.Policy) -> policies.CedarPolicy | policies.Directive:
    """Return what a policy document says. ``document`` has passed the checks: its engine's part is there."""
    spec = document.spec
    name = document.metadata.name
    if spec.engine == "directive":
        return directive(name, spec.directive or policy_documents.Directive())
    window = spec.effective or policy_documents.Effective()
    return policies.CedarPolicy(name, spec.text or "", window.from_, window.to)


def directive(name: str, written: policy_documents.Directive) -> policies.Directive:
    """Return the directive of a document."""
    return policies.Directive(
        name=name,
        models=tuple(written.models),
        parties=tuple(written.parties),
        start=written.from_,
        end=written.to,
        immediate=written.immediate is True,
        source=written.source,
    )


def document(written: policy_documents.Policy) -> dict[str, Any]:
    """Return the shortest document that means the same, with its tests."""
    metadata, value = written.metadata, policy(written)
    if isinstance(value, policies.Directive):
        spec: dict[str, Any] = {"engine": "directive", "directive": _directive(value)}
    else:
        spec = {"engine": "cedar", "text": value.text}
        if written.spec.tests:
            spec["tests"] = stored.plain(written.spec.tests)
        if window := _window(value.start, value.end):
            spec["effective"] = window
    return {"apiVersion": fields.API_VERSION, "kind": "Policy", "metadata": {"name": metadata.name}, "spec": spec}


def _directive(value: policies.Directive) -> dict[str, Any]:
    found: dict[str, Any] = {"models": list(value.models), "parties": list(value.parties)}
    found |= {"immediate": value.immediate or None, "source": value.source}
    return {key: each for key, each in found.items() if each} | _window(value.start, value.end)


def _window(start: dt.date | None, end: dt.date | None) -> dict[str, str]:
    return {word: day.isoformat() for word, day in (("from", start), ("to", end)) if day is not None}
