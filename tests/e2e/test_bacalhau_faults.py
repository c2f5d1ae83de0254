"""What goes wrong with a Bacalhau network: nothing is started twice, lost, or called ended before it has."""

import datetime as dt
import pathlib
import threading
from collections.abc import Iterator

import pytest

from orchestrator.domain import errors, jobs, offers
from orchestrator.ports import backends
from tests.e2e import _bacalhau
from tests.e2e.bacalhau import faults, networks
from tests.e2e.bacalhau.networks import until
from tests.e2e.slurm import wires

State, Kind = offers.ObservedState, jobs.OutcomeKind
LONG = "600000"


@pytest.fixture
def network(lone_bacalhau: networks.Network) -> networks.Network:
    """Give a network that may be broken."""
    return lone_bacalhau


@pytest.fixture
def wire(network: networks.Network) -> Iterator[wires.Wire]:
    """Give a wire to the orchestrator that loses and lies."""
    with wires.wire(network.url) as made:
        yield made


def state(adapter: backends.BackendAdapter, placed: backends.SealedPlacement) -> backends.Observation:
    """Return one observation; UNKNOWN where nobody answers."""
    try:
        return _bacalhau.look(adapter, placed)
    except errors.BackendError as error:
        return backends.Observation(placed.key, State.UNKNOWN, detail=error.code)


def seen(adapter: backends.BackendAdapter, placed: backends.SealedPlacement, *wanted: State) -> backends.Observation:
    """Wait for an observation of one of these states."""
    found: list[backends.Observation] = []

    def check() -> bool:
        found[:] = [state(adapter, placed)]
        return found[0].state in wanted

    until(check, f"one of {wanted}", show=lambda: found)
    return found[0]


def away(adapter: backends.BackendAdapter, placed: backends.SealedPlacement) -> None:
    """Wait until an attempt is said to be on a node that cannot be asked; until then nobody calls it over or gone."""
    found: list[backends.Observation] = []

    def check() -> bool:
        found[:] = [state(adapter, placed)]
        assert found[0].state in (State.RUNNING, State.UNKNOWN), found
        return "away" in found[0].detail

    until(check, "a node that is away", show=lambda: found)


def executions(network: networks.Network, adapter: _bacalhau.adapter.BacalhauAdapter, key: str) -> int:
    """Return how often an attempt was run."""
    found = network.job(key, adapter._namespace)
    return len(found["Executions"]["Items"] or ()) if found else 0


def stop(adapter: backends.BackendAdapter, placed: backends.SealedPlacement) -> None:
    """Stop an attempt by its key."""
    adapter.stop(backends.AttemptRef(placed.key), backends.Fence(placed.fence.term, 1), dt.timedelta(0))


@pytest.mark.parametrize("loss", list(wires.Loss))
def test_a_submission_whose_reply_or_request_is_lost_runs_once(
    network: networks.Network, wire: wires.Wire, tmp_path: pathlib.Path, loss: wires.Loss
) -> None:
    """Whoever tries again, the same process or the next one, finds the job or makes it."""
    adapter = _bacalhau.make(network, tmp_path, url=wire.url)
    placed = _bacalhau.placement(_bacalhau.spec("run", "10", "7"))
    wire.next("PUT", "orchestrator/jobs", loss)
    with pytest.raises(errors.TransientError) as caught:
        adapter.submit(placed)
    assert (caught.value.code, caught.value.effects) == ("bacalhau.no-answer", errors.SideEffects.UNKNOWN)
    later = _bacalhau.make(network, tmp_path)
    assert adapter.submit(placed) == later.submit(placed)
    outcome = seen(later, placed, State.ENDED).outcome
    assert outcome is not None
    assert (outcome.kind, outcome.exit_code) == (Kind.EXITED, 7)
    assert executions(network, later, placed.key) == 1


