"""The file of whom to trust: read whole or not at all, every problem named with its line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.domain import trust
from orchestrator.sources import trust as source
from orchestrator.sources import yamls
from tests import tokens

ISSUER = tokens.Issuer()


def content(**changes: Any) -> dict[str, Any]:
    """Return what a good file says."""
    issuer = {
        "id": ISSUER.id,
        "kinds": ["certification/hds-v2", "location"],
        "by": "A. Martin",
        "why": "accredited",
        "validFrom": "2026-01-01",
        "keys": [{"id": "k1", "jwk": ISSUER.key.as_dict(private=False), "validTo": "2027-12-31"}],
    }
    revoked = {"issuer": ISSUER.id, "claim": "hds-1", "from": "2026-11-22", "by": "A. Martin", "why": "withdrawn"}
    subjects = [{"id": "https://ovh.example/offering.json", "is": "operator/ovhcloud"}]
    made = {"asOf": "2026-11-22", "issuers": [issuer | changes.pop("issuer", {})], "subjects": subjects}
    return made | {"revoked": [revoked | changes.pop("revocation", {})]} | changes


def written(tmp_path: Path, data: Any) -> Path:
    path = tmp_path / "trust.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False))
    return path


def test_a_file_says_whom_to_trust(tmp_path: Path) -> None:
    """Issuer, kinds, key with its algorithm and dates, what is revoked, how issuers name us."""
    found = source.read(written(tmp_path, content()))
    (issuer,) = found.issuers
    assert (issuer.certifies("location"), issuer.certifies("certification/c5")) == (True, False)
    (key,) = issuer.keys
    assert (key.id, key.algorithm, key.last) == ("k1", "Ed25519", dt.date(2027, 12, 31))
    assert found.revoked(ISSUER.id, "k1", "hds-1") is not None
    assert found.revoked(ISSUER.id, "k1", "hds-2") is None
    assert found.ours("https://ovh.example/offering.json") == "operator/ovhcloud"
    assert found.digest.startswith("sha256:")


def test_a_pattern_covers_what_stands_behind_it() -> None:
    """``certification/*`` is every scheme, not everything that begins alike."""
    issuer = trust.Issuer("i", ("certification/*",), (), "me", "x")
    assert issuer.certifies("certification/gaia-x:l2")
    assert not issuer.certifies("certification")
    assert not issuer.certifies("certifications/x")
    assert not issuer.certifies("location")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (content(issuer={"kinds": []}), "say what it may certify"),
        (content(issuer={"kinds": ["*"]}), "no kind of fact"),
        (content(issuer={"kinds": ["ownership"]}), "no kind of fact"),
        (content(issuer={"keys": []}), "at least one key"),
        (content(issuer={"keys": [{"id": "k"}]}), "as jwk (a mapping) or pem"),
        (content(issuer={"keys": [{"id": "k", "jwk": ISSUER.key.as_dict(private=True)}]}), "private key"),
        (content(issuer={"keys": [{"id": "k", "jwk": {"kty": "oct", "k": "c2VjcmV0"}}]}), "keys are Ed25519"),
        (content(issuer={"by": ""}), "issuers[0].by: is required"),
        (content(issuer={"why": None}), "issuers[0].why: is required"),
        (content(issuer={"validTo": "soon"}), "YYYY-MM-DD"),
        (content(issuer={"trusted": True}), "is not known"),
        (content(revocation={"issuer": "did:web:other"}), "is no issuer of this file"),
        (content(revocation={"from": None}), "revoked[0].from: is required"),
        (content(revocation={"key": "k1"}), "a key or a claim"),
        (content(subjects=[{"id": "x", "is": "ovhcloud"}]), "write operator/NAME"),
        (content(asOf=None), "asOf: is required"),
        (content() | {"issuers": content()["issuers"] + content()["issuers"]}, "stands there twice"),
        ([], "is no mapping"),
        ("a: [", "is not YAML"),
    ],
)
def test_what_is_wrong_is_named_and_nobody_is_half_trusted(tmp_path: Path, data: Any, said: str) -> None:
    """The file, the line, the path, and what to write; the last good list stays, or nobody is trusted."""
    path = written(tmp_path, data)
    with pytest.raises(yamls.YamlError, match=r"trust\.yaml:"):
        source.read(path)
    loaded = source.load(path)
    assert said in (loaded.problem or "")
    assert loaded.trusted == trust.TrustList()
    good = trust.TrustList((ISSUER.trusted(),))
    assert source.load(path, good).trusted == good


def test_a_file_that_was_never_there_trusts_nobody(tmp_path: Path) -> None:
    """One that vanished is a problem, and keeps what was."""
    path = tmp_path / "trust.yaml"
    assert source.load(path) == trust.Loaded()
    good = trust.TrustList((ISSUER.trusted(),))
    found = source.load(path, good)
    assert found.trusted == good
    assert found.problem


def test_the_example_of_the_module_is_nearly_one() -> None:
    """Every key of the example in the docstring is known; only the key's own figure is left out there."""
    text = (source.__doc__ or "").partition("\n\n")[2].rpartition("\n\n")[0]
    data = yaml.safe_load(text)
    assert set(data) == {"asOf", "issuers", "revoked", "subjects"}
