"""Lists are read by time of change: each change once, nothing that runs forgotten, what ended long ago let go."""

from collections.abc import Mapping
from typing import Any

import pytest

from backends.bacalhau import books, client, rooms, settings, wire
from orchestrator.domain import ids, sites
from orchestrator.telemetry import clocks

S = 10**9
START = 1_800_000_000 * S


def row(name: str, changed_s: int, state: str = "Running") -> dict[str, Any]:
    """Return a job as the orchestrator lists it."""
    return {
        "ID": f"j-{name}",
        "Name": name,
        "Namespace": "ns",
        "State": {"StateType": state},
        "Constraints": [{"Key": "name", "Operator": "in", "Values": ["a"]}],
        "Tasks": [{"Resources": {"CPU": "100m", "Memory": "1000b"}}],
        "CreateTime": START,
        "ModifyTime": START + changed_s * S,
    }


class Orchestrator:
    """Lists what it has, newest change first, in pages; counts pages."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.pages = 0

    def put(self, *rows: dict[str, Any]) -> None:
        """Have these jobs."""
        self.rows |= {one["Name"]: one for one in rows}

    def get(self, path: str, query: Mapping[str, str], name: str) -> client.Answer:
        """Answer as the real one does: its token is an offset."""
        assert (path, name, query["namespace"]) == ("orchestrator/jobs", "Items", "ns")
        assert (query["order_by"], query["reverse"]) == ("modified_at", "true")
        self.pages += 1
        found = sorted(self.rows.values(), key=lambda one: -int(one["ModifyTime"]))
        at, limit = int(query.get("next_token", "0")), int(query["limit"])
        token = str(at + limit) if at + limit < len(found) else ""
        return client.Answer(200, {"Items": found[at : at + limit] or None, "NextToken": token}, "")


@pytest.fixture
def orchestrator() -> Orchestrator:
    """Give one that has nothing."""
    return Orchestrator()


def book(orchestrator: Orchestrator, now_s: list[float]) -> books.Book:
    """Return a book of it."""
    return books.Book(orchestrator, "ns", lambda: now_s[0])  # type: ignore[arg-type]  # the one method that is called


def test_only_what_changed_is_read_again(orchestrator: Orchestrator) -> None:
    """A thousand old ones are read once; a change then costs one page, and is seen."""
    orchestrator.put(*(row(f"old{n}", n * 10, "Completed") for n in range(1000)), row("runs", 2))
    made = book(orchestrator, [0.0])
    assert "runs" in made.read()
    whole, orchestrator.pages = orchestrator.pages, 0
    assert whole == 51
    orchestrator.put(row("new", 20_000))
    assert {"runs", "new"} <= made.read().keys()
    assert orchestrator.pages == 1
    orchestrator.put(row("runs", 20_001, "Failed"))
    assert made.read()["runs"].over


def test_nothing_that_changed_late_is_missed(orchestrator: Orchestrator) -> None:
    """What was written within a minute before the newest change is read, and after hours everything is."""
    now_s = [0.0]
    made = book(orchestrator, now_s)
    orchestrator.put(*(row(f"a{n}", 1000 + n) for n in range(books.PAGE)))
    made.read()
    orchestrator.put(row("late", 1000 - 30), row("very-late", 3))
    assert "late" in made.read()
    now_s[0] = books.AGAIN_S
    assert "very-late" in made.read()


def test_what_ended_long_ago_is_let_go_and_what_runs_is_not(orchestrator: Orchestrator) -> None:
    """However old what runs is."""
    orchestrator.put(row("over", 0, "Stopped"), row("runs", 0), row("new", 10_000))
    assert book(orchestrator, [0.0]).read().keys() == {"runs", "new"}


def job(name: str, state: str = "Running", node: str = "a") -> wire.Job:
    """Return a job of 100 thousandths and 1,000 bytes."""
    return wire.Job(f"j-{name}", name, "ns", state, "", {}, node, 100, 1000, START, START, ())


def node(used_cpu: int = 0, used_memory: int = 0, *, connected: bool = True, wasm: bool = True) -> wire.Node:
    """Return a node of two CPUs and 10,000 bytes."""
    return wire.Node("a", {"jurisdiction": "FR"}, connected, connected, wasm, 2000, 10_000, used_cpu, used_memory)


@pytest.mark.parametrize(
    ("jobs", "used", "free"),
    [
        ((), (0, 0), (2000, 10_000)),
        ((job("k-1"),), (0, 0), (1900, 9000)),
        ((job("k-1"),), (100, 1000), (1900, 9000)),
        ((job("k-1"),), (600, 1000), (1400, 9000)),
        ((job("k-1", "Completed"),), (100, 1000), (2000, 10_000)),
        ((), (2000, 10_000), (0, 0)),
        (tuple(job(f"k-{n}") for n in range(30)), (0, 0), (0, 0)),
    ],
)
def test_room_is_what_neither_we_nor_others_use(
    jobs: tuple[wire.Job, ...], used: tuple[int, int], free: tuple[int, int]
) -> None:
    """Our own is counted from our jobs, also before the node says so and after they ended; never below nothing."""
    found = rooms.offer("b", sites.Pool("p"), node(*used), jobs, clocks.SystemClock().now())
    assert (found.free.cpu_milli, found.free.memory_bytes) == free
    assert found.counted == {ids.AttemptKey(one.name) for one in jobs if not one.over}
    assert str(found.site) == "b/p"


@pytest.mark.parametrize("found", [None, node(connected=False), node(wasm=False)])
def test_a_node_that_cannot_run_a_module_has_no_room(found: wire.Node | None) -> None:
    """And its offer says why."""
    offer = rooms.offer("b", sites.Pool("p"), found, (), clocks.SystemClock().now())
    assert (offer.free.cpu_milli, offer.total.cpu_milli, bool(offer.detail)) == (0, 0, True)


def test_only_nodes_that_are_named_are_found_where_some_are() -> None:
    """A map of pools to nodes is also the list of those that are taken; a country that is none is not told."""
    wanted = settings.BacalhauSettings.read({"url": "http://127.0.0.1:1", "nodes": {"paris": "a"}})
    other = wire.Node("b", {"jurisdiction": "France"}, True, True, True, 1, 1, 0, 0)
    assert [pool.name for pool in rooms.discovered([node(), other], wanted)] == ["paris"]
    every = settings.BacalhauSettings.read({"url": "http://127.0.0.1:1"})
    found = {pool.name: pool.location for pool in rooms.discovered([node(), other], every)}
    assert {name: place.country if place else "?" for name, place in found.items()} == {"a": "FR", "b": None}
