"""What tests of the Akash adapter share."""

import datetime as dt
import itertools
import secrets
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backends.akash import adapter
from orchestrator.domain import errors, ids, jobs, offers, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.doubles.akash import fixtures, markets, network, server
from tests.e2e._planes import wait_until
from tests.e2e.s3 import stores

_COUNT: Iterator[int] = itertools.count(secrets.randbelow(10**15) * 1000)
IMAGE = "example.test/python@sha256:" + "1" * 64
POOL = fixtures.CHOSEN


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


def code_of(what: Callable[[], object]) -> str:
    """Return the code of the error that a call raises."""
    with pytest.raises(errors.BackendError) as caught:
        what()
    return caught.value.code


def ended(made: backends.BackendAdapter, placed: backends.SealedPlacement) -> jobs.Outcome:
    """Wait for the end and return the outcome."""
    seen: list[backends.Observation] = []

    def over() -> bool:
        seen[:] = [look(made, placed)]
        return seen[0].state is offers.ObservedState.ENDED

    wait_until(over, seconds=120, every=0.1, what=str(seen))
    assert seen[0].outcome is not None
    return seen[0].outcome


def until(made: backends.BackendAdapter, placed: backends.SealedPlacement, state: offers.ObservedState) -> None:
    """Wait for a state."""
    wait_until(lambda: look(made, placed).state is state, seconds=120, every=0.1, what=str(state))


def live(akash: server.Server) -> list[network.Deployment]:
    """Return the deployments for which somebody pays."""
    return [one for one in akash.network.deployments if one.state == "active"]


def workloads(akash: server.Server) -> list[Any]:
    """Return what runs, or ran, at providers."""
    bids = [bid for one in akash.network.deployments for bid in one.bids]
    return [bid.lease.workload for bid in bids if bid.lease is not None and bid.lease.workload is not None]


def stop(made: backends.BackendAdapter, placed: backends.SealedPlacement) -> None:
    """Stop an attempt by its key."""
    made.stop(backends.AttemptRef(placed.key), backends.Fence(placed.fence.term, 1), dt.timedelta(0))
