"""What a site's operator bounds is kept, on a real Slurm: jobs in flight."""

import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.domain import errors, offers
from orchestrator.ports import backends
from tests.e2e import _slurm
from tests.e2e._planes import wait_until
from tests.e2e._slurm import Site
from tests.e2e.slurm import clusters, faults

State = offers.ObservedState


@pytest.fixture
def site(lone_slurm: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a cluster without jobs."""
    found = Site(lone_slurm, tmp_path)
    yield found
    found.close()
    faults.mend(lone_slurm)


def codes(adapter: backends.BackendAdapter, *placements: backends.SealedPlacement) -> list[str]:
    """Submit all at once; return the code of each refusal, "" for none, sorted."""
    found: list[str] = []

    def submit(placement: backends.SealedPlacement) -> None:
        try:
            adapter.submit(placement)
        except errors.BackendError as error:
            found.append(error.code)
        else:
            found.append("")

    threads = [threading.Thread(target=submit, args=(one,)) for one in placements]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found)


def ended(adapter: backends.BackendAdapter, placement: backends.SealedPlacement) -> None:
    """Wait until an attempt is over, for Slurm too."""

    def over() -> bool:
        (seen,) = adapter.observe([backends.AttemptRef(placement.key)])
        assert isinstance(adapter, backends.ListsOwned)
        return seen.state is State.ENDED and all(ref.key != placement.key for ref in adapter.list_owned())

    wait_until(over, seconds=180, every=0.2, what="the end")


@pytest.mark.parametrize("of", ["backend", "tenant"])
def test_no_more_are_in_flight_than_the_bound(site: Site, of: str) -> None:
    """Six at once, two get through, also by an adapter that has just started; when one is over the next may."""
    bound: dict[str, Any] = {"jobsMax": 2} if of == "backend" else {"tenants": {"t": {"jobsMax": 2}, "u": {}}}
    adapter = site.adapter(**bound)
    placements = [site.placement("sleep 3600") for _ in range(6)]
    assert codes(adapter, *placements) == [""] * 2 + ["slurm.jobs-max"] * 4
    assert codes(site.adapter(**bound), site.placement()) == ["slurm.jobs-max"]
    assert len([job for one in placements for job in _slurm.of(site.cluster, str(one.key))]) == 2
    (offer,) = adapter.offers()
    assert offer.queue is not None
    if of == "backend":
        assert (offer.queue.accepts, offer.free.slots, "jobsMax" in offer.detail) == (False, 0, True)
    else:
        assert offer.queue.accepts
        assert codes(adapter, site.placement(tenant="u")) == [""]
    first = next(one for one in placements if _slurm.of(site.cluster, str(one.key)))
    site.stop(adapter, first)
    ended(adapter, first)
    assert codes(adapter, site.placement()) == [""]
