"""Policy documents to domain values: rules of the house's own, and directives."""

from __future__ import annotations

from orchestrator.domain import policies
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
