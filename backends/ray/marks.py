"""What we write into the metadata of our submissions, and read again. Pure.

Installation and backend make an id ours. A *fence* is a record under an id that must not start: Ray takes the id, and
then refuses what it asks for, so no process comes of it (ADR 0024).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from backends.ray import parsing, pools
from orchestrator.domain import ids
from orchestrator.ports import backends

INSTALLATION = "comity.dev/installation"
BACKEND = "comity.dev/backend"
POOL = "comity.dev/pool"
SPEC = "comity.dev/spec"
CPU = "comity.dev/cpu-milli"
MEMORY = "comity.dev/memory-bytes"
ACCELERATORS = "comity.dev/accelerators"
FENCE = "comity.dev/fence"
STOPPED_SUFFIX = ".stopped"


def own(context: backends.AdapterContext) -> dict[str, str]:
    """Return what marks a submission as this backend's."""
    return {INSTALLATION: context.installation, BACKEND: context.backend}


def is_own(job: parsing.Job, context: backends.AdapterContext) -> bool:
    """Say whether a submission is this backend's."""
    return all(job.metadata.get(name) == text for name, text in own(context).items())


def of_placement(placement: backends.SealedPlacement, context: backends.AdapterContext) -> dict[str, str]:
    """Return the metadata of an attempt, with what is needed to account for it: Ray tells no amounts again."""
    resources = placement.spec.resources
    return {
        **own(context),
        "job_name": str(placement.key),
        POOL: placement.pool,
        SPEC: str(placement.spec_digest),
        CPU: str(resources.cpu_milli),
        MEMORY: str(resources.memory_bytes),
        ACCELERATORS: str(resources.accelerators.count if resources.accelerators else 0),
    }


def fence(id: str, context: backends.AdapterContext) -> dict[str, Any]:
    """Return the body of a submission that takes an id and never starts."""
    return {
        "submission_id": id,
        "entrypoint": "exit 143",
        "metadata": {**own(context), FENCE: "true"},
        "entrypoint_num_cpus": 0.001,
        "entrypoint_num_gpus": 0,
        "entrypoint_resources": {"CPU": 1},  # Ray: "Use the 'num_cpus' keyword", after it has taken the id
    }


def is_fence(job: parsing.Job) -> bool:
    """Say whether a record only holds its id."""
    return job.metadata.get(FENCE) == "true"


def held(job: parsing.Job, *, live: bool) -> pools.Held:
    """Return what a submission of ours asked for."""
    return pools.Held(
        key=ids.AttemptKey(job.id),
        pool=job.metadata.get(POOL, ""),
        cpu_milli=_number(job.metadata, CPU),
        memory_bytes=_number(job.metadata, MEMORY),
        accelerators=_number(job.metadata, ACCELERATORS),
        node=job.node,
        live=live,
        ended_ms=job.end_ms,
    )


def _number(metadata: Mapping[str, str], name: str) -> int:
    text = metadata.get(name, "")
    return int(text) if text.isdecimal() and len(text) < int(math.log10(2**63)) + 1 else 0
