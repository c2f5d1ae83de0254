"""WebAssembly by the Bacalhau adapter, on a real network: what arrives, what comes back, and what is refused before."""

import json
import pathlib
from collections.abc import Iterator

import pytest

from backends.bacalhau import adapter as adapters
from backends.bacalhau import client, wire
from orchestrator.domain import errors, ids, jobs, offers
from orchestrator.ports import backends
from tests.e2e import _bacalhau
from tests.e2e.bacalhau import networks
from tests.e2e.bacalhau.networks import until
from tests.e2e.slurm import wires

State, Kind = offers.ObservedState, jobs.OutcomeKind


@pytest.fixture
def adapter(bacalhau: networks.Network, tmp_path: pathlib.Path) -> adapters.BacalhauAdapter:
    """Give an adapter whose installation no other test has."""
    return _bacalhau.make(bacalhau, tmp_path, installation=tmp_path.as_posix())


@pytest.fixture
def between(bacalhau: networks.Network) -> Iterator[wires.Wire]:
    """Give a wire to the orchestrator that says what it is told to say."""
    with wires.wire(bacalhau.url) as made:
        yield made


def ended(made: backends.BackendAdapter, placed: backends.SealedPlacement) -> jobs.Outcome:
    """Submit an attempt, and return how it ended."""
    made.submit(placed)
    until(lambda: _bacalhau.look(made, placed).state is State.ENDED, "the end")
    outcome = _bacalhau.look(made, placed).outcome
    assert outcome is not None
    return outcome


def said(made: adapters.BacalhauAdapter, placed: backends.SealedPlacement) -> bytes:
    """Return the output of an attempt."""
    return b"".join(
        chunk.data
        for chunk in made.read_logs(backends.AttemptRef(placed.key), cursor=None, node=None, limit=1 << 20)[0]
    )


def test_arguments_variables_and_files_arrive_as_they_are(adapter: adapters.BacalhauAdapter) -> None:
    """Whatever letters they have; the core's variables beside the job's own."""
    text = "a b\n\"c\" 'd' \\ $(e) `f` ; rm -rf / \u00e9\U0001f600"
    spec = _bacalhau.spec("back", text, env=(("GREETING", text),))
    placed = _bacalhau.placement(spec, environment={"COMITY_ATTEMPT": "1", "COMITY_NODE_ADDRS": ""})
    assert ended(adapter, placed).succeeded
    found = json.loads(said(adapter, placed))
    assert found["args"] == ["", "back", text]
    assert {f"GREETING={text}", "COMITY_ATTEMPT=1"} <= set(found["env"])
    files = {"a/b/config.json": b'{"x": 1}', "a/other": b"y", "top.txt": b"z" * 100}
    for path, content in files.items():
        placed = _bacalhau.placement(_bacalhau.spec("read", path, "0", files=files))
        assert ended(adapter, placed).succeeded
        assert said(adapter, placed) == content


def test_each_end_is_told_as_it_was(adapter: adapters.BacalhauAdapter) -> None:
    """An exit code of a job that Bacalhau calls completed, a return without one, a trap, a module that is none."""
    code = ended(adapter, _bacalhau.placement(_bacalhau.spec("run", "1", "3")))
    assert (code.kind, code.exit_code, code.succeeded) == (Kind.EXITED, 3, False)
    back = ended(adapter, _bacalhau.placement(_bacalhau.spec("back")))
    assert (back.kind, back.exit_code, back.succeeded) == (Kind.EXITED, 0, True)
    trap = ended(adapter, _bacalhau.placement(_bacalhau.spec("trap")))
    assert (trap.kind, trap.signal, "unreachable" in trap.detail) == (Kind.SIGNALED, 6, True)
    broken = jobs.JobSpec(name="t", command=("a.wasm",), files=(("a.wasm", wire.MAGIC + b"nonsense"),))
    assert ended(adapter, _bacalhau.placement(broken)).kind is Kind.START_FAILED


def test_what_traps_is_not_run_again(adapter: adapters.BacalhauAdapter, bacalhau: networks.Network) -> None:
    """Not on its node, and not on another."""
    placed = _bacalhau.placement(_bacalhau.spec("trap"), "beta")
    ended(adapter, placed)
    job = bacalhau.job(placed.key, adapter._namespace)
    assert job is not None
    assert [one["NodeID"] for one in job["Executions"]["Items"]] == ["beta"]


