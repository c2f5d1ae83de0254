"""What goes wrong with a Slurm site: nothing is started twice, lost, or called ended before it has."""

import contextlib
import datetime as dt
import pathlib
from collections.abc import Iterator

import pytest

from orchestrator.domain import errors, ids, jobs, offers
from orchestrator.ports import backends
from tests.e2e import _slurm
from tests.e2e._planes import wait_until
from tests.e2e._slurm import Site
from tests.e2e.slurm import clusters, faults, wires

State, Kind = offers.ObservedState, jobs.OutcomeKind
NUMBERS = 12
"""So many jobs a test submits at most."""


@pytest.fixture
def site(lone_slurm: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a site that may be broken; afterwards it is whole again, and gives numbers that no test had."""
    found, first = Site(lone_slurm, tmp_path), faults.next_number(lone_slurm)
    yield found
    found.close()
    faults.mend(lone_slurm, beyond=first + NUMBERS)


@pytest.fixture
def wire(site: Site) -> Iterator[wires.Wire]:
    """Give the wire through which the site's adapters speak."""
    with wires.wire(site.cluster.url) as made:
        site.url = made.url
        yield made


def look(adapter: backends.BackendAdapter, placement: backends.SealedPlacement) -> backends.Observation:
    """Return one observation by key alone; UNKNOWN where nobody answers."""
    try:
        (seen,) = adapter.observe([backends.AttemptRef(placement.key)])
    except errors.BackendError as error:
        return backends.Observation(placement.key, State.UNKNOWN, detail=error.code)
    return seen


def until(
    adapter: backends.BackendAdapter, placement: backends.SealedPlacement, state: State, seconds: float = 600.0
) -> backends.Observation:
    """Return the first observation of a state."""
    seen: list[backends.Observation] = []

    def check() -> bool:
        seen[:] = [look(adapter, placement)]
        return seen[0].state is state

    try:
        wait_until(check, seconds=seconds, every=0.1, what=str(state))
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen}") from None
    return seen[0]


def submitted(site: Site, adapter: backends.BackendAdapter, placement: backends.SealedPlacement) -> None:
    """Submit until an attempt ends: a controller that is killed forgets what it acknowledged seconds before.

    It has run once and ended well; or, where the controller went while a node confirmed its start, never.
    """
    seen: list[backends.Observation] = []

    def over() -> bool:
        seen[:] = [look(adapter, placement)]
        if seen[0].state is State.GONE:
            adapter.submit(placement)
        return seen[0].state is State.ENDED

    faults.patiently(site.cluster, over, "the end")
    assert seen[0].outcome is not None
    never = seen[0].outcome.kind is Kind.START_FAILED
    assert never or seen[0].outcome.exit_code == 0
    assert site.runs(placement) == (0 if never else 1)


@pytest.mark.parametrize("loss", list(wires.Loss))
def test_a_submission_whose_reply_or_request_is_lost_runs_once(site: Site, wire: wires.Wire, loss: wires.Loss) -> None:
    """Whoever tries again, the same process or the next one, finds the job or makes it."""
    adapter, placement = site.adapter(), site.placement()
    wire.next("POST", "job/submit", loss)
    try:
        adapter.submit(placement)
    except errors.BackendError:
        pass
    later = site.adapter()
    first = later.submit(placement)
    assert adapter.submit(placement) == first
    seen = until(later, placement, State.ENDED)
    assert seen.outcome is not None
    said = (seen.outcome.exit_code, site.runs(placement))
    assert said == (0, 1), f"{seen}\n{faults.account(site.cluster)}"


@pytest.mark.parametrize("kill", [False, True])
def test_the_controller_goes_down_during_submissions(site: Site, kill: bool) -> None:
    """Jobs that are submitted while it goes and comes back each run once; none is lost, none is called gone."""
    adapter, placements = site.adapter(), [site.placement() for _ in range(6)]
    pending = list(placements)
    for _ in range(2):
        adapter.submit(pending[0])
        with faults.stopped(site.cluster, kill=kill):
            for placement in pending:
                with pytest.raises(errors.BackendError):
                    adapter.submit(placement)
                assert look(adapter, placement).state is State.UNKNOWN
                break
        for placement in pending[:3]:
            adapter.submit(placement)
        pending = pending[3:]
    for placement in placements:
        submitted(site, adapter, placement)


