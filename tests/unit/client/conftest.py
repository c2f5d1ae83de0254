"""A stub of the control plane for the client's tests."""

from collections.abc import Iterator

import pytest

from orchestrator.client import clients
from tests.unit.client import stubs


@pytest.fixture
def server() -> Iterator[stubs.Server]:
    """Give a server that answers as the test says."""
    made = stubs.Server()
    yield made
    made.close()


@pytest.fixture
def client(server: stubs.Server) -> Iterator[clients.Client]:
    """Give a client of that server which never waits between tries."""
    with clients.Client(server.url, "secret", wait=lambda _: None, timeout_s=5.0) as made:
        yield made
