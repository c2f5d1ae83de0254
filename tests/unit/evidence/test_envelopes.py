"""Envelopes, statements and commitments: what is signed is what is read; others read our envelopes too."""

import json

import pytest
from securesystemslib import dsse as reference
from securesystemslib import exceptions, signer

from orchestrator.evidence import canonical, commitments, dsse, statements
from tests.golden.bundles import samples
from tests.property.evidence import logs

MINE, OTHER = logs.Key(1), logs.Key(2)
PLAIN = {"job": "X", "attempt": 1, "log": {"origin": "o", "placed": 1, "link": "l", "entries": [1]}}


def _reference_key(public: str) -> signer.SSlibKey:
    """Return a key as securesystemslib has it."""
    key_id = dsse.key_id(bytes.fromhex(public))
    return signer.SSlibKey(key_id, "ed25519", "ed25519", {"public": public})


def test_pae_is_that_of_the_specification() -> None:
    """The example of the DSSE protocol page."""
    assert dsse.encode("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@pytest.mark.parametrize("name", samples.names())
def test_securesystemslib_verifies_our_envelopes(name: str) -> None:
    """An independent implementation accepts every envelope of a kept bundle, and refuses each with a changed byte."""
    sample = samples.sample(name)
    key = _reference_key(sample.current)
    for stated in sample.value()["statements"]:
        envelope = reference.Envelope.from_dict(stated["envelope"])
        assert set(envelope.verify([key], 1)) == {key.keyid}
        envelope.payload = envelope.payload.replace(b'"attempt":', b'"attempt" :')
        with pytest.raises(exceptions.VerificationError):
            envelope.verify([key], 1)


def test_we_verify_envelopes_of_securesystemslib() -> None:
    """And the other way round."""
    theirs = signer.CryptoSigner.generate_ed25519()
    envelope = reference.Envelope(b"{}", dsse.IN_TOTO, {})
    envelope.sign(theirs)
    public = bytes.fromhex(theirs.public_key.keyval["public"])
    read = dsse.parse(envelope.to_dict())
    assert not dsse.verify(read, public)  # its keyid is another name for the same key: held to ours
    ours = dsse.Envelope(read.payload, read.payload_type, ((dsse.key_id(public), read.signatures[0][1]),))
    assert dsse.verify(ours, public)


def test_another_key_type_or_payload_does_not_pass() -> None:
    """Key, payload and payload type are all under the signature."""
    made = dsse.sign(b"{}", MINE, MINE.public)
    assert dsse.verify(made, MINE.public)
    assert not dsse.verify(made, OTHER.public)
    for payload, kind in ((b"{} ", dsse.IN_TOTO), (b"{}", "application/json")):
        assert not dsse.verify(dsse.Envelope(payload, kind, made.signatures), MINE.public)
    assert not dsse.verify(dsse.Envelope(b"{}", dsse.IN_TOTO, (("sha256:00", made.signatures[0][1]),)), MINE.public)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"payload": "e30", "payloadType": "x", "signatures": []},
        {"payload": "e30=", "payloadType": "x", "signatures": []},
        {"payload": "e30=", "payloadType": "x", "signatures": [{"keyid": "k", "sig": "AA=="}]},
        {"payload": "e30=", "payloadType": "x", "signatures": [{"sig": "A" * 86 + "=="}]},
        {"payload": "e31=", "payloadType": "x", "signatures": [{"keyid": "k", "sig": "A" * 86 + "=="}]},
    ],
)
def test_a_malformed_envelope_is_refused(value: object) -> None:
    """Missing members, no signature, short signatures, base64 of two spellings."""
    with pytest.raises(dsse.EnvelopeError):
        dsse.parse(value)


def test_a_commitment_fixes_path_value_and_salt() -> None:
    """A disclosure fits only with its own salt, path and value."""
    opened = commitments.disclosure("spec.command", ["python"], b"s" * 16)
    held = {"spec.command": opened.commitment()}
    assert commitments.fits(opened, held)
    for other in (
        commitments.disclosure("spec.command", ["python"], b"t" * 16),
        commitments.disclosure("spec.command", ["pythom"], b"s" * 16),
        commitments.disclosure("spec.env", ["python"], b"s" * 16),
    ):
        assert not commitments.fits(other, held)
    assert canonical.digest([opened.salt, "spec.command", ["python"]]) == opened.commitment()


def test_a_statement_reads_back_and_only_in_its_one_form() -> None:
    """Another order, another member, another type of predicate: refused."""
    hidden = [commitments.disclosure("site", "x", b"s" * 16)]
    made = statements.payload(statements.EXECUTION, PLAIN, hidden, {"a": "00"})
    read = statements.parse(made)
    assert (read.kind, read.job, read.attempt, read.subjects) == (statements.EXECUTION, "X", 1, {"a": "00"})
    value = json.loads(made)
    for changed in (
        {**value, "more": 1},
        {**value, "predicateType": "https://example.com/other"},
        {**value, "predicate": {**value["predicate"], "more": 1}},
        {**value, "predicate": {**value["predicate"], "attempt": "1"}},
    ):
        with pytest.raises(statements.StatementError):
            statements.parse(canonical.dumps(changed))
    with pytest.raises(statements.StatementError, match="canonical"):
        statements.parse(json.dumps(value, indent=1).encode())
    with pytest.raises(ValueError, match="other members"):
        statements.payload(statements.DECISION, PLAIN, hidden, {})
