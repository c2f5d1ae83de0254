"""From the JSON of slurmrestd v0.0.38 to values, observations and offers. Pure; what is malformed is left out."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backends.slurm import folder, settings
from orchestrator.domain import ids, jobs, offers, sites
from orchestrator.ports import backends

WAITS = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
RUNS = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"})
STARTS = frozenset({"CONFIGURING"})
ENDS = frozenset(
    {
        "COMPLETED",
        "CANCELLED",
        "FAILED",
        "TIMEOUT",
        "NODE_FAIL",
        "PREEMPTED",
        "BOOT_FAIL",
        "DEADLINE",
        "OUT_OF_MEMORY",
    }
)
"""Job states of slurm.h and its manual page squeue(1). Any other is one that this version does not know."""
LATE_S = 60.0
"""So long after an end, in seconds, its marker may still come to be seen: NFS keeps attributes so long."""
_UNUSABLE = ("down", "drain", "fail", "unknown", "maint", "error", "future", "not_responding")
_GPU = re.compile(r"gpu:([A-Za-z0-9_.-]+):([0-9]{1,9})", re.ASCII)
_MEMORY = re.compile(r"mem=([0-9]{1,15}(?:\.[0-9]{1,9})?)([KMGTP]?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Job:
    """One job, as Slurm tells it. ``marks`` is what stands in its comment, empty where that is none of Comity's."""

    id: int
    name: str
    user: str
    state: str
    reason: str
    partition: str
    host: str
    end_s: int
    cpus: int
    memory_bytes: int
    gpus: int
    marks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        """Say whether it waits, runs, or is in a state that nobody knows."""
        return self.state not in ENDS


def jobs_of(found: Mapping[str, Any]) -> list[Job]:
    """Return the jobs of a list."""
    made = []
    for each in _rows(found, "jobs"):
        id = each.get("job_id")
        if type(id) is not int:
            continue
        memory = _MEMORY.search(_text(each, "tres_req_str"))
        gpus = _GPU.search(_text(each, "tres_per_node"))
        made.append(
            Job(
                id=id,
                name=_text(each, "name"),
                user=_text(each, "user_name"),
                state=_text(each, "job_state"),
                reason=_text(each, "state_reason"),
                partition=_text(each, "partition"),
                host=_text(each, "batch_host"),
                end_s=_whole(each.get("end_time")),
                cpus=_whole(each.get("cpus")),
                memory_bytes=int(float(memory[1]) * 1024 ** (" KMGTP".index(memory[2] or " "))) if memory else 0,
                gpus=int(gpus[2]) if gpus else 0,
                marks=_marks(_text(each, "comment")),
            )
        )
    return made


def own(found: Sequence[Job], user: str, context: backends.AdapterContext) -> list[Job]:
    """Return those that are this backend's: by user and comment; the name alone anybody can take."""
    return [
        job
        for job in found
        if job.user == user
        and job.marks.get("comity") == context.installation
        and job.marks.get("backend") == context.backend
    ]


def observation(
    key: ids.AttemptKey, mine: Sequence[Job], end: folder.End | None, now: dt.datetime, *, begun: bool, stopped: bool
) -> backends.Observation:
    """Return what an attempt is: by its own end, else by Slurm; never a success of Slurm's word alone."""
    state = offers.ObservedState
    live = [job for job in mine if job.live]
    job = next((job for job in live if job.state in RUNS), None) or next(reversed(live or list(mine)), None)
    seen = (offers.Whereabouts(0, job.host[:253], source="batch_host of the job"),) if job and job.host else ()
    handle = f"slurm:{job.id}" if job else None
    if end is not None:
        outcome = _own_end(end)
        return backends.Observation(key, state.ENDED, outcome, handle, detail=outcome.detail, whereabouts=seen)
    if job is None and stopped and not begun:
        outcome = jobs.Outcome(jobs.OutcomeKind.STOPPED, detail="stopped, and Slurm has no such job")
        return backends.Observation(key, state.ENDED, outcome, detail=outcome.detail)
    if job is None:
        text = "it began and wrote no end, and Slurm does not know it (any more): it may still run"
        return backends.Observation(key, state.UNKNOWN if begun else state.GONE, detail=text if begun else "")
    if job.state in WAITS:
        reason = re.sub(r"[^A-Za-z0-9]", "", job.reason)[:64]
        return backends.Observation(key, state.QUEUED, handle=handle, reason=reason, detail=job.reason[:200])
    if job.state in STARTS:
        return backends.Observation(key, state.STARTING, handle=handle, whereabouts=seen)
    if job.state in RUNS:
        return backends.Observation(key, state.RUNNING, handle=handle, whereabouts=seen)
    if job.state not in ENDS:
        text = f"state {job.state[:100]!r}, which this version does not know"
        return backends.Observation(key, state.UNKNOWN, handle=handle, detail=text)
    if begun and not stopped and now.timestamp() - job.end_s < LATE_S:
        text = f"Slurm says {job.state}; its own end is not seen yet"
        return backends.Observation(key, state.UNKNOWN, handle=handle, detail=text)
    outcome = _slurms_end(job, begun=begun, stopped=stopped)
    return backends.Observation(key, state.ENDED, outcome, handle, detail=outcome.detail, whereabouts=seen)


def _own_end(end: folder.End) -> jobs.Outcome:
    at = dt.datetime.fromtimestamp(end.at_s, dt.UTC)
    if end.after_stop:
        return jobs.Outcome(jobs.OutcomeKind.STOPPED, ended_at=at)
    return jobs.Outcome(
        jobs.OutcomeKind.EXITED, end.code, detail=f"exit code {end.code}" if end.code else "", ended_at=at
    )


