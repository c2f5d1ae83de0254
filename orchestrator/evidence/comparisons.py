"""Two signed checkpoints of one log: are they of one history? And the words in which such questions are answered."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.evidence import bundles, checkpoints, merkle, notes


class Word(enum.Enum):
    """An answer. ``good`` tells which words a verified bundle may have."""

    GOOD = "good"
    BAD = "bad"
    TRUSTED = "trusted"
    UNKNOWN = "unknown"
    RETIRED = "retired"
    YES = "yes"
    NO = "no"
    NOT_ASKED = "not asked"
    NOT_POSSIBLE = "not possible"
    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question, with what it rests on or what is wrong."""

    word: Word
    why: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that somebody kept, to compare with; ``later`` proves that it goes on from the bundle's."""

    note: str
    later: tuple[bundles.Consistency, ...] = ()


def signed(note: notes.Note, own: Sequence[notes.Line], origin: str, key: bytes) -> bool:
    """Say whether one of the log's own lines on a note is a signature of this key."""
    wanted = notes.key_hash(origin, key)
    return any(line.key_hash == wanted and notes.signs(key, line.blob, note.text.encode()) for line in own)


def compare(
    old: checkpoints.Checkpoint,
    new: checkpoints.Checkpoint,
    *,
    forward: Sequence[bundles.Consistency],
    backward: Sequence[bundles.Consistency] = (),
) -> Answer:
    """Say whether two signed checkpoints of one log are of one history.

    ``forward`` leads from ``old`` to ``new``; ``backward`` the other way, where ``old`` is the longer one.
    """
    if old.size == new.size:
        same = (old.root, old.link) == (new.root, new.link)
        text = f"two different histories of {old.size} entries are signed"
        return Answer(Word.YES, f"both have {old.size} entries and the same root") if same else Answer(Word.NO, text)
    small, large = (old, new) if old.size < new.size else (new, old)
    given = forward if small is old else backward
    proof = next((one for one in given if one.old == small.size), None)
    if small.size == 0:
        return Answer(Word.YES, "the older one is empty")
    if proof is None:
        return Answer(Word.NOT_POSSIBLE, f"needs a proof from {small.size} to {large.size} entries")
    fits = merkle.verify_consistency(
        old=small.size, new=large.size, old_root=small.root, new_root=large.root, proof=proof.proof
    )
    if fits:
        return Answer(Word.YES, f"{large.size} entries go on from {small.size}")
    return Answer(Word.NO, f"the history of {large.size} entries does not go on from the signed one of {small.size}")
