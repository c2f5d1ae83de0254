"""Jobs on a real Ray cluster, through a real server: a head with token, and a node in another region with one GPU."""

import base64
import json
import pathlib
import re
from collections.abc import Iterator

import pytest

from tests.e2e import rays
from tests.e2e._planes import Plane, job, wait_until
from tests.e2e._ray_planes import (
    LOG_BYTES_MAX,
    PATIENCE_S,
    ROOT,
    alive,
    declared,
    ended,
    make_plane,
    nap,
    submissions,
    submit,
    until_phase,
)


@pytest.fixture(scope="module")
def ray() -> rays.Cluster:
    """Give the cluster of this process."""
    return rays.shared()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Give the folder that nodes and server share."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, ray: rays.Cluster, shared: pathlib.Path) -> Iterator[Plane]:
    """Give the server of this module, whose only place is the cluster."""
    found = make_plane(tmp_path_factory.mktemp("plane"), ray.token)
    answer = found.put(declared(ray.url, shared, logBytesMax=LOG_BYTES_MAX))
    assert answer.status in (200, 201), answer
    found.until_reached("ray", seconds=PATIENCE_S)
    yield found
    found.close()


def test_the_smallest_job(plane: Plane, ray: rays.Cluster) -> None:
    """Hello runs under its attempt's key, its log is its own, and the record names the node and its country."""
    done = plane.shell.run(f"comity submit -f {ROOT}/examples/hello.yaml --wait")
    assert done.returncode == 0, done.stderr
    assert plane.shell.run("comity logs hello").stdout == "hello\n"
    found = json.loads(plane.shell.run("comity get jobs hello -o json").stdout)
    (ran,) = submissions(ray, found["metadata"]["id"])
    assert (ran["submission_id"], ran["status"]) == (f"{found['metadata']['id'].lower()}-1", "SUCCEEDED")
    told = plane.shell.run("comity describe job hello").stdout
    country = {"ray/west": "FR", "ray/south": "IT"}[found["status"]["attempts"][0]["site"]]
    assert re.search(rf"{ran['driver_node_id']} +{country} +label comity.dev/country of the node, declared", told), told


def test_the_digits_example_trains(plane: Plane, ray: rays.Cluster) -> None:
    """A real training runs as a Ray job, and what it left comes back."""
    done = plane.shell.run(f"comity submit -f {ROOT}/examples/digits/job.yaml --wait")
    assert done.returncode == 0, done.stderr + done.stdout
    metrics = json.loads(plane.shell.run("comity cp digits:metrics.json -").stdout)
    assert metrics["accuracy"] > 0.9
    found = json.loads(plane.shell.run("comity get jobs digits -o json").stdout)
    (ran,) = submissions(ray, found["metadata"]["id"])
    assert ran["status"] == "SUCCEEDED"


def test_a_job_sees_the_accelerators_it_asked_for_and_no_other(plane: Plane) -> None:
    """On the node with a GPU a job without one sees none; one that asks gets it, in the pool that has it."""
    one = submit(plane, "with", 'echo "gpus=[$CUDA_VISIBLE_DEVICES]"', resources={"accelerators": {"anyOf": ["H100"]}})
    none = submit(plane, "without", 'echo "gpus=[$CUDA_VISIBLE_DEVICES]"', sovereignty={"countries": {"allow": ["IT"]}})
    for id, said in ((one, "gpus=[0]"), (none, "gpus=[]")):
        done = ended(plane, id)
        assert (done["status"]["phase"], done["status"]["attempts"][0]["site"]) == ("SUCCEEDED", "ray/south"), done
        assert said in plane.shell.run(f"comity logs {id}").stdout


def test_the_variables_of_every_adapter_are_there(plane: Plane) -> None:
    """A job reads the same names here as elsewhere, its own values as they are, and Ray's list shows no other."""
    id = submit(plane, "variables", "env", env={"MINE": "a ${HOME} $(b) 'c'", "PATH": "/bin:/usr/bin:/own"})
    assert ended(plane, id)["status"]["phase"] == "SUCCEEDED"
    said = dict(line.partition("=")[::2] for line in plane.shell.run(f"comity logs {id}").stdout.splitlines())
    assert (said["MINE"], said["PATH"]) == ("a ${HOME} $(b) 'c'", "/bin:/usr/bin:/own")
    assert (said["COMITY_JOB_ID"], said["COMITY_ATTEMPT"]) == (id, "1")
    assert (said["COMITY_NODES"], said["COMITY_NODE_RANK"], said["COMITY_GPUS_PER_NODE"]) == ("1", "0", "0")
    assert said["COMITY_NODE_ADDRS"] == said["MASTER_ADDR"] == "127.0.0.1"
    assert said["MASTER_PORT"].isdecimal()
    assert not pathlib.Path(said["COMITY_OUTPUT_DIR"]).exists(), "the folder of an attempt goes with it"


