"""Signed checkpoints: what is signed is what is read, and nothing else passes."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from orchestrator.domain import ids
from orchestrator.evidence import checkpoints

ORIGIN = "comity.example/log"
POINT = checkpoints.Checkpoint(ORIGIN, 3, bytes(range(32)), ids.Digest("sha256:" + "ab" * 32))


class Key:
    """A signer for tests."""

    def __init__(self, seed: bytes) -> None:
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(seed * 32)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, payload: bytes) -> bytes:
        """Return the signature."""
        return self._key.sign(payload)


MINE, OTHER = Key(b"a"), Key(b"b")


def test_round_trip_and_form() -> None:
    """A note reads as the C2SP formats say, and verifies to the same checkpoint."""
    note = checkpoints.sign(POINT, MINE, MINE.public)
    lines = note.split("\n")
    assert lines[:3] == [ORIGIN, "3", base64.b64encode(bytes(range(32))).decode()]
    assert lines[4] == ""
    blob = base64.b64decode(lines[5].removeprefix(f"\u2014 {ORIGIN} "))
    assert blob[:4] == hashlib.sha256(ORIGIN.encode() + b"\n\x01" + MINE.public).digest()[:4]
    assert len(blob) == 68
    assert checkpoints.verify(note, origin=ORIGIN, public_key=MINE.public) == POINT


def test_witness_lines_are_skipped() -> None:
    """Further signatures by keys that we do not know change nothing."""
    note = checkpoints.sign(POINT, MINE, MINE.public)
    body, _, mine = note.rpartition("\n\n")
    other = checkpoints.sign(POINT, OTHER, OTHER.public).rpartition("\n\n")[2]
    both = f"{body}\n\n{other}{mine}"
    assert checkpoints.verify(both, origin=ORIGIN, public_key=MINE.public) == POINT


def test_forgeries_are_refused() -> None:
    """Another key, another origin, a changed byte anywhere, a cut note: all refused with the same error."""
    note = checkpoints.sign(POINT, MINE, MINE.public)
    bad = [note[:cut] for cut in range(len(note))]
    bad += [note[:at] + ("B" if note[at] != "B" else "C") + note[at + 1 :] for at in range(len(note))]
    for text in [*bad, "", "\n\n", checkpoints.sign(POINT, OTHER, OTHER.public)]:
        with pytest.raises(checkpoints.CheckpointError):
            checkpoints.verify(text, origin=ORIGIN, public_key=MINE.public)
    with pytest.raises(checkpoints.CheckpointError):
        checkpoints.verify(note, origin="comity.example/other", public_key=MINE.public)


@pytest.mark.parametrize("line", [0, 1, 2, 3])
def test_signed_nonsense_is_refused(line: int) -> None:
    """A good signature over a malformed body is not a checkpoint."""
    lines = POINT.body().split("\n")
    lines[line] = ["else", "03", "short", "no chain"][line]
    body = "\n".join(lines)
    signature = checkpoints.key_hash(ORIGIN, MINE.public) + MINE.sign(body.encode())
    note = f"{body}\n\u2014 {ORIGIN} {base64.b64encode(signature).decode()}\n"
    with pytest.raises(checkpoints.CheckpointError):
        checkpoints.verify(note, origin=ORIGIN, public_key=MINE.public)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb"])
def test_origins(origin: str) -> None:
    """An origin that would break the format is refused before anything is signed."""
    with pytest.raises(checkpoints.CheckpointError):
        checkpoints.sign(checkpoints.Checkpoint(origin, 0, b"", POINT.link), MINE, MINE.public)
