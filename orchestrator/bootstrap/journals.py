"""The journal of a state folder, checked without a server: its chain, its signed heads, its keys."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.bootstrap import signing, states
from orchestrator.evidence import chain, checkpoints, rotations, tiles
from orchestrator.ports import stores
from orchestrator.store import opening
from orchestrator.telemetry import clocks

PART_MIN, WORKERS_MAX = 100_000, 8
"""Entries below which a process of its own costs more than it gains; and processes at once."""
_PAGE = 10_000
_PARTS = "orchestrator.store.sql.parts"


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found. ``first_bad`` None: every link holds. ``compared``: signed heads that agree."""

    entries: int
    first_bad: int | None
    problems: tuple[str, ...] = ()
    compared: int = 0

    @property
    def ok(self) -> bool:
        """Say whether nothing is wrong."""
        return self.first_bad is None and not self.problems


def verify(folder: str, *, database: str | None = None, against: Sequence[str] = ()) -> Report:
    """Check every link, and hold the journal to the note in the state folder and to notes that somebody kept.

    Raises StoreError. A server may run meanwhile.
    """
    path = pathlib.Path(folder)
    if database is None and not (path / states.DATABASE).exists():
        raise FileNotFoundError(f"{path / states.DATABASE} does not exist: no server has kept its state here")
    # The note first: a server that runs meanwhile signs longer heads.
    own = signing.Shelf(path).note()
    store = opening.open_store(database or str(path / states.DATABASE), clocks.SystemClock())
    try:
        entries = store.head().seq
        bad = _first_bad(store, database or str(path / states.DATABASE), entries)
        if bad is not None:
            return Report(entries, bad)
        heads = [note for note in (own, *against) if note]
        problems, compared = compare(store, heads)
        return Report(entries, None, tuple(problems), compared)
    finally:
        store.close()


def _first_bad(store: stores.Store, name: str, entries: int) -> int | None:
    """Return the first entry whose link does not hold; a long journal is checked in parts, a process each."""
    workers = min(os.cpu_count() or 1, WORKERS_MAX, entries // PART_MIN)
    if workers < 2:
        return store.verify_journal()
    size = -(-entries // workers)
    parts = [(at, min(at + size, entries)) for at in range(0, entries, size)]
    started = [_start(name, after, until) for after, until in parts]
    bad = [_answer(one, store, *part) for one, part in zip(started, parts, strict=True)]
    found = [one for one in bad if one is not None]
    # The head, and whether a tail was lost, is the last part's to see; entries written meanwhile are not its matter.
    return min(found) if found else store.verify_journal(after=max(entries - 1, 0))


def _start(name: str, after: int, until: int) -> subprocess.Popen[bytes] | None:
    """Start the check of a part in a process of its own; None where none can be started."""
    command = [sys.executable, "-P", "-m", _PARTS, name, str(after), str(until)]
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        return subprocess.Popen(  # noqa: S603 -- our own module, in our own interpreter
            command, env=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None


def _answer(process: subprocess.Popen[bytes] | None, store: stores.Store, after: int, until: int) -> int | None:
    """Return what a part's process found. One that did not end well has found nothing: the part is checked here."""
    said, well = b"", False
    if process is not None:
        said, _ = process.communicate()
        well = process.returncode == 0
    try:
        found = json.loads(said) if well else ""
    except ValueError:
        found = ""
    if found is None or type(found) is int:
        return found
    return store.verify_journal(after=after, until=until)


def compare(store: stores.Store, heads: Sequence[str]) -> tuple[list[str], int]:
    """Hold the journal to signed heads, the shortest first, so that the first bad stretch is named first."""
    if not heads:
        return [], 0
    tree = tiles.TileTree(lambda start, count: store.links(after=start, limit=count))
    while links := store.links(after=tree.size, limit=_PAGE):
        tree.extend(links)
    problems: list[str] = []
    points: list[tuple[checkpoints.Checkpoint, str]] = []
    for note in heads:
        try:
            points.append((checkpoints.read(note)[1], note))
        except checkpoints.CheckpointError as error:
            problems.append(f"a checkpoint cannot be read: {error}")
    agreed = 0
    compared = 0
    for point, note in sorted(points, key=lambda each: each[0].size):
        wrong = _wrong(store, tree, point, note, agreed)
        if wrong:
            problems.append(wrong)
        else:
            agreed, compared = point.size, compared + 1
    return problems, compared


def _wrong(store: stores.Store, tree: tiles.TileTree, point: checkpoints.Checkpoint, note: str, agreed: int) -> str:
    """Return what is wrong about one signed head, or ""."""
    found = store.entries(subject=rotations.SUBJECT, limit=rotations.KEYS_MAX)
    rotated = [(link.seq, link.entry.body) for link in found if link.entry.kind == rotations.KIND]
    try:
        if rotated:
            keys = rotations.chain(point.origin, bytes.fromhex(str(rotated[0][1]["old"])), rotated)
            checkpoints.verify(note, origin=point.origin, public_key=keys.at(point.size))
    except (rotations.RotationError, checkpoints.CheckpointError, ValueError) as error:
        return f"the signed head of {point.size} entries is not of this journal's keys: {error}"
    if point.size > tree.size:
        lost = f"entry {tree.size + 1} is the first lost"
        return f"{point.size} entries were signed, and the journal has {tree.size}: {lost}"
    link = store.links(after=point.size - 1, limit=1) if point.size else []
    same = tree.root(point.size) == point.root and (not link or chain.to_digest(link[0]) == point.link)
    if same:
        return ""
    return (
        f"the first {point.size} entries are not those that were signed: the first that differs is after "
        f"entry {agreed} and not after entry {point.size}"
    )
