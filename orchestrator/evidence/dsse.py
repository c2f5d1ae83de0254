"""DSSE envelopes: a payload, its type, and Ed25519 signatures over both (secure-systems-lab/dsse, v1.0.2).

What is signed is ``DSSEv1 SP len(type) SP type SP len(payload) SP payload``, so that a payload of one type never
passes as another. ``keyid`` is ``sha256:`` and the digest of the raw public key; a reader here holds it to the key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from orchestrator.evidence import encodings, notes

IN_TOTO = "application/vnd.in-toto+json"


class EnvelopeError(ValueError):
    """The envelope is malformed."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """``signatures`` are (keyid, signature)."""

    payload: bytes
    payload_type: str
    signatures: tuple[tuple[str, bytes], ...]

    def as_json(self) -> dict[str, object]:
        """Return the envelope as the specification writes it."""
        return {
            "payload": encodings.to_base64(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": key, "sig": encodings.to_base64(one)} for key, one in self.signatures],
        }


def key_id(public_key: bytes) -> str:
    """Return the name of a public key (32 bytes)."""
    return f"sha256:{hashlib.sha256(public_key).hexdigest()}"


def encode(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed (PAE)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, signer: notes.Signs, public_key: bytes, *, payload_type: str = IN_TOTO) -> Envelope:
    """Return an envelope with one signature."""
    signature = signer.sign(encode(payload_type, payload))
    return Envelope(payload, payload_type, ((key_id(public_key), signature),))


def parse(value: object) -> Envelope:
    """Read an envelope from JSON. Raises EnvelopeError."""
    if not isinstance(value, dict) or set(value) != {"payload", "payloadType", "signatures"}:
        raise EnvelopeError("an envelope has payload, payloadType and signatures")
    kind, signatures = value["payloadType"], value["signatures"]
    if not isinstance(kind, str) or not isinstance(signatures, list) or not 1 <= len(signatures) <= 8:
        raise EnvelopeError("an envelope has a type and one to eight signatures")
    try:
        read = []
        for each in signatures:
            if set(each) != {"keyid", "sig"} or not isinstance(each["keyid"], str):
                raise EnvelopeError("a signature has keyid and sig")
            read.append((each["keyid"], encodings.from_base64(each["sig"], length=64)))
        return Envelope(encodings.from_base64(value["payload"]), kind, tuple(read))
    except (TypeError, ValueError) as error:
        raise EnvelopeError(f"malformed envelope: {error}") from error


def verify(envelope: Envelope, public_key: bytes) -> bool:
    """Say whether every signature is of this key and fits: one that is not is not ignored here."""
    payload, wanted = encode(envelope.payload_type, envelope.payload), key_id(public_key)
    return all(key == wanted and notes.signs(public_key, one, payload) for key, one in envelope.signatures)
