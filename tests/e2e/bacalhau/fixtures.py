"""Fixtures: a real Bacalhau network, one for each process of a test run, and one of a module's own to break.

Where it cannot be had a test is skipped with one line that says what is missing, and fails where
``COMITY_E2E=required``. A ``conftest.py`` that wants them imports ``bacalhau`` and ``lone_bacalhau``.
"""

import contextlib
import os
from collections.abc import Iterator

import pytest

from tests.e2e.bacalhau import building, networks
from tests.e2e.kube import building as kube_building


@contextlib.contextmanager
def _network(*, breakable: bool) -> Iterator[networks.Network]:
    problem = "; ".join(building.missing())
    if problem:
        if os.environ.get("COMITY_E2E") == "required":
            pytest.fail(f"no Bacalhau: {problem}", pytrace=False)
        pytest.skip(f"no Bacalhau: {problem}")
    try:
        building.ensure()
        made = networks.Network(breakable=breakable)
        made.start()
    except (kube_building.BuildError, networks.NetworkError) as error:
        # The machine has all that is needed, so this is a fault and never a reason to skip.
        pytest.fail(f"no Bacalhau: {error}", pytrace=False)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def bacalhau() -> Iterator[networks.Network]:
    """Give the network that tests of this process share: nobody stops a part of it, or changes a label."""
    with _network(breakable=False) as made:
        yield made


@pytest.fixture(scope="module")
def own_bacalhau() -> Iterator[networks.Network]:
    """Give a network that no other module uses: for tests that count what is there, or fill it."""
    with _network(breakable=False) as made:
        yield made


@pytest.fixture(scope="module")
def lone_bacalhau() -> Iterator[networks.Network]:
    """Give a network that no other module uses: for tests that stop, kill or cut off a part."""
    with _network(breakable=True) as made:
        yield made
