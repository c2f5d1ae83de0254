"""Signed notes (C2SP signed-note), the envelope of checkpoints: a text, then a line for each signature.

    <text, ends with a newline>
    <empty line>
    \u2014 <name> <base64 of key hash (4 bytes) || signature>

Signatures of keys that a reader does not know are ignored, as the format says: that is how witnesses add theirs
(``cosignatures``). Keys come from outside.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from cryptography import exceptions
from cryptography.hazmat.primitives.asymmetric import ed25519

from orchestrator.evidence import encodings

NOTE_BYTES_MAX = 64 * 1024
SIGNATURES_MAX = 100
ED25519 = b"\x01"
COSIGNATURE = b"\x04"
"""Ed25519 over a checkpoint and a time (C2SP tlog-cosignature)."""
_DASH = "\u2014 "


class NoteError(ValueError):
    """The note, or the name of a key, is malformed."""


class Signs(Protocol):
    """What is needed of ``ports.environment.Signer``."""

    def sign(self, payload: bytes) -> bytes:
        """Return the Ed25519 signature of ``payload``."""


@dataclass(frozen=True, slots=True)
class Line:
    """A signature on a note. ``key_hash``: four bytes that name the key; ``blob``: what stands after them."""

    name: str
    key_hash: bytes
    blob: bytes

    def text(self) -> str:
        """Return the line, without its newline."""
        return f"{_DASH}{self.name} {encodings.to_base64(self.key_hash + self.blob)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart. ``text`` ends with a newline."""

    text: str
    lines: tuple[Line, ...]

    def render(self) -> str:
        """Return the note as text."""
        return f"{self.text}\n" + "".join(f"{line.text()}\n" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name, as C2SP writes it: ``<name>+<hash, hex>+<base64 of kind || key>``."""

    name: str
    public_key: bytes
    kind: bytes = ED25519

    @property
    def key_hash(self) -> bytes:
        """Return the four bytes by which notes name this key."""
        return key_hash(self.name, self.public_key, kind=self.kind)

    def text(self) -> str:
        """Return the key as one word."""
        return f"{self.name}+{self.key_hash.hex()}+{encodings.to_base64(self.kind + self.public_key)}"


def key_hash(name: str, public_key: bytes, *, kind: bytes = ED25519) -> bytes:
    """Return the four bytes by which a signed note names a key (32 bytes)."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public_key).digest()[:4]


def check_name(name: str) -> None:
    """Raise NoteError for what cannot name a key or a log."""
    if not name or "+" in name or any(character.isspace() or not character.isprintable() for character in name):
        raise NoteError("a name has no space and no plus sign")


def parse(note: str) -> Note:
    """Take a note apart; verifies nothing. Raises NoteError."""
    if len(note) > NOTE_BYTES_MAX:
        raise NoteError(f"the note is longer than {NOTE_BYTES_MAX} bytes")
    if any(ord(character) < 32 and character != "\n" for character in note):
        raise NoteError("a note has no control characters")
    text, gap, signatures = note.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise NoteError("not a signed note: no blank line before the signatures")
    lines = signatures[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteError(f"more than {SIGNATURES_MAX} signatures")
    return Note(f"{text}\n", tuple(_line(line) for line in lines))


def parse_verifier(text: str) -> Verifier:
    """Return the key that a word names. Raises NoteError."""
    try:
        name, hash_, key = text.split("+", 2)
        check_name(name)
        blob = encodings.from_base64(key, length=33)
        found = Verifier(name, blob[1:], blob[:1])
        if encodings.from_hex(hash_, length=4) != found.key_hash:
            raise ValueError("the hash is of another key")
    except ValueError as error:
        raise NoteError(f"not a key (NAME+HASH+KEY): {error}") from error
    if found.kind not in (ED25519, COSIGNATURE):
        raise NoteError("a key of a kind that is not known here")
    return found


def signs(public_key: bytes, signature: bytes, payload: bytes) -> bool:
    """Say whether a signature (Ed25519, 64 bytes) of a key (32 bytes) fits the payload."""
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(signature, payload)
    except (exceptions.InvalidSignature, ValueError):
        return False
    return True


def _line(line: str) -> Line:
    parts = line.removeprefix(_DASH).split(" ")
    try:
        if not line.startswith(_DASH) or len(parts) != 2:
            raise NoteError("no dash, name and signature")
        check_name(parts[0])
        blob = encodings.from_base64(parts[1])
        if len(blob) < 5:
            raise NoteError("too short")
    except ValueError as error:
        raise NoteError(f"malformed signature line: {error}") from error
    return Line(parts[0], blob[:4], blob[4:])