def test_a_start_that_nobody_confirmed_has_failed_and_never_happens(site: Site) -> None:
    """The controller goes while a node confirms: Slurm holds the job, and whoever lets it go starts nothing."""
    adapter, placement = site.adapter(), site.placement()
    key = str(placement.key)
    with contextlib.ExitStack() as frozen:
        for node in site.cluster.nodes():
            frozen.enter_context(faults.frozen_node(site.cluster, node))
        adapter.submit(placement)
        faults.until(lambda: {job["State"] for job in _slurm.of(site.cluster, key)} == {"RUNNING"}, "the launch")
        site.cluster.control.stop(faults.CONTROLLER)
    site.cluster.control.restart(faults.CONTROLLER)
    faults.ready(site.cluster)
    for one in (adapter, site.adapter()):
        seen = until(one, placement, State.ENDED)
        assert seen.outcome is not None
        assert (seen.outcome.kind, site.runs(placement)) == (Kind.START_FAILED, 0)
    (held,) = _slurm.of(site.cluster, key)
    site.cluster.run("scontrol", "release", held["JobID"])
    faults.until(lambda: {job["State"] for job in _slurm.of(site.cluster, key)} == {"COMPLETED"}, "the release")
    assert site.runs(placement) == 0


def test_a_job_that_the_controller_forgot_is_never_gone_while_it_may_run(site: Site) -> None:
    """After a power cut the number is unknown and the script runs on: unknown, then ended by its own marker."""
    adapter, placement = site.adapter(), site.placement("sleep 4; exit 5")
    with faults.power_cut(site.cluster):
        handle = adapter.submit(placement)
        faults.patiently(site.cluster, lambda: site.runs(placement) == 1, "the start")
    assert _slurm.of(site.cluster, str(placement.key)) == []
    states = set()
    other = site.placement("sleep 1")
    assert adapter.submit(other) != handle

    def over() -> bool:
        seen = look(site.made[-1], placement)
        states.add(seen.state)
        return seen.state is State.ENDED

    wait_until(over, seconds=600, every=0.1, what=f"the end: {states}")
    assert State.GONE not in states
    seen = look(site.adapter(), placement)
    assert seen.outcome is not None
    assert (seen.outcome.exit_code, site.runs(placement)) == (5, 1)


def test_a_number_that_is_given_again_is_not_mistaken(site: Site) -> None:
    """A controller that lost everything gives our number to somebody: it is neither observed nor cancelled as ours."""
    adapter, placement = site.adapter(), site.placement("sleep 3600")
    adapter.submit(placement)
    faults.patiently(site.cluster, lambda: site.runs(placement) == 1, "the start")
    (ours,) = _slurm.of(site.cluster, str(placement.key))
    faults.forget(site.cluster)
    while (number := site.cluster.sbatch("#!/bin/sh\nsleep 3600\n", "--output=/dev/null")) < int(ours["JobID"]):
        pass
    assert number == int(ours["JobID"])
    for one in (adapter, site.adapter()):
        assert look(one, placement).state not in (State.RUNNING, State.QUEUED)
        one.stop(backends.AttemptRef(placement.key), backends.Fence(ids.Term(1), 1), dt.timedelta(0))
        assert site.cluster.state(number) in ("PENDING", "RUNNING")


def test_a_dead_node_is_a_loss_and_runs_nothing_again(site: Site) -> None:
    """The attempt ends as lost; Slurm does not queue it again by itself."""
    adapter, placement = site.adapter(), site.placement("sleep 3600")
    adapter.submit(placement)
    faults.patiently(site.cluster, lambda: site.runs(placement) == 1, "the start")
    node = faults.until(lambda: look(adapter, placement).whereabouts, "whereabouts")[0].node
    with faults.dead_node(site.cluster, node):
        seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, site.runs(placement)) == (Kind.LOST, 1)


def test_a_frozen_controller_is_unreachable_not_lost(site: Site) -> None:
    """While nobody answers nothing is known; afterwards all is as it was."""
    adapter, placement = site.adapter(), site.placement("sleep 3600")
    adapter.submit(placement)
    until(adapter, placement, State.RUNNING)
    with faults.frozen(site.cluster):
        until(adapter, placement, State.UNKNOWN)
    until(adapter, placement, State.RUNNING)


def test_what_slurm_forgot_long_ago_ends_by_its_marker(site: Site) -> None:
    """A controller that was asked too late knows nothing; the outcome is what the job wrote."""
    adapter, placement = site.adapter(), site.placement("exit 9")
    adapter.submit(placement)
    faults.patiently(site.cluster, lambda: site.runs(placement) == 1, "the run")
    faults.until(lambda: {job["State"] for job in _slurm.of(site.cluster, str(placement.key))} == {"FAILED"}, "the end")
    faults.forget(site.cluster)
    seen = until(site.adapter(), placement, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, seen.outcome.exit_code) == (Kind.EXITED, 9)
