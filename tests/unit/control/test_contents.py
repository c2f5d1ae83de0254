"""Content of outputs on its way to be compared: judged, written down, read once, asked for again."""

import dataclasses

import pytest

from orchestrator.control import contents
from orchestrator.domain import errors, jobs
from orchestrator.ports import stores
from tests.sim import verified

P = jobs.Phase


@pytest.fixture
def world():
    """Give a world without chance."""
    made = verified.World(1)
    made.arrival_rate = 0.0
    return made


def submit(world, **more):
    wanted = jobs.Verification(2, 2, tolerance=jobs.Tolerance(relative=1e-6))
    env = (("SIMULATE_RUN_TIME", "5"), ("SIMULATE_EXIT_CODE", "0"))
    spec = jobs.JobSpec(
        "j", ("x",), env=env, data=jobs.DataClause(declared_none=True), outputs=(jobs.Output("a.json"),),
        verification=wanted, **more,
    )  # fmt: skip
    return world.submit(spec)


def turns(world, count):
    for _ in range(count):
        world.loop.tick()
        world.clock.advance(1.0)


def copied(world):
    return [link.entry.subject for link in world.store.entries(limit=10_000) if link.entry.kind == "outputs.copied"]


def apart(world):
    """Let no two machines write the same last digits."""
    for number, machine in enumerate(world.simulated.values()):
        machine._wanted = machine._wanted.model_copy(update={"seed": number})


def digests(world, id):
    rows = world.store.list_jobs(stores.JobFilter(parent=id), limit=10).items
    return {one.sha256 for row in rows for one in row.attempt.execution.outputs}


def differing(world):
    """Submit until two runs left other digits; return the job."""
    for _ in range(12):
        id = submit(world)
        turns(world, 10)
        if len(digests(world, id)) == 2:
            return id
    raise AssertionError("no two runs ever differed")


def test_what_differs_in_its_last_digits_agrees(world):
    """Each file is read once, after an entry that says so; where the bytes are the same, none is."""
    id = differing(world)
    parent = world.store.job(id)
    assert (parent.phase, parent.reason) == (P.SUCCEEDED, "Quorum")
    assert [one for one in copied(world) if one.startswith(f"job/{id}")] == [f"job/{id}[0]", f"job/{id}[1]"]
    assert len(copied(world)) == 2
    assert world.loop._contents._held == {}, "nothing is kept of what was judged"


def test_a_backend_that_does_not_answer_is_asked_again(world, monkeypatch):
    """Nothing is judged meanwhile, and nobody is blamed for it."""
    failures = [3]
    for machine in world.adapters.values():
        real = machine.read_output

        def read(ref, path, real=real):
            if failures[0]:
                failures[0] -= 1
                raise errors.TransientError("faulty.down", "down")
            return real(ref, path)

        monkeypatch.setattr(machine, "read_output", read)
    id = differing(world)
    assert world.store.job(id).phase in (P.RUNNING, P.SUCCEEDED)
    turns(world, 80)
    assert (world.store.job(id).reason, failures) == ("Quorum", [0])
    assert verified.blamed(world) == set()


def test_what_the_rules_keep_away_is_not_read(world):
    """They were tightened while it ran: nothing is asked of the backend, and nothing agrees."""
    id = differing(world)
    parent, rows = world.store.job(id), world.store.list_jobs(stores.JobFilter(parent=id), limit=10).items
    wanted = {row.id: ("a.json",) for row in rows}
    held, term = world.loop._contents, world.loop._term
    assert held.of(parent, wanted, rows, term) is None, "read again: it is on its way"
    held.forget(id)
    before = len(copied(world))
    world.deny(frozenset({"FR"}))  # where the control plane is
    assert held.of(parent, wanted, rows, term) == {row.id: {} for row in rows}
    assert len(copied(world)) == before


def test_a_file_that_is_too_large_is_left_out():
    """Of one that never ends no more is read than there is room for."""
    pieces = iter(lambda: b"x" * 1000, b"")

    class Endless:
        def read_output(self, ref, path):
            return pieces if path == "long" else iter([b"short"])

    found = contents._reading(Endless(), None, ("long", "short"), 5_000)()
    assert found == {"short": b"short"}


def test_a_job_that_is_stopped_lets_go_of_what_was_read(world):
    """Nothing of it stays in memory."""
    id = differing(world)
    held = contents._Held(files={f"{id}[0]": {}})
    world.loop._contents._held[id] = held
    other = submit(world)
    turns(world, 2)
    world.loop._contents._held[other] = dataclasses.replace(held)
    world.cancel(other)
    turns(world, 8)
    assert world.loop._contents._held == {}
