"""What a client remembers of the logs it has spoken to: the last signed head of each, and every fork it was shown.

A server that shows one history today and another tomorrow, or one to you and another to me, can be caught only by
somebody who remembers. So each head that is fetched must go on from the one remembered for that server, with proof;
where it does not, both notes are kept in a file (they are the evidence) and the caller is told loudly.
The first head of a server is taken at its word: compare its key with what the operator published.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from orchestrator.client import errors
from orchestrator.evidence import bundles, checkpoints, comparisons, merkle, rotations

KNOWN, FORKS = "known-logs", "forks"


class Head(NamedTuple):
    """A signed head as a server shows it, with what ties it to earlier ones. ``keys`` lead to the one that signed."""

    note: str
    point: checkpoints.Checkpoint
    keys: rotations.Keys
    consistency: Sequence[bundles.Consistency]


class Remembered(NamedTuple):
    """The last head of a server, and its key in hexadecimal."""

    note: str
    key: str
    point: checkpoints.Checkpoint


class ForkError(errors.ClientError):
    """Two heads that cannot be of one history. ``path`` is the file that keeps both."""

    def __init__(self, what: str, path: pathlib.Path) -> None:
        super().__init__(f"FORKED LOG: {what}; both signed heads are kept in {path}")
        self.path = path


def of_answer(answer: Any) -> Head:
    """Read the answer of ``GET /v1/log/checkpoint``. Raises ProtocolError."""
    try:
        rotated = [bundles.read_shown(each) for each in answer["rotations"]]
        consistency = tuple(bundles.read_consistency(each) for each in answer["consistency"])
        return _head(answer["note"], bytes.fromhex(answer["firstKey"]), rotated, consistency)
    except (KeyError, TypeError, ValueError) as error:
        raise errors.ProtocolError(f"the server's head of the log cannot be read: {error}") from error


def of_bundle(bundle: bundles.Bundle) -> Head:
    """Return the head of a bundle. Raises ProtocolError."""
    rotated = [one for one in bundle.entries if one.entry and one.entry["subject"] == rotations.SUBJECT]
    try:
        return _head(bundle.note, bundle.first_key, rotated, bundle.consistency)
    except ValueError as error:
        raise errors.ProtocolError(f"the head of the log in the bundle cannot be read: {error}") from error


def _head(
    note: str, first: bytes, rotated: Sequence[bundles.Shown], consistency: Sequence[bundles.Consistency]
) -> Head:
    point = checkpoints.read(note)[1]
    keys = rotations.chain(point.origin, first, [(one.seq, one.entry["body"]) for one in rotated if one.entry])
    checkpoints.verify(note, origin=point.origin, public_key=keys.at(point.size))
    for one in rotated:
        # Where a key ends is where its entry stands, so the place is proven, not told.
        if not merkle.verify_inclusion(
            data=one.link, index=one.seq - 1, size=point.size, proof=one.proof, root=point.root
        ):
            raise ValueError(f"the rotation of entry {one.seq} is not in the log")
    return Head(note, point, keys, consistency)


class Logbook:
    """The folder that remembers, below the client's state folder. ``take`` is the one way in."""

    def __init__(self, state: pathlib.Path) -> None:
        self._known, self._forks = state / KNOWN, state / FORKS

    def remembered(self, server: str) -> Remembered | None:
        """Return the last head of a server; None: never seen. Raises ClientError for a file that cannot be read."""
        path = self._path(server)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return Remembered(found["note"], found["key"], checkpoints.read(found["note"])[1])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            text = f"{path} should hold the last head of {server} and cannot be read: {error}; restore it"
            raise errors.ClientError(text) from error

    def of_origin(self, origin: str) -> list[Remembered]:
        """Return what is remembered of a log, whichever server showed it."""
        found = []
        for path in sorted(self._known.glob("*.json")):
            try:
                raw = json.loads(path.read_text(encoding="utf-8"))
                point = checkpoints.read(raw["note"])[1]
                found.append(Remembered(raw["note"], raw["key"], point))
            except (OSError, ValueError, KeyError, TypeError):
                continue  # an offline check is not stopped by a file that belongs to another server
        return [one for one in found if one.point.origin == origin]

    def take(self, server: str, head: Head) -> None:
        """Hold a head to the one remembered, and remember it. Raises ForkError, ProtocolError."""
        known = self.remembered(server)
        if known is not None:
            self._compare(server, known, head)
        if known is None or head.point.size >= known.point.size:
            self._write(server, head)

    def _compare(self, server: str, known: Remembered, head: Head) -> None:
        if known.point.origin != head.point.origin:
            what = f"{server} was the log {known.point.origin} and shows {head.point.origin} now"
            raise self._fork(what, known.note, head.note)
        if bytes.fromhex(known.key) != head.keys.at(known.point.size):
            size = known.point.size
            what = f"{server} was signed by the key {known.key[:16]} at {size} entries, and says now that it was not"
            raise self._fork(what, known.note, head.note)
        answer = comparisons.compare(known.point, head.point, forward=head.consistency)
        if answer.word is comparisons.Word.YES:
            return
        if head.point.size < known.point.size:
            what = f"{server} had {known.point.size} entries and shows {head.point.size} now"
            raise self._fork(what, known.note, head.note)
        if answer.word is comparisons.Word.NO:
            raise self._fork(f"{server}: {answer.why}", known.note, head.note)
        raise errors.ProtocolError(f"{server} does not prove that its log goes on from what was seen: {answer.why}")

    def _fork(self, what: str, old: str, new: str) -> ForkError:
        self._forks.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = f"{what}\n\n--- signed before\n{old}\n--- signed now\n{new}"
        path = self._forks / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.txt"
        path.write_text(text, encoding="utf-8")
        return ForkError(what, path)

    def _write(self, server: str, head: Head) -> None:
        self._known.mkdir(parents=True, exist_ok=True, mode=0o700)
        body = {"server": server, "key": head.keys.at(head.point.size).hex(), "note": head.note}
        path = self._path(server)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)

    def _path(self, server: str) -> pathlib.Path:
        return self._known / f"{hashlib.sha256(server.rstrip('/').encode()).hexdigest()[:24]}.json"
