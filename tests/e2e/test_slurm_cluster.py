"""The Slurm cluster that tests start is a real one, and its faults are real faults."""

import dataclasses
import http.client
import os
import pathlib
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.slurm import clusters, faults, fixtures, packages, places, runs, wires

DONE = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


def ended(cluster: clusters.Cluster, number: int) -> str:
    """Wait until a job has ended, and return its state."""
    return str(faults.until(lambda: (found := cluster.state(number)) in DONE and found, f"the end of job {number}"))


def submit(cluster: clusters.Cluster, script: str, *, user: str = clusters.USERS[0], **job: object) -> int:
    """Submit by slurmrestd, and return the job's number."""
    given = {"environment": {"PATH": "/usr/bin:/bin"}, "current_working_directory": str(cluster.home(user))} | job
    status, body = cluster.request("POST", "job/submit", {"script": script, "job": given}, user=user)
    assert status == 200, body
    assert not body["errors"], body
    return int(body["job_id"])


def test_a_job_sent_by_rest_runs_as_its_user_where_it_was_sent(slurm: clusters.Cluster) -> None:
    """Each partition has nodes of its own; the script runs as the token's user, in the folder it named."""
    for partition, user, node in (("fr", "comity-a", "fr-"), ("de", "comity-b", "de-1")):
        script = "#!/bin/sh\nid -un; hostname; pwd\n"
        number = submit(slurm, script, user=user, partition=partition, standard_output="said")
        assert ended(slurm, number) == "COMPLETED"
        who, where, folder = (slurm.home(user) / "said").read_text().splitlines()
        assert (who, folder) == (user, str(slurm.home(user)))
        assert where.startswith(node)


def test_accelerators_are_counted_and_handed_out(slurm: clusters.Cluster) -> None:
    """A job gets as many devices as it asked for, and what no node has is refused."""
    script = "#!/bin/sh\necho $CUDA_VISIBLE_DEVICES\n"
    number = submit(slurm, script, partition="de", gres="gpu:a100:2", standard_output="devices")
    assert ended(slurm, number) == "COMPLETED"
    assert (slurm.home() / "devices").read_text() == "0,1\n"
    job = {"environment": {"A": "1"}, "partition": "de", "gres": "gpu:a100:3", "current_working_directory": "/tmp"}
    _, body = slurm.request("POST", "job/submit", {"script": script, "job": job})
    assert body["errors"][0]["error_code"] == 2014, body


def test_a_gang_has_one_allocation_on_both_nodes(slurm: clusters.Cluster) -> None:
    """Two nodes, one job; a step runs on each of them."""
    number = slurm.sbatch("#!/bin/sh\nsrun hostname | sort\n", "--nodes=2", "--output=gang")
    assert ended(slurm, number) == "COMPLETED"
    assert (slurm.home() / "gang").read_text().split() == ["fr-1", "fr-2"]


def test_a_token_that_does_not_hold_is_refused(slurm: clusters.Cluster) -> None:
    """One that has expired, and one that another key signed."""
    past = {"exp": 1_000_000_000, "iat": 999_999_000}
    *parts, signature = slurm.signed().split(".")
    for token in (slurm.signed(**past), ".".join([*parts, signature[::-1]])):
        status, body = slurm.request("GET", "jobs", token=token)
        assert status != 200 or body["errors"], body


def test_tokens_of_the_administrator_and_by_bearer_are_taken_by_slurm(slurm: clusters.Cluster) -> None:
    """Slurm itself takes root's token: that an adapter refuses it is the adapter's work."""
    status, body = slurm.request("GET", "ping", user="root", token=slurm.token("root"))
    assert (status, body["errors"]) == (200, [])
    assert slurm.token().count(".") == 2


def test_the_published_form_of_a_node_count_is_ignored(slurm: clusters.Cluster) -> None:
    """The specification has ``[min, max]``; that is taken and means nothing, while a number, outside it, is heeded."""
    script = "#!/bin/sh\necho $SLURM_JOB_NUM_NODES\n"
    said = {}
    for name, nodes in (("listed", [2, 2]), ("number", 2)):
        ended(slurm, submit(slurm, script, nodes=nodes, standard_output=name))
        said[name] = (slurm.home() / name).read_text()
    assert said == {"listed": "1\n", "number": "2\n"}


