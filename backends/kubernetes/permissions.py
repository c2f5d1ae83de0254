"""Every right that the adapter uses, as data: what is asked for before work, and what a chart's roles are made from.

A new call needs a line here. ``NAMESPACED`` hold in the namespace of the jobs, ``CLUSTER`` everywhere; both are tuples
of (API group, resource with its subresource, verbs). ``OPTIONAL`` are missed only by who uses what they are for.
"""

from __future__ import annotations

Right = tuple[str, str, frozenset[str]]

NAMESPACED: tuple[Right, ...] = (
    ("batch", "jobs", frozenset({"create", "get", "list", "watch", "patch", "delete"})),
    ("", "pods", frozenset({"list", "watch", "patch", "deletecollection"})),
    ("", "pods/log", frozenset({"get"})),
    ("", "configmaps", frozenset({"create", "get", "list", "patch", "delete"})),
    ("", "events", frozenset({"list"})),
)
CLUSTER: tuple[Right, ...] = (
    ("", "nodes", frozenset({"list", "watch"})),
    ("", "namespaces", frozenset({"get"})),
)
CLUSTER_OPTIONAL: tuple[Right, ...] = (
    ("resource.k8s.io", "resourceslices", frozenset({"list", "watch"})),
    ("resource.k8s.io", "deviceclasses", frozenset({"list", "watch"})),
)
"""Everywhere: for device classes."""
SEE_OTHERS: tuple[Right, ...] = (("", "pods", frozenset({"list", "watch"})),)
"""Everywhere: for ``seeOthers``. It reads what all others run, so nobody is given it unasked."""
DECISIONS: tuple[Right, ...] = (
    ("multicluster.x-k8s.io", "placementdecisions", frozenset({"create", "get", "list", "delete"})),
)
"""In the namespace that ``placementDecisions`` names, of that cluster. Not asked for before work: no job needs it."""
OPTIONAL: tuple[Right, ...] = (
    ("resource.k8s.io", "resourceclaimtemplates", frozenset({"create", "get", "patch"})),
    ("kueue.x-k8s.io", "workloads", frozenset({"list", "watch"})),
    ("scheduling.k8s.io", "podgroups", frozenset({"create", "get", "list", "patch", "delete"})),
    ("networking.k8s.io", "networkpolicies", frozenset({"create", "get", "list", "patch", "delete"})),
    ("", "persistentvolumeclaims", frozenset({"get"})),
    ("", "pods/proxy", frozenset({"get"})),
    ("fence.comity.dev", "decidedjobs", frozenset({"create", "get", "patch"})),
    ("ray.io", "rayjobs", frozenset({"create", "get", "list", "watch", "patch", "delete"})),
)
"""In the namespace: for device classes, queues, rules of egress, outputs, the second fence, RayJobs."""
