"""The whole control plane under faults: safe after every step, and done once they stop. One seed is one history."""

import pathlib
import subprocess

import pytest

from orchestrator.domain import jobs
from tests.sim import bundles, histories, rules, worlds

REGRESSIONS = pathlib.Path(__file__).with_name("regressions.txt")
GROUPS = 10
LIES = frozenset({
    "a backend in another country", "a backend in no country", "a backend that cannot be read",
    "a document that cannot be read: Operator", "a document that cannot be read: Tenant",
    "damaged packs are read while running",
})  # fmt: skip
"""What each group of histories of lies has in it, at the least."""
FULL = 1000


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
    """I3 under fault 35: whatever is wrong with policies, facts or packs, nothing starts against what is said."""
    if request.config.getoption("--seed", default=None) is not None:
        pytest.skip("one seed is asked for")
    declared, met = set(), set()
    for number in range(size // GROUPS):
        result = _live(worlds.LIES_FROM + group * 1000 + number)
        declared |= {what for what, times in result.declared.items() if times}
        met |= {why for why, steps in result.met.items() if steps}
    # What never happened was not survived.
    whole = size >= FULL
    assert met >= (rules.FAULT_35 if whole else rules.FAULT_35 - {rules.UNKNOWN})
    assert declared >= (LIES if whole else LIES - {"a backend in no country"})
    assert len(declared & {f"poison {number}" for number in range(len(rules.POISONS))}) >= (13 if whole else 3)
    assert len(declared & {f"a proof of facts: {kind}" for kind in bundles.FORGED}) >= (5 if whole else 3)


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
