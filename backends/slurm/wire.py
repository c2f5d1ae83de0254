"""One neutral model, and what each version of slurmrestd makes of it: submissions out, jobs and nodes in. Pure.

v0.0.38 writes numbers plainly and a state as one word; from v0.0.40 numbers are ``{set, infinite, number}``, states
are lists, and a field that the version does not know is ignored with a warning, so only what it knows is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OLD = "v0.0.38"
_GRES = re.compile(r"(?P<name>[A-Za-z0-9_-]+(:[A-Za-z][A-Za-z0-9_.-]*)?):(?P<count>[0-9]{1,9})(?![0-9])", re.ASCII)
_BAD_NODE = frozenset(
    [
        "DOWN",
        "DRAIN",
        "FAIL",
        "FAILING",
        "ERROR",
        "UNKNOWN",
        "FUTURE",
        "MAINT",
        "MAINTENANCE",
        "NOT_RESPONDING",
        "POWERED_DOWN",
        "POWER_DOWN",
        "POWERING_DOWN",
        "INVALID",
        "INVALID_REG",
        "REBOOT_ISSUED",
        "REBOOT_REQUESTED",
        "RESERVED",
        "PLANNED_DOWN",
    ]
)
INFINITE = 2**32 - 2
"""Slurm's own NO_VAL; its INFINITE is one more."""
_MAINTAINED = frozenset({"MAINT", "MAINTENANCE", "RESERVED"})
TEXT_MAX = 500


@dataclass(frozen=True, slots=True)
class Submission:
    """What is asked of Slurm for an attempt. Amounts are of each of its nodes; memory in MiB, time in minutes."""

    name: str
    comment: str
    script: str
    partition: str
    path: str
    cpus: int = 1
    memory_mib: int = 0
    minutes: int = 0
    gres: str = ""
    """``gpu:h100:2``; "" for none."""
    account: str | None = None
    qos: str | None = None
    constraints: str | None = None
    reservation: str | None = None
    nodes: int = 1


@dataclass(frozen=True, slots=True)
class Job:
    """What Slurm says of a job. Times in seconds since 1970, 0 where it says none."""

    number: int
    name: str
    comment: str
    user: str
    partition: str
    states: frozenset[str]
    reason: str = ""
    said: str = ""
    """What Slurm adds to its state in words of its own, where it does."""
    nodes: str = ""
    node_count: int = 1
    cpus: int = 0
    memory_mib: int = 0
    gres: Mapping[str, int] = field(default_factory=dict)
    submit_s: int = 0
    start_s: int = 0
    end_s: int = 0
    restarts: int = 0
    limit_s: int | None = None
    """What Slurm lets it run, in seconds; None: for ever, or that is not said."""


@dataclass(frozen=True, slots=True)
class Node:
    """What Slurm says of a node. ``ready``: it takes jobs, or works on some; ``maintained``: it will, after that."""

    name: str
    partitions: frozenset[str]
    cpus: int
    memory_mib: int
    gres: Mapping[str, int]
    ready: bool
    maintained: bool = False


def encode(submission: Submission, version: str) -> dict[str, Any]:
    """Return the body of a submission for one version."""
    job: dict[str, Any] = {
        "name": submission.name,
        "comment": submission.comment,
        "partition": submission.partition,
        "current_working_directory": "/",
        "standard_input": "/dev/null",
        "standard_output": "/dev/null",
        "standard_error": "/dev/null",
        "tasks": 1,
        "cpus_per_task": submission.cpus,
        "requeue": False,
    }
    if submission.nodes > 1:
        # ``nodes`` as the specification of v0.0.38 has it is taken and ignored; one task a node is heeded.
        job |= {"tasks": submission.nodes, "tasks_per_node": 1}
        if version != OLD:
            job |= {"minimum_nodes": submission.nodes, "maximum_nodes": submission.nodes}
    words = {"account": submission.account, "qos": submission.qos, "reservation": submission.reservation}
    job |= {name: text for name, text in words.items() if text}
    if submission.constraints:
        job["constraints"] = submission.constraints
    if version == OLD:
        job["environment"] = {"PATH": submission.path}
        if submission.memory_mib:
            job["memory_per_node"] = submission.memory_mib
        if submission.minutes:
            job["time_limit"] = submission.minutes
        if submission.gres:
            job["gres"] = submission.gres
        return {"script": submission.script, "job": job}
    job["environment"] = [f"PATH={submission.path}"]
    if submission.memory_mib:
        job["memory_per_node"] = _number(submission.memory_mib)
    if submission.minutes:
        job["time_limit"] = _number(submission.minutes)
    if submission.gres:
        job["tres_per_node"] = f"gres/{submission.gres}"
    return {"script": submission.script, "job": job}


