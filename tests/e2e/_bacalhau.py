"""What tests of the Bacalhau adapter share."""

import itertools
import secrets
from collections.abc import Iterator
from typing import Any

from backends.bacalhau import adapter
from orchestrator.domain import ids, jobs
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e.bacalhau import building, networks

_COUNT: Iterator[int] = itertools.count(secrets.randbelow(10**15) * 1000)


def settings(network: networks.Network, **more: object) -> dict[str, Any]:
    """Return settings with which a network is reached, with patience for a slow machine."""
    return {"url": network.url, "key": network.key, "timeoutSeconds": 60, **more}


def spec(*words: str, **more: Any) -> jobs.JobSpec:
    """Return a job that runs the test program."""
    files = {"job.wasm": building.module(), **more.pop("files", {})}
    return jobs.JobSpec(name="t", command=("./job.wasm", *words), files=tuple(sorted(files.items())), **more)


def make(
    network: networks.Network, folder: object, *, installation: str = "test", **more: object
) -> adapter.BacalhauAdapter:
    """Return an adapter. ``more``: settings beside those that every one needs."""
    context = backends.AdapterContext("b", (), str(folder), installation, clocks.SystemClock().now)
    made = adapter.BacalhauPlugin().build(settings(network, **more), context)
    assert isinstance(made, adapter.BacalhauAdapter)
    return made


def placement(wanted: jobs.JobSpec, node: str = "alpha", **more: Any) -> backends.SealedPlacement:
    """Return a placement with a key that nobody used."""
    job = ids.JobId(f"01BAC{next(_COUNT):021d}")
    given: dict[str, Any] = {
        "key": ids.attempt_key(job, 1),
        "job": job,
        "tenant": "t",
        "number": 1,
        "site": ids.SiteName(f"b/{node}"),
        "pool": node,
        "spec": wanted,
        "spec_digest": ids.Digest("sha256:" + "1" * 64),
        "fence": backends.Fence(ids.Term(1), 1),
    }
    return backends.SealedPlacement(**given | more)


def look(made: backends.BackendAdapter, placed: backends.SealedPlacement) -> backends.Observation:
    """Return one observation."""
    (seen,) = made.observe([backends.AttemptRef(placed.key)])
    return seen
