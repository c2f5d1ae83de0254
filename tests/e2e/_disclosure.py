"""Networks of strangers, each behind a wire that keeps every byte it is sent: what tests of disclosure share.

A network joins by one line of ``NETWORKS``.
"""

import base64
import contextlib
import dataclasses
import json
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.doubles.akash import markets
from tests.doubles.akash import server as akash_doubles
from tests.doubles.dispersed import server as dispersed_doubles
from tests.e2e import _akash, _bacalhau, _dispersed
from tests.e2e._planes import backend
from tests.e2e.bacalhau import building, networks
from tests.e2e.slurm import wires

DENIED = ("personal",)
"""Classes that the documents of these networks refuse; health data is left to the law."""
SITE = "strangers"
KEY = "COMITY_SECRET_STRANGERS"


@dataclasses.dataclass(frozen=True)
class Network:
    """One network, as a control plane declares it."""

    name: str
    wire: wires.Wire
    backend: Mapping[str, Any]
    key: str
    """Secret with which the control plane speaks to it."""
    work: Callable[[str], dict[str, Any]]
    """Gives what a job says that the network can run: with this word in its command, and all else that it takes."""
    carries: frozenset[str]
    """What of a job it is told: the positive control looks for it."""
    countries: Mapping[str, str]
    """Of its sites, by name."""

    @property
    def seen(self) -> bytes:
        """Return everything that the network received."""
        return self.wire.bytes_seen


def _within(raw: bytes) -> Iterator[bytes]:
    """Give what base64 makes of some bytes that lie in longer ones, for each offset that they may have there."""
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw + b"\0" * 4)
        # Characters that hold bits of what lies before or behind are left out.
        yield coded[(offset * 8 + 5) // 6 : (offset + len(raw)) * 8 // 6]


def forms(word: str) -> dict[str, list[bytes]]:
    """Return how a word may look on a wire: as it is, coded, and in base64 once or twice, wherever it lies in more."""
    raw = word.encode()
    once = list(_within(raw))
    urlsafe = [one.replace(b"+", b"-").replace(b"/", b"_") for one in once]
    twice = [coded for inner in once + urlsafe for coded in _within(inner)]
    return {
        "plain": [raw],
        "url": [urllib.parse.quote(word, safe="").encode(), "".join(f"%{byte:02X}" for byte in raw).encode()],
        "json": [json.dumps(word)[1:-1].encode()],
        "hex": [raw.hex().encode()],
        "backwards": [raw[::-1]],
        "utf-16": [word.encode("utf-16-le")],
        "base64": once + urlsafe,
        "base64 twice": twice,
    }


def shown(words: Mapping[str, str], seen: bytes) -> list[str]:
    """Return which of some words, by what they are, are in some bytes, and in which form; upper case hides none."""
    low = seen.lower()
    return [
        f"{what}: {form}"
        for what, word in words.items()
        for form, ways in forms(word).items()
        if any(raw in seen if form.startswith("base64") else raw.lower() in low for raw in ways)
    ]


@contextlib.contextmanager
def _bacalhau_network(request: pytest.FixtureRequest) -> Iterator[Network]:
    """A real network, with three nodes in three countries."""
    network: networks.Network = request.getfixturevalue("bacalhau")
    module = {"job.wasm": {"content": base64.b64encode(building.module()).decode()}}
    with wires.wire(network.url) as wire:
        yield _network(
            "bacalhau",
            wire,
            _bacalhau.settings(network, url=wire.url, key={"fromEnv": KEY}),
            key=network.key,
            countries={"alpha": "FR", "beta": "DE", "gamma": "US"},
            carries=frozenset({"command", "env", "file"}),
            work=lambda word: {"command": ["./job.wasm", "run", "1", "0", word], "files": module},
        )


@contextlib.contextmanager
def _dispersed_network(request: pytest.FixtureRequest) -> Iterator[Network]:
    """A double of the network, which runs what it is sent."""
    with dispersed_doubles.running() as double, wires.wire(double.url) as wire:
        settings = _dispersed.settings(double, url=wire.url, regions={"frankfurt": "eu-central-1"})
        yield _network(
            "dispersed",
            wire,
            settings | {"secretKey": {"fromEnv": KEY}},
            key=dispersed_doubles.SECRET,
            countries={"frankfurt": "DE"},
            carries=frozenset({"command", "env"}),
            work=lambda word: {"command": ["python3", "-S", "-E", "-c", f"print({word!r})"]},
        )


@contextlib.contextmanager
def _akash_network(request: pytest.FixtureRequest) -> Iterator[Network]:
    """A double of the Console API, with one provider that runs what it is sent."""
    with akash_doubles.serve() as double, wires.wire(double.url) as wire:
        double.network.providers.append(markets.Provider("frankfurt"))
        names = {"frankfurt": markets.address("frankfurt")}
        settings = _akash.settings(double, request.getfixturevalue("s3"), url=wire.url, providers=names)
        yield _network(
            "akash",
            wire,
            settings | {"key": {"fromEnv": KEY}},
            key=akash_doubles.KEY,
            countries={"frankfurt": "DE"},
            carries=frozenset({"command", "env"}),
            work=lambda word: {"command": ["python3", "-S", "-E", "-c", f"print({word!r})"]},
        )


def _network(
    adapter: str, wire: wires.Wire, settings: Mapping[str, Any], *, countries: Mapping[str, str], **more: Any
) -> Network:
    pools = [{"name": name, "location": {"country": country}} for name, country in countries.items()]
    declared = backend(
        SITE,
        adapter=adapter,
        operator=SITE,
        accepts={"denyClasses": list(DENIED)},
        settings=dict(settings),
        pools=pools,
    )
    return Network(adapter, wire, declared, countries=countries, **more)


NETWORKS: Mapping[str, Callable[[pytest.FixtureRequest], contextlib.AbstractContextManager[Network]]] = {
    "akash": _akash_network,
    "bacalhau": _bacalhau_network,
    "dispersed": _dispersed_network,
}
