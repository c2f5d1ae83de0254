"""A server for each test that asks for one."""

import pathlib
import sys
from collections.abc import Iterator

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import servers


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[servers.Server]:
    """A real server with eight CPUs."""
    made = servers.Server(tmp_path)
    yield made
    made.close()
