"""From what Ray says of a submission to what is concluded."""

import pytest

from backends.ray import marks, observe, parsing, pools
from orchestrator.domain import ids, offers
from orchestrator.ports import backends

KEY = ids.AttemptKey("01abc-1")
PLACES = pools.Places("comity.dev/country", {})
S = offers.ObservedState


def told(status, **more):
    return parsing.job({"submission_id": KEY, "status": status, "metadata": {}, **more})


def failed(error_type, message=""):
    return {"status": "FAILED", "error_type": error_type, "message": message}


def own(code, message=""):
    return {**failed("JOB_ENTRYPOINT_COMMAND_ERROR", message), "driver_exit_code": code}


def see(status, *, stopped=False, **more):
    ref = backends.AttemptRef(KEY)
    nodes = {"n": pools.Node("n", {"comity.dev/country": "FR"}, {})}
    return observe.observation(ref, told(status, **more), "s1", nodes, stopped=stopped, places=PLACES)


@pytest.mark.parametrize(
    ("given", "kind", "code", "signal"),
    [
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, "exited", 0, None),
        (own(3), "exited", 3, None),
        (own(-9), "signaled", None, 9),
        (own(124, "logs:\nx\ncomity: timed-out: its time was up after 2 s\n"), "timedOut", None, None),
        (own(124, "logs:\ncomity: timed-out: said by the job\nmore"), "exited", 124, None),
        (own(1, "comity: timed-out: by the job"), "exited", 1, None),
        (own(123, "comity: output-missing: no x"), "outputMissing", 0, None),
        (own(127, "comity: not-found: 'x'"), "startFailed", 127, None),
        (own(99999), "lost", None, None),
        (failed("JOB_SUPERVISOR_ACTOR_START_TIMEOUT"), "noRoom", None, None),
        (failed("JOB_SUPERVISOR_ACTOR_DIED", "its node died"), "lost", None, None),
        (failed("JOB_SUPERVISOR_ACTOR_DIED", "due to the node running low on memory"), "outOfMemory", None, None),
        (failed("RUNTIME_ENV_SETUP_FAILURE", "pip"), "startFailed", None, None),
        (failed("JOB_SUPERVISOR_ACTOR_START_FAILURE", "failed to get job supervisor."), "lost", None, None),
        (failed("JOB_SUPERVISOR_ACTOR_START_FAILURE", "ValueError"), "startFailed", None, None),
        (failed("SOMETHING_NEW", "?"), "lost", None, None),
        ({"status": "FAILED"}, "lost", None, None),
        ({"status": "STOPPED"}, "preempted", None, None),
    ],
)
def test_each_end_has_its_word(given, kind, code, signal):
    """What Ray calls FAILED is many things, and only one of them is the job's own failure."""
    seen = see(given.pop("status"), **given)
    assert seen.state is S.ENDED
    assert (seen.outcome.kind.value, seen.outcome.exit_code, seen.outcome.signal) == (kind, code, signal)
    assert seen.outcome.succeeded == (kind == "exited" and code == 0)


def test_a_stop_of_ours_is_no_preemption():
    """The record beside it says who asked."""
    assert see("STOPPED", stopped=True).outcome.kind.value == "stopped"
    assert see("FAILED", stopped=True, error_type="JOB_SUPERVISOR_ACTOR_START_TIMEOUT").outcome.kind.value == "stopped"
    assert (
        see("FAILED", stopped=True, error_type="JOB_ENTRYPOINT_COMMAND_ERROR", driver_exit_code=1).outcome.exit_code
        == 1
    )


def test_what_waits_is_queued_and_over_once_it_was_stopped():
    """Ray keeps it waiting; for us it has ended, and the runner never begins the command."""
    assert see("PENDING").state is S.QUEUED
    ended = see("PENDING", stopped=True)
    assert (ended.state, ended.outcome.kind.value) == (S.ENDED, "stopped")
    assert see("RUNNING", stopped=True).state is S.RUNNING
    assert not observe.is_live(told("PENDING"), stopped=True)
    assert observe.is_live(told("RUNNING"), stopped=True)