def test_many_submissions_at_once_run_once(network: networks.Network, tmp_path: pathlib.Path) -> None:
    """Eight controllers with one key: each gets the same handle, or an error after which it gets it."""
    adapters = [_bacalhau.make(network, tmp_path) for _ in range(8)]
    placed = _bacalhau.placement(_bacalhau.spec("run", "300", "0"))
    gate, found = threading.Barrier(len(adapters)), []

    def send(adapter: backends.BackendAdapter) -> None:
        gate.wait(60)
        try:
            found.append(adapter.submit(placed).value)
        except errors.BackendError as error:
            found.append(error.code)

    threads = [threading.Thread(target=send, args=(adapter,)) for adapter in adapters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen(adapters[0], placed, State.ENDED)
    handle = adapters[0].submit(placed).value
    assert set(found) <= {handle, "bacalhau.no-answer"}
    assert handle in found
    job = network.job(placed.key, adapters[0]._namespace)
    assert job is not None
    assert (job["Job"]["Version"], len(job["Executions"]["Items"])) == (1, 1)


def test_a_node_that_dies_is_unknown_and_then_lost(network: networks.Network, tmp_path: pathlib.Path) -> None:
    """What began there may still run while nobody can ask it; when it is back it is known that it does not."""
    adapter, placed = _bacalhau.make(network, tmp_path), _bacalhau.placement(_bacalhau.spec("run", LONG, "0"), "beta")
    adapter.submit(placed)
    seen(adapter, placed, State.RUNNING)
    with faults.killed(network, "beta"):
        away(adapter, placed)
        offer = {one.site: one for one in adapter.offers()}["b/beta"]
        assert (offer.free.cpu_milli, "not connected" in offer.detail) == (0, True)
        other = _bacalhau.placement(_bacalhau.spec("run", "1", "0"), "beta")
        adapter.submit(other)
        outcome = seen(adapter, other, State.ENDED).outcome
        assert outcome is not None
        assert outcome.kind is Kind.NO_ROOM
    outcome = seen(adapter, placed, State.ENDED).outcome
    assert outcome is not None
    assert outcome.kind is Kind.LOST
    assert executions(network, adapter, placed.key) == 1


def test_a_node_that_is_cut_off_may_still_run_what_it_has(network: networks.Network, tmp_path: pathlib.Path) -> None:
    """It is unknown while the wire is cut, never gone and never called ended; a second attempt elsewhere is another."""
    adapter, placed = _bacalhau.make(network, tmp_path), _bacalhau.placement(_bacalhau.spec("run", LONG, "0"), "gamma")
    adapter.submit(placed)
    seen(adapter, placed, State.RUNNING)
    with faults.cut_off(network, "gamma"):
        away(adapter, placed)
        stop(adapter, placed)
        away(adapter, placed)
    outcome = seen(adapter, placed, State.ENDED).outcome
    assert outcome is not None
    assert not outcome.succeeded


def test_the_orchestrator_is_killed_and_nothing_is_lost(network: networks.Network, tmp_path: pathlib.Path) -> None:
    """What runs runs on, once; nobody calls it gone meanwhile; what was submitted before is still known."""
    adapter = _bacalhau.make(network, tmp_path)
    going = _bacalhau.placement(_bacalhau.spec("run", LONG, "0"), "alpha")
    done = _bacalhau.placement(_bacalhau.spec("run", "1", "9"), "alpha")
    for placed in (going, done):
        adapter.submit(placed)
    seen(adapter, going, State.RUNNING)
    with faults.killed(network):
        with pytest.raises(errors.TransientError) as caught:
            adapter.submit(_bacalhau.placement(_bacalhau.spec("run", "1", "0")))
        assert (caught.value.code, caught.value.effects) == ("bacalhau.unreachable", errors.SideEffects.NONE)
        assert state(adapter, going).detail in ("bacalhau.unreachable", "bacalhau.no-answer")
    outcome = seen(_bacalhau.make(network, tmp_path), done, State.ENDED).outcome
    assert outcome is not None
    assert outcome.exit_code == 9
    assert seen(adapter, going, State.RUNNING, State.ENDED).state is State.RUNNING
    stop(adapter, going)
    outcome = seen(adapter, going, State.ENDED).outcome
    assert outcome is not None
    assert outcome.kind is Kind.STOPPED
    assert executions(network, adapter, going.key) == 1


def test_a_node_that_says_another_country_is_seen_there(network: networks.Network, tmp_path: pathlib.Path) -> None:
    """What was seen of an attempt names the country that its node says now, worth what a label is worth."""
    adapter = _bacalhau.make(network, tmp_path)
    with faults.labelled(network, "gamma", jurisdiction="CA"):
        placed = _bacalhau.placement(_bacalhau.spec("run", "1", "0"), "gamma")
        adapter.submit(placed)
        (where,) = seen(adapter, placed, State.ENDED).whereabouts
        assert (where.node, where.country, where.assurance.word) == ("gamma", "CA", "declared")
        assert "jurisdiction" in where.source
        pool = {one.site: one.pool for one in adapter.offers()}["b/gamma"]
        assert pool is not None
        assert pool.location is not None
        assert pool.location.country == "CA"


def test_somebody_elses_stop_is_no_stop_of_ours(network: networks.Network, tmp_path: pathlib.Path) -> None:
    """An operator who ends a job takes it away: preempted, and not what we asked for."""
    adapter, placed = _bacalhau.make(network, tmp_path), _bacalhau.placement(_bacalhau.spec("run", LONG, "0"))
    handle = adapter.submit(placed).value
    seen(adapter, placed, State.RUNNING)
    path = f"orchestrator/jobs/{handle.removeprefix('bacalhau:')}?namespace={adapter._namespace}"
    assert network.request("DELETE", path, {"reason": "maintenance"})[0] == 200
    outcome = seen(adapter, placed, State.ENDED).outcome
    assert outcome is not None
    assert (outcome.kind, "maintenance" in outcome.detail) == (Kind.PREEMPTED, True)


def test_what_comes_after_its_stop_is_ended_when_it_is_seen(network: networks.Network, tmp_path: pathlib.Path) -> None:
    """A submission that was under way when the stop came takes effect all the same: it does not stay."""
    adapter, placed = _bacalhau.make(network, tmp_path), _bacalhau.placement(_bacalhau.spec("run", LONG, "0"))
    stop(adapter, placed)
    with pytest.raises(errors.PermanentError) as caught:
        adapter.submit(placed)
    assert caught.value.code == "bacalhau.stopped"
    folder = tmp_path / "other"
    late = _bacalhau.make(network, folder)  # which knows nothing of the mark, as a request on its way
    late.submit(placed)
    outcome = seen(adapter, placed, State.ENDED).outcome
    assert outcome is not None
    assert outcome.kind is Kind.STOPPED
    assert late.list_owned() == []
