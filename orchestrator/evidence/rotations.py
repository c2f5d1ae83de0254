"""How the log's key changes: an entry of the journal that the old and the new key have both signed.

The keys of a log are a chain: the first one, then one for each rotation. A key counts for checkpoints that do not
hold the entry of its own end (``size`` below that entry's number): whoever steals a retired key cannot speak for
what came after it. Keys are 32 raw bytes; what both sign is

    "comity/log-key-rotation/v1" LF || JCS({"new", "number", "old", "origin"})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.evidence import canonical, encodings, notes

KIND, SUBJECT = "log.key-rotated", "log/key"
_DOMAIN = b"comity/log-key-rotation/v1\n"
_MEMBERS = {"new", "newSignature", "number", "old", "oldSignature", "origin"}
KEYS_MAX = 1_000


class RotationError(ValueError):
    """The chain of keys does not hold; ``seq`` names the entry where it breaks."""

    def __init__(self, seq: int, message: str) -> None:
        super().__init__(f"entry {seq}: {message}")
        self.seq = seq


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a log. ``ends[k]`` is the number of the entry that ended ``all[k]``; the last one goes on."""

    origin: str
    all: tuple[bytes, ...]
    ends: tuple[int, ...] = ()

    @property
    def current(self) -> bytes:
        """Return the newest key."""
        return self.all[-1]

    def at(self, size: int) -> bytes:
        """Return the key that counts for a checkpoint of ``size`` entries."""
        return self.all[sum(1 for end in self.ends if end <= size)]


def body(
    origin: str, number: int, *, old: bytes, new: bytes, by_old: notes.Signs, by_new: notes.Signs
) -> dict[str, Any]:
    """Return the body of the entry. ``number`` counts the rotations of this log from 1."""
    payload = _payload(origin, number, old, new)
    return {
        "origin": origin,
        "number": number,
        "old": old.hex(),
        "new": new.hex(),
        "oldSignature": encodings.to_base64(by_old.sign(payload)),
        "newSignature": encodings.to_base64(by_new.sign(payload)),
    }


def chain(origin: str, first: bytes, rotated: Sequence[tuple[int, Mapping[str, Any]]]) -> Keys:
    """Return the keys, from the first one and the bodies of the rotations with their entries' numbers, in order.

    Raises RotationError where a body is malformed, of another log, out of order, or not signed by both keys.
    """
    if len(rotated) >= KEYS_MAX:
        raise RotationError(rotated[-1][0], f"more than {KEYS_MAX} keys")
    keys, ends = [first], []
    for number, (seq, said) in enumerate(rotated, 1):
        try:
            keys.append(_next(origin, number, keys[-1], said))
        except ValueError as error:
            raise RotationError(seq, str(error)) from error
        ends.append(seq)
    return Keys(origin, tuple(keys), tuple(ends))


def _next(origin: str, number: int, old: bytes, said: Mapping[str, Any]) -> bytes:
    if set(said) != _MEMBERS:
        raise ValueError("not the rotation of a key")
    if said["origin"] != origin or type(said["number"]) is not int or said["number"] != number:
        raise ValueError("the rotation of another log, or out of order")
    if encodings.from_hex(said["old"], length=32) != old:
        raise ValueError("the key it ends is not the one before it")
    new = encodings.from_hex(said["new"], length=32)
    payload = _payload(origin, number, old, new)
    for key, word in ((old, "old"), (new, "new")):
        if not notes.signs(key, encodings.from_base64(said[f"{word}Signature"], length=64), payload):
            raise ValueError(f"not signed by the {word} key")
    return new


def _payload(origin: str, number: int, old: bytes, new: bytes) -> bytes:
    return _DOMAIN + canonical.dumps({"new": new.hex(), "number": number, "old": old.hex(), "origin": origin})