def test_a_status_that_nobody_knows_is_unknown():
    """It is neither an end nor a life."""
    assert see("HIBERNATING").state is S.UNKNOWN
    assert observe.is_live(told("HIBERNATING"), stopped=False)


def test_a_record_that_only_holds_an_id_never_ran():
    """Whatever Ray says of how it failed."""
    seen = see("FAILED", metadata={marks.FENCE: "true"}, error_type="JOB_SUPERVISOR_ACTOR_START_FAILURE")
    assert (seen.outcome.kind.value, seen.whereabouts) == ("stopped", ())


def test_the_node_is_told_with_the_country_of_its_label():
    """Once a node runs it, and with where that was read."""
    (seen,) = see("RUNNING", driver_node_id="n").whereabouts
    assert (seen.node, seen.country, seen.source) == ("n", "FR", "label comity.dev/country of the node")
    (other,) = see("RUNNING", driver_node_id="gone").whereabouts
    assert (other.country, see("PENDING").whereabouts) == (None, ())


def test_a_head_that_was_started_again_says_why_a_job_is_gone():
    """The session in the handle is another one."""
    handle = observe.handle_of("session_1", KEY)
    assert "started again" in observe.gone(backends.AttemptRef(KEY, handle), "session_2").detail
    assert observe.gone(backends.AttemptRef(KEY, handle), "session_1").detail == ""
    assert observe.gone(backends.AttemptRef(KEY, "\x00:no"), "session_1").state is S.GONE


@pytest.mark.parametrize(
    "given",
    [
        *(None, [], "x", 3, {}),
        {"submission_id": None, "status": "RUNNING"},
        {"submission_id": "a"},
        {"submission_id": "a", "status": 3},
        {"submission_id": "a" * 9999, "status": "RUNNING"},
        {"type": "DRIVER", "submission_id": None, "job_id": "01", "status": "RUNNING"},
    ],
)
def test_what_is_no_submission_is_left_out(given):
    """One malformed row stops nothing."""
    assert parsing.job(given) is None
    assert set(parsing.jobs([given, {"submission_id": "b", "status": "RUNNING"}])) == {"b"}


def test_odd_values_of_a_submission_are_read_as_nothing():
    """Times that are no times, codes that are no codes, metadata that is none."""
    found = told(
        "FAILED", end_time=float("inf"), driver_exit_code="1", metadata=[1], driver_node_id=7, message={"a": 1}
    )
    assert (found.end_ms, found.exit_code, found.metadata, found.node, found.message) == (0, None, {}, None, "")
    assert see("FAILED", end_time=1e30).outcome.ended_at is None
    assert see("FAILED", end_time=2**60).outcome.ended_at is None


@pytest.mark.parametrize("given", [None, {}, [], {"data": 3}, {"data": {"result": {"result": {}}}}])
def test_what_is_no_list_of_nodes_is_told_apart_from_none(given):
    """A cluster without nodes is one thing, an answer that is none another."""
    assert parsing.nodes(given) is None
    assert (
        parsing.nodes({"data": {"result": {"result": [3, {"state": "DEAD", "node_id": "x"}, {"state": "ALIVE"}]}}})
        == []
    )


def test_use_is_read_where_it_is_said():
    """Amounts that are none are left out."""
    given = {"data": {"clusterStatus": {"time": 12.5, "loadMetricsReport": {"usageByNode": {
        "a": {"CPU": [1.5, 4], "GPU": "x", "memory": [-3, 1]}, "b": 3}}}}}  # fmt: skip
    assert parsing.usage(given) == pools.Usage(12_500, {"a": {"CPU": 1.5}})
    for bad in (None, {}, {"data": {"clusterStatus": None}}, {"data": {"clusterStatus": {"loadMetricsReport": []}}}):
        assert parsing.usage(bad) is None
