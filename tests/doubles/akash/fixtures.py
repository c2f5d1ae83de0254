"""The double of Akash as a fixture."""

from collections.abc import Iterator

import pytest

from tests.doubles.akash import markets, server

CHOSEN = "alpha"
"""The provider at which tests place."""


@pytest.fixture
def akash() -> Iterator[server.Server]:
    """Give a double with the provider that is chosen, and one that is cheaper."""
    with server.serve() as made:
        made.network.providers += [markets.Provider(CHOSEN), markets.Provider("cheap", price=1.0)]
        yield made
