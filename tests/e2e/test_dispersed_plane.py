"""A server whose places are regions of Dispersed, by a double of the network: placed by policy, killed at calls."""

import json
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.doubles.dispersed import server as doubles
from tests.e2e import _dispersed
from tests.e2e._planes import Plane, backend, job, wait_until

POOLS = [
    {"name": "frankfurt", "location": {"country": "DE"}},
    {"name": "paris", "location": {"country": "FR"}},
]
REGIONS = {"frankfurt": "eu-central-1", "paris": "eu-west-3"}
PATIENCE_S = 300.0
SECRET = "7f3a9e-nobody-reads-this"
RUN = ("python3", "-S", "-E", "-c")


class Site:
    """A server and a double of its own."""

    def __init__(self, double: doubles.Server, folder: pathlib.Path) -> None:
        self.double = double
        self.asked = threading.Event()
        self.plane = Plane(folder, environment={"COMITY_SECRET_DISPERSED": doubles.SECRET})
        self.plane.init()
        (self.plane.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
        self.plane.start(warm=True)
        settings = _dispersed.settings(double, regions=REGIONS, jobsMax=100)
        settings["secretKey"] = {"fromEnv": "COMITY_SECRET_DISPERSED"}
        answer = self.plane.put(backend("render", adapter="dispersed", settings=settings, pools=POOLS))
        assert answer.status in (200, 201), answer
        self.plane.until_reached("render", seconds=PATIENCE_S)

    def submit(self, name: str, code: str, **spec: Any) -> str:
        """Submit a job that runs a line of Python; return its id."""
        answer = self.plane.submit(job(name, *RUN, code, **spec))
        assert answer.status == 202, answer
        return str(answer.json["id"])

    def jobs(self, id: str) -> list[dict[str, Any]]:
        """Return the network's jobs of all attempts of a job."""
        found = [one for one in self.double.network.jobs.values() if id.lower() in one.document["title"]]
        return [self.double.network.told(one) | {"sent": one.document} for one in found]

    def seen(self) -> bytes:
        """Return every byte of every request."""
        return b"\n".join(f"{method} {target}\n".encode() + body for method, target, body in self.double.requests)

    def kill_at(self, moment: str, method: str, path: str) -> threading.Event:
        """Kill the server at its next such call; return what is set once it is dead."""
        over = threading.Event()
        self.asked.clear()

        def how(handler: doubles.Handler, honest: Callable[[], tuple[int, Any]]) -> None:
            self.asked.wait(PATIENCE_S)  # what asked the server for it has its answer
            if moment == "after":
                honest()
            self.plane.end()
            over.set()
            handler.hang_up()

        self.double.spoil(method, path, how)
        return over


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a server with a network of its own."""
    with doubles.running() as double:
        made = Site(double, tmp_path_factory.mktemp("plane"))
        yield made
        made.plane.close()


def test_the_region_of_the_country_is_taken(site: Site) -> None:
    """A job that may run in Germany only is created for the region that stands for it, once; its output is kept."""
    id = site.submit("de", "print('hello'); print(6 * 7)", sovereignty={"countries": {"allow": ["DE"]}})
    found = site.plane.ended(id, seconds=PATIENCE_S)
    assert (found["status"]["phase"], found["status"]["attempts"][0]["site"]) == ("SUCCEEDED", "render/frankfurt"), (
        found
    )
    (one,) = site.jobs(id)
    assert one["sent"]["allowed_region_codes"] == ["eu-central-1"]
    assert site.plane.shell.run(f"comity logs {id}").stdout.startswith("hello\n42\n")


def test_a_failure_is_its_own(site: Site) -> None:
    """The exit code is the command's, and it was run once."""
    id = site.submit("bad", "raise SystemExit(7)")
    found = site.plane.ended(id, seconds=PATIENCE_S)
    (attempt,) = found["status"]["attempts"]
    assert (found["status"]["phase"], attempt["exitCode"]) == ("FAILED", 7), found
    assert len(site.jobs(id)) == 1


@pytest.mark.parametrize(
    ("code", "spec"),
    [
        ("fit.capability:containers", {"image": "registry.example/a:1"}),
        ("fit.capability:outputs", {"outputs": [{"path": "x"}]}),
        ("fit.capability:files", {"files": {"a": {"content": "eA=="}}}),
        ("fit.capability:gangs", {"nodes": 2}),
        ("fit.capability:secrets", {"env": {"A": {"fromSecret": {"name": "hub", "key": "token"}}}}),
        ("fit.capability:egress", {"network": {"egress": {"allow": []}}}),
    ],
    ids=["containers", "outputs", "files", "gangs", "secrets", "egress"],
)
def test_what_the_network_cannot_do_is_refused_by_plan(site: Site, code: str, spec: dict[str, Any]) -> None:
    """Each by its name, in every region."""
    given = job("more", "true")
    given["spec"] |= spec
    answer = site.plane.call("POST", "/v1/plans", given)
    assert answer.status == 200, answer
    for one in answer.json["sites"]:
        assert code in {reason["code"] for reason in one["reasons"]}, (one["site"], one["reasons"])


def test_of_a_job_that_does_not_say_none_nothing_is_sent(site: Site) -> None:
    """Policy lets it through, for nothing is known against it; the adapter does not, and no byte of it leaves."""
    given = job(f"name-{SECRET}", *RUN, f"print('{SECRET}')", env={"TOKEN": SECRET})
    del given["spec"]["data"]
    answer = site.plane.submit(given)
    assert answer.status == 202, answer
    id = str(answer.json["id"])

    def told() -> bool:
        return "dispersed.discloses" in json.dumps(site.plane.job(id)["status"])

    wait_until(told, seconds=PATIENCE_S, what="a refusal")
    assert SECRET.encode() not in site.seen()
    assert site.jobs(id) == []
    assert site.plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)


