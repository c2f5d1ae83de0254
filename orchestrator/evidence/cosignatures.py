"""Cosignatures of witnesses on checkpoints (C2SP tlog-cosignature, ``cosignature/v1``, Ed25519).

A witness says: at this time I saw this checkpoint, and it goes on from the one I saw before. The line on the note
holds the time (seconds since 1970, 8 bytes) and a signature over

    cosignature/v1
    time <seconds>
    <text of the checkpoint>

So whoever shows a cosigned checkpoint cannot show the witness another history. The key is the witness's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.evidence import notes

_TIME_BYTES = 8
_BLOB_BYTES = _TIME_BYTES + 64


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A line of a witness. ``by`` None: of a key that nobody named, so that it says nothing yet."""

    name: str
    seconds: int
    by: notes.Verifier | None


def sign(note: notes.Note, signer: notes.Signs, witness: notes.Verifier, *, seconds: int) -> notes.Note:
    """Return the note with the witness's line in place of an older one of the same key."""
    payload = _payload(note, seconds)
    line = notes.Line(witness.name, witness.key_hash, seconds.to_bytes(_TIME_BYTES, "big") + signer.sign(payload))
    others = tuple(each for each in note.lines if (each.name, each.key_hash) != (line.name, line.key_hash))
    return notes.Note(note.text, (*others, line))


def find(note: notes.Note, witnesses: tuple[notes.Verifier, ...]) -> tuple[list[Cosignature], list[str]]:
    """Return the cosignatures on a note, and the names of lines that claim to be of a known witness and are not."""
    found, bad = [], []
    by = {(witness.name, witness.key_hash): witness for witness in witnesses}
    for line in note.lines:
        if len(line.blob) != _BLOB_BYTES:
            continue
        seconds = int.from_bytes(line.blob[:_TIME_BYTES], "big")
        witness = by.get((line.name, line.key_hash))
        if witness is not None and not notes.signs(
            witness.public_key, line.blob[_TIME_BYTES:], _payload(note, seconds)
        ):
            bad.append(line.name)
            continue
        found.append(Cosignature(line.name, seconds, witness))
    return found, bad


def _payload(note: notes.Note, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{note.text}".encode()
