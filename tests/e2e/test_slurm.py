"""A server whose place is a real Slurm: jobs go in by its door and come out by their own end."""

import base64
import json
import pathlib
from collections.abc import Iterator

import pytest

from tests.e2e import _slurm
from tests.e2e._planes import Plane, backend, job
from tests.e2e.slurm import clusters

DATA = base64.b64encode(b"from here\n").decode()
POOLS = [{"name": "fr"}, {"name": "de", "location": {"country": "DE"}}]


@pytest.fixture
def plane(tmp_path: pathlib.Path, slurm: clusters.Cluster) -> Iterator[Plane]:
    """A server that has the cluster only; its token comes from the environment."""
    settings = _slurm.settings(slurm)
    made = Plane(tmp_path, environment={"COMITY_SECRET_SLURM": settings["token"]})
    made.init()
    (made.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
    made.start()
    settings["token"] = {"fromEnv": "COMITY_SECRET_SLURM"}
    assert made.put(backend("hpc", adapter="slurm", settings=settings, pools=POOLS)).status in (200, 201)
    made.until_reached("hpc")
    yield made
    made.close()


def submitted(plane: Plane, name: str, script: str, **spec: object) -> str:
    """Submit a line of shell; return the job's id."""
    answer = plane.submit(job(name, "sh", "-c", script, **spec))
    assert answer.status == 202, answer
    return str(answer.json["id"])


def test_hello_by_the_command_line(plane: Plane) -> None:
    """``comity submit --wait`` ends well, and the log is what the node wrote."""
    said = job("hello", "sh", "-c", 'echo "hello from $SLURM_JOB_PARTITION"')
    (plane.shell.folder / "hello.yaml").write_text(json.dumps(said))
    ran = plane.shell.run("comity submit -f hello.yaml --wait")
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    assert plane.shell.run("comity logs hello").stdout in ("hello from fr\n", "hello from de\n")


def test_the_partition_of_the_country_is_taken(plane: Plane) -> None:
    """A job that may run in Germany only runs in the partition that stands there."""
    script = 'test "$SLURM_JOB_PARTITION" = de'
    id = submitted(plane, "de", script, sovereignty={"countries": {"allow": ["DE"]}})
    found = plane.ended(id)
    assert (found["status"]["phase"], found["status"]["attempts"][0]["site"]) == ("SUCCEEDED", "hpc/de"), found


def test_a_failure_is_its_own(plane: Plane, slurm: clusters.Cluster) -> None:
    """The exit code is the one that the command ended with, and Slurm had one job of that name."""
    id = submitted(plane, "bad", "exit 7")
    found = plane.ended(id)
    (attempt,) = found["status"]["attempts"]
    assert found["status"]["phase"] == "FAILED"
    assert "7" in str(attempt), attempt
    assert len(slurm.jobs(name=f"{id.lower()}-1")) == 1


def test_files_and_limits_arrive(plane: Plane) -> None:
    """A file is in the working folder, a program of several lines runs, and a deadline ends it to the second."""
    id = submitted(plane, "reads", "cat data.txt; pwd", files={"data.txt": {"content": DATA}})
    found = plane.ended(id)
    assert found["status"]["phase"] == "SUCCEEDED", found
    said = plane.shell.run(f"comity logs {id}").stdout.splitlines()
    assert (said[0], said[1].rsplit("/", 1)[1]) == ("from here", "work")
    late = plane.ended(submitted(plane, "late", "sleep 3600", limits={"deadline": "6s"}))
    (attempt,) = late["status"]["attempts"]
    assert late["status"]["phase"] == "FAILED"
    assert attempt["reason"] in ("TimedOut", "DeadlineExceeded"), attempt


def test_several_nodes_and_what_they_leave_by_the_command_line(plane: Plane) -> None:
    """A job of two nodes is one attempt; what each leaves is listed, and downloaded."""
    rank = "$COMITY_NODE_RANK"
    script = f'echo "rank {rank} of $COMITY_NODES"; echo "{rank}" > "$COMITY_OUTPUT_DIR/{rank}"'
    id = submitted(plane, "pair", script, nodes=2, sovereignty={"countries": {"allow": ["FR"]}})
    found = plane.ended(id)
    assert (found["status"]["phase"], len(found["status"]["attempts"])) == ("SUCCEEDED", 1), found
    said = plane.shell.run(f"comity logs {id}").stdout
    assert all(f"rank {rank} of 2" in said for rank in range(2)), said
    listed = plane.shell.run("comity cp pair:").stdout.split()
    assert listed == ["2", "0", "2", "1"], listed
    assert [plane.shell.run(f"comity cp pair:{rank} -").stdout for rank in range(2)] == ["0\n", "1\n"]
