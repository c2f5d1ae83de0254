"""What is told of an attempt follows from job, executions and nodes; only an execution that completed is a success."""

from typing import Any

import pytest

from backends.bacalhau import observe, wire
from orchestrator.domain import ids, jobs, offers
from orchestrator.ports import backends

State, Kind = offers.ObservedState, jobs.OutcomeKind
REF = backends.AttemptRef(ids.AttemptKey("01k-1"))
NS = 10**9
NOW = 1_800_000_000 * NS


def node(name: str = "a", *, connected: bool = True, country: str = "FR", settled: bool = True) -> wire.Node:
    """Return a node that says a country."""
    return wire.Node(name, {"jurisdiction": country}, connected, settled and connected, True, 1000, 10**9, 0, 0)


def execution(state: int, **more: Any) -> wire.Execution:
    """Return an execution on node a."""
    given: dict[str, Any] = {"id": "e-1", "node": "a", "message": "", "exit_code": 0, "stdout": "", "error": ""}
    return wire.Execution(state=state, created_ns=NOW, modified_ns=NOW + NS, **(given | more))


def job(state: str, *executions: wire.Execution, message: str = "") -> wire.Job:
    """Return a job that is pinned to node a."""
    return wire.Job("j-1", "01k-1", "ns", state, message, {}, "a", 100, 10**6, NOW, NOW + NS, tuple(executions))


def seen(found: wire.Job, *nodes: wire.Node) -> backends.Observation:
    """Return what is told."""
    known = {one.name: one for one in nodes or (node(),)}
    return observe.observation(REF, found, known, "jurisdiction")


@pytest.mark.parametrize(
    ("found", "kind", "code"),
    [
        (job("Completed", execution(9, exit_code=0)), Kind.EXITED, 0),
        (job("Completed", execution(9, exit_code=4)), Kind.EXITED, 4),
        (job("Completed", execution(9, exit_code=-1)), Kind.EXITED, 0),
        (job("Completed", execution(9, exit_code=None)), Kind.LOST, None),
        (job("Completed", execution(9, exit_code=4711)), Kind.LOST, None),
        (job("Completed", execution(9, exit_code=0, error="disk full")), Kind.LOST, None),
        (job("Completed", execution(10, exit_code=0)), Kind.LOST, None),
        (job("Completed"), Kind.NO_ROOM, None),
        (job("Failed", execution(10, message="wasm error: unreachable")), Kind.SIGNALED, None),
        (job("Failed", execution(10, message="failed to load entry module /a: x")), Kind.START_FAILED, None),
        (job("Failed", execution(10, message="execution timeout exceeded")), Kind.TIMED_OUT, None),
        (job("Failed", execution(10, message="because node has disappeared")), Kind.LOST, None),
        (job("Failed", execution(10, message="something new")), Kind.LOST, None),
        (job("Failed", execution(4, message="no room")), Kind.NO_ROOM, None),
        (job("Failed", message="not matching nodes"), Kind.NO_ROOM, None),
        (job("Stopped", execution(11), message=observe.STOP_WORD), Kind.STOPPED, None),
        (job("Stopped", execution(11), message="by hand"), Kind.PREEMPTED, None),
        (job("Completed", execution(9, node="b")), Kind.LOST, None),
        (job("Completed", execution(9), execution(9, id="e-2", node="b")), Kind.LOST, None),
    ],
)
def test_each_end_has_its_kind(found: wire.Job, kind: jobs.OutcomeKind, code: int | None) -> None:
    """A code is told only by an execution that completed on the node that was chosen."""
    told = seen(found, node("a"), node("b"))
    assert told.state is State.ENDED
    assert told.outcome is not None
    assert (told.outcome.kind, told.outcome.exit_code) == (kind, code)
    assert told.outcome.succeeded is (kind is Kind.EXITED and code == 0)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (job("Pending"), State.QUEUED),
        (job("Queued"), State.QUEUED),
        (job("Running"), State.STARTING),
        (job("Running", execution(1)), State.RUNNING),
        (job("Running", execution(5)), State.RUNNING),
        (job("Stopped", execution(1), message=observe.STOP_WORD), State.RUNNING),
        (job("Undefined"), State.UNKNOWN),
        (job("SUCCEEDED", execution(9)), State.UNKNOWN),
        (job("completed", execution(9)), State.UNKNOWN),
    ],
)
def test_each_state_is_told_and_what_is_not_known_is_unknown(found: wire.Job, state: offers.ObservedState) -> None:
    """A word that this version does not know is never a success."""
    told = seen(found)
    assert (told.state, told.outcome) == (state, None)