def _slurms_end(job: Job, *, begun: bool, stopped: bool) -> jobs.Outcome:
    kind, text = jobs.OutcomeKind, f"Slurm says {job.state} {job.reason}"[:200]
    if stopped:
        return jobs.Outcome(kind.STOPPED, detail=text)
    match job.state:
        case "TIMEOUT" | "DEADLINE":
            return jobs.Outcome(kind.TIMED_OUT, detail=text)
        case "OUT_OF_MEMORY":
            return jobs.Outcome(kind.OUT_OF_MEMORY, detail=text)
        case "PREEMPTED" | "CANCELLED":
            return jobs.Outcome(kind.PREEMPTED, detail=f"{text}: nobody here asked")
        case "FAILED" | "BOOT_FAIL" if not begun:
            return jobs.Outcome(kind.START_FAILED, detail=text)
        case _:
            return jobs.Outcome(kind.LOST, detail=f"{text}, and it wrote no end")


@dataclass(frozen=True, slots=True)
class Share:
    """A pool as it is at the site."""

    pool: sites.Pool
    partition: str
    accepts: bool
    gres: str | None
    total: offers.Room
    largest: offers.Room
    notes: tuple[str, ...]


def share(
    pool: sites.Pool, wanted: settings.SlurmSettings, partitions: Mapping[str, Any], nodes: Mapping[str, Any]
) -> Share:
    """Return what a pool is: the usable nodes of its partition that have all plain features it asks for."""
    rule = wanted.pools.get(pool.name) or settings.Partition()
    name = rule.partition or pool.name
    notes = []
    known = next((each for each in _rows(partitions, "partitions") if each.get("name") == name), None)
    if known is None:
        notes.append(f"the site has no partition {name}")
    features = set(rule.constraints.split("&")) if rule.constraints else set()
    if any(re.search(r"[,|()]", feature) for feature in features):
        notes.append("constraints with a choice are sent, and not used to count its nodes")
        features = set()
    rooms, kinds = [], set()
    for node in _rows(nodes, "nodes"):
        state = " ".join([_text(node, "state"), *map(str, node.get("state_flags") or ())]).lower()
        if name not in (node.get("partitions") or ()) or any(word in state for word in _UNUSABLE):
            continue
        if not features <= set(_text(node, "active_features").split(",")):
            continue
        gpu = _GPU.search(_text(node, "gres"))
        kinds |= {gpu[1]} if gpu else set()
        rooms.append(
            (_whole(node.get("cpus")) * 1000, _whole(node.get("real_memory")) * 2**20, int(gpu[2]) if gpu else 0)
        )
    gres = next(iter(kinds)) if len(kinds) == 1 else None
    if len(kinds) > 1:
        notes.append(f"several types of GRES gpu ({', '.join(sorted(kinds))}): none is used; declare constraints")
    rooms = [(cpu, memory, count if gres else 0) for cpu, memory, count in rooms]
    accepts = known is not None and _text(known, "state") == "UP" and bool(rooms)
    return Share(
        pool,
        name,
        accepts,
        gres,
        offers.Room(*(sum(each) for each in zip(*rooms, strict=True)) if rooms else ()),
        offers.Room(*(max(each) for each in zip(*rooms, strict=True)) if rooms else ()),
        tuple(notes),
    )


def offer(
    found: Share,
    listed: Sequence[Job],
    mine: Sequence[Job],
    wanted: settings.SlurmSettings,
    context: backends.AdapterContext,
) -> offers.Offer:
    """Return what a pool could take after our live jobs, waiting ones too, and what runs there of others."""
    ours = [job for job in mine if job.live and job.marks.get("pool") == found.pool.name]
    others = [
        job for job in listed if job not in mine and job.partition == found.partition and job.state in RUNS | STARTS
    ]
    cpus = sum(_whole(job.marks.get("cpus")) for job in ours) + sum(job.cpus for job in others)
    memory = sum(_whole(job.marks.get("memory")) for job in ours) + sum(job.memory_bytes for job in others)
    gpus = sum(_whole(job.marks.get("accelerators")) for job in ours) + sum(job.gpus for job in others)
    total = found.total
    free = offers.Room(
        max(total.cpu_milli - cpus * 1000, 0), max(total.memory_bytes - memory, 0), max(total.accelerators - gpus, 0)
    )
    slug = wanted.accelerators.get(found.gres, found.gres.lower()) if found.gres else None
    return offers.Offer(
        site=ids.SiteName(f"{context.backend}/{found.pool.name}"),
        free=free,
        total=total,
        observed_at=context.now(),
        counted=frozenset(ids.AttemptKey(job.name) for job in ours),
        largest_node=found.largest,
        queue=offers.QueueOffer(accepts=found.accepts),
        pool=sites.Pool(
            found.pool.name,
            accelerator=slug,
            count=total.accelerators if slug else None,
            cpu_milli=total.cpu_milli,
            memory_bytes=total.memory_bytes,
        ),
        isolation_none=not wanted.shared_trust,
        detail="; ".join(found.notes),
    )


def _marks(comment: str) -> Mapping[str, Any]:
    if not comment.startswith('{"comity"'):
        return {}
    try:
        found = json.loads(comment)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    listed = found.get(name)
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int:
    return value if type(value) is int and 0 <= value < 2**53 else 0
