"""Checkpoints: a signed sentence "the journal of this installation has this many entries and these hashes".

The text is a C2SP tlog-checkpoint in a C2SP signed note, so that tools of others read it:

    <origin>
    <size>
    <Merkle root, base64>
    chain <link of the last entry>

    \u2014 <origin> <base64 of key hash (4 bytes) || Ed25519 signature>

Keys come from outside through a signer; this module neither makes nor keeps one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Protocol

from cryptography import exceptions
from cryptography.hazmat.primitives.asymmetric import ed25519

from orchestrator.domain import ids
from orchestrator.evidence import chain

NOTE_BYTES_MAX = 64 * 1024
_ED25519 = b"\x01"
_DASH = "\u2014 "


class CheckpointError(ValueError):
    """The note is malformed, of another origin, or not signed by the expected key."""


class Signs(Protocol):
    """What is needed of ``ports.environment.Signer``."""

    def sign(self, payload: bytes) -> bytes:
        """Return the Ed25519 signature of ``payload``."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``root``: Merkle root over the links (32 bytes); ``link``: hash of entry ``size``, the chain's head."""

    origin: str
    size: int
    root: bytes
    link: ids.Digest

    def body(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\nchain {self.link}\n"


def key_hash(origin: str, public_key: bytes) -> bytes:
    """Return the four bytes by which a signed note names an Ed25519 key (32 bytes)."""
    return hashlib.sha256(origin.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def sign(checkpoint: Checkpoint, signer: Signs, public_key: bytes) -> str:
    """Return the signed note. ``public_key`` is the signer's, 32 raw bytes. Raises CheckpointError."""
    _check_origin(checkpoint.origin)
    body = checkpoint.body()
    signature = key_hash(checkpoint.origin, public_key) + signer.sign(body.encode())
    return f"{body}\n{_DASH}{checkpoint.origin} {base64.b64encode(signature).decode()}\n"


def verify(note: str, *, origin: str, public_key: bytes) -> Checkpoint:
    """Return what a note says, once the signature of ``public_key`` is found on it. Raises CheckpointError."""
    _check_origin(origin)
    if len(note) > NOTE_BYTES_MAX:
        raise CheckpointError(f"the note is longer than {NOTE_BYTES_MAX} bytes")
    body, gap, signatures = note.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise CheckpointError("not a signed note: no blank line before the signatures")
    body += "\n"
    expected = key_hash(origin, public_key)
    key = ed25519.Ed25519PublicKey.from_public_bytes(public_key)
    for line in signatures[:-1].split("\n"):
        signature = _signature(line, origin, expected)
        if signature is None:
            continue
        try:
            key.verify(signature, body.encode())
        except exceptions.InvalidSignature as error:
            raise CheckpointError("the signature does not fit the checkpoint") from error
        return _parse(body, origin)
    raise CheckpointError("no signature of the expected key")


def _signature(line: str, origin: str, expected: bytes) -> bytes | None:
    """Return the signature bytes of a line that is by the expected key, else None. Raises CheckpointError."""
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2:
        raise CheckpointError("malformed signature line")
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except binascii.Error as error:
        raise CheckpointError("malformed signature line") from error
    return blob[4:] if parts[0] == origin and blob[:4] == expected else None


def _parse(body: str, origin: str) -> Checkpoint:
    lines = body.split("\n")
    if len(lines) < 5 or lines[0] != origin:
        raise CheckpointError(f"not a checkpoint of {origin}")
    size, root, extension = lines[1], lines[2], lines[3]
    if not (size.isascii() and size.isdecimal()) or (size != "0" and size.startswith("0")) or len(size) > 18:
        raise CheckpointError("malformed size")
    try:
        raw = base64.b64decode(root, validate=True)
        link = ids.Digest(extension.removeprefix("chain "))
        chain.to_bytes(link)
    except ValueError as error:
        raise CheckpointError("malformed hash") from error
    if len(raw) != 32 or not extension.startswith("chain "):
        raise CheckpointError("malformed hash")
    return Checkpoint(origin, int(size), raw, link)


def _check_origin(origin: str) -> None:
    if not origin or "+" in origin or any(character.isspace() for character in origin):
        raise CheckpointError("an origin has no space and no plus sign")
