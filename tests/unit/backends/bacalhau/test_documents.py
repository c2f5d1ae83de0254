"""The job that is sent: the same each time, pinned to one node, within bounds. Addresses that are never spoken to."""

import datetime as dt
import json
import socket
from typing import Any

import pytest

from backends.bacalhau import client, settings, wire
from orchestrator.domain import errors, ids, jobs
from orchestrator.ports import backends
from orchestrator.settings import adapters
from tests import shells

WANTED = settings.BacalhauSettings.read({"url": "https://bacalhau.example"})


def placement(*words: str, **more: Any) -> backends.SealedPlacement:
    """Return a placement of a module."""
    spec = jobs.JobSpec(name="t", command=("./a.wasm", *words), files=(("b", b"x"), ("a.wasm", wire.MAGIC)), **more)
    return backends.SealedPlacement(
        key=ids.AttemptKey("01k-1"),
        job=ids.JobId("01K"),
        tenant="t",
        number=1,
        site=ids.SiteName("b/p"),
        pool="p",
        spec=spec,
        spec_digest=ids.Digest("sha256:" + "a" * 64),
        fence=backends.Fence(ids.Term(1), 1),
        environment={"COMITY_ATTEMPT": "1"},
    )


def sent(placed: backends.SealedPlacement, node: str = "n-1") -> dict[str, Any]:
    """Return the job as it is sent."""
    found: dict[str, Any] = json.loads(wire.document(placed, WANTED, "ns", "m" * 32, node))
    assert list(found) == ["Job"]  # neither Force nor anything else that updates
    return dict(found["Job"])


def test_one_node_may_run_it_once_and_without_a_network() -> None:
    """Type ops, one constraint with an operator in small letters, network None."""
    found = sent(placement("x"))
    assert (found["Type"], found["Name"], found["Namespace"]) == ("ops", "01k-1", "ns")
    assert found["Constraints"] == [{"Key": "name", "Operator": "in", "Values": ["n-1"]}]
    (task,) = found["Tasks"]
    assert task["Network"] == {"Type": "None"}
    assert task["Resources"] == {"CPU": "100m", "Memory": f"{64 * 2**20}b"}
    assert task["Engine"]["Params"] == {"EntryModule": "/a.wasm", "Entrypoint": "_start", "Parameters": ["x"]}
    assert [one["Target"] for one in task["InputSources"]] == ["/a.wasm", "/b"]
    assert all(len(text) <= wire.LABEL_MAX for text in found["Labels"].values())


def test_the_document_does_not_change_with_time_or_controller() -> None:
    """One that differed would be an update, which runs it again."""
    first = placement("x", limits=jobs.Limits())
    later = backends.SealedPlacement(
        **{name: getattr(first, name) for name in ("key", "job", "tenant", "number", "site", "pool", "spec")},
        spec_digest=first.spec_digest,
        fence=backends.Fence(ids.Term(9), 2),
        environment=first.environment,
        time_limit=dt.timedelta(seconds=7),
    )
    assert wire.document(first, WANTED, "ns", "m", "n") == wire.document(later, WANTED, "ns", "m", "n")


def test_no_word_of_a_user_leaves_its_place() -> None:
    """A thousand hostile arguments and values come back as they were, and nothing beside them changes."""
    (plain,) = sent(placement("x", env=(("A", "x"),))).pop("Tasks")
    for text in shells.hostile(1000, 5, nul=False):
        said = text if text and not text.startswith("env:") else f"x{text}"
        found = sent(placement(said, env=(("A", said),)))
        (task,) = found["Tasks"]
        assert (task["Engine"]["Params"]["Parameters"], task["Env"]["A"]) == ([said], said)
        assert task | {"Engine": plain["Engine"], "Env": plain["Env"]} == plain


@pytest.mark.parametrize("node", ["", "a b", "x" * 64, "-a", 'a"]', "a\n"])
def test_a_node_that_cannot_be_a_labels_value_is_refused(node: str) -> None:
    """It would wait for ever."""
    with pytest.raises(errors.PermanentError) as caught:
        sent(placement(), node)
    assert caught.value.code == "bacalhau.label"


@pytest.mark.parametrize("size", [700_000, 749_000, 760_000])
def test_what_would_block_a_node_is_refused_at_a_million_bytes(size: int) -> None:
    """Of the whole submission, in base64; just below it goes."""
    placed = placement()
    spec = jobs.JobSpec(name="t", command=("a.wasm",), files=(("a.wasm", wire.MAGIC + b"x" * size),))
    made = backends.SealedPlacement(
        **{name: getattr(placed, name) for name in ("key", "job", "tenant", "number", "site", "pool", "spec_digest")},
        spec=spec,
        fence=placed.fence,
    )
    if size * 4 / 3 > wire.BYTES_MAX:
        with pytest.raises(errors.PermanentError) as caught:
            sent(made)
        assert caught.value.code == "bacalhau.too-large"
    else:
        assert len(wire.document(made, WANTED, "ns", "m", "n")) <= wire.BYTES_MAX


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://[fe80::1]:1234",
        "http://[::ffff:169.254.169.254]",
        "http://0.0.0.0:1234",
        "http://224.0.0.1",
        "ftp://example",
        "http://user:secret@example",
        "http://example/?x=1",
        "http://example/../x",
        "http://exa mple",
        "http://",
    ],
)
def test_addresses_that_are_no_orchestrators_are_refused(url: str) -> None:
    """Where clouds keep credentials, and what is no plain url; the value is not repeated."""
    with pytest.raises(adapters.SettingsError) as caught:
        settings.BacalhauSettings.read({"url": url})
    assert "secret" not in str(caught.value)


def test_a_name_that_leads_to_credentials_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is looked at each time, before anything is sent; another place may do."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(errors.TransientError) as caught:
        client.Rest(WANTED).call("GET", "orchestrator/nodes", {})
    assert (caught.value.code, caught.value.effects) == ("bacalhau.address-refused", errors.SideEffects.NONE)
