"""The Bacalhau network that tests start is a real one, and its faults are real faults."""

import base64
import json
import pathlib
import secrets
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.bacalhau import building, faults, networks
from tests.e2e.bacalhau.networks import until

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENDED = ("Completed", "Failed", "Stopped")
FAILED, COMPLETED = 10, 9
"""States of an execution."""


def document(name: str, node: str, *words: str) -> dict[str, Any]:
    """Return a job that is pinned to a node."""
    module = base64.b64encode(building.module()).decode()
    params = {"EntryModule": "/job.wasm", "Entrypoint": "_start", "Parameters": list(words)}
    task = {
        "Name": "main",
        "Engine": {"Type": "wasm", "Params": params},
        "Env": {"GREETING": 'two\n"lines"'},
        "InputSources": [
            {
                "Target": "/job.wasm",
                "Source": {"Type": "inline", "Params": {"URL": f"data:application/wasm;base64,{module}"}},
            }
        ],
        "Network": {"Type": "None"},
        "Resources": {"CPU": "100m", "Memory": "64Mb"},
        "Timeouts": {"QueueTimeout": 300},
    }
    pinned = [{"Key": "name", "Operator": "in", "Values": [node]}]
    return {"Job": {"Name": name, "Type": "batch", "Count": 1, "Constraints": pinned, "Tasks": [task]}}


def submit(network: networks.Network, node: str, *words: str) -> str:
    """Submit a job and return its name."""
    name = f"t-{secrets.token_hex(6)}"
    status, answer = network.request("PUT", "orchestrator/jobs", document(name, node, *words))
    assert status == 200, answer
    return name


def executions(network: networks.Network, name: str) -> list[dict[str, Any]]:
    """Return the executions of a job, oldest first."""
    found = network.job(name)
    return sorted(found["Executions"]["Items"], key=lambda one: one["CreateTime"]) if found else []


def over(network: networks.Network, name: str) -> list[dict[str, Any]]:
    """Wait until a job is over, and return its executions."""

    def ended() -> bool:
        found = network.job(name)
        return found is not None and found["Job"]["State"]["StateType"] in ENDED

    until(ended, f"the end of {name}", show=lambda: network.job(name))
    return executions(network, name)


def runs(network: networks.Network, name: str) -> bool:
    """Say whether a job has an execution on a node that is not over."""
    return any(one["ComputeState"]["StateType"] in (5, 6) for one in executions(network, name))


def test_each_node_says_its_own_facts(bacalhau: networks.Network) -> None:
    """Three nodes of three operators and countries are connected, each under its own name."""
    found = {name: one["Info"]["Labels"] for name, one in bacalhau.nodes().items()}
    for name, labels in networks.NODES.items():
        assert found[name].items() >= {**labels, "name": name}.items()


@pytest.mark.parametrize("node", sorted(networks.NODES))
def test_a_job_runs_on_the_node_it_is_pinned_to(bacalhau: networks.Network, node: str) -> None:
    """Its one execution is there; what it says has its arguments and variables as they were sent; 3 is 3."""
    (one,) = over(bacalhau, submit(bacalhau, node, "run", "1", "3"))
    assert (one["NodeID"], one["ComputeState"]["StateType"], one["RunOutput"]["ExitCode"]) == (node, COMPLETED, 3)
    said = json.loads(one["RunOutput"]["Stdout"])
    assert said["args"] == ["", "run", "1", "3"]
    assert 'GREETING=two\n"lines"' in said["env"]


def test_a_name_is_taken_once(bacalhau: networks.Network) -> None:
    """The same document again is refused and changes nothing: the number of executions stays."""
    name = submit(bacalhau, "alpha", "run", "1", "0")
    over(bacalhau, name)
    status, answer = bacalhau.request("PUT", "orchestrator/jobs", document(name, "alpha", "run", "1", "0"))
    assert (status, "no changes detected" in answer["Message"]) == (500, True)
    assert len(executions(bacalhau, name)) == 1


def test_without_its_key_nobody_reads(bacalhau: networks.Network) -> None:
    """A wrong key gets 401 and no nodes."""
    status, answer = bacalhau.request("GET", "orchestrator/nodes", key="x" * 24)
    assert (status, "Nodes" in answer) == (401, False)


def test_jobs_outlive_their_orchestrator(lone_bacalhau: networks.Network) -> None:
    """An orchestrator that is killed and comes back knows its jobs; the one that ran goes on, and once."""
    done, going = submit(lone_bacalhau, "beta", "run", "1", "4"), submit(lone_bacalhau, "alpha", "run", "600000", "0")
    over(lone_bacalhau, done)
    until(lambda: runs(lone_bacalhau, going), "a job that runs")
    before = [one["ID"] for one in executions(lone_bacalhau, going)]
    with faults.killed(lone_bacalhau):
        pass
    assert over(lone_bacalhau, done)[-1]["RunOutput"]["ExitCode"] == 4
    assert [one["ID"] for one in executions(lone_bacalhau, going)] == before
    assert runs(lone_bacalhau, going)
    job = lone_bacalhau.job(going)
    assert job is not None
    assert lone_bacalhau.request("DELETE", f"orchestrator/jobs/{job['Job']['ID']}", {"reason": "test"})[0] == 200
    over(lone_bacalhau, going)


def test_a_label_that_moves_is_seen(lone_bacalhau: networks.Network) -> None:
    """A node that comes back with another country says so, and afterwards the first again."""
    with faults.labelled(lone_bacalhau, "gamma", jurisdiction="CA"):
        assert lone_bacalhau.nodes()["gamma"]["Info"]["Labels"]["jurisdiction"] == "CA"
    assert lone_bacalhau.nodes()["gamma"]["Info"]["Labels"]["jurisdiction"] == "US"


def test_nothing_outlives_whoever_started_it(bacalhau: networks.Network) -> None:
    """A network whose owner is killed is gone: its API answers no more."""
    del bacalhau  # what it needs is here
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.bacalhau", "up"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    url, key, folder = owner.stdout.readline().split()
    other = networks.Network({})
    try:
        other.url, other.key = url, key
        assert other.alive()
        owner.send_signal(signal.SIGKILL)
        owner.wait()

        def gone() -> bool:
            try:
                other.alive()
            except ConnectionRefusedError:
                return True
            return False

        until(gone, "the end of the network")
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
        other.stop()
        subprocess.run(["rm", "-rf", folder], check=True)


def test_what_is_missing_is_one_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go the doctor names Go."""
    monkeypatch.setattr("tests.e2e.kube.packages.go", lambda: None)
    lines = building.missing()
    assert [line for line in lines if line.startswith("Go ")]
    assert all("\n" not in line for line in lines)
