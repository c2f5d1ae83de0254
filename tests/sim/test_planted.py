"""The simulation is worth something: bugs planted into the control plane are seen."""

import pytest

from tests.sim import planted

RARE = {"a stop leaves no mark", "believe the refusal of a second try"}
"""Need a late call in just the wrong moment: hunted at full size only."""


@pytest.mark.parametrize("bug", sorted(planted.BUGS))
def test_a_planted_bug_is_seen(bug, size):
    """Some history breaks an invariant when the bug is there."""
    if bug in RARE and size < 1000:
        pytest.skip("hunted at full size")
    assert planted.hunt(bug, size) is not None
