"""A real server is killed around each call to a real Slurm, and the next one goes on with what it began."""

import pathlib
import re
import threading
from collections.abc import Iterator

import pytest

from tests.e2e import _slurm
from tests.e2e._planes import Plane, backend, job, wait_until
from tests.e2e.slurm import clusters, wires

PATIENCE_S = 300.0
CALLS = {
    "look": ("GET", r".*/jobs"),
    "submit": ("POST", r".*/job/submit"),
    "stop": ("DELETE", r".*/job/[0-9]+\?signal=TERM"),
}
MOMENTS = ("before", "after")


class Killing:
    """A server whose wire to Slurm kills it at a moment of a call."""

    def __init__(self, cluster: clusters.Cluster, wire: wires.Wire, folder: pathlib.Path) -> None:
        self.cluster = cluster
        self.wire = wire
        self.asked = threading.Event()
        self.ledger = cluster.shared / f"{folder.name}.ledger"
        settings = _slurm.settings(cluster, url=wire.url)
        self.plane = Plane(folder, environment={"COMITY_SECRET_SLURM": settings["token"]})
        self.plane.init()
        (self.plane.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
        self.plane.start(warm=True)
        settings["token"] = {"fromEnv": "COMITY_SECRET_SLURM"}
        answer = self.plane.put(backend("hpc", adapter="slurm", settings=settings, pools=[{"name": "fr"}]))
        assert answer.status in (200, 201), answer

    def at(self, moment: str, method: str, path: str) -> threading.Event:
        """Kill the server when such a call comes next; return what is set once it is dead."""
        reached, over = threading.Lock(), threading.Event()
        self.asked.clear()

        def hook(now: str, verb: str, where: str) -> bool:
            if (now, verb) == (moment, method) and re.fullmatch(path, where) and reached.acquire(blocking=False):
                self.asked.wait(PATIENCE_S)  # what asked the server for it has its answer
                self.plane.end()
                over.set()
                return False
            return True

        self.wire.hook = hook
        return over

    def submit(self, name: str, script: str) -> str:
        """Submit a job that writes down that it runs; return its id."""
        text = f'echo "$COMITY_JOB_ID" >> {self.ledger}; {script}'
        answer = self.plane.submit(job(name, "sh", "-c", text))
        assert answer.status == 202, answer
        return str(answer.json["id"])

    def runs(self, id: str) -> int:
        """Return how often a job ran."""
        return _slurm.lines(self.ledger).count(id)

    def named(self, id: str) -> list[dict[str, str]]:
        """Return the jobs of Slurm that are attempts of a job."""
        return [one for one in self.cluster.jobs() if one["Name"].startswith(id.lower())]

    def nothing_left(self, id: str) -> None:
        """Wait until Slurm runs and queues nothing of a job."""
        live = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING")
        wait_until(
            lambda: not [one for one in self.named(id) if one["State"] in live],
            seconds=PATIENCE_S,
            every=0.2,
            what="an orphan",
        )


@pytest.fixture(scope="module")
def killing(slurm: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killing]:
    """Give a server that can be killed at any call."""
    with wires.wire(slurm.url) as wire:
        found = Killing(slurm, wire, tmp_path_factory.mktemp("killing"))
        yield found
        found.plane.close()


@pytest.mark.parametrize("what", ["look", "submit"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_server_killed_in_a_submit_starts_once(killing: Killing, moment: str, what: str) -> None:
    """kill -9 before or after it lists jobs or submits one: one attempt, one job of Slurm, one run, a good end."""
    over = killing.at(moment, *CALLS[what])
    id = killing.submit(f"once-{moment}-{what}", "true")
    killing.asked.set()
    assert over.wait(PATIENCE_S), "the call never came"
    killing.plane.start(warm=True)
    done = killing.plane.ended(id, seconds=PATIENCE_S)
    assert (done["status"]["phase"], len(done["status"]["attempts"])) == ("SUCCEEDED", 1), done
    assert killing.runs(id) == 1
    assert len(killing.named(id)) <= 1  # none: it is forgotten already
    killing.nothing_left(id)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_server_killed_in_a_stop_leaves_no_orphan(killing: Killing, moment: str) -> None:
    """kill -9 before or after it tells Slurm to end a job that runs: it ends, as stopped, and nothing runs on."""
    id = killing.submit(f"stop-{moment}", "exec sleep 3600")
    wait_until(lambda: killing.runs(id) == 1, seconds=PATIENCE_S, every=0.1, what="the start")
    over = killing.at(moment, *CALLS["stop"])
    answer = killing.plane.call("POST", f"/v1/jobs/{id}:cancel")
    assert answer.status in (200, 202), answer
    killing.asked.set()
    assert over.wait(PATIENCE_S), "the call never came"
    killing.plane.start(warm=True)
    done = killing.plane.ended(id, seconds=PATIENCE_S)
    assert (done["status"]["phase"], len(done["status"]["attempts"])) == ("CANCELLED", 1), done
    killing.nothing_left(id)
    assert killing.runs(id) == 1
    assert len(killing.named(id)) <= 1  # none: it is forgotten already
