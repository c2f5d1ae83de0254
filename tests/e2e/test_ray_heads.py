"""Heads and nodes of Ray that die, come back, give up waiting, or check no token; each on real ones."""

import json
import pathlib
import socket
from collections.abc import Iterator

import pytest

from orchestrator.telemetry import clocks
from tests.e2e import rays
from tests.e2e._planes import Plane, backend, job, wait_until
from tests.e2e._ray_planes import PATIENCE_S, SECRET, alive, ended, make_plane, nap, submissions, submit, until_phase

GIVES_UP_S = 40
"""So long Ray waits for room."""


@pytest.fixture(scope="module")
def ray() -> Iterator[rays.Cluster]:
    """Give a head of two CPUs that gives up soon to wait for room, but not before a driver of a busy machine is up."""
    soon = {"RAY_JOB_START_TIMEOUT_SECONDS": str(GIVES_UP_S), "RAY_health_check_period_ms": "500"}
    with rays.cluster(cpus=2, environment=soon) as made:
        yield made


@pytest.fixture
def plane(tmp_path: pathlib.Path, ray: rays.Cluster) -> Iterator[Plane]:
    """Give a server whose only place is the cluster, with the pools it finds."""
    found = make_plane(tmp_path, ray.token)
    document = backend("ray", adapter="ray", settings={"url": ray.url, "token": SECRET}, pools=[])
    assert found.put(document).status in (200, 201)
    yield found
    found.close()


def _room(plane: Plane) -> bool:
    """Say whether a job of two CPUs would be sent."""
    wanted = job("asked", "true", resources={"cpus": 2})
    return bool(plane.call("POST", "/v1/plans", wanted).json["chosen"])


def _sent(plane: Plane, id: str) -> bool:
    """Wait until a job is sent, or told why it waits, and say whether it was sent."""

    def decided() -> bool:
        status = plane.job(id)["status"]
        return status["phase"] == "STARTING" or any(one["status"] for one in status["conditions"])

    wait_until(decided, seconds=PATIENCE_S, what="sent, or told of no room")
    return bool(plane.job(id)["status"]["phase"] == "STARTING")


def _sent_for_taken_room(plane: Plane, ray: rays.Cluster) -> tuple[str, str]:
    """Return a job that was sent before Ray told that the room is taken, and whose submission took it.

    Whether it is, is a race with the next look at the room; one that is lost is run again.
    """
    for number in range(20):
        _, body = ray.request("POST", "/api/jobs/", {"entrypoint": "sleep 600", "entrypoint_num_cpus": 2})
        name = str(json.loads(body)["submission_id"])
        id = submit(plane, f"waits-{number}", "echo ran", resources={"cpus": 2})
        if _sent(plane, id):
            return id, name
        plane.shell.run(f"comity cancel {id}")
        ray.request("POST", f"/api/jobs/{name}/stop")
        wait_until(lambda: _room(plane), seconds=PATIENCE_S, what="the room that is free is what was last seen")
    raise AssertionError("the room was told to be taken each time before the job was sent")


def _given_up(plane: Plane, ray: rays.Cluster) -> tuple[str, str]:
    """Return a job for which Ray gave up to wait, and the submission that keeps the room.

    Ray itself sometimes goes on waiting, by its own records, long after its time-out; that is none of ours, and is
    tried again. What it says is over is over here too.
    """
    for _ in range(3):
        id, name = _sent_for_taken_room(plane, ray)

        def settled(id: str = id) -> bool:
            return str(plane.job(id)["status"]["phase"]) == "QUEUED" or _waits_on(ray, id)

        wait_until(settled, seconds=PATIENCE_S, what=f"Ray gives up, or waits for ever: {submissions(ray, id)}")
        if plane.job(id)["status"]["phase"] == "QUEUED":
            return id, name
        plane.shell.run(f"comity cancel {id}")
        ray.request("POST", f"/api/jobs/{name}/stop")
        wait_until(lambda: _room(plane), seconds=PATIENCE_S, what="the room that is free is what was last seen")
    raise AssertionError("Ray goes on waiting each time")


def _waits_on(ray: rays.Cluster, id: str) -> bool:
    """Say whether a submission is pending, as Ray has it, for five times as long as it should."""
    now_ms = clocks.SystemClock().now().timestamp() * 1000
    found = submissions(ray, id)
    return bool(found) and all(
        one["status"] == "PENDING" and now_ms - one["start_time"] > 5000 * GIVES_UP_S for one in found
    )


