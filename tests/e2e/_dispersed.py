"""What tests of the Dispersed adapter share."""

import itertools
import secrets
import sys
from collections.abc import Iterator
from typing import Any

from backends.dispersed import adapter
from orchestrator.domain import ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.doubles.dispersed import server as doubles

_COUNT: Iterator[int] = itertools.count(secrets.randbelow(10**15) * 1000)
REGION = "eu-central-1"


def settings(server: doubles.Server, **more: object) -> dict[str, Any]:
    """Return settings with which a double is reached, with patience for a slow machine."""
    return {
        "url": server.url,
        "publicKey": doubles.PUBLIC,
        "secretKey": doubles.SECRET,
        "networks": ["127.0.0.0/8"],
        "commandImage": doubles.COMMAND_IMAGE,
        "timeoutSeconds": 60,
        **more,
    }


def spec(*words: str, **more: Any) -> jobs.JobSpec:
    """Return a job that runs a command in the image that tests agree on."""
    given: dict[str, Any] = {"name": "t", "command": words, "data": jobs.DataClause(declared_none=True)}
    return jobs.JobSpec(**given | more)


def sleeping(seconds: float, exit_code: int = 0) -> jobs.JobSpec:
    """Return a job that lasts so long and ends so."""
    text = (
        "import sys, threading; threading.Event().wait(float(sys.argv[1])); print('done'); sys.exit(int(sys.argv[2]))"
    )
    return spec(sys.executable, "-S", "-E", "-c", text, str(seconds), str(exit_code))


def make(
    server: doubles.Server, folder: object, *, pools: tuple[sites.Pool, ...] = (sites.Pool(REGION),), **more: object
) -> adapter.DispersedAdapter:
    """Return an adapter. ``more``: settings beside those that every one needs."""
    context = backends.AdapterContext("b", pools, str(folder), "test", clocks.SystemClock().now)
    made = adapter.DispersedPlugin().build(settings(server, **more), context)
    assert isinstance(made, adapter.DispersedAdapter)
    return made


def placement(wanted: jobs.JobSpec, region: str = REGION, **more: Any) -> backends.SealedPlacement:
    """Return a placement with a key that nobody used."""
    job = ids.JobId(f"01DIS{next(_COUNT):021d}")
    given: dict[str, Any] = {
        "key": ids.attempt_key(job, 1),
        "job": job,
        "tenant": "t",
        "number": 1,
        "site": ids.SiteName(f"b/{region}"),
        "pool": region,
        "spec": wanted,
        "spec_digest": ids.Digest("sha256:" + "1" * 64),
        "fence": backends.Fence(ids.Term(1), 1),
    }
    return backends.SealedPlacement(**given | more)


def look(made: backends.BackendAdapter, placed: backends.SealedPlacement) -> backends.Observation:
    """Return one observation."""
    (seen,) = made.observe([backends.AttemptRef(placed.key)])
    return seen
