"""A pod's log from where somebody stopped. Pure: the bytes come from the API server, each line with its time in front.

The API server can begin at a second, not at a byte. So a place is (second, bytes since that second, inside a line): the
log since the second is asked for, the bytes are skipped, and the second moves on behind what was read, one second late,
because lines of two streams may be out of order by less than that. Nothing is read twice and nothing is left out, as
long as the node keeps the log.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from backends.kubernetes import errors

STAMP_MAX = 40
"""Bytes of a line's time and the space behind it."""
_PLACE = re.compile(r"(?P<second>\d{1,12})\.(?P<skip>\d{1,15})(?P<inside>i?)(?P<over>e?)", re.ASCII)
RANKS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where one rank's log was read to. ``over``: nothing follows."""

    second: int = 0
    skip: int = 0
    inside: bool = False
    over: bool = False

    def text(self) -> str:
        """Return it as a part of a cursor."""
        return f"{self.second}.{self.skip}{'i' if self.inside else ''}{'e' if self.over else ''}"

    @property
    def since(self) -> str:
        """Return the second as Kubernetes writes it; "" for the beginning."""
        return f"{dt.datetime.fromtimestamp(self.second, dt.UTC):%Y-%m-%dT%H:%M:%SZ}" if self.second else ""


def places(cursor: str | None, nodes: int) -> list[Place]:
    """Return the place of each rank. Raises PermanentError ``kubernetes.cursor`` for a cursor of something else."""
    if not cursor:
        return [Place()] * nodes
    found = [_PLACE.fullmatch(part) for part in cursor.split("_")]
    if len(found) != nodes or not all(found):
        raise errors.refused("cursor", "the cursor is none of this attempt's log")
    return [Place(int(one["second"]), int(one["skip"]), bool(one["inside"]), bool(one["over"])) for one in found if one]


def text(found: Sequence[Place]) -> str:
    """Return the cursor of all ranks."""
    return "_".join(place.text() for place in found)


def take(raw: bytes, place: Place, limit: int) -> tuple[bytes, Place]:
    """Return what a read since ``place.second`` says after ``place``, without times, and the new place.

    ``raw`` may end anywhere; a time that is not whole yet is left for the next read.
    """
    at, inside = place.skip, place.inside
    data = bytearray()
    while at < len(raw) and len(data) < limit:
        if not inside:
            stamp = raw.find(b" ", at, at + STAMP_MAX)
            if stamp < 0 and len(raw) - at < STAMP_MAX:
                break  # the rest of the time has not come yet
            at, inside = (stamp + 1 if stamp >= 0 else at), True
        end = raw.find(b"\n", at) + 1 or len(raw)
        end = min(end, at + limit - len(data))
        data += raw[at:end]
        at = end
        inside = raw[end - 1 : end] != b"\n"
    return bytes(data), _moved(raw, place, at, inside)


def _moved(raw: bytes, place: Place, at: int, inside: bool) -> Place:
    """Return the place behind ``at``, its second moved on as far as is safe: not where a line has no time."""
    spans: list[tuple[int, int]] = []
    start = 0
    while start < at:
        end = raw.find(b"\n", start, at) + 1 or at
        stamp = raw.find(b" ", start, start + STAMP_MAX)
        spans.append((_second(raw[start:stamp]) if stamp > start else 0, end - start))
        start = end
    base = max((second for second, _ in spans), default=0) - 1
    if base <= place.second or any(second == 0 for second, _ in spans):
        return Place(place.second, at, inside)
    return Place(base, sum(length for second, length in spans if second >= base), inside)


def _second(stamp: bytes) -> int:
    """Return whole seconds since 1970 of an RFC 3339 time; 0 for what is none."""
    try:
        found = dt.datetime.fromisoformat(stamp[:19].decode("ascii"))
    except ValueError:
        return 0
    return int(found.replace(tzinfo=dt.UTC).timestamp()) if stamp.endswith(b"Z") else 0
