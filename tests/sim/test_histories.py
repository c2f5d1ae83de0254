"""The whole control plane under faults: safe after every step, and done once they stop. One seed is one history."""

import pathlib
import subprocess

import pytest

from orchestrator.domain import jobs
from tests.sim import histories, worlds

REGRESSIONS = pathlib.Path(__file__).with_name("regressions.txt")
GROUPS = 10


def _live(seed):
    try:
        return histories.History(seed).run()
    except BaseException as error:  # noqa: BLE001 -- a crash of the harness is a story of its seed too
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
        pytest.fail(f"seed {seed} at {head.stdout.strip()}: {type(error).__name__}: {error}\n"
                    f"replay: python -m pytest tests/sim --seed {seed}")  # fmt: skip


def _past_seeds():
    lines = REGRESSIONS.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("seed", _past_seeds())
def test_past_seeds_stay_good(seed, request):
    """A history that once found a bug finds none."""
    if request.config.getoption("--seed", default=None) is not None:
        pytest.skip("one seed is asked for")
    _live(seed)


@pytest.mark.parametrize("group", range(2))
def test_histories_of_strays(group, size, request):
    """I12 and I13: who is seen elsewhere is stopped, its site closed; what is owed is owed until it is done."""
    if request.config.getoption("--seed", default=None) is not None:
        pytest.skip("one seed is asked for")
    for number in range(size // GROUPS):
        _live(worlds.STRAYS_FROM + group * 1000 + number)


@pytest.mark.parametrize("group", range(2))
def test_histories_of_lies(group, size, request):
    """I3: policies of every poison, backends declared elsewhere than before: nothing starts against what is said."""
    if request.config.getoption("--seed", default=None) is not None:
        pytest.skip("one seed is asked for")
    for number in range(size // GROUPS):
        _live(worlds.LIES_FROM + group * 1000 + number)


@pytest.mark.parametrize("group", range(GROUPS))
def test_histories(group, size, request):
    """Invariants I1 to I11 hold after every step, and everything ends once faults stop."""
    asked = request.config.getoption("--seed", default=None)
    if asked is not None:
        if group == 0:
            _live(asked)
        return
    phases, effects, lives = set(), 0, 0
    for number in range(size // GROUPS):
        result = _live(20_000 + group * 1000 + number)
        phases |= result.phases
        effects, lives = effects + result.effects, lives + result.lives
    # A simulation that does nothing finds nothing.
    assert {jobs.Phase.RUNNING, jobs.Phase.SUCCEEDED, jobs.Phase.QUEUED} <= phases
    assert effects > size // GROUPS
    assert lives > size // GROUPS
