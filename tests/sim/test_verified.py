"""Histories of verified jobs, over everything that a simulation has."""

import pytest

from tests.sim import verified

GROUPS, LEAST = 2, 16


@pytest.mark.parametrize("group", range(GROUPS))
def test_histories_of_verified_jobs(group, size, request):
    """I14: no hand has two runs, a liar alone is never believed and nobody else is blamed, nothing goes on for long."""
    if request.config.getoption("--seed", default=None) is not None:
        pytest.skip("one seed is asked for")
    ends, guilty = set(), set()
    for number in range(max(LEAST, size // 10)):
        history = verified.History(verified.FIRST + group * 1000 + number)
        try:
            history.run()
        except AssertionError as error:
            pytest.fail(f"seed {history.world.seed}: {type(error).__name__}: {error}")
        ends |= history.ends()
        guilty |= verified.blamed(history.world)
    assert {"Quorum", "Referee", "Unsettled"} <= ends
    assert guilty, "nobody was ever blamed: then nothing was tried"
