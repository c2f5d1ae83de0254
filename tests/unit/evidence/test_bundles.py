"""Files from strangers: bounded, exact, and refused with where and what."""

import json
import re

import pytest

from orchestrator.evidence import bundles
from tests.golden.bundles import samples


def test_a_bundle_reads_back_as_the_same_bytes() -> None:
    """The file's form is canonical: reading and writing gives it back."""
    data = samples.sample().data
    assert bundles.dumps(bundles.loads(data)) == data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not a bundle"),
        (b'{"format":"comity-evidence/v2"}', "not a bundle of format comity-evidence/v1"),
        (b'{"format":"comity-evidence/v1"}', "missing or unknown"),
        (b'{"format":1,"format":2}', "stands twice"),
        (b'{"format":NaN}', "NaN is no JSON"),
        (b"[" * 100 + b"]" * 100, "deeper than 64"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 64"),
        (b"[" + b"1," * bundles.MEMBERS_MAX + b"1]", "members"),
        (b"9" * 10_000, "not JSON"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_bundle_is_refused(data: bytes, words: str) -> None:
    """Bytes that are not text, not JSON, another format, too deep, too many, twice the same member."""
    with pytest.raises(bundles.BundleError, match=re.escape(words)):
        bundles.loads(data)


def test_too_long_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound on bytes comes first."""
    monkeypatch.setattr(bundles, "BYTES_MAX", 10)
    with pytest.raises(bundles.BundleError, match="longer than 10"):
        bundles.loads(b" " * 11)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("firstKey",), "AB" * 32),
        (("entries",), {}),
        (("entries", 0, "seq"), True),
        (("entries", 0, "seq"), 0),
        (("entries", 0, "proof"), ["AA=="]),
        (("entries", 0, "proof"), ["A" * 43 + "="] * 129),
        (("entries", 0, "more"), 1),
        (("statements", 0, "disclosures", 0, "salt"), "AA=="),
        (("statements", 0, "more"), 1),
        (("records",), []),
        (("consistency",), [{"from": "1", "proof": []}]),
        (("checkpoint",), 1),
    ],
    ids=str,
)
def test_a_member_of_another_form_is_refused_by_its_place(path: tuple[object, ...], value: object) -> None:
    """Each error names the part of the bundle it stands in."""
    whole = samples.sample().value()
    part = whole
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    with pytest.raises(bundles.BundleError, match=f"^{path[0]}"):
        bundles.loads(json.dumps(whole).encode())
