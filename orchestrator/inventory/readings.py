"""Stored documents read into values: what is declared, what the system keeps beside it, and what cannot be read.

A stored document that cannot be read any more is a :class:`BrokenDocument`, never an exception: the others go on, and
what needs it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from orchestrator.domain import lineages as lineage_values
from orchestrator.domain import policies as policy_values
from orchestrator.domain import tenants as tenant_values
from orchestrator.inventory import freezes, ledgers, lineages, presentations
from orchestrator.ports import stores
from orchestrator.wire import errors
from orchestrator.wire.convert import places
from orchestrator.wire.convert import policies as policy_conversion
from orchestrator.wire.documents import backends as backend_documents
from orchestrator.wire.documents import control_planes, data_sets, operators, queues, reading
from orchestrator.wire.documents import policies as policy_documents
from orchestrator.wire.documents import tenants as tenant_documents


@dataclass(frozen=True, slots=True)
class BrokenDocument:
    """A stored document that cannot be used, and why: all problems."""

    kind: str
    name: str
    problems: tuple[str, ...]


def unreadable(document: BrokenDocument) -> policy_values.CedarPolicy:
    """Return a policy that refuses everything: nobody knows any more what it says."""
    return policy_values.CedarPolicy(document.name, "", problem=told(document))


def told(document: BrokenDocument) -> str:
    """Return what is wrong with a document, bounded."""
    return "; ".join(document.problems)[:500] or "unreadable"


def inheriting(
    declared: Mapping[str, Mapping[str, tenant_values.DataSet]],
    kept: Mapping[str, Mapping[str, lineage_values.Lineage]],
    tenants: Mapping[str, tenant_values.Tenant],
    broken: list[BrokenDocument],
) -> dict[str, dict[str, tenant_values.DataSet]]:
    """Return the data sets with what they inherit. One whose lineage cannot be read is not there at all: whatever
    needs it is refused."""
    lost = {one.name for one in broken if one.kind == lineages.KIND}
    found: dict[str, dict[str, tenant_values.DataSet]] = {}
    for whose, by_name in declared.items():
        tenant, known = tenants.get(whose), kept.get(whose, {})
        default = tenant.default_data if tenant else None
        found[whose] = {
            name: lineage_values.effective(data, known.get(name), default)
            for name, data in by_name.items()
            if name not in lost
        }
    return found


def read(document: stores.Document) -> object:
    """Return the domain value of a stored document, or :class:`BrokenDocument`."""
    try:
        if document.kind == lineages.KIND:
            return lineages.of_document(document)
        if document.kind == ledgers.KIND:
            return (ledgers.of_document(document), document.version)
        if document.kind == presentations.KIND:
            return presentations.of_document(document)
        if document.kind == freezes.KIND:
            return freezes.of_document(document)
        model = reading.read(json.loads(document.body)).model
        return CONVERTERS[document.kind](model, document)
    except errors.InvalidDocumentError as error:
        return BrokenDocument(document.kind, document.name, tuple(f"{one.path}: {one.problem}" for one in error.errors))
    except Exception as error:  # noqa: BLE001 -- a document of another version must not take the others down
        return BrokenDocument(document.kind, document.name, (f"{type(error).__name__}: {error}",))


CONVERTERS: Mapping[str, Callable[[Any, stores.Document], object]] = {
    "ControlPlane": lambda model, _: places.control_plane(cast("control_planes.ControlPlane", model)),
    "Operator": lambda model, _: places.operator(cast("operators.Operator", model)),
    "Backend": lambda model, _: places.backend(cast("backend_documents.Backend", model)),
    "DataSet": lambda model, stored: places.data_set(cast("data_sets.DataSet", model), tenant=stored.tenant),
    "Tenant": lambda model, _: places.tenant(cast("tenant_documents.Tenant", model)),
    "Queue": lambda model, _: places.queue(cast("queues.Queue", model)),
    "Policy": lambda model, _: policy_conversion.policy(cast("policy_documents.Policy", model)),
}

JUDGED = ("ControlPlane", "Tenant")
"""Kinds that rules read beside the sites and data sets (operators and backends are in the sites)."""

OWNED = frozenset({"DataSet", "Queue", lineages.KIND})
"""Kinds whose names are a tenant's own."""


def status(document: stores.Document) -> Mapping[str, Any]:
    """Return what the system keeps about a document; nothing where it cannot be read."""
    try:
        found = json.loads(document.status)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def flagged(statuses: Mapping[tuple[str, str], Mapping[str, Any]], flag: str) -> frozenset[str]:
    """Return the backends whose status says ``flag``."""
    return frozenset(
        name for (kind, name), status in statuses.items() if kind == "Backend" and status.get(flag) is True
    )
