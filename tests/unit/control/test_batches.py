"""Several effects in one call: guarded one by one, and settled when time is up."""

import pytest

from orchestrator.control import batches
from orchestrator.domain import errors, ids


def item(key, effect, guard=lambda: None):
    return batches.Item(ids.AttemptKey(key), guard, effect)


def fail(error):
    def run():
        raise error

    return run


def test_a_dropped_effect_is_not_made():
    """The guard runs just before the effect, and its refusal is the answer."""
    made = []
    batch = batches.Batch(
        [item("a", lambda: made.append("a"), fail(batches.DroppedError("x", "y"))), item("b", lambda: "ok")]
    )
    batch.run()
    results = batch.close()
    assert made == []
    assert isinstance(results["a"], batches.DroppedError)
    assert results["b"] == "ok"


@pytest.mark.parametrize("error", [errors.TransientError("c", "m"), TimeoutError()])
def test_a_failure_in_transport_ends_the_batch(error):
    """What was not begun stays due."""
    batch = batches.Batch([item("a", fail(error)), item("b", lambda: "ok")])
    batch.run()
    assert set(batch.close()) == {"a"}


def test_one_refusal_leaves_the_others():
    """A certain refusal of one attempt says nothing of the next."""
    batch = batches.Batch([item("a", fail(errors.PermanentError("c", "m"))), item("b", lambda: "ok")])
    batch.run()
    assert batch.close()["b"] == "ok"


def test_what_was_under_way_when_time_was_up_is_in_doubt():
    """Closing in the middle: done is done, the current one is in doubt, the rest was never begun."""
    seen = {}
    batch = batches.Batch([item("a", lambda: 1), item("b", lambda: seen.update(batch.close())), item("c", lambda: 3)])
    batch.run()
    assert seen["a"] == 1
    assert isinstance(seen["b"], TimeoutError)
    assert "c" not in batch.close()
