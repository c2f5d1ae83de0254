"""The JSON loader: as strict as YAML's."""

import time

import pytest

from orchestrator.wire import bounds, errors, json_loader


def test_reads_json() -> None:
    """Plain JSON comes back as the standard library would read it."""
    assert json_loader.load(b'{"a": [1, -2.5, "x\\u00e9\\ud83d\\ude00", true, null]}') == {
        "a": [1, -2.5, "x\u00e9\U0001f600", True, None]
    }


@pytest.mark.parametrize(
    ("body", "words", "code"),
    [
        (b'{"a": 1, "a": 2}', "stands twice", errors.SYNTAX),
        (b'{"a": NaN}', "NaN", errors.SYNTAX),
        (b'{"a": -Infinity}', "-Infinity", errors.SYNTAX),
        (b'{"a": 1e999}', "finite", errors.SYNTAX),
        (b'{"a": 9223372036854775808}', "64 bits", errors.SYNTAX),
        (b'{"a": ' + b"9" * 5000 + b"}", "64 bits", errors.SYNTAX),
        (b'{"a": "\\ud800"}', "lone surrogate", errors.SYNTAX),
        (b'{"\\udfff": 1}', "lone surrogate", errors.SYNTAX),
        (b'{"a": ["\\u0000"]}', "NUL", errors.SYNTAX),
        (b'{"a": "\x00"}', "is not JSON", errors.SYNTAX),
        (b"\xff", "UTF-8", errors.SYNTAX),
        (b"{'a': 1}", "is not JSON", errors.SYNTAX),
        (b'{"a": 1} x', "is not JSON", errors.SYNTAX),
        (b"", "is not JSON", errors.SYNTAX),
        (b"\xef\xbb\xbf{}", "is not JSON", errors.SYNTAX),
        (b"[" * 65 + b"]" * 65, "deeper than 64", errors.TOO_COMPLEX),
        (b"[" * 4_000_000, "deeper than 64", errors.TOO_COMPLEX),
        (b"[" + b"0," * 200_000 + b"0]", "more than 200000 values", errors.TOO_COMPLEX),
        (b'"' + b"x" * (8 * 2**20) + b'"', "longer than", errors.TOO_LARGE),
        (b'["' + b'\\"' * 4_000_000, "is not JSON", errors.SYNTAX),
        (b"[" * 70 + b'"' + b'\\"' * 4_000_000, "deeper than 64", errors.TOO_COMPLEX),
        (b"[]" * 70 + b'"' + b'\\"' * 4_000_000, "is not JSON", errors.SYNTAX),
    ],
)
def test_refused(body: bytes, words: str, code: str) -> None:
    """What is not strict JSON within the limits is refused, quickly, with a code."""
    start = time.process_time()
    with pytest.raises(errors.InvalidDocumentError) as caught:
        json_loader.load(body)
    assert time.process_time() - start < 5
    (error,) = caught.value.errors
    assert words in error.problem
    assert error.code == code


def test_brackets_in_text_are_text() -> None:
    """Depth and number of values are counted outside of strings."""
    body = b'{"a": "' + b"[{," * 100_000 + b'\\"[", "b": []}'
    assert json_loader.load(body)["b"] == []
    assert json_loader.load(b"[[1]]", limits=bounds.Limits(depth_max=2)) == [[1]]
