"""A server whose places are providers of Akash, by a double of its Console: placed by policy, killed at calls."""

import json
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.doubles.akash import markets, network, server
from tests.e2e import _akash
from tests.e2e._planes import Plane, backend, job, wait_until
from tests.e2e.s3 import stores

COUNTRIES = {"frankfurt": "DE", "paris": "FR"}
POOLS = [{"name": name, "location": {"country": country}} for name, country in COUNTRIES.items()]
PATIENCE_S = 300.0
SECRET = "7f3a9e-nobody-reads-this"
RUN = ("python3", "-S", "-E", "-c")


class Site:
    """A server and a double of its own, with two providers that bid and a cheaper one that nobody asked."""

    def __init__(self, double: server.Server, s3: stores.Store, folder: pathlib.Path) -> None:
        self.double = double
        self.asked = threading.Event()
        double.network.providers += [markets.Provider(name, country=country) for name, country in COUNTRIES.items()]
        double.network.providers.append(markets.Provider("cheap", country="SG", price=1.0))
        secrets = {"COMITY_SECRET_AKASH": server.KEY, "COMITY_SECRET_MARKS": s3.secret}
        self.plane = Plane(folder, environment=secrets)
        self.plane.init()
        (self.plane.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
        self.plane.start(warm=True)
        settings = _akash.settings(double, s3, providers={name: markets.address(name) for name in COUNTRIES})
        settings |= {"key": {"fromEnv": "COMITY_SECRET_AKASH"}, "jobsMax": 100}
        settings["store"] |= {"secretKey": {"fromEnv": "COMITY_SECRET_MARKS"}}
        answer = self.plane.put(backend("akash", adapter="akash", settings=settings, pools=POOLS))
        assert answer.status in (200, 201), answer
        self.plane.until_reached("akash", seconds=PATIENCE_S)

    def submit(self, name: str, code: str, **spec: Any) -> str:
        """Submit a job that runs a line of Python; return its id."""
        answer = self.plane.submit(job(name, *RUN, code, **spec))
        assert answer.status == 202, answer
        return str(answer.json["id"])

    def deployments(self, id: str) -> list[network.Deployment]:
        """Return the deployments of all attempts of a job."""
        return [one for one in self.double.network.deployments if id in json.dumps(one.manifest)]

    def starts(self, id: str) -> list[str]:
        """Return the providers at which something of a job was started."""
        bids = [bid for one in self.deployments(id) for bid in one.bids]
        return [bid.provider.name for bid in bids if bid.lease is not None and bid.lease.workload is not None]

    def kill_at(self, moment: str, method: str, path: str) -> threading.Event:
        """Kill the server at its next such call; return what is set once it is dead."""
        over = threading.Event()
        self.asked.clear()

        def how(handler: server.Handler, honest: Callable[[], tuple[int, Any]]) -> None:
            self.asked.wait(PATIENCE_S)  # what asked the server for it has its answer
            if moment == "after":
                honest()
            self.plane.end()
            over.set()
            handler.hang_up()

        self.double.spoil(method, path, how)
        return over


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, s3: stores.Store) -> Iterator[Site]:
    """Give a server with a network of its own."""
    with server.serve() as double:
        made = Site(double, s3, tmp_path_factory.mktemp("plane"))
        yield made
        made.plane.close()


def test_the_provider_of_the_country_is_taken(site: Site) -> None:
    """A job that may run in Germany only is leased to the provider there, and it is closed when it has ended."""
    id = site.submit("de", "print(6 * 7)", sovereignty={"countries": {"allow": ["DE"]}})
    found = site.plane.ended(id, seconds=PATIENCE_S)
    (attempt,) = found["status"]["attempts"]
    assert (found["status"]["phase"], attempt["site"]) == ("SUCCEEDED", "akash/frankfurt"), found
    assert site.starts(id) == ["frankfurt"]
    assert [one.state for one in site.deployments(id)] == ["closed"]


def test_a_failure_is_its_own(site: Site) -> None:
    """The exit code is the command's, and it was run once."""
    id = site.submit("bad", "raise SystemExit(7)")
    found = site.plane.ended(id, seconds=PATIENCE_S)
    (attempt,) = found["status"]["attempts"]
    assert (found["status"]["phase"], attempt["exitCode"]) == ("FAILED", 7), found
    assert len(site.starts(id)) == 1


@pytest.mark.parametrize(
    ("code", "spec"),
    [
        ("fit.capability:outputs", {"outputs": [{"path": "x"}]}),
        ("fit.capability:files", {"files": {"a": {"content": "eA=="}}}),
        ("fit.capability:gangs", {"nodes": 2}),
        ("fit.capability:secrets", {"env": {"A": {"fromSecret": {"name": "hub", "key": "token"}}}}),
        ("fit.capability:egress", {"network": {"egress": {"allow": []}}}),
    ],
    ids=["outputs", "files", "gangs", "secrets", "egress"],
)
def test_what_the_network_cannot_do_is_refused_by_plan(site: Site, code: str, spec: dict[str, Any]) -> None:
    """Each by its name, at every provider."""
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
        return "akash.discloses" in json.dumps(site.plane.job(id)["status"])

    wait_until(told, seconds=PATIENCE_S, what="a refusal")
    assert SECRET.encode() not in bytes(site.double.received)
    assert site.deployments(id) == []
    assert site.plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/deployments"), ("GET", "/v1/bids"), ("POST", "/v1/leases")],
    ids=["deployment", "bids", "lease"],
)
def test_a_server_killed_in_a_submit_starts_once(site: Site, method: str, path: str) -> None:
    """kill -9 after each step: one start, a good end, and nothing that costs on.

    Before the lease nothing has begun: what was deployed is closed, and the job is placed again without using a try.
    """
    over = site.kill_at("after", method, path)
    id = site.submit(f"once-{path.rpartition('/')[2]}", "print(1)")
    site.asked.set()
    assert over.wait(PATIENCE_S), "the call never came"
    site.plane.start(warm=True)
    done = site.plane.ended(id, seconds=PATIENCE_S)
    *before, last = done["status"]["attempts"]
    assert (done["status"]["phase"], last["exitCode"]) == ("SUCCEEDED", 0), done
    assert [one["reason"] for one in before] == ([] if path == "/v1/leases" else ["NoRoom"]), done
    assert len(site.starts(id)) == 1
    assert {one.state for one in site.deployments(id)} == {"closed"}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_server_killed_in_a_stop_leaves_no_orphan(site: Site, moment: str) -> None:
    """kill -9 before or after it closes what runs: it ends, and nothing is paid for any more."""
    id = site.submit(f"stop-{moment}", "import threading; threading.Event().wait(3600)")
    wait_until(lambda: site.plane.job(id)["status"]["phase"] == "RUNNING", seconds=PATIENCE_S, what="the start")
    over = site.kill_at(moment, "DELETE", "/v1/deployments/")
    assert site.plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
    site.asked.set()
    assert over.wait(PATIENCE_S), "the call never came"
    site.plane.start(warm=True)
    assert site.plane.ended(id, seconds=PATIENCE_S)["status"]["phase"] == "CANCELLED"
    assert [one.state for one in site.deployments(id)] == ["closed"]
