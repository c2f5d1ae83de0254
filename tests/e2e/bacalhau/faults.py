"""Faults of a real network; each is undone at its end, and the network waited for."""

import contextlib
import signal
from collections.abc import Iterator

from tests.e2e.bacalhau import networks


@contextlib.contextmanager
def killed(network: networks.Network, part: str = networks.ORCHESTRATOR) -> Iterator[None]:
    """Kill a part as a power cut does; afterwards it is started again with what its folder holds."""
    network.parts[part].kill()
    try:
        yield
    finally:
        network.parts[part].start()
        _back(network)


@contextlib.contextmanager
def frozen(network: networks.Network, part: str) -> Iterator[None]:
    """Let a part do nothing, as a machine that hangs."""
    network.parts[part].send(signal.SIGSTOP)
    try:
        yield
    finally:
        network.parts[part].send(signal.SIGCONT)
        _back(network)


@contextlib.contextmanager
def cut_off(network: networks.Network, node: str) -> Iterator[None]:
    """Cut the wire between a node and its orchestrator; both run on."""
    network.relays[node].cut()
    try:
        yield
    finally:
        network.relays[node].mend()
        _back(network)


@contextlib.contextmanager
def labelled(network: networks.Network, node: str, **labels: str) -> Iterator[None]:
    """Let a node say something else of itself: it is started again with other labels, as its operator would."""
    part = network.parts[node]
    before = dict(part.config["Labels"])
    try:
        _say(network, node, before | labels)
        yield
    finally:
        _say(network, node, before)


def _say(network: networks.Network, node: str, labels: dict[str, str]) -> None:
    part = network.parts[node]
    part.stop()
    part.config["Labels"] = labels
    part.start()
    _back(network)


def _back(network: networks.Network) -> None:
    networks.until(network.alive, "the orchestrator")
    network.ready()