@pytest.fixture(autouse=True)
def _mended(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave a cluster that was broken as it was found."""
    yield
    if "lone_slurm" in request.fixturenames:
        faults.mend(request.getfixturevalue("lone_slurm"))


def test_nothing_of_it_is_seen_on_the_machine(slurm: clusters.Cluster) -> None:
    """No user, no configuration, no socket, no mount outside the namespaces."""
    del slurm
    assert "comity-a" not in pathlib.Path("/etc/passwd").read_text()
    assert not pathlib.Path("/run/munge/munge.socket.2").exists()
    assert "comity-slurm" not in pathlib.Path("/proc/self/mounts").read_text()


def test_what_was_acknowledged_is_there_after_a_polite_restart(lone_slurm: clusters.Cluster) -> None:
    """A stopped controller refuses; started again it knows the job, and the job has run on meanwhile."""
    number = lone_slurm.sbatch("#!/bin/sh\nsleep 2; echo ran >> polite\n", "--output=none", "--job-name=polite")
    faults.until(lambda: lone_slurm.state(number) == "RUNNING", "the start")
    with faults.stopped(lone_slurm):
        status, body = lone_slurm.request("GET", "jobs")
        assert (status, bool(body["errors"])) == (500, True), body
    assert ended(lone_slurm, number) == "COMPLETED"
    assert (lone_slurm.home() / "polite").read_text() == "ran\n"


def test_a_frozen_controller_answers_late_and_does_what_it_was_asked(lone_slurm: clusters.Cluster) -> None:
    """A submission whose reply is lost arrives all the same."""
    job = {
        "name": "late",
        "environment": {"A": "1"},
        "current_working_directory": "/tmp",
        "standard_output": "/dev/null",
    }
    with faults.frozen(lone_slurm), pytest.raises(OSError, match="timed out"):
        lone_slurm.request("POST", "job/submit", {"script": "#!/bin/sh\ntrue\n", "job": job}, timeout_s=1.0)
    faults.until(lambda: len(lone_slurm.jobs(name="late")) == 1, "the job whose reply was lost")


def test_rest_can_be_killed_alone(lone_slurm: clusters.Cluster) -> None:
    """The controller goes on; nobody answers at slurmrestd's port until it is back."""
    with faults.stopped(lone_slurm, faults.REST, kill=True):
        with pytest.raises(ConnectionRefusedError):
            lone_slurm.request("GET", "ping")
        faults.until(lambda: set(lone_slurm.nodes().values()) == {"idle"}, "the nodes", show=lone_slurm.nodes)


def test_a_dead_node_takes_its_job_along(lone_slurm: clusters.Cluster) -> None:
    """Everything on the node dies with it; a job that may not be queued again ends as NODE_FAIL."""
    number = lone_slurm.sbatch("#!/bin/sh\nsleep 54321\n", "--no-requeue", "--nodelist=fr-2", "--output=/dev/null")
    faults.until(lambda: "sleep 54321" in lone_slurm.run("ps", "-eo", "args"), "the start")
    with faults.dead_node(lone_slurm, "fr-2"):
        for mark in ("sleep 54321", f"[{number}.batch]"):
            faults.until(lambda mark=mark: mark not in lone_slurm.run("ps", "-eo", "args"), f"the end of {mark}")
        assert ended(lone_slurm, number) == "NODE_FAIL"
        down = {"de-1": "idle", "fr-1": "idle", "fr-2": "down"}
        faults.until(lambda: lone_slurm.nodes() == down, "the nodes", show=lone_slurm.nodes)


def test_a_drained_node_and_a_maintenance_window_hold_jobs_back(lone_slurm: clusters.Cluster) -> None:
    """A job for a drained partition waits; a job longer than the time to a maintenance window waits too."""
    with faults.drained(lone_slurm, "de-1"):
        number = lone_slurm.sbatch("#!/bin/sh\ntrue\n", "--partition=de", "--output=/dev/null")
        faults.until(lambda: (lone_slurm.job(number) or {}).get("Reason", "None") != "None", "a reason to wait")
        assert lone_slurm.state(number) == "PENDING"
    assert ended(lone_slurm, number) == "COMPLETED"
    with faults.reservation(lone_slurm, "maint", start="now+30minutes", flags="MAINT,IGNORE_JOBS"):
        number = lone_slurm.sbatch("#!/bin/sh\ntrue\n", "--time=60", "--output=/dev/null")
        faults.until(lambda: "Reserved" in (lone_slurm.job(number) or {}).get("Reason", ""), "the window")
        short = lone_slurm.sbatch("#!/bin/sh\ntrue\n", "--time=5", "--output=/dev/null")
        assert ended(lone_slurm, short) == "COMPLETED"
    assert ended(lone_slurm, number) == "COMPLETED"


def test_a_killed_controller_forgets_what_it_acknowledged(lone_slurm: clusters.Cluster) -> None:
    """A job that came after the last state was written runs on to its end, unknown; another gets its number."""
    trace = lone_slurm.home() / "unseen"
    script = "#!/bin/sh\necho begun >> unseen; sleep 3; echo ended >> unseen\n"
    with faults.power_cut(lone_slurm):
        number = lone_slurm.sbatch(script, "--output=/dev/null")
        faults.until(trace.exists, "the start")
    assert lone_slurm.state(number) == "GONE"
    faults.until(lambda: trace.read_text() == "begun\nended\n", "the end of what nobody knows")
    assert lone_slurm.sbatch("#!/bin/sh\ntrue\n", "--output=/dev/null") == number


def test_a_controller_whose_state_is_older_starts_a_job_twice(lone_slurm: clusters.Cluster) -> None:
    """What it wrote down as waiting it starts again, elsewhere, while the first still runs."""
    trace = lone_slurm.home() / "twice"
    script = "#!/bin/sh\necho $SLURM_JOB_ID $SLURMD_NODENAME >> twice; sleep 20\n"
    number = lone_slurm.sbatch(script, "--hold", "--output=/dev/null")
    with faults.power_cut(lone_slurm):
        lone_slurm.run("scontrol", "release", str(number))
        faults.until(trace.exists, "the first start")
    with faults.drained(lone_slurm, "fr-1"):
        lone_slurm.run("scontrol", "release", str(number))
        faults.until(lambda: trace.read_text().split() == [str(number), "fr-1", str(number), "fr-2"], "the second")


def test_a_job_of_a_user_whom_slurm_does_not_know_is_taken_and_never_runs(lone_slurm: clusters.Cluster) -> None:
    """A well-signed token for a name without an account: the job is nobody's, and is queued again for ever."""
    job = {"environment": {"A": "1"}, "current_working_directory": "/tmp"}
    body = {"script": "#!/bin/sh\ntrue\n", "job": job}
    token = lone_slurm.signed(sun="comity-nobody")
    _, answer = lone_slurm.request("POST", "job/submit", body, user="comity-nobody", token=token)
    number = answer["job_id"]
    faults.until(lambda: (lone_slurm.job(number) or {}).get("Restarts") == "1", "the first failed start")
    assert (lone_slurm.job(number) or {})["UserId"] == "nobody(99)"
    lone_slurm.run("scancel", str(number))


def test_a_controller_that_lost_its_state_gives_numbers_again(lone_slurm: clusters.Cluster) -> None:
    """Every job is gone, and the next one gets a number that another had."""
    before = lone_slurm.sbatch("#!/bin/sh\ntrue\n", "--output=/dev/null", "--job-name=before")
    ended(lone_slurm, before)
    faults.forget(lone_slurm)
    assert lone_slurm.state(before) == "GONE"
    numbers = [lone_slurm.sbatch("#!/bin/sh\ntrue\n", "--output=/dev/null") for _ in range(before)]
    assert before in numbers


def test_the_wire_loses_what_it_is_told_to(slurm: clusters.Cluster) -> None:
    """A lost request is not done, a lost reply is; a lie never reaches slurmrestd; all else is carried as it is."""
    job = {"environment": {"A": "1"}, "current_working_directory": "/tmp", "standard_output": "/dev/null"}
    with wires.wire(slurm.url) as wire:
        through = dataclasses.replace(slurm, url=wire.url)
        for name, loss in (("never", wires.Loss.REQUEST), ("once", wires.Loss.REPLY)):
            wire.next("POST", "job/submit", loss)
            with pytest.raises((OSError, http.client.HTTPException)):
                through.request("POST", "job/submit", {"script": "#!/bin/sh\ntrue\n", "job": job | {"name": name}})
        assert [len(slurm.jobs(name=name)) for name in ("never", "once")] == [0, 1]
        wire.next("GET", "ping", wires.Lie(body=b"<html>"))
        assert through.request("GET", "ping") == (200, b"<html>")
        assert through.request("GET", "ping")[1]["pings"][0]["ping"] == "UP"
        assert wire.waiting == 0
        assert b'"name": "once"' in wire.bytes_seen


def test_a_run_ends_with_its_owner_however_that_ends() -> None:
    """kill -9 of the owner leaves no process; the next sweep removes the folder."""
    fixtures._prepare()
    held = runs.join(f"k{secrets.token_hex(5)}")
    owner = int((held.folder / "owner").read_text())
    inside = int((held.folder / "c" / "init").read_text().split()[0])
    os.kill(owner, 9)
    held.close()
    faults.until(lambda: not pathlib.Path(f"/proc/{inside}").exists(), "the end of process 1")
    assert str(held.folder) not in runs.sweep()
    assert not held.folder.exists()


def test_the_doctor_names_what_is_missing(tmp_path: pathlib.Path) -> None:
    """With an empty cache and no apt there is one line, and the exit code says so."""
    fixtures._prepare()
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.slurm", "doctor"],
        cwd=places.ROOT,
        env={**os.environ, "COMITY_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    installed = all(pathlib.Path("/", program).exists() for program in packages.PROGRAMS)
    assert installed or (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert installed or "packages missing: slurmctld" in done.stdout
