"""The writer that is made once writes what the standard library's does, with and without its C half."""

import json
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st

from orchestrator.evidence import encoders

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)
WAYS = [{"ascii_only": ascii_only, "sort_keys": keys} for ascii_only in (True, False) for keys in (True, False)]


@pytest.fixture(params=[True, False], ids=["c", "python"])
def compact(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[object], str]]:
    """Give the maker of writers, on an interpreter with the C encoder and on one without."""
    if not request.param:
        monkeypatch.setattr("json.encoder.c_make_encoder", None)
    return encoders.compact


@pytest.mark.parametrize("way", WAYS, ids=str)
@hypothesis.given(value=VALUES)
@hypothesis.settings(
    max_examples=30, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_as_the_standard_library(
    compact: Callable[..., Callable[[object], str]], way: dict[str, bool], value: object
) -> None:
    """Whatever is JSON is written as ``json.dumps`` writes it."""
    wanted = json.dumps(value, ensure_ascii=way["ascii_only"], sort_keys=way["sort_keys"], separators=(",", ":"))
    assert compact(**way)(value) == wanted


def test_what_is_no_json_is_refused(compact: Callable[..., Callable[[object], str]]) -> None:
    """NaN only where it is allowed; never an object, nor a value that contains itself."""
    endless: list[object] = []
    endless.append(endless)
    for bad, error in ((float("nan"), ValueError), (float("inf"), ValueError), (object(), TypeError)):
        with pytest.raises(error):
            compact()({"a": [bad]})
    with pytest.raises(RecursionError):
        compact()(endless)
    assert compact(allow_nan=True)([float("nan")]) == "[NaN]"
