"""From a job and its current attempt to the sealed placement that an adapter gets. Pure, but for reading blobs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from orchestrator.domain import ids, jobs
from orchestrator.inventory import worlds
from orchestrator.ports import backends

CANCEL_GRACE = dt.timedelta(seconds=10)
DRAIN_GRACE = dt.timedelta(seconds=60)


def seal(
    job: jobs.Job,
    attempt: jobs.Attempt,
    *,
    term: ids.Term,
    world: worlds.World,
    read_blob: Callable[[ids.Digest], bytes | None],
    now: dt.datetime,
    decision: ids.Digest | None = None,
) -> backends.SealedPlacement:
    """Return all that the adapter gets."""
    spec = job.spec
    deadline = spec.limits.deadline
    digest = spec.workdir
    return backends.SealedPlacement(
        key=attempt.key,
        job=job.id,
        tenant=job.tenant,
        number=attempt.number,
        site=attempt.site,
        pool=attempt.site.partition("/")[2],
        spec=spec,
        spec_digest=job.spec_digest,
        fence=backends.Fence(term, attempt.number),
        environment=environment_of(job, attempt),
        workdir=(lambda: _bytes(read_blob, digest)) if digest is not None else None,
        data=data_of(job.tenant, spec, world),
        time_limit=None if deadline is None else max(job.submitted_at + deadline - now, dt.timedelta(seconds=1)),
        stop_grace=CANCEL_GRACE,
        decision=decision,
    )


def environment_of(job: jobs.Job, attempt: jobs.Attempt) -> dict[str, str]:
    """Return the variables inside a job that the core knows (interfaces.md, section 1)."""
    parent, _ = ids.split_element(job.id)
    wanted = job.spec.resources.accelerators
    found = {
        "COMITY_JOB_ID": str(parent if job.parent else job.id),
        "COMITY_ATTEMPT": str(attempt.number),
        "COMITY_NODES": str(job.spec.nodes),
        "COMITY_GPUS_PER_NODE": str(wanted.count if wanted else 0),
    }
    if job.index is not None and job.spec.verification is None:  # runs that are compared must not differ in it
        found["COMITY_ARRAY_INDEX"] = str(job.index)
    return found


def data_of(tenant: str, spec: jobs.JobSpec, world: worlds.World) -> dict[str, str]:
    """Return where each data set that the job reads lies."""
    found: dict[str, str] = {}
    known = world.data_of(tenant)
    for use in spec.data.reads if spec.data else ():
        data_set = known.get(use.name)
        if data_set is not None and data_set.location.uri is not None:
            found[use.name] = data_set.location.uri
    return found


def grace_of(job: jobs.Job) -> dt.timedelta:
    """Return how long the attempt may take to end."""
    if job.stop is None:
        return CANCEL_GRACE
    match job.stop.cause:
        case jobs.StopCause.DRAINED:
            return DRAIN_GRACE
        case jobs.StopCause.NON_COMPLIANT:
            drained = job.spec.on_non_compliant is jobs.OnNonCompliant.DRAIN
            return DRAIN_GRACE if drained else dt.timedelta(0)
        case _:
            return CANCEL_GRACE


def _bytes(read_blob: Callable[[ids.Digest], bytes | None], digest: ids.Digest) -> bytes:
    data = read_blob(digest)
    if data is None:
        raise LookupError(f"workdir {digest} is not in the store")
    return data
