"""Stores for the tests: both makes, on a clock that stands still."""

import pathlib
import sys
from collections.abc import Iterator

import pytest

from orchestrator.ports import stores
from orchestrator.store import opening

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import store_samples as samples


@pytest.fixture
def clock() -> samples.Clock:
    """Return a clock."""
    return samples.Clock()


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return where the SQL store of the test is."""
    return tmp_path / "state" / "comity.db"


@pytest.fixture(params=["memory", "sqlite", "alone"])
def store(request: pytest.FixtureRequest, path: pathlib.Path, clock: samples.Clock) -> Iterator[stores.Store]:
    """Return a store of each make."""
    where = "memory:" if request.param == "memory" else path
    made = opening.open_store(where, clock, alone=request.param == "alone")
    yield made
    made.close()


@pytest.fixture
def sql(path: pathlib.Path, clock: samples.Clock) -> Iterator[stores.Store]:
    """Return the SQL store."""
    made = opening.open_store(path, clock)
    yield made
    made.close()