@pytest.mark.parametrize("nodes", [(node(connected=False),), (node("b"),)])
@pytest.mark.parametrize(
    "found",
    [
        job("Failed", execution(10, message="Execution stop requested because node has disappeared")),
        job("Stopped", execution(1), message=observe.STOP_WORD),
        job("Stopped", execution(11), message=observe.STOP_WORD),
    ],
)
def test_what_was_given_up_on_a_node_that_is_away_may_still_run(found: wire.Job, nodes: tuple[wire.Node, ...]) -> None:
    """It is neither gone nor over."""
    told = seen(found, *nodes)
    assert (told.state, told.outcome, "away" in told.detail) == (State.UNKNOWN, None, True)


def test_what_was_given_up_may_run_until_its_node_has_been_back_for_a_while() -> None:
    """It is told then what to end; before that nobody can say that it is lost."""
    found = job("Failed", execution(10, message="node has disappeared"))
    assert seen(found, node(settled=False)).state is State.UNKNOWN
    told = seen(found, node()).outcome
    assert told is not None
    assert told.kind is Kind.LOST


@pytest.mark.parametrize(
    ("since", "heard", "settled"),
    [
        ("2026-11-23T00:56:03.300055857Z", "2026-11-23T00:56:12.302803051Z", True),
        ("2026-11-23T00:56:03.300055857Z", "2026-11-23T00:56:04.302803051Z", False),
        ("0001-01-01T00:00:00Z", "2026-11-23T00:56:04.302803051Z", False),
        ("yesterday", "2026-11-23T00:56:04Z", False),
        (None, None, False),
    ],
)
def test_a_node_settles_by_the_orchestrators_clock(since: str | None, heard: str | None, settled: bool) -> None:
    """From when it connected until it was last heard of; what cannot be read is not settled."""
    row = {
        "Info": {"NodeID": "a", "NodeType": "Compute"},
        "Membership": "APPROVED",
        "Connection": "CONNECTED",
        "ConnectionState": {"ConnectedSince": since, "LastHeartbeat": heard},
    }
    found = wire.node(row)
    assert found is not None
    assert (found.connected, found.settled) == (True, settled)


def test_what_ended_by_its_nodes_own_word_stays_so_when_the_node_leaves() -> None:
    """An exit code that was told is not taken back."""
    told = seen(job("Completed", execution(9, exit_code=3)), node(connected=False))
    assert told.outcome is not None
    assert told.outcome.exit_code == 3


def test_every_node_that_ran_it_is_told_with_its_country() -> None:
    """Also the one that was not chosen; one that refused it ran nothing, and a label that is no country is none."""
    found = job("Running", execution(5), execution(5, id="e-2", node="b"), execution(8, id="e-3", node="c"))
    told = seen(found, node("a", country="fr"), node("b", country="US"), node("c"))
    assert [(one.node, one.country) for one in told.whereabouts] == [("a", None), ("b", "US")]
    assert observe.strays(found) == ["b", "c"]


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"ID": "j", "Name": "n", "Namespace": "x", "State": "Completed", "Tasks": [{"Resources": {}}]},
        {"ID": "j", "Name": "n", "Namespace": "x", "State": {}, "Tasks": []},
        {"ID": "j", "Name": "n", "Namespace": "x", "State": None, "Tasks": None},
    ],
)
def test_what_is_no_job_is_none(row: dict[str, Any]) -> None:
    """Nothing is guessed."""
    assert wire.job(row) is None


def test_a_node_that_was_not_let_in_is_none() -> None:
    """Nor one whose figures are none."""
    info = {"NodeID": "a", "NodeType": "Compute", "Labels": None, "ComputeNodeInfo": {"MaxCapacity": {"CPU": 2}}}
    good = {"Info": info, "Membership": "APPROVED", "Connection": "CONNECTED"}
    found = wire.node(good)
    assert found is not None
    assert (found.cpu_milli, found.connected, found.wasm) == (2000, True, False)
    assert wire.node(good | {"Membership": "PENDING"}) is None
    assert wire.node(good | {"Info": info | {"ComputeNodeInfo": {"MaxCapacity": {"CPU": "many"}}}}) is None
    assert wire.node(good | {"Info": info | {"NodeID": "a b"}}) is None
