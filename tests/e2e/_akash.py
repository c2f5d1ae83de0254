"""What tests of the Akash adapter share."""

import itertools
import secrets
import sys
from collections.abc import Iterator
from typing import Any

from backends.akash import adapter
from orchestrator.domain import ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.doubles.akash import markets, server
from tests.e2e.s3 import stores

_COUNT: Iterator[int] = itertools.count(secrets.randbelow(10**15) * 1000)
IMAGE = "example.test/python@sha256:" + "1" * 64
POOL = "alpha"


def settings(akash: server.Server, s3: stores.Store, **more: object) -> dict[str, Any]:
    """Return settings with which a double and a store are reached, with patience for a slow machine."""
    store = {
        "url": s3.endpoint,
        "bucket": s3.bucket,
        "region": s3.region,
        "accessKey": s3.access,
        "secretKey": s3.secret,
        "networks": ["127.0.0.0/8"],
    }
    return {
        "url": akash.url,
        "key": server.KEY,
        "networks": ["127.0.0.0/8"],
        "store": store,
        "spend": {"perHour": 1, "perJob": 50, "perMonth": 10_000},
        "providers": {POOL: markets.address(POOL)},
        "commandImage": IMAGE,
        "timeoutSeconds": 60,
        **more,
    }


def spec(*words: str, **more: Any) -> jobs.JobSpec:
    """Return a job that runs a command in the image that tests agree on."""
    given: dict[str, Any] = {"name": "t", "command": words, "data": jobs.DataClause(declared_none=True)}
    return jobs.JobSpec(**given | more)


def sleeping(seconds: float, exit_code: int = 0) -> jobs.JobSpec:
    """Return a job that lasts so long and ends so."""
    text = "import sys, threading; threading.Event().wait(float(sys.argv[1])); sys.exit(int(sys.argv[2]))"
    return spec(sys.executable, "-S", "-E", "-c", text, str(seconds), str(exit_code))


def make(
    akash: server.Server,
    s3: stores.Store,
    folder: object,
    *,
    pools: tuple[sites.Pool, ...] = (sites.Pool(POOL, location=sites.Location("DE")),),
    **more: object,
) -> adapter.AkashAdapter:
    """Return an adapter. ``more``: settings beside those that every one needs."""
    context = backends.AdapterContext("b", pools, str(folder), "test", clocks.SystemClock().now)
    made = adapter.AkashPlugin().build(settings(akash, s3, **more), context)
    assert isinstance(made, adapter.AkashAdapter)
    return made


def placement(wanted: jobs.JobSpec, pool: str = POOL, **more: Any) -> backends.SealedPlacement:
    """Return a placement with a key that nobody used."""
    job = ids.JobId(f"01AKA{next(_COUNT):021d}")
    given: dict[str, Any] = {
        "key": ids.attempt_key(job, 1),
        "job": job,
        "tenant": "t",
        "number": 1,
        "site": ids.SiteName(f"b/{pool}"),
        "pool": pool,
        "spec": wanted,
        "spec_digest": ids.Digest("sha256:" + "1" * 64),
        "fence": backends.Fence(ids.Term(1), 1),
    }
    return backends.SealedPlacement(**given | more)


def look(made: backends.BackendAdapter, placed: backends.SealedPlacement) -> backends.Observation:
    """Return one observation."""
    (seen,) = made.observe([backends.AttemptRef(placed.key)])
    return seen
