"""Jobs of several nodes on a real Slurm: one allocation, all nodes or none, one end."""

import datetime as dt
import pathlib
import re
from collections.abc import Iterator

import pytest

from orchestrator.domain import jobs, offers
from orchestrator.ports import backends
from tests.e2e import _slurm
from tests.e2e._planes import wait_until
from tests.e2e._slurm import Site
from tests.e2e.slurm import clusters, faults

Kind, State = jobs.OutcomeKind, offers.ObservedState
TELL = 'echo "$COMITY_NODE_RANK $COMITY_NODES $COMITY_NODE_ADDRS $MASTER_ADDR $MASTER_PORT $SLURMD_NODENAME"'


@pytest.fixture
def site(lone_slurm: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a cluster without jobs."""
    found = Site(lone_slurm, tmp_path)
    yield found
    found.close()
    faults.mend(lone_slurm)


def until(adapter: backends.BackendAdapter, placement: backends.SealedPlacement, state: State) -> backends.Observation:
    """Return the first observation of a state."""
    seen: list[backends.Observation] = []

    def check() -> bool:
        seen[:] = adapter.observe([backends.AttemptRef(placement.key)])
        return seen[0].state is state

    wait_until(check, seconds=300, every=0.2, what=f"{state}: {seen}")
    return seen[0]


def ended(site: Site, placement: backends.SealedPlacement) -> tuple[jobs.Outcome, list[list[str]]]:
    """Run a gang; return its outcome as an adapter that has just started sees it, and the log of each node."""
    site.adapter().submit(placement)
    adapter = site.adapter()
    outcome = until(adapter, placement, State.ENDED).outcome
    assert outcome is not None
    return outcome, [log(adapter, placement, rank) for rank in range(placement.spec.nodes)]


def log(adapter: backends.BackendAdapter, placement: backends.SealedPlacement, rank: int | None) -> list[str]:
    """Return the lines of one node."""
    assert isinstance(adapter, backends.StreamsLogs)
    chunks, _ = adapter.read_logs(backends.AttemptRef(placement.key), cursor=None, node=rank, limit=10**6)
    return b"".join(chunk.data for chunk in chunks).decode().splitlines()


def test_each_node_runs_once_and_knows_the_others(site: Site) -> None:
    """Ranks, addresses as Slurm has them, one port; files in a folder of its own; logs apart and merged; outputs."""
    flag = site.cluster.shared / f"{site.folder.name}.flag"
    script = (
        f'{TELL}; cat own.txt; echo "$COMITY_NODE_RANK" > mine; test "$(ls)" = "mine\nown.txt"; echo $? > second; '
        f"until [ -e {flag} ]; do sleep 0.1; done"
    )
    placement = site.placement(
        script, nodes=2, files=(("own.txt", b"sent\n"),), outputs=(jobs.Output("mine"), jobs.Output("second"))
    )
    adapter = site.adapter()
    adapter.submit(placement)
    until(adapter, placement, State.RUNNING)
    wait_until(lambda: site.runs(placement) == 2, seconds=300, every=0.2, what="both")
    where = wait_until(
        lambda: adapter.observe([backends.AttemptRef(placement.key)])[0].whereabouts,
        seconds=300,
        every=0.2,
        what="where it runs",
    )
    flag.touch()
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.succeeded, seen
    lines = [log(adapter, placement, rank) for rank in range(2)]
    words = [one[0].split() for one in lines]
    assert [one[1] for one in lines] == ["sent", "sent"]
    assert [one[0] for one in words] == ["0", "1"]
    assert {one[1] for one in words} == {"2"}
    assert len({tuple(one[2:5]) for one in words}) == 1
    assert len(words[0][2].split(",")) == 2
    assert words[0][3] == words[0][2].split(",")[0]
    assert [one.rank for one in where] == [0, 1]
    assert [one.node for one in where] == [one[5] for one in words] == ["fr-1", "fr-2"]
    assert site.runs(placement) == 2
    assert sorted(log(adapter, placement, None)) == sorted([*lines[0], *lines[1]])
    assert isinstance(adapter, backends.Copies)
    ref = backends.AttemptRef(placement.key)
    assert {path: b"".join(adapter.read_output(ref, path)) for path in ("mine", "second")} == {
        "mine": b"0\n",
        "second": b"0\n",
    }
    assert len(_slurm.of(site.cluster, str(placement.key))) <= 1


def test_the_exit_code_is_of_the_one_that_failed_and_ends_the_others(site: Site) -> None:
    """The other would have slept for an hour."""
    script = 'if [ "$COMITY_NODE_RANK" = 1 ]; then exit 7; fi; exec sleep 3600'
    outcome, _ = ended(site, site.placement(script, nodes=2))
    assert (outcome.kind, outcome.exit_code) == (Kind.EXITED, 7)


def test_who_is_done_earlier_waits_for_the_others(site: Site) -> None:
    """An end of one node that went well ends nothing."""
    script = 'if [ "$COMITY_NODE_RANK" = 1 ]; then sleep 5; echo late; fi'
    outcome, lines = ended(site, site.placement(script, nodes=2))
    assert (outcome.kind, outcome.exit_code, lines) == (Kind.EXITED, 0, [[], ["late"]])


def test_a_stop_lets_each_node_have_its_grace(site: Site) -> None:
    """Both are told, one ends at once, the other does what it does first."""
    script = 'trap "sleep $((COMITY_NODE_RANK * 3)); echo done; exit 0" TERM; echo begins; while :; do sleep 0.1; done'
    placement = site.placement(script, nodes=2)
    adapter = site.adapter()
    adapter.submit(placement)
    wait_until(
        lambda: [log(adapter, placement, rank) for rank in range(2)] == [["begins"]] * 2,
        seconds=300,
        every=0.2,
        what="both",
    )
    adapter.stop(backends.AttemptRef(placement.key), backends.Fence(placement.fence.term, 1), dt.timedelta(seconds=240))
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.STOPPED
    assert ["done" in log(adapter, placement, rank) for rank in range(2)] == [True, True]


def test_a_deadline_ends_all(site: Site) -> None:
    """To the second, on each node."""
    outcome, lines = ended(site, site.placement("echo on; exec sleep 3600", nodes=2, limit=dt.timedelta(seconds=5)))
    assert (outcome.kind, lines) == (Kind.TIMED_OUT, [["on"]] * 2)


def test_a_dead_node_ends_all_and_is_no_success(site: Site) -> None:
    """What is left of the gang does not run on, and nothing of it begins again."""
    placement = site.placement("echo on; exec sleep 3600", nodes=2)
    adapter = site.adapter()
    adapter.submit(placement)
    wait_until(lambda: site.runs(placement) == 2, seconds=300, every=0.2, what="both")
    with faults.dead_node(site.cluster, "fr-2"):
        seen = until(adapter, placement, State.ENDED)
        assert seen.outcome is not None
        assert not seen.outcome.succeeded
        assert seen.outcome.kind in (Kind.LOST, Kind.PREEMPTED), seen
    assert site.runs(placement) == 2


def test_none_begins_before_there_is_room_for_all(site: Site) -> None:
    """One node is full: the gang waits, with Slurm's reason, and neither half runs."""
    holder = site.cluster.sbatch("#!/bin/sh\nsleep 3600\n", "--partition=fr", "--exclusive", "--output=/dev/null")
    placement = site.placement("true", nodes=2)
    adapter = site.adapter()
    wait_until(lambda: site.cluster.state(holder) == "RUNNING", seconds=120, every=0.2, what="the holder")
    adapter.submit(placement)
    seen = until(adapter, placement, State.QUEUED)
    wait_until(
        lambda: adapter.observe([backends.AttemptRef(placement.key)])[0].reason in ("Resources", "Priority"),
        seconds=120,
        every=0.2,
        what="the reason",
    )
    assert site.runs(placement) == 0
    site.cluster.run("scancel", str(holder))
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.succeeded
    assert site.runs(placement) == 2
    assert not re.search("sleep", seen.detail)