def job(found: Mapping[str, Any]) -> Job | None:
    """Return a job of a list; None for a record without a number."""
    number = found.get("job_id")
    if not isinstance(number, int) or isinstance(number, bool) or number <= 0:
        return None
    states = found.get("job_state")
    words = [states] if isinstance(states, str) else states if isinstance(states, list) else []
    details = found.get("gres_detail")
    gres: dict[str, int] = {}
    for detail in details if isinstance(details, list) else ():
        for name, count in amounts(str(detail)).items():
            gres[name] = gres.get(name, 0) + count
    nodes = max(1, plain(found.get("node_count")))
    return Job(
        number=number,
        name=_text(found, "name"),
        comment=_text(found, "comment"),
        user=_text(found, "user_name"),
        partition=_text(found, "partition"),
        states=frozenset(str(word).upper() for word in words),
        reason=_text(found, "state_reason"),
        said=_text(found, "state_description"),
        nodes=_text(found, "nodes"),
        node_count=nodes,
        cpus=plain(found.get("cpus")),
        memory_mib=plain(found.get("memory_per_node")) * nodes,
        gres=gres,
        submit_s=plain(found.get("submit_time")),
        start_s=plain(found.get("start_time")),
        end_s=plain(found.get("end_time")),
        restarts=plain(found.get("restart_cnt")),
        limit_s=minutes * 60 if 0 < (minutes := plain(found.get("time_limit"))) < INFINITE else None,
    )


def jobs(found: Sequence[Mapping[str, Any]]) -> list[Job]:
    """Return the jobs of a list."""
    return [made for one in found if (made := job(one)) is not None]


def node(found: Mapping[str, Any]) -> Node:
    """Return a node of a list."""
    states = found.get("state")
    words = [states] if isinstance(states, str) else list(states) if isinstance(states, list) else ["UNKNOWN"]
    flags = found.get("state_flags")
    words += flags if isinstance(flags, list) else []
    partitions = found.get("partitions")
    bad = {str(word).upper().rstrip("*") for word in words} & _BAD_NODE
    return Node(
        name=_text(found, "name"),
        partitions=frozenset(map(str, partitions)) if isinstance(partitions, list) else frozenset(),
        cpus=plain(found.get("effective_cpus")) or plain(found.get("cpus")),
        memory_mib=plain(found.get("real_memory")),
        gres=amounts(_text(found, "gres")),
        ready=not bad,
        maintained=bool(bad) and bad <= _MAINTAINED,
    )


def amounts(text: str) -> dict[str, int]:
    """Return how many of each GRES a text of Slurm's names: ``gpu:h100:4(IDX:0-3),shard:8`` -> gpu:h100 4, shard 8."""
    made: dict[str, int] = {}
    for found in _GRES.finditer(re.sub(r"\([^)]*\)", "", text)):
        made[found["name"]] = made.get(found["name"], 0) + int(found["count"])
    return made


def count(gres: Mapping[str, int], wanted: str) -> int:
    """Return how many there are of a GRES; one without a type counts those of every type."""
    return sum(number for name, number in gres.items() if name == wanted or name.startswith(f"{wanted}:"))


def _number(value: int) -> dict[str, Any]:
    return {"set": True, "infinite": False, "number": value}


def plain(value: object) -> int:
    """Return a number as any version writes it; 0 where none is said."""
    if isinstance(value, dict):
        value = value.get("number") if value.get("set") and not value.get("infinite") else 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value < 2**62 else 0


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value[:65536] if isinstance(value, str) else ""
