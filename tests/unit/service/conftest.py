"""The installation of the API's tests, without HTTP."""

import pathlib
import sys
from collections.abc import Iterator

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "api"))

import installations

from orchestrator.store import opening


@pytest.fixture(params=["memory", "sqlite"])
def installation(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[installations.Installation]:
    """Return a control plane on each make of the store."""
    if request.param == "memory":
        made = installations.Installation()
    else:
        made = installations.Installation(opening.open_store(tmp_path / "comity.db", installations.SetClock()))
    yield made
    made.close()
    made.store.close()
