"""What an attempt wrote, read from where somebody stopped. The cursor is the place in the log of each rank.

A gang's logs come a piece a rank, cut at the end of a line while the job runs, so that lines of two ranks never mix.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence

from backends.local import errors
from orchestrator.ports import backends

_CURSOR = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18}){0,1023}", re.ASCII)
_LINE_BYTES_MAX = 64 * 1024
"""A line longer than this is given in pieces."""


def read(
    folder: str, nodes: int, *, cursor: str | None, node: int | None, limit: int, over: bool
) -> tuple[Sequence[backends.LogChunk], str]:
    """Return what stands after ``cursor`` now, and the cursor behind it.

    Raises PermanentError ``local.cursor`` for a cursor that is none of this attempt.
    """
    places = _places(cursor, nodes)
    ranks = [rank for rank in range(nodes) if node is None or node == rank]
    chunks: list[backends.LogChunk] = []
    for number, rank in enumerate(ranks):
        share = limit // (len(ranks) - number)
        if share <= 0:
            break
        data = _piece(f"{folder}/{rank}/log", places[rank], share)
        if nodes > 1 and not (over and len(data) < share):
            data = _whole_lines(data, share)
        if data:
            places[rank] += len(data)
            limit -= len(data)
            chunks.append(backends.LogChunk(data, _text(places), rank))
    return chunks, _text(places)


def _places(cursor: str | None, nodes: int) -> list[int]:
    if cursor is None or cursor == "":
        return [0] * nodes
    places = [int(part) for part in cursor.split(".")] if _CURSOR.fullmatch(cursor) else []
    if len(places) != nodes:
        raise errors.refused("cursor", "the cursor is none of this attempt's log")
    return places


def _text(places: Sequence[int]) -> str:
    return ".".join(map(str, places))


def _piece(path: str, place: int, limit: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(fd, limit, place) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)


def _whole_lines(data: bytes, room: int) -> bytes:
    """Return the data up to its last line end; all of it where one line fills the room or is too long."""
    end = data.rfind(b"\n") + 1
    if end == 0 and (len(data) >= room or len(data) >= _LINE_BYTES_MAX):
        return data
    return data[:end]
