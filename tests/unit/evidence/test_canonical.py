"""Canonical form: the quick road writes what RFC 8785 wants, and what has no form is refused."""

import enum
import json
import types

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.evidence import canonical

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_equals_reference(value: object) -> None:
    """Whatever road a value takes, its bytes are those of the reference implementation."""
    assert canonical.dumps(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_reading_back_changes_nothing(value: object) -> None:
    """The canonical form of what a JSON reader makes of a canonical form is the same form, floats within 2**53."""
    first = canonical.dumps(value)
    try:
        again = canonical.dumps(json.loads(first))
    except canonical.CanonicalError:
        return  # a float beyond 2**53 is written like a whole number; entries do not hold such
    assert again == first


@settings(max_examples=500, deadline=None)
@given(
    st.floats(1e-7, 1e22)
    | st.floats(9e-5, 2e-4)
    | st.floats(1e15, 2e16)
    | st.integers(1, 10**15).map(lambda n: n / 1000)
)
def test_numbers_are_written_as_the_reference_does(value: float) -> None:
    """Around the sizes at which one of the two begins to write exponents, too."""
    for number in (value, -value):
        try:
            wanted = rfc8785.dumps([number])
        except rfc8785.FloatDomainError:
            continue
        assert canonical.dumps([number]) == wanted


def test_keys_sort_by_utf16() -> None:
    """Keys outside the basic plane sort before U+FB33, as UTF-16 has it, unlike by code point."""
    assert canonical.dumps({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


class Word(str, enum.Enum):  # noqa: UP042  # exactly this mixture is the question
    """Text that is an enumeration too."""

    A = "a"


def test_unusual_containers() -> None:
    """Read-only mappings, tuples and text enumerations are written as what they hold."""
    value = types.MappingProxyType({"x": (1, Word.A), "y": types.MappingProxyType({})})
    assert canonical.dumps(value) == b'{"x":[1,"a"],"y":{}}'


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**53, "\ud800", {"\udfff": 1}, {1: 2}, b"x", {"a": object()}],
    ids=["nan", "infinity", "2^53", "surrogate", "surrogate key", "number as key", "bytes", "object"],
)
def test_refusals(value: object) -> None:
    """What JSON or RFC 8785 cannot hold is refused with one error."""
    with pytest.raises(canonical.CanonicalError):
        canonical.dumps(value)


def test_too_deep() -> None:
    """A value nested too deeply is refused, and ends nothing."""
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(canonical.CanonicalError):
        canonical.dumps(value)
    while value:  # taken apart by hand: the interpreter would recurse
        value = value.pop()  # type: ignore[assignment]


def test_digest() -> None:
    """A digest is that of the canonical bytes, with its algorithm in front."""
    assert canonical.digest({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
