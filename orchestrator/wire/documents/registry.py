"""Which model reads which kind."""

from __future__ import annotations

from types import MappingProxyType

from orchestrator.wire.documents import (
    backends,
    common,
    control_planes,
    data_sets,
    jobs,
    operators,
    policies,
    queues,
    tenants,
)

MODELS: MappingProxyType[str, type[common.Document]] = MappingProxyType(
    {
        "ControlPlane": control_planes.ControlPlane,
        "Operator": operators.Operator,
        "Backend": backends.Backend,
        "DataSet": data_sets.DataSet,
        "Tenant": tenants.Tenant,
        "Queue": queues.Queue,
        "Policy": policies.Policy,
        "Job": jobs.Job,
    }
)
"""In the order in which documents that refer to each other can be applied."""

PLURALS = MappingProxyType(
    {
        "controlplanes": "ControlPlane",
        "operators": "Operator",
        "backends": "Backend",
        "datasets": "DataSet",
        "tenants": "Tenant",
        "queues": "Queue",
        "policies": "Policy",
        "jobs": "Job",
    }
)
"""The words of paths and of the command line."""