def test_the_output_is_its_first_write_and_is_cut(adapter: adapters.BacalhauAdapter) -> None:
    """Of 4 KiB, 2,048 bytes; read in pieces it is the same."""
    placed = _bacalhau.placement(_bacalhau.spec("fill", "4", "0"))
    assert ended(adapter, placed).succeeded
    whole = said(adapter, placed)
    assert whole == b"x" * 2048
    ref, cursor, pieces = backends.AttemptRef(placed.key), None, b""
    for _ in range(5):
        chunks, cursor = adapter.read_logs(ref, cursor=cursor, node=None, limit=500)
        pieces += b"".join(chunk.data for chunk in chunks)
    assert pieces == whole


def test_each_node_is_a_site_with_its_own_facts(adapter: adapters.BacalhauAdapter) -> None:
    """Where nothing is declared a pool is a node, with the country and operator that it says, worth `declared`."""
    found = {str(one.site): one.pool for one in adapter.offers()}
    for name, labels in networks.NODES.items():
        pool = found[f"b/{name}"]
        assert pool is not None
        assert pool.location is not None
        assert (pool.location.country, pool.operator) == (labels["jurisdiction"], labels["operator"])
        assert pool.facts is not None
        assert pool.facts.assurance.word == "declared"


@pytest.mark.parametrize("node", sorted(networks.NODES))
def test_it_runs_where_it_was_placed(adapter: adapters.BacalhauAdapter, node: str) -> None:
    """The node that ran it is the node that was chosen, and its country that of its label."""
    placed = _bacalhau.placement(_bacalhau.spec("run", "1", "0"), node)
    ended(adapter, placed)
    (where,) = _bacalhau.look(adapter, placed).whereabouts
    assert (where.node, where.country) == (node, networks.NODES[node]["jurisdiction"])


def test_installations_do_not_see_each_other(
    adapter: adapters.BacalhauAdapter, bacalhau: networks.Network, tmp_path: pathlib.Path
) -> None:
    """Another installation of the same network lists nothing of ours, and ends nothing of ours."""
    other = _bacalhau.make(bacalhau, tmp_path / "o", installation="another")
    placed = _bacalhau.placement(_bacalhau.spec("run", "600000", "0"))
    adapter.submit(placed)
    assert other.list_owned() == []
    assert _bacalhau.look(other, placed).state is State.GONE
    fence = backends.Fence(ids.Term(1), 1)
    other.stop(backends.AttemptRef(placed.key), fence, adapters.VISIBILITY)
    assert [one.key for one in adapter.list_owned()] == [placed.key]
    adapter.stop(backends.AttemptRef(placed.key), fence, adapters.VISIBILITY)
    until(lambda: _bacalhau.look(adapter, placed).state is State.ENDED, "the end")


def test_another_document_under_a_known_key_is_refused(
    adapter: adapters.BacalhauAdapter, bacalhau: networks.Network
) -> None:
    """An update would cancel what runs and run again: it is never sent."""
    first = _bacalhau.placement(_bacalhau.spec("run", "1", "0"))
    ended(adapter, first)
    second = _bacalhau.placement(_bacalhau.spec("run", "2", "0"), key=first.key, spec_digest=ids.Digest("sha256:2"))
    with pytest.raises(errors.PermanentError) as caught:
        adapter.submit(second)
    assert caught.value.code == "bacalhau.conflict"
    job = bacalhau.job(first.key, adapter._namespace)
    assert job is not None
    assert job["Job"]["Version"] == 1


@pytest.mark.parametrize(
    "told",
    [None, wires.Lie(409, b'{"Status": 409, "Message": "in use", "Code": "ResourceInUse"}')],
    ids=["no changes detected", "in use"],
)
def test_a_name_that_somebody_took_in_between_is_looked_up(
    bacalhau: networks.Network, between: wires.Wire, tmp_path: pathlib.Path, told: wires.Lie | None
) -> None:
    """Who saw no job of that name and may not make one finds the one that is there; it is run once."""
    made = _bacalhau.make(bacalhau, tmp_path, url=between.url, installation=tmp_path.as_posix())
    placed = _bacalhau.placement(_bacalhau.spec("run", "1", "0"))
    handle = made.submit(placed)
    between.next("GET", "orchestrator/jobs/", wires.Lie(404, b'{"Status": 404, "Message": "job not found"}'))
    if told is not None:
        between.next("PUT", "orchestrator/jobs", told)
    assert made.submit(placed) == handle
    assert between.waiting == 0
    assert [one.status for one in between.sent("PUT")] == [200, 409 if told else 500]
    assert ended(made, placed).succeeded
    job = bacalhau.job(placed.key, made._namespace)
    assert job is not None
    assert (job["Job"]["Version"], len(job["Executions"]["Items"])) == (1, 1)


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (jobs.JobSpec(name="t", command=("true",)), "no-module"),
        (jobs.JobSpec(name="t", command=("a.wasm",), files=(("a.wasm", b"#!/bin/sh\n"),)), "no-module"),
        ({"files": {"much": b"x" * 800_000}}, "too-large"),
        ({"env": (("lower", "x"),)}, "env"),
        ({"env": (("BACALHAU_X", "x"),)}, "env"),
        ({"env": (("A", ""),)}, "env"),
        ({"env": (("A", "env:HOME"),)}, "env"),
        ({"nodes": 2}, "invalid"),
    ],
    ids=["no module", "a script", "too large", "small letters", "reserved", "empty", "of the node", "two nodes"],
)
def test_what_cannot_run_is_refused_before_anything_is_sent(
    bacalhau: networks.Network, between: wires.Wire, tmp_path: pathlib.Path, spec: object, code: str
) -> None:
    """No byte of it leaves."""
    made = _bacalhau.make(bacalhau, tmp_path, url=between.url)
    wanted = _bacalhau.spec("back", **spec) if isinstance(spec, dict) else spec
    assert isinstance(wanted, jobs.JobSpec)
    with pytest.raises(errors.PermanentError) as caught:
        made.submit(_bacalhau.placement(wanted))
    assert (caught.value.code, between.carried) == (f"bacalhau.{code}", [])


