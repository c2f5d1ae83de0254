"""What an attempt wrote, from the file on its driver's node. The cursor is the place in that file.

Before the runner's first line stand Ray's own; they are shown only where the runner never came to write.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Callable, Sequence

from backends.ray import client, errors, parsing
from backends.ray.runner import words
from orchestrator.ports import backends

PREAMBLE_BYTES_MAX = 256 * 1024
_CURSOR = re.compile(r"[0-9]{1,18}", re.ASCII)

Reader = Callable[[int, int], bytes]
"""(place, at most so many bytes) -> what stands there."""


def path_of(job: parsing.Job) -> str:
    """Return where the head streams the log of an attempt from."""
    asked = {"node_id": job.node or "", "filename": f"job-driver-{job.id}.log", "lines": "-1"}
    return f"/api/v0/logs/file?{urllib.parse.urlencode(asked)}"


def read(
    key: str, read_at: Reader, *, cursor: str | None, limit: int, over: bool
) -> tuple[Sequence[backends.LogChunk], str]:
    """Return what stands after ``cursor`` now, and the cursor behind it.

    Raises PermanentError ``ray.cursor`` for a cursor that is none of ours.
    """
    if cursor:
        if not _CURSOR.fullmatch(cursor):
            raise errors.refused("cursor", "the cursor is none of this attempt's log")
        place = int(cursor)
        data = read_at(place, limit)
    else:
        line = words.begins(key)
        head = read_at(0, PREAMBLE_BYTES_MAX)
        at = head.find(line)
        if at < 0 and not over and len(head) < PREAMBLE_BYTES_MAX:
            return (), ""
        place = at + len(line) if at >= 0 else 0
        data = head[place : place + limit]
        if len(head) == PREAMBLE_BYTES_MAX and len(data) < limit:
            data = read_at(place, limit)
    end = str(place + len(data))
    return ([backends.LogChunk(data, end, 0)] if data else []), end


def reader(head: client.Head, job: parsing.Job) -> Reader:
    """Return how the log of an attempt is read. Its errors are BackendErrors; a log that is not there reads as none."""

    def read_at(place: int, limit: int) -> bytes:
        if limit <= 0:
            return b""
        reply = head.read(path_of(job), skip=place, limit=limit)
        if reply.status == 200:
            return reply.body
        if reply.status == 500 and b"UNAUTHENTICATED" in reply.body:
            return _whole(head, job)[place : place + limit]
        if b"No such file" in reply.body or b"not found" in reply.body or b"does not exist" in reply.body:
            return b""
        raise errors.of_status(head.url, reply.status, reply.body)

    return read_at


def _whole(head: client.Head, job: parsing.Job) -> bytes:
    """Return a log by the Jobs API, where the head cannot ask its own node for it (seen: Ray 2.52 with a token).

    Text alone: of a log with other bytes this Ray says nothing, and the error says so.
    """
    reply = head.send("GET", f"/api/jobs/{urllib.parse.quote(job.id, safe='')}/logs")
    if reply.status == 500 and b"codec can't decode" in reply.body:
        raise errors.refused("log-not-text", "this Ray reads only logs that are UTF-8, and this one is not")
    if reply.status != 200:
        raise errors.of_status(head.url, reply.status, reply.body)
    try:
        found = json.loads(reply.body)["logs"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise errors.malformed("log") from error
    if not isinstance(found, str):
        raise errors.malformed("log")
    return found.encode("utf-8", "replace")
