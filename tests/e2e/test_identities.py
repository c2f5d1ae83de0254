"""On a real server: a backend that is another one all at once, killed in between, and roles that are held apart."""

import pathlib
from collections.abc import Iterator

import pytest

from tests.e2e._planes import Plane, backend, job, wait_until


class Flagged(Plane):
    """A server with flags of its own."""

    flags: tuple[str, ...] = ()

    def argv(self, *more: str) -> list[str]:
        """See ``Plane``."""
        return super().argv(*self.flags, *more)


@pytest.fixture
def plane(tmp_path: pathlib.Path) -> Iterator[Flagged]:
    """Give a control plane with one pretended backend, not started."""
    found = Flagged(tmp_path)
    found.init()
    (found.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
    yield found
    found.close()


def _declare(plane: Plane, identity: str) -> None:
    settings = {"identity": identity, "runTime": "300ms"}
    given = backend("here", adapter="simulated", settings=settings, pools=[{"name": "p", "count": 4}])
    assert plane.put(given).status in (200, 201)


def _status(plane: Plane) -> dict[str, object]:
    return plane.call("GET", "/v1/backends/here").json["status"]


def _codes(plane: Plane) -> set[str]:
    sites = plane.call("POST", "/v1/plans", job("asked")).json["sites"]
    return {reason["code"] for site in sites for reason in site["reasons"] if reason["effect"] == "deny"}


def _phase(plane: Plane, id: str) -> str:
    return plane.call("GET", f"/v1/jobs/{id}").json["status"]["phase"]


def test_another_machine_gets_no_job_until_a_person_says_so(plane: Flagged) -> None:
    """Pinned, changed, killed with SIGKILL, started again: still refused; confirmed on the command line: it runs."""
    plane.start()
    _declare(plane, "one")
    first = plane.submit(job("first")).json["metadata"]["id"]
    wait_until(lambda: _phase(plane, first) == "SUCCEEDED")
    assert _status(plane)["identity"]["values"] == {"simulated": "one"}  # type: ignore[index]
    _declare(plane, "two")
    plane.end()
    plane.start()
    second = plane.submit(job("second")).json["metadata"]["id"]
    wait_until(lambda: "identity.changed" in _codes(plane))
    assert _phase(plane, second) == "QUEUED"
    plane.end()
    plane.start()
    assert "identity.changed" in _codes(plane)
    checked = plane.shell.run("comity backend check here")
    assert "is pinned" in checked.stdout
    ran = plane.shell.run("comity backend confirm here --reason moved")
    assert ran.returncode == 0, ran.stderr
    wait_until(lambda: _phase(plane, second) == "SUCCEEDED")
    assert "as pinned" in plane.shell.run("comity backend check here").stdout
    found = plane.call("GET", "/v1/events?limit=500").json["items"]
    told = [one["kind"] for one in found if one["subject"] == "backend/here" and one["kind"].startswith("backend.")]
    assert told == ["backend.pinned", "backend.identity-changed", "backend.identity-confirmed"]


def test_roles_stay_apart_over_restarts(plane: Flagged) -> None:
    """Said at the start; ``--no-one-person`` holds after a kill without it; the first token cannot submit then."""
    plane.start()
    assert "one-person mode" in plane.log
    assert plane.call("GET", "/readyz", token=None).json["mode"] == "one-person"
    assert plane.submit(job("mine")).status == 202
    plane.end()
    plane.flags = ("--no-one-person",)
    plane.start()
    plane.end()
    plane.flags = ()
    plane.start()
    assert "separate roles" in plane.log
    assert plane.call("GET", "/readyz", token=None).json["mode"] == "separate-roles"
    assert plane.submit(job("mine")).code == "auth.role"
    refused = plane.shell.run("comity token create --role facts --role policy")
    assert refused.returncode != 0
    assert "exclude each other" in refused.stderr
    made = plane.call("POST", "/v1/tokens", {"roles": ["submit"]}).json
    assert plane.submit(job("theirs"), token=made["token"]).status == 202
    plan = plane.call("POST", "/v1/plans", job("asked"), token=made["token"]).json
    assert plan["versions"]["mode"] == "separate-roles"
