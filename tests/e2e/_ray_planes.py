"""Servers whose place is a real Ray cluster, and what tests of the Ray adapter ask of both."""

import json
import os
import pathlib
import secrets
from collections.abc import Sequence
from typing import Any

from tests.e2e import rays
from tests.e2e._planes import Plane, backend, job, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_S = 400.0
SECRET = {"fromEnv": "COMITY_SECRET_RAY"}
LOG_BYTES_MAX = 2**21
POOLS = [{"name": "west"}, {"name": "south", "accelerator": "H100", "location": {"country": "IT"}}]
SELECTORS = {
    "west": {"labels": {"ray.io/availability-region": "eu-west"}},
    "south": {"labels": {"ray.io/availability-region": "eu-south"}},
}


def declared(
    url: str,
    shared: pathlib.Path | None = None,
    *,
    name: str = "ray",
    offered: Sequence[str] = ("west", "south"),
    **more: Any,
) -> dict[str, Any]:
    """Return the document of the cluster."""
    settings = {"url": url, "token": SECRET, "pools": SELECTORS, **more}
    if shared is not None:
        settings["sharedFolder"] = str(shared)
    return backend(name, adapter="ray", settings=settings, pools=[pool for pool in POOLS if pool["name"] in offered])


def make_plane(tmp_path: pathlib.Path, secret: str | None, *, local: bool = False, warm: bool = False) -> Plane:
    """Return a server that has no place but what a test declares, or this machine too; ``warm``: see ``spawn``."""
    known = {"COMITY_SECRET_RAY": secret} if secret is not None else {}
    found = Plane(tmp_path, environment={"COMITY_SECRET_WRONG": "no-such-token", **known})
    found.init()
    if not local:
        (found.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
    found.start(warm=warm)
    return found


def submissions(ray: rays.Cluster, id: str) -> list[dict[str, Any]]:
    """Return what the cluster has of a job, its records of stops left out."""
    status, body = ray.request("GET", "/api/jobs/")
    assert status == 200
    key = id.lower()
    return [
        one
        for one in json.loads(body)
        if (one["submission_id"] or "").startswith(f"{key}-") and "comity.dev/fence" not in (one["metadata"] or {})
    ]


def submit(plane: Plane, name: str, command: str, **spec: Any) -> str:
    """Submit a line of shell; return the job's id."""
    answer = plane.submit(job(name, "sh", "-c", command, **spec))
    assert answer.status == 202, answer
    return str(answer.json["id"])


def ended(plane: Plane, id: str) -> dict[str, Any]:
    """Return a job once it has ended; a busy machine starts the processes of Ray slowly."""
    return plane.ended(id, seconds=PATIENCE_S)


def until_phase(plane: Plane, id: str, *phases: str) -> dict[str, Any]:
    """Return a job once it is in one of these phases."""

    def check() -> dict[str, Any] | None:
        found = plane.job(id)
        return found if found["status"]["phase"] in phases else None

    return dict(wait_until(check, seconds=PATIENCE_S, what=f"{phases} of {id}: {plane.job(id)['status']}"))


def nap() -> int:
    """Return for how many seconds no other test of this machine sleeps: by this its processes are known."""
    return 2 * 10**8 + secrets.randbelow(10**8)


def alive(mark: str) -> list[str]:
    """Return the processes whose command line begins so: not the shells and runners that hold it as an argument."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = pathlib.Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if line.startswith(mark):
            found.append(f"{name} {line[:100]}")
    return found
