"""Errors: one line each, and paths that can be read back."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.wire import errors


def test_rendered_in_one_line() -> None:
    """Place, path, problem and remedy stand in one line; what is unknown is left out."""
    error = errors.DocumentError("must be text", "spec.image", "quote it", file="a.yaml", line=3, column=4)
    assert error.render() == "a.yaml:3: spec.image: must be text (quote it)"
    assert errors.DocumentError("is not JSON").render() == "is not JSON"


def test_nearest() -> None:
    """The nearest word is found letter case aside, and nothing is guessed from far away."""
    assert errors.nearest("latencyfrom", ["latencyFrom", "limits"]) == "latencyFrom"
    assert errors.nearest("zzz", ["latencyFrom"]) is None


PART = st.integers(0, 10**6) | st.text(min_size=1, max_size=20)


@given(st.lists(PART, max_size=5))
def test_paths_round_trip(path: list[str | int]) -> None:
    """A rendered path parses to its parts, whatever keys are called, and stays on one line."""
    text = errors.render_path(path)
    assert "\n" not in text
    assert errors.parse_path(text) == tuple(path)
