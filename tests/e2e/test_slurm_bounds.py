"""What a site's operator bounds is kept and told, on a real Slurm: jobs in flight, hours, maintenance."""

import datetime as dt
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.domain import errors, jobs, offers
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
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


def look(adapter: backends.BackendAdapter, placement: backends.SealedPlacement) -> backends.Observation:
    """Return one observation."""
    (seen,) = adapter.observe([backends.AttemptRef(placement.key)])
    return seen


def test_a_maintenance_ahead_is_told_to_whom_it_makes_wait(site: Site) -> None:
    """Who has a limit that reaches into it, be it the partition's, waits and is told until when, or is refused where
    that is too late; who is over before it begins runs.
    """
    soon = jobs.Limits(start_within=dt.timedelta(minutes=5))
    with faults.reservation(site.cluster, "yearly", start="now+30minutes", minutes=60, flags="MAINT,IGNORE_JOBS"):
        adapter = site.adapter()
        (offer,) = adapter.offers()
        assert offer.queue is not None
        assert offer.queue.accepts
        assert "maintenance yearly from " in offer.detail
        for limit in (None, dt.timedelta(hours=3)):
            with pytest.raises(errors.PermanentError, match=r"maintenance yearly from .* until ") as refused:
                adapter.submit(site.placement(limit=limit, limits=soon))
            assert (refused.value.code, refused.value.retry) == ("slurm.maintenance", errors.RetryWhere.ELSEWHERE)
        short = site.placement(limit=dt.timedelta(minutes=10), limits=soon)
        adapter.submit(short)
        ended(adapter, short)
        assert site.runs(short) == 1
        long = site.placement("sleep 3600")
        adapter.submit(long)
        wait_until(lambda: look(adapter, long).reason == "Maintenance", seconds=120, every=0.2, what="the reason")
        seen = look(adapter, long)
        assert (seen.state, "maintenance yearly from " in seen.detail) == (State.QUEUED, True)
        assert site.runs(long) == 0
    wait_until(lambda: site.runs(long) == 1, seconds=180, every=0.2, what="the start after it")
    site.stop(adapter, long)


def test_a_maintenance_that_has_begun_queues_until_its_end(site: Site) -> None:
    """The place takes jobs, says how long they wait, and has the size that it will have again."""
    adapter = site.adapter()
    (before,) = adapter.offers()
    with faults.reservation(site.cluster, "now", minutes=60, flags="MAINT,IGNORE_JOBS"):

        def waits() -> bool:
            (offer,) = adapter.offers()
            assert offer.queue is not None
            wait = offer.queue.expected_wait
            return offer.queue.accepts and wait is not None and wait > dt.timedelta(minutes=30)

        wait_until(waits, seconds=120, every=0.2, what="an hour's wait")
        (offer,) = adapter.offers()
        assert (offer.total, offer.free) == (before.total, offers.Room())
        assert "maintenance now from " in offer.detail


def test_no_more_hours_are_promised_than_are_declared(site: Site) -> None:
    """A job without a deadline may use what its partition gives it: an hour of its CPU, of one and a half."""
    today = f"{clocks.SystemClock().now():%Y-%m-%d}"
    more = {"hoursRequired": True, "tenants": {"t": {"hours": {"left": 1.5, "asOf": today}}, "u": {}}}
    first = site.placement()
    assert codes(site.adapter(**more), first) == [""]
    adapter = site.adapter(**more)
    assert codes(adapter, site.placement()) == ["slurm.hours"]
    assert codes(adapter, first) == [""]
    assert codes(adapter, site.placement(limit=dt.timedelta(minutes=10))) == [""]
    assert codes(adapter, site.placement(tenant="u", limit=dt.timedelta(minutes=10))) == ["slurm.no-hours"]
