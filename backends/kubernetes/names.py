"""The names and marks that our objects carry in a cluster. ``policy.admission`` repeats those that its fence reads."""

from __future__ import annotations

import re

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "comity"
JOB_LABEL = "comity.dev/job"
"""Id of the job (of an array: of its parent), as it stands in the key: lower case."""
INDEX_LABEL = "comity.dev/index"
"""Index of an array's element."""
ATTEMPT_LABEL = "comity.dev/attempt"
"""Number of the attempt."""
BACKEND_LABEL = "comity.dev/backend"
INSTALLATION_LABEL = "comity.dev/installation"
POOL_LABEL = "comity.dev/pool"
SPEC_ANNOTATION = "comity.dev/spec-sha256"
"""What was decided to run: ``sha256:`` and 64 hex digits."""
PLACEMENT_ANNOTATION = "comity.dev/placement"
"""Site that was decided on."""
DECISION_ANNOTATION = "comity.dev/decision"
"""Digest of the decision, as the journal has it."""
TENANT_ANNOTATION = "comity.dev/tenant"
STOPPED_ANNOTATION = "comity.dev/stopped"
"""When a stop was asked for; a Job with it never starts anything again."""
GAVE_UP_ANNOTATION = "comity.dev/gave-up"
"""Why the adapter ended a Job that could not begin."""
NO_ROOM = "no room: "
"""What such a text begins with where it may begin later, or elsewhere."""
TAKEN_BACK = "taken back: "
"""What such a text begins with where it had begun, and the cluster wanted its room for something else."""
ACCELERATORS_ANNOTATION = "comity.dev/accelerators"
"""Number of accelerators of each node of the attempt."""
GANG_ANNOTATION = "comity.dev/gang"
"""On a pod: the addresses of all nodes, comma-separated, in order of rank. While it is absent the node waits."""
PARTS_ANNOTATION = "comity.dev/parts"
"""What the names of the ConfigMaps begin with that hold its files and working folder."""
KEPT_ANNOTATION = "comity.dev/kept"
"""Where the outputs of the attempt are kept: a claim of the namespace, a slash, and a folder in it."""
CONTENT_ANNOTATION = "comity.dev/content-sha256"
"""On a ConfigMap: digest of what it holds."""

INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
JURISDICTION_LABEL = "node-restriction.kubernetes.io/jurisdiction"
"""NodeRestriction keeps kubelets from setting labels with this prefix on themselves."""

CONTAINER = "main"
KEEPER = "keep"
"""The container that keeps outputs."""
NOT_AGAIN = 42
"""Exit code by which a program says that another try is of no use."""

_KEY = re.compile(r"(?P<job>[0-9a-z]{1,40})(?:-(?P<index>\d{1,9}))?-(?P<number>\d{1,9})", re.ASCII)
KEY_MAX = 52
"""Characters: ``<name>-<index>-<5 random>`` must stay a host name of 63."""
_LABEL_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")


def parse_key(key: str) -> tuple[str, str | None, str] | None:
    """Return (job, index, number) of a key; None for what is no key of ours, and could be no name of a Job."""
    found = _KEY.fullmatch(key)
    if found is None or len(key) > KEY_MAX:
        return None
    return found["job"], found["index"], found["number"]


def label(text: str) -> str:
    """Return a text as a value of a label: 63 characters, alphanumeric ends."""
    return _LABEL_UNFIT.sub("-", text)[:63].strip("_.-") or "x"
