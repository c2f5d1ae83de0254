"""A server whose places are the nodes of a real Bacalhau network: placed by policy, killed at calls, lied to."""

import base64
import json
import pathlib
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import _bacalhau
from tests.e2e._planes import Plane, backend, job, wait_until
from tests.e2e.bacalhau import building, faults, networks
from tests.e2e.slurm import wires

POOLS = [
    {"name": "alpha"},
    {"name": "beta", "location": {"country": "DE"}},
    {"name": "gamma", "location": {"country": "US"}},
]
PATIENCE_S = 300.0
SECRET = "7f3a9e-nobody-reads-this"


class Site:
    """A server, its wire to the orchestrator, and the namespace of its jobs."""

    def __init__(self, network: networks.Network, wire: wires.Wire, folder: pathlib.Path) -> None:
        self.network = network
        self.wire = wire
        self.namespace = f"t-{folder.name}".lower().replace("_", "-")[:60].strip("-")
        self.asked = threading.Event()
        self.plane = Plane(folder, environment={"COMITY_SECRET_BACALHAU": network.key})
        self.plane.init()
        (self.plane.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
        self.plane.start(warm=True)
        # The server tries again by itself; with more patience it waits as long before it takes a job for gone.
        settings = _bacalhau.settings(network, url=wire.url, namespace=self.namespace, timeoutSeconds=10)
        settings["key"] = {"fromEnv": "COMITY_SECRET_BACALHAU"}
        answer = self.plane.put(backend("net", adapter="bacalhau", settings=settings, pools=POOLS))
        assert answer.status in (200, 201), answer

    def submit(self, name: str, *words: str, **spec: Any) -> str:
        """Submit a job of the test program; return its id."""
        content = base64.b64encode(building.module()).decode()
        answer = self.plane.submit(job(name, "./job.wasm", *words, files={"job.wasm": {"content": content}}, **spec))
        assert answer.status == 202, answer
        return str(answer.json["id"])

    def runs(self, id: str) -> list[tuple[str, str]]:
        """Return name and node of each execution of each attempt of a job."""
        status, found = self.network.request("GET", f"orchestrator/jobs?namespace={self.namespace}&limit=1000")
        assert status == 200, found
        names = [one["Name"] for one in found["Items"] or () if one["Name"].lower().startswith(id.lower())]
        made = []
        for name in names:
            one = self.network.job(name, self.namespace)
            assert one is not None
            made += [(name, run["NodeID"]) for run in one["Executions"]["Items"] or ()]
        return made

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


@pytest.fixture(scope="module")
def site(own_bacalhau: networks.Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a server with a network of its own."""
    with wires.wire(own_bacalhau.url) as wire:
        made = Site(own_bacalhau, wire, tmp_path_factory.mktemp("plane"))
        yield made
        made.plane.close()


def test_the_node_of_the_country_is_taken(site: Site) -> None:
    """A job that may run in Germany only runs on the node that stands there, once; its output is what it said."""
    id = site.submit("de", "run", "1", "0", sovereignty={"countries": {"allow": ["DE"]}})
    found = site.plane.ended(id, seconds=PATIENCE_S)
    assert (found["status"]["phase"], found["status"]["attempts"][0]["site"]) == ("SUCCEEDED", "net/beta"), found
    assert [node for _, node in site.runs(id)] == ["beta"]
    assert json.loads(site.plane.shell.run(f"comity logs {id}").stdout)["args"] == ["", "run", "1", "0"]


def test_a_failure_is_its_own(site: Site) -> None:
    """The exit code is the module's, and it was run once."""
    id = site.submit("bad", "run", "1", "7")
    found = site.plane.ended(id, seconds=PATIENCE_S)
    (attempt,) = found["status"]["attempts"]
    assert (found["status"]["phase"], attempt["exitCode"]) == ("FAILED", 7), found
    assert len(site.runs(id)) == 1


@pytest.mark.parametrize(
    ("code", "spec"),
    [
        ("fit.capability:containers", {"image": "registry.example/a@sha256:" + "0" * 64}),
        ("fit.capability:processes", {"command": ["python", "-c", "1"]}),
        ("fit.capability:outputs", {"outputs": [{"path": "x"}]}),
        ("fit.capability:gangs", {"nodes": 2}),
        ("fit.capability:secrets", {"env": {"A": {"fromSecret": {"name": "hub", "key": "token"}}}}),
        ("fit.capability:egress", {"network": {"egress": {"allow": []}}}),
    ],
)
def test_what_the_network_cannot_do_is_refused_by_plan(site: Site, code: str, spec: dict[str, Any]) -> None:
    """Each by its name, at every node."""
    content = base64.b64encode(building.module()).decode()
    given = job("more", "./job.wasm", files={"job.wasm": {"content": content}})
    given["spec"] |= spec
    answer = site.plane.call("POST", "/v1/plans", given)
    assert answer.status == 200, answer
    for one in answer.json["sites"]:
        assert code in {reason["code"] for reason in one["reasons"]}, (one["site"], one["reasons"])


def test_of_a_job_that_may_not_leave_nothing_is_sent(site: Site) -> None:
    """Refused at every node for its country: not its name, not its variables, not its module left the server."""
    before = len(site.wire.carried)
    id = site.submit(
        f"name-{SECRET}", "run", SECRET, "0", env={"TOKEN": SECRET}, sovereignty={"countries": {"allow": ["IT"]}}
    )
    wait_until(
        lambda: any(one["type"] == "Unplaceable" for one in site.plane.job(id)["status"]["conditions"]),
        what="a refusal",
    )
    wait_until(lambda: len(site.wire.carried) > before + 2, what="later looks at the nodes")
    assert SECRET.encode() not in site.wire.bytes_seen
    assert site.runs(id) == []
    assert site.plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)


CALLS = {"look": ("GET", r".*/orchestrator/jobs/.*"), "submit": ("PUT", r".*/orchestrator/jobs")}


@pytest.mark.parametrize("what", sorted(CALLS))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_server_killed_in_a_submit_starts_once(site: Site, moment: str, what: str) -> None:
    """kill -9 before or after it looks or submits: one attempt, one execution, a good end."""
    over = site.at(moment, *CALLS[what])
    id = site.submit(f"once-{moment}-{what}", "run", "1", "0")
    site.asked.set()
    assert over.wait(PATIENCE_S), "the call never came"
    site.plane.start(warm=True)
    done = site.plane.ended(id, seconds=PATIENCE_S)
    assert (done["status"]["phase"], len(done["status"]["attempts"])) == ("SUCCEEDED", 1), done
    assert len(site.runs(id)) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_server_killed_in_a_stop_leaves_no_orphan(site: Site, moment: str) -> None:
    """kill -9 before or after it ends a job that runs: it ends, and nothing runs on."""
    id = site.submit(f"stop-{moment}", "run", "3600000", "0")
    wait_until(lambda: site.plane.job(id)["status"]["phase"] == "RUNNING", seconds=PATIENCE_S, what="the start")
    over = site.at(moment, "DELETE", r".*/orchestrator/jobs/.*")
    assert site.plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
    site.asked.set()
    assert over.wait(PATIENCE_S), "the call never came"
    site.plane.start(warm=True)
    assert site.plane.ended(id, seconds=PATIENCE_S)["status"]["phase"] == "CANCELLED"
    ((name, _),) = site.runs(id)
    found = site.network.job(name, site.namespace)
    assert found is not None
    assert found["Job"]["State"]["StateType"] == "Stopped"


def test_a_node_that_moved_has_its_jobs_stopped_and_takes_nothing_new(site: Site) -> None:
    """It says another country than its site's document: a violation, with both sources; the site is refused."""
    with faults.labelled(site.network, "gamma", jurisdiction="CA"):
        wanted = {"sovereignty": {"countries": {"allow": ["US"]}}}
        id = site.submit("moved", "run", "3600000", "0", **wanted)

        def told() -> list[dict[str, Any]]:
            return [one for one in site.plane.job(id)["status"]["conditions"] if one["type"] == "NonCompliant"]

        (why,) = wait_until(told, seconds=PATIENCE_S, what="a violation")
        assert why["reason"] == "identity.elsewhere"
        wait_until(
            lambda: site.plane.job(id)["status"]["phase"] not in ("PLACED", "STARTING", "RUNNING", "STOPPING"),
            seconds=PATIENCE_S,
            what="the stop",
        )
        ((name, _),) = site.runs(id)
        found = site.network.job(name, site.namespace)
        assert found is not None
        assert found["Job"]["State"]["StateType"] == "Stopped"
        content = base64.b64encode(building.module()).decode()
        plan = site.plane.call(
            "POST", "/v1/plans", job("next", "./job.wasm", files={"job.wasm": {"content": content}}, **wanted)
        )
        (gamma,) = [one for one in plan.json["sites"] if one["site"] == "net/gamma"]
        assert "identity.elsewhere" in {reason["code"] for reason in gamma["reasons"]}
