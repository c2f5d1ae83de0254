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

from dataclasses import dataclass

from orchestrator.domain import ids
from orchestrator.evidence import chain, encodings, notes

_SIZE_DIGITS_MAX = 18


class CheckpointError(ValueError):
    """The note is malformed, of another origin, or not signed by the expected key."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``root``: Merkle root over the links (32 bytes); ``link``: hash of entry ``size``, the chain's head."""

    origin: str
    size: int
    root: bytes
    link: ids.Digest

    def body(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{encodings.to_base64(self.root)}\nchain {self.link}\n"


def key_hash(origin: str, public_key: bytes) -> bytes:
    """Return the four bytes by which a signed note names an Ed25519 key (32 bytes)."""
    return notes.key_hash(origin, public_key)


def sign(checkpoint: Checkpoint, signer: notes.Signs, public_key: bytes) -> str:
    """Return the signed note. ``public_key`` is the signer's, 32 raw bytes. Raises CheckpointError."""
    _check_origin(checkpoint.origin)
    body = checkpoint.body()
    line = notes.Line(checkpoint.origin, key_hash(checkpoint.origin, public_key), signer.sign(body.encode()))
    return notes.Note(body, (line,)).render()


def verify(note: str, *, origin: str, public_key: bytes) -> Checkpoint:
    """Return what a note says, once the signature of ``public_key`` is found on it. Raises CheckpointError."""
    _check_origin(origin)
    taken, found = read(note)
    if found.origin != origin:
        raise CheckpointError(f"not a checkpoint of {origin}")
    expected = key_hash(origin, public_key)
    for line in taken.lines:
        if line.name == origin and line.key_hash == expected:
            if not notes.signs(public_key, line.blob, taken.text.encode()):
                raise CheckpointError("the signature does not fit the checkpoint")
            return found
    raise CheckpointError("no signature of the expected key")


def read(note: str) -> tuple[notes.Note, Checkpoint]:
    """Return a note taken apart and what it claims; no signature is looked at. Raises CheckpointError."""
    try:
        taken = notes.parse(note)
    except notes.NoteError as error:
        raise CheckpointError(str(error)) from error
    return taken, _parse(taken.text)


def _parse(body: str) -> Checkpoint:
    lines = body.split("\n")
    if len(lines) < 5:
        raise CheckpointError("not a checkpoint: origin, size, root and chain are wanted")
    origin, size, root, extension = lines[:4]
    _check_origin(origin)
    if not (size.isascii() and size.isdecimal()) or len(size) > _SIZE_DIGITS_MAX or str(int(size)) != size:
        raise CheckpointError("malformed size")
    try:
        raw = encodings.from_base64(root, length=chain.LINK_BYTES)
        link = ids.Digest(extension.removeprefix("chain "))
        chain.to_bytes(link)
    except ValueError as error:
        raise CheckpointError("malformed hash") from error
    if not extension.startswith("chain "):
        raise CheckpointError("malformed hash")
    return Checkpoint(origin, int(size), raw, link)


def _check_origin(origin: str) -> None:
    try:
        notes.check_name(origin)
    except notes.NoteError as error:
        raise CheckpointError("an origin has no space and no plus sign") from error
