"""What an attempt wrote, read from where somebody stopped. The cursor is the place in the log of each node.

The logs of a gang come a piece a node, cut at the end of a line while it runs, so that lines of two never mix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backends.slurm import errors, folders
from orchestrator.ports import backends

_CURSOR = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18}){0,9999}", re.ASCII)
_LINE_BYTES_MAX = 64 * 1024
"""A line longer than this is given in pieces."""


def read(
    folder: folders.Folder, key: str, left: folders.Left, *, cursor: str | None, node: int | None, limit: int
) -> tuple[Sequence[backends.LogChunk], str] | None:
    """Return what stands after ``cursor`` now, and the cursor behind it; None where the attempt has no folder.

    Raises PermanentError ``slurm.cursor`` for a cursor that is none of this attempt.
    """
    text = cursor or "0"
    if not _CURSOR.fullmatch(text):
        raise errors.refused("cursor", "the cursor is none of this attempt's log")
    if not left.claimed:
        return None
    places = [int(part) for part in text.split(".")]
    if places == [0]:  # before it began nobody knew of how many nodes it is
        places = [0] * left.nodes
    if len(places) != left.nodes:
        raise errors.refused("cursor", "the cursor is none of this attempt's log")
    chunks: list[backends.LogChunk] = []
    ranks = [rank for rank in range(left.nodes) if node in (None, rank)]
    for number, rank in enumerate(ranks):
        share = limit // (len(ranks) - number)
        data = folder.log(key, places[rank], share, rank if left.nodes > 1 else None) or b""
        if left.nodes > 1 and not (left.end and len(data) < share):
            data = _whole_lines(data, share)
        if data:
            places[rank] += len(data)
            limit -= len(data)
            chunks.append(backends.LogChunk(data, ".".join(map(str, places)), rank))
    return chunks, ".".join(map(str, places))


def _whole_lines(data: bytes, share: int) -> bytes:
    """Return a piece up to its last end of line; all of it where a line is longer than may be waited for."""
    end = data.rfind(b"\n") + 1
    return data[:end] if end or len(data) < min(share, _LINE_BYTES_MAX) else data