def test_a_working_folder_arrives_whole_and_is_nobody_elses(plane: Plane, tmp_path: pathlib.Path) -> None:
    """Files, executables, links and empty folders arrive; what one job changes, the next with the same does not see."""
    folder = tmp_path / "sent"
    (folder / "empty").mkdir(parents=True)
    (folder / "tool").write_text("#!/bin/sh\necho tool works\n")
    (folder / "tool").chmod(0o755)
    (folder / "link").symlink_to("tool")
    text = "./link && ls -d empty && cat more.txt && test ! -e left && touch left"
    document = tmp_path / "job.yaml"
    document.write_text(
        json.dumps(job("sent", "sh", "-c", text, workdir={"fromDir": str(folder)}, files={"more.txt": {"content": ""}}))
    )
    given = json.loads(document.read_text())
    given["spec"]["files"] = {"more.txt": {"fromFile": str(folder / "tool")}}
    for _ in range(2):
        given["metadata"]["name"] = f"sent{_}"
        document.write_text(json.dumps(given))
        done = plane.shell.run(f"comity submit -f {document} --wait")
        assert done.returncode == 0, done.stderr + done.stdout
    assert plane.shell.run("comity logs sent1").stdout.splitlines()[:3] == ["tool works", "empty", "#!/bin/sh"]


def test_what_cannot_run_here_is_refused_by_name(plane: Plane, ray: rays.Cluster) -> None:
    """Gangs and containers are no power of this adapter, and nothing of such a job is sent."""
    for name, more, code in (
        ("gang", {"nodes": 2}, "fit.capability:gangs"),
        ("image", {"image": f"x/y@sha256:{'0' * 64}"}, "fit.capability:containers"),
    ):
        answer = plane.submit(job(name, "true", **more))
        where = f"/v1/jobs/{answer.json['id']}:explain"
        wait_until(lambda where=where, code=code: code in plane.call("POST", where).body.decode(), seconds=PATIENCE_S)  # type: ignore[misc]
        assert submissions(ray, answer.json["id"]) == []


def test_every_descendant_ends_with_the_job(plane: Plane) -> None:
    """Also one in a session of its own, when the job ends by itself and when it is cancelled."""
    leave = "setsid sh -c 'trap \"\" TERM; exec sleep {mark}' & sleep 0.3; {then}"
    for mark, then, phase in ((nap(), "exit 0", "SUCCEEDED"), (nap(), "sleep 600", "CANCELLED")):
        id = submit(plane, f"leaves{mark}", leave.format(mark=mark, then=then))
        if phase == "CANCELLED":
            until_phase(plane, id, "RUNNING")
            wait_until(lambda mark=mark: alive(f"sleep {mark}"), seconds=PATIENCE_S)  # type: ignore[misc]
            assert plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
        assert ended(plane, id)["status"]["phase"] == phase
        wait_until(lambda mark=mark: not alive(f"sleep {mark}"), seconds=PATIENCE_S)  # type: ignore[misc]


def test_one_that_waits_at_ray_is_cancelled_and_never_begins(
    plane: Plane, ray: rays.Cluster, tmp_path: pathlib.Path
) -> None:
    """Ray does not end a job that waits for room; it is over for us at once, and does not begin when there is room."""
    hog = {"entrypoint": "sleep 600", "entrypoint_num_gpus": 1, "entrypoint_num_cpus": 0.001}
    begun = tmp_path / "begun"
    status, body = ray.request("POST", "/api/jobs/", hog)
    assert status == 200
    name = json.loads(body)["submission_id"]
    try:
        id = submit(plane, "waits", f"touch {begun}", resources={"accelerators": {"anyOf": ["H100"]}})
        until_phase(plane, id, "STARTING")  # sent before Ray told that the GPU is taken
        assert plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
        assert ended(plane, id)["status"]["phase"] == "CANCELLED"
        assert [one["status"] for one in submissions(ray, id)] == ["PENDING"]
    finally:
        ray.request("POST", f"/api/jobs/{name}/stop")
    wait_until(lambda: all(one["status"] in ("STOPPED", "FAILED") for one in submissions(ray, id)), seconds=PATIENCE_S)
    assert not begun.exists()


def test_codes_signals_and_times_are_told_as_they_are(plane: Plane) -> None:
    """An exit code, a signal, a deadline and a command that is not there each have their own word."""
    cases = {
        "code": (submit(plane, "code", "exit 7"), "ExitCode", 7, None),
        "signal": (submit(plane, "signal", "kill -SEGV $$"), "Signal", None, 11),
        "output": (submit(plane, "output", "true", outputs=[{"path": "no.such"}]), "OutputMissing", 0, None),
    }
    cases["command"] = (str(plane.submit(job("command", "no-such-command")).json["id"]), "StartFailed", 127, None)
    for id, reason, code, signal in cases.values():
        done = ended(plane, id)
        attempt = done["status"]["attempts"][0]
        assert (done["status"]["phase"], attempt["reason"]) == ("FAILED", reason), done
        assert (attempt.get("exitCode"), attempt.get("signal")) == (code, signal)


def test_huge_and_binary_logs_stop_nothing(plane: Plane) -> None:
    """Bytes that are no text come as they are, and what is over the bound is cut while the job goes on."""
    id = submit(plane, "binary", r"printf 'a\377\000b\n'; head -c 5000000 /dev/zero; echo; exit 0")
    assert ended(plane, id)["status"]["phase"] == "SUCCEEDED"
    text, cursor = b"", ""
    for _ in range(200):
        found = plane.call("GET", f"/v1/jobs/{id}/logs?cursor={cursor}").json
        text += b"".join(base64.b64decode(one["data"]) for one in found["chunks"])
        cursor = found["cursor"]
        if found["ended"]:
            break
    assert text.startswith(b"a\xff\x00b\n")
    assert text.endswith(b"comity: the log is cut here, at %d bytes\n" % LOG_BYTES_MAX)
    assert LOG_BYTES_MAX < len(text) < LOG_BYTES_MAX + 100
