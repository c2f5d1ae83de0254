"""``pytest tests/sim --seed N`` replays one history."""

import os

import pytest


def pytest_addoption(parser):
    """Take the seed."""
    parser.addoption("--seed", type=int, default=None, help="replay the history of this seed only")


@pytest.fixture
def size():
    """Return how many histories a test lives through: a tenth, or all of them."""
    return 1000 if os.environ.get("COMITY_TEST_SIZE") == "full" else 100
