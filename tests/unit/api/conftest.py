"""One installation a test."""

import pathlib
import sys
from collections.abc import Iterator

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import installations


@pytest.fixture
def installation() -> Iterator[installations.Installation]:
    """Return a control plane without loop and network."""
    made = installations.Installation()
    yield made
    made.close()
