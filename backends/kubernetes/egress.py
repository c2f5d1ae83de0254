"""Where an attempt may connect to, as a NetworkPolicy of its own (networking.k8s.io/v1). Pure.

The object is all that the API offers: whether a plugin enforces it, and how soon after a pod starts, the API does not
say. That is the operator's word (``networkPolicy: enforced``), or nobody's (``unchecked``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.kubernetes import names
from orchestrator.domain import jobs, offers

DNS_PORT = 53
DNS_NAMESPACE = "kube-system"
"""Where the resolver of a cluster runs, by habit; ``kubernetes.io/metadata.name`` is set by the API server itself."""


def powers(said: str | None) -> frozenset[offers.Capability]:
    """Return what the settings let be stated: ``enforced``, ``unchecked``, or nothing where nothing is said."""
    power = offers.Capability
    return {
        "enforced": frozenset({power.EGRESS, power.EGRESS_RULES}),
        "unchecked": frozenset({power.EGRESS_RULES}),
    }.get(said or "", frozenset())


def refusal(wanted: jobs.Egress, said: str | None) -> str:
    """Return why a job's rules are not taken here; "" where they are."""
    needed = offers.Capability.EGRESS if wanted.enforcement is jobs.Enforcement.DECLARED else None
    if (needed or offers.Capability.EGRESS_RULES) in powers(said):
        return ""
    return "nobody said that this cluster enforces a NetworkPolicy: settings.networkPolicy"


def told(said: str | None) -> str:
    """Return what an offer says of it; "" where nothing is stated."""
    return {
        "enforced": "egress rules are enforced, as its operator declares",
        "unchecked": "egress rules are written; nobody says that they are enforced",
    }.get(said or "", "")


def policy(key: str, wanted: jobs.Egress, nodes: int, marks: Mapping[str, str]) -> dict[str, Any]:
    """Return the NetworkPolicy of one attempt: nothing but what is listed; the nodes of a gang reach each other."""
    mine = {"matchLabels": {names.JOB_NAME_LABEL: key}}
    rules: list[dict[str, Any]] = []
    if wanted.allow:
        rules.append({"to": [{"ipBlock": {"cidr": network}} for network in wanted.allow]})
    if nodes > 1:
        rules.append({"to": [{"podSelector": mine}]})
    if wanted.dns:
        place = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": DNS_NAMESPACE}}}
        ports = [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]
        rules.append({"to": [place], "ports": ports})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": key, "labels": dict(marks)},
        # The type without a rule refuses everything; an empty list would come back as none.
        "spec": {"podSelector": mine, "policyTypes": ["Egress"], **({"egress": rules} if rules else {})},
    }