JSON = {"Content-Type": "application/json"}
LIES = {
    "an error in a 200": (wires.Lie(body=b'{"Message": "no", "Code": "InternalError"}'), "error-inside"),
    "HTML": (wires.Lie(body=b"<html>sign in</html>"), "not-json"),
    "HTML with an error": (wires.Lie(502, b"<html>bad gateway</html>"), "failed"),
    "a list": (wires.Lie(body=b"[]"), "malformed"),
    "cut": (wires.Lie(body=b'{"Job": {', length=1000), "truncated"),
    "an error": (wires.Lie(500, b'{"Status": 500, "Message": "disk full"}'), "failed"),
    "a refusal": (wires.Lie(401, b'{"Status": 401, "Message": "invalid API key"}'), "denied"),
    "somebody else's 404": (wires.Lie(404, b'{"detail": "Not Found"}'), "failed"),
    "a redirect": (wires.Lie(302, b"{}", {"Location": "http://169.254.169.254/latest/meta-data/"}), "redirected"),
    "another job": (
        wires.Lie(body=b'{"Job": {"ID": "j-1", "Name": "other", "Namespace": "x"}, "Executions": {"Items": []}}'),
        "malformed",
    ),
    "deep": (wires.Lie(body=b'{"a":' * 20_000), "not-json"),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_lie_is_no_end_and_no_absence(
    bacalhau: networks.Network, between: wires.Wire, tmp_path: pathlib.Path, lie: str
) -> None:
    """Each has its code; nothing is called gone or ended by it, and afterwards the truth is seen."""
    answer, code = LIES[lie]
    made = _bacalhau.make(bacalhau, tmp_path, url=between.url, installation=tmp_path.as_posix())
    placed = _bacalhau.placement(_bacalhau.spec("run", "1", "5"))
    made.submit(placed)
    between.next("GET", "orchestrator/jobs/", answer)
    with pytest.raises(errors.BackendError) as caught:
        _bacalhau.look(made, placed)
    assert caught.value.code == f"bacalhau.{code}"
    until(lambda: _bacalhau.look(made, placed).state is State.ENDED, "the end")
    outcome = _bacalhau.look(made, placed).outcome
    assert outcome is not None
    assert outcome.exit_code == 5


def test_an_answer_without_end_is_given_up(
    bacalhau: networks.Network, between: wires.Wire, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its bound, which is lowered here."""
    monkeypatch.setattr(client, "ANSWER_BYTES_MAX", 1000)
    made = _bacalhau.make(bacalhau, tmp_path, url=between.url)
    between.next("GET", "orchestrator/nodes", wires.Lie(body=b" " * 100_000))
    with pytest.raises(errors.TransientError) as caught:
        made.offers()
    assert caught.value.code == "bacalhau.endless"


def test_a_key_that_is_not_good_is_named_as_such(bacalhau: networks.Network, tmp_path: pathlib.Path) -> None:
    """Reading and submitting: the network refuses the key, another place may do."""
    made = _bacalhau.make(bacalhau, tmp_path, key="wrong-key-wrong-key-wrong")
    for call in (made.offers, lambda: made.submit(_bacalhau.placement(_bacalhau.spec("back")))):
        with pytest.raises(errors.BackendError) as caught:
            call()
        assert (caught.value.code, caught.value.effects) == ("bacalhau.denied", errors.SideEffects.NONE)