@pytest.mark.parametrize(
    ("moment", "method", "path"),
    [("after", "GET", "/v1/jobs?"), ("after", "POST", "/v1/jobs")],
    ids=["after-look", "after-create"],
)
def test_a_server_killed_in_a_submit_starts_once(site: Site, moment: str, method: str, path: str) -> None:
    """kill -9 after the look, or after the creation: one attempt, one job, a good end."""
    over = site.kill_at(moment, method, path)
    id = site.submit(f"once-{moment}-{method.lower()}", "print(1)")
    site.asked.set()
    assert over.wait(PATIENCE_S), "the call never came"
    site.plane.start(warm=True)
    done = site.plane.ended(id, seconds=PATIENCE_S)
    assert (done["status"]["phase"], len(done["status"]["attempts"])) == ("SUCCEEDED", 1), done
    assert len(site.jobs(id)) == 1


def test_a_creation_that_may_still_arrive_is_not_sent_again(site: Site) -> None:
    """kill -9 after a creation was sent and before it took effect: the attempt is not lost, and not sent again."""
    over = site.kill_at("before", "POST", "/v1/jobs")
    id = site.submit("late", "print(1)")
    site.asked.set()
    assert over.wait(PATIENCE_S), "the call never came"
    sent = site.double.requests.copy()
    site.plane.start(warm=True)

    def looks() -> bool:
        more = site.double.requests[len(sent) :]
        return sum(1 for method, target, _ in more if method == "GET" and "sort=" in target) > 6

    wait_until(looks, seconds=PATIENCE_S, what="later looks")
    assert [body for method, _, body in site.double.requests if method == "POST" and id.lower().encode() in body] == [
        body for method, _, body in sent if method == "POST" and id.lower().encode() in body
    ]
    found = site.plane.job(id)
    assert (len(found["status"]["attempts"]), found["status"]["phase"] in ("PLACED", "STARTING")) == (1, True), found
    # What was on its way arrives after all, and is taken for what it is.
    (body,) = [body for method, _, body in sent if method == "POST" and id.lower().encode() in body]
    site.double.network.create(json.loads(body))
    done = site.plane.ended(id, seconds=PATIENCE_S)
    assert (done["status"]["phase"], len(done["status"]["attempts"])) == ("SUCCEEDED", 1), done
    assert len(site.jobs(id)) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_server_killed_in_a_stop_leaves_no_orphan(site: Site, moment: str) -> None:
    """kill -9 before or after it ends a job that runs: it ends, and nothing runs on."""
    id = site.submit(f"stop-{moment}", "import threading; threading.Event().wait(3600)")
    wait_until(lambda: site.plane.job(id)["status"]["phase"] == "RUNNING", seconds=PATIENCE_S, what="the start")
    over = site.kill_at(moment, "PUT", "/v1/jobs/")
    assert site.plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
    site.asked.set()
    assert over.wait(PATIENCE_S), "the call never came"
    site.plane.start(warm=True)
    assert site.plane.ended(id, seconds=PATIENCE_S)["status"]["phase"] == "CANCELLED"
    (one,) = site.jobs(id)
    assert one["status"] == "CANCELLED"
