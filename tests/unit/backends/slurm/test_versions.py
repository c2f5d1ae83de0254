"""One neutral model: what each version is sent, and what is read of it, as real servers wrote it (22.05.8, 24.11.5)."""

import dataclasses
from typing import Any

import pytest

from backends.slurm import wire

ASKED = wire.Submission(
    name="01k-1",
    comment="comity here b sha256:0",
    script="#!/bin/bash\n",
    partition="gpu",
    path="/usr/bin:/bin",
    cpus=4,
    memory_mib=2048,
    minutes=61,
    gres="gpu:h100:2",
    account="proj1",
    qos="normal",
    constraints="fr&hds",
    reservation="week47",
)
SAME = {
    "name": "01k-1",
    "comment": "comity here b sha256:0",
    "partition": "gpu",
    "current_working_directory": "/",
    "standard_input": "/dev/null",
    "standard_output": "/dev/null",
    "standard_error": "/dev/null",
    "tasks": 1,
    "cpus_per_task": 4,
    "requeue": False,
    "account": "proj1",
    "qos": "normal",
    "constraints": "fr&hds",
    "reservation": "week47",
}
LATER = {
    "environment": ["PATH=/usr/bin:/bin"],
    "memory_per_node": {"set": True, "infinite": False, "number": 2048},
    "time_limit": {"set": True, "infinite": False, "number": 61},
    "tres_per_node": "gres/gpu:h100:2",
}
GOLDEN: dict[str, dict[str, Any]] = {
    "v0.0.38": {
        "environment": {"PATH": "/usr/bin:/bin"},
        "memory_per_node": 2048,
        "time_limit": 61,
        "gres": "gpu:h100:2",
    },
    **dict.fromkeys(("v0.0.40", "v0.0.41", "v0.0.42"), LATER),
}


def number(value: int) -> dict[str, Any]:
    """Return a number as later versions write it."""
    return {"set": True, "infinite": False, "number": value}


OLD_JOB = {
    "job_id": 31,
    "name": "01job-1",
    "comment": "sha256:abc",
    "user_name": "comity-a",
    "partition": "fr",
    "job_state": "RUNNING",
    "state_reason": "None",
    "nodes": "fr-1",
    "cpus": 2,
    "memory_per_node": 500,
    "gres_detail": ["gpu:h100:2(IDX:0-1)"],
    "submit_time": 1795382556,
    "start_time": 1795382557,
    "end_time": 1795382856,
    "restart_cnt": 1,
}
NEW_JOB = {
    **{name: OLD_JOB[name] for name in ("job_id", "name", "comment", "user_name", "partition", "nodes", "gres_detail")},
    "job_state": ["RUNNING"],
    "state_reason": "None",
    "cpus": number(2),
    "memory_per_node": number(500),
    "submit_time": number(1795382556),
    "start_time": number(1795382557),
    "end_time": number(1795382856),
    "restart_cnt": 1,
}
OLD_NODE = {
    "name": "fr-1",
    "partitions": ["fr"],
    "cpus": 16,
    "real_memory": 32000,
    "gres": "gpu:h100:4(S:0-1)",
    "state": "idle",
    "state_flags": [],
}
NEW_NODE = {**OLD_NODE, "state": ["IDLE"], "effective_cpus": 16}


@pytest.mark.parametrize("version", GOLDEN)
def test_each_version_is_sent_what_it_knows(version: str) -> None:
    """Field by field."""
    assert wire.encode(ASKED, version) == {"script": "#!/bin/bash\n", "job": {**SAME, **GOLDEN[version]}}


@pytest.mark.parametrize("version", GOLDEN)
def test_what_is_not_asked_for_is_not_sent(version: str) -> None:
    """No empty account, no memory of 0."""
    job = wire.encode(wire.Submission("01k-1", "c", "s", "fr", "/bin"), version)["job"]
    assert set(job) == set(SAME) - {"account", "qos", "constraints", "reservation"} | {"environment"}


@pytest.mark.parametrize("version", GOLDEN)
def test_a_gang_is_one_task_a_node(version: str) -> None:
    """Not the ``nodes`` of the specification, which v0.0.38 ignores; later versions are told how many nodes too."""
    job = wire.encode(dataclasses.replace(ASKED, nodes=3), version)["job"]
    counts = {} if version == "v0.0.38" else {"minimum_nodes": 3, "maximum_nodes": 3}
    assert job == {**SAME, **GOLDEN[version], "tasks": 3, "tasks_per_node": 1, **counts}


def test_memory_of_a_gang_is_that_of_all_its_nodes() -> None:
    """And one that does not say how many nodes it has is on one."""
    found = wire.job({**OLD_JOB, "node_count": 2})
    assert found is not None
    assert (found.node_count, found.memory_mib) == (2, 1000)
    assert wire.job({**NEW_JOB, "node_count": number(2)}) == found


def test_both_forms_of_a_job_are_one() -> None:
    """Numbers, states and GRES."""
    assert wire.job(OLD_JOB) == wire.job(NEW_JOB)
    found = wire.job(OLD_JOB)
    assert found is not None
    assert (found.number, found.states, found.cpus, found.gres) == (31, {"RUNNING"}, 2, {"gpu:h100": 2})


def test_both_forms_of_a_node_are_one() -> None:
    """A count behind a type is one; sockets are none."""
    assert wire.node(OLD_NODE) == wire.node(NEW_NODE)
    assert wire.node(OLD_NODE).gres == {"gpu:h100": 4}
    assert wire.node(OLD_NODE).ready


@pytest.mark.parametrize(
    ("state", "flags"), [("idle", ["DRAIN"]), ("down", []), (["IDLE", "MAINTENANCE"], []), (None, []), ("down*", [])]
)
def test_a_node_that_takes_nothing_is_not_ready(state: object, flags: list[str]) -> None:
    """Nor is one of which no state is known."""
    assert not wire.node({**OLD_NODE, "state": state, "state_flags": flags}).ready


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"job_id": "7"},
        {"job_id": True},
        {"job_id": 0},
        {"job_id": -1},
        {"job_id": None, "name": "x"},
    ],
)
def test_a_record_without_a_number_is_no_job(found: dict[str, Any]) -> None:
    """It is left out."""
    assert wire.job(found) is None


def test_noise_in_a_record_is_nothing() -> None:
    """Wrong types are as if not said."""
    found = wire.job({"job_id": 1, "name": 5, "cpus": "x", "job_state": {"a": 1}, "gres_detail": 7, "end_time": -1})
    assert found == wire.Job(1, "", "", "", "", frozenset())


def test_amounts_of_gres_are_added_up() -> None:
    """By type, and over all types where none is asked for."""
    found = wire.amounts("gpu:h100:4(IDX:0-3),gpu:a100:2,shard:8")
    assert found == {"gpu:h100": 4, "gpu:a100": 2, "shard": 8}
    assert (wire.count(found, "gpu"), wire.count(found, "gpu:a100"), wire.count(found, "gpu:b200")) == (6, 2, 0)