def test_giving_up_to_wait_for_room_is_no_failure(plane: Plane, ray: rays.Cluster) -> None:
    """Ray's own time-out charges no try: the job is queued again, and runs when there is room."""
    id, name = _given_up(plane, ray)
    try:
        found = plane.job(id)
        said = {one["type"]: one for one in found["status"]["conditions"]}
        assert said["Refused"]["reason"] == "NoRoom", found["status"]
    finally:
        ray.request("POST", f"/api/jobs/{name}/stop")
    done = ended(plane, id)
    assert done["status"]["phase"] == "SUCCEEDED", done["status"]
    assert [one["reason"] for one in done["status"]["attempts"]] == ["NoRoom", "Completed"]


def test_a_head_that_dies_loses_jobs_and_fails_none(plane: Plane, ray: rays.Cluster) -> None:
    """While nobody answers nothing is concluded; the one that comes back lost them, and a try that is left is made."""
    line = 'test "$COMITY_ATTEMPT" = 2 || exec sleep {}'
    first, second = nap(), nap()
    once = submit(plane, "once", line.format(first))
    twice = submit(plane, "twice", line.format(second), retry={"attempts": 2})
    for id in (once, twice):
        until_phase(plane, id, "RUNNING")
    wait_until(lambda: alive(f"sleep {first}") and alive(f"sleep {second}"), seconds=PATIENCE_S)
    ray.kill_head()
    for each in (first, second):
        wait_until(lambda each=each: not alive(f"sleep {each}"), seconds=PATIENCE_S, what="they end with their node")  # type: ignore[misc]

    def unreachable() -> bool:
        return any(one["type"] == "Unreachable" and one["status"] for one in plane.job(once)["status"]["conditions"])

    wait_until(unreachable, seconds=PATIENCE_S)
    assert plane.job(once)["status"]["phase"] == "RUNNING", "unreachable is not lost"
    ray.start()
    lost, again = ended(plane, once), ended(plane, twice)
    assert (lost["status"]["phase"], lost["status"]["reason"]) == ("FAILED", "BackendLost"), lost["status"]
    assert again["status"]["phase"] == "SUCCEEDED", again["status"]
    assert [one["reason"] for one in again["status"]["attempts"]] == ["BackendLost", "Completed"]
    assert [one["submission_id"] for one in submissions(ray, twice)] == [f"{twice.lower()}-2"]


def test_a_node_that_dies_loses_its_job_and_fails_none(plane: Plane, ray: rays.Cluster) -> None:
    """Its driver ran there: the attempt is lost, and so is its log, which is said; the head's own jobs go on."""
    node, away, stays = ray.add(cpus=4, labels="ray.io/availability-region=eu-south"), nap(), nap()
    try:
        id = submit(plane, "there", f"echo begun; exec sleep {away}", resources={"cpus": 3})
        wait_until(lambda: alive(f"sleep {away}"), seconds=PATIENCE_S)
        here = submit(plane, "here", f"exec sleep {stays}", resources={"cpus": 2})  # more than that node has left
        wait_until(lambda: alive(f"sleep {stays}"), seconds=PATIENCE_S)
    finally:
        node.kill()
        ray.workers.remove(node)
    lost = ended(plane, id)
    attempt = lost["status"]["attempts"][0]
    assert (lost["status"]["phase"], attempt["reason"]) == ("FAILED", "BackendLost"), attempt
    assert not alive(f"sleep {away}")
    said = plane.call("GET", f"/v1/jobs/{id}/logs")
    assert said.code == "logs.not-found", said
    assert (plane.job(here)["status"]["phase"], bool(alive(f"sleep {stays}"))) == ("RUNNING", True)
    assert plane.call("POST", f"/v1/jobs/{here}:cancel").status in (200, 202)
    assert ended(plane, here)["status"]["phase"] == "CANCELLED"


def own_address() -> str:
    """Return an address of this machine that is not loopback; "" where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        found = str(probe.getsockname()[0])
    return "" if found.startswith("127.") else found


def test_a_head_that_checks_no_token_is_used_on_this_machine_only(tmp_path: pathlib.Path) -> None:
    """Beyond loopback it is refused with what to do about it, until the operator insists; each answer says so."""
    address = own_address()
    plane = make_plane(tmp_path, "a-token")
    try:
        with rays.cluster(cpus=1, token=None, listens="0.0.0.0" if address else "127.0.0.1") as head:
            for name, host, more, said in (
                ("near", "127.0.0.1", {}, "the head checks no token"),
                ("far", address, {}, "ray.open-head"),
                ("insisted", address, {"allowOpenHead": True}, "the head checks no token"),
            ):
                if not host:
                    continue
                settings = {"url": f"http://{host}:{head.dashboard}", "token": SECRET, **more}
                assert plane.put(backend(name, adapter="ray", settings=settings, pools=[])).status in (200, 201)
                text = plane.call("POST", f"/v1/backends/{name}:check").body.decode()
                assert said in text, text
    finally:
        plane.close()
