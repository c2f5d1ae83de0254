"""From what was sent to values: one document, checked, converted, and turned back into its shortest form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.domain import jobs
from orchestrator.evidence import canonical
from orchestrator.service import access, problems
from orchestrator.wire import errors
from orchestrator.wire.convert import jobs as job_convert
from orchestrator.wire.convert import place_documents, places, policies
from orchestrator.wire.documents import jobs as job_documents
from orchestrator.wire.documents import reading, registry


def read(data: object) -> reading.ReadDocument:
    """Return the checked document; raises ServiceError ``document.invalid`` with every error."""
    try:
        return reading.read(data, flavour=reading.Flavour.API)
    except errors.InvalidDocumentError as error:
        raise problems.invalid(error.errors) from error


def job_spec(data: object) -> jobs.JobSpec:
    """Return the spec of a Job document; raises ServiceError ``document.invalid``."""
    document = read(data).model
    if not isinstance(document, job_documents.Job):
        wrong = errors.DocumentError("is not Job", "kind", "send a Job here; other kinds are PUT to their own place")
        raise problems.invalid([wrong])
    return job_convert.job_spec(document)


def normal_form(document: reading.ReadDocument, *, tenant: str) -> str:
    """Return the canonical JSON of what the document means, as the store keeps it."""
    found = _NORMAL[document.kind](document.model, tenant)
    metadata = document.model.metadata
    for word, members in (("labels", metadata.labels), ("annotations", metadata.annotations)):
        if members:
            found["metadata"][word] = members
    return canonical.text(found)


def kind_of(plural: str) -> str:
    """Return the kind that a word of a path means; raises ServiceError for another word."""
    kind = registry.PLURALS.get(plural)
    if kind is None or kind == "Job":
        raise problems.not_found(f"kind {access.shown(plural)}", "request.no-route")
    return kind


_NORMAL: dict[str, Callable[[Any, str], dict[str, Any]]] = {
    "ControlPlane": lambda model, _: place_documents.control_plane(places.control_plane(model)),
    "Operator": lambda model, _: place_documents.operator(places.operator(model)),
    "Backend": lambda model, _: place_documents.backend(places.backend(model)),
    "DataSet": lambda model, tenant: place_documents.data_set(places.data_set(model, tenant=tenant)),
    "Tenant": lambda model, _: place_documents.tenant(places.tenant(model)),
    "Queue": lambda model, _: place_documents.queue(places.queue(model)),
    "Policy": lambda model, _: policies.document(model),
}
