"""Two clusters and a Ray head at once: while one of them swallows everything, the others do not notice."""

import pathlib
from collections.abc import Iterator

import pytest

from tests.e2e import _kubernetes, rays
from tests.e2e._planes import Plane, job, wait_until
from tests.e2e._ray_planes import declared
from tests.e2e.kube import clusters, faults
from tests.e2e.test_kubernetes import Place, shell

PATIENCE_S = 300.0
PROCESS = {"resources": {"cpus": "100m"}}
"""A job without an image: of these places only Ray takes it; one with an image only a cluster takes."""


class Three:
    """A server with a cluster in France that can be cut off, one in Germany that is cheaper, and a Ray head."""

    def __init__(self, french: clusters.Cluster, german: clusters.Cluster, ray: rays.Cluster, folder: pathlib.Path):
        self.french, self.german, self.ray = Place(french), Place(german), ray
        given = {place.variable: place.cluster.kubeconfig.read_text() for place in (self.french, self.german)}
        self.plane = Plane(folder, environment={**given, "COMITY_SECRET_RAY": ray.token or ""})
        self.plane.init()
        (self.plane.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
        self.plane.start(warm=True)
        self.there = self._stays("there", self.french.declared(pools=[{"name": "p", "pricePerHour": "9.00 EUR"}]))
        dear = self.plane.put(self.german.declared(pools=[{"name": "p", "pricePerHour": "0.10 EUR"}]))
        head = self.plane.put(declared(ray.url, offered=("west",)))
        assert {dear.status, head.status} <= {200, 201}

    def _stays(self, name: str, document: dict[str, object]) -> str:
        """Return a job that runs on in the one place there is."""
        assert self.plane.put(document).status in (200, 201)
        return self.running(shell(name, "trap 'exit 0' TERM; sleep 600 & wait"))

    def submit(self, given: dict[str, object]) -> str:
        """Submit a job and return its id."""
        answer = self.plane.submit(given)
        assert answer.status == 202, answer
        return str(answer.json["metadata"]["id"])

    def running(self, given: dict[str, object]) -> str:
        """Return a job that runs."""
        id = self.submit(given)
        wait_until(lambda: self.plane.job(id)["status"]["phase"] == "RUNNING", seconds=PATIENCE_S, what="running")
        return id

    def runs(self, name: str, site: str) -> None:
        """Assert that a new job runs at a site at once, and ends well at the first attempt."""
        made = job(name, "true", **PROCESS) if site.startswith("ray/") else shell(name, "true")
        done = self.plane.ended(self.submit(made), seconds=PATIENCE_S)["status"]
        assert (done["phase"], [each["site"] for each in done["attempts"]]) == ("SUCCEEDED", [site]), done

    def unreachable(self, id: str) -> bool:
        """Say whether it is told of a job that its place does not answer."""
        found = self.plane.job(id)["status"]["conditions"]
        return any(one["type"] == "Unreachable" and one["status"] for one in found)

    def close(self) -> None:
        """End everything."""
        self.plane.close()
        for place in (self.french, self.german):
            _kubernetes.remove(place.cluster, place.namespace)


@pytest.fixture
def three(lone: clusters.Cluster, de: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Three]:
    """Give a server with three places."""
    found = Three(lone, de, rays.shared(), tmp_path)
    yield found
    found.close()


def test_whichever_falls_silent_the_others_do_not_notice(three: Three) -> None:
    """First a cluster drops every packet, then the head answers nothing: jobs elsewhere end, jobs there still run."""
    three.runs("before", "ray/west")
    with faults.black_hole(three.french.cluster):
        for number in range(2):
            three.runs(f"german-{number}", "de/p")
            three.runs(f"ray-{number}", "ray/west")
        wait_until(lambda: three.unreachable(three.there), seconds=PATIENCE_S, what="it is told")
        assert three.plane.job(three.there)["status"]["phase"] == "RUNNING"
    wait_until(lambda: not three.unreachable(three.there), seconds=PATIENCE_S, what="it is back")
    on_ray = three.running(job("on-ray", "sleep", "600", **PROCESS))
    with three.ray.frozen("/dashboard/dashboard.py", "ray-dashboard-"):
        for number in range(2):
            three.runs(f"while-ray-hangs-{number}", "de/p")
        wait_until(lambda: three.unreachable(on_ray), seconds=PATIENCE_S, what="it is told")
    for id in (three.there, on_ray):
        assert three.plane.job(id)["status"]["phase"] == "RUNNING"
        assert three.plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
    assert {len(three.plane.ended(id, seconds=PATIENCE_S)["status"]["attempts"]) for id in (three.there, on_ray)} == {1}
