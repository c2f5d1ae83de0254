"""A log is read once, whole and in order, in whatever pieces it is asked for and however it grows."""

import datetime as dt
import random

import pytest

from backends.kubernetes import logs
from orchestrator.domain import errors

START = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)


def stamped(lines: list[tuple[float, bytes]]) -> list[tuple[int, bytes]]:
    """Return (second, line with its time in front) of lines at so many seconds after the start."""
    found = []
    for after_s, content in lines:
        at = START + dt.timedelta(seconds=after_s)
        stamp = f"{at:%Y-%m-%dT%H:%M:%S.%f}123Z ".encode()
        found.append((int(at.timestamp()), stamp + content))
    return found


def served(lines: list[tuple[int, bytes]], place: logs.Place, limit: int, written: int) -> bytes:
    """Return what a kubelet sends: lines since a second, in the order of the file, so many bytes."""
    whole = b"".join(line for second, line in lines[:written] if second >= place.second)
    return whole[:limit]


@pytest.mark.parametrize("seed", range(20))
def test_any_pieces_make_the_whole(seed: int) -> None:
    """Pieces of random size, of a log that grows meanwhile and holds binary lines, join to what was written."""
    draw = random.Random(seed)
    at_s, lines = 0.0, []
    for _ in range(60):
        at_s += draw.choice((0.0, 0.01, 0.4, 3.0))
        late = at_s - draw.choice((0.0, 0.0, 0.3))  # two streams are out of order by less than a second
        lines.append((max(late, 0.0), draw.randbytes(draw.randrange(80)).replace(b"\n", b" ") + b"\n"))
    whole = stamped(lines)
    place, data = logs.Place(), b""
    for _ in range(5000):
        written = min(len(whole), draw.randrange(len(whole) + 20))
        limit = draw.randrange(1, 200)
        raw = served(whole, place, place.skip + limit * 2 + 64, written)
        piece, place = logs.take(raw, place, limit)
        assert len(piece) <= limit
        data += piece
        (place,) = logs.places(logs.text([place]), 1)
        if len(data) == sum(len(line) for _, line in lines):
            break
    assert data == b"".join(line for _, line in lines)


def test_the_place_moves_on() -> None:
    """A long log is not read from its beginning each time."""
    whole = stamped([(second, b"x\n") for second in range(100)])
    _, place = logs.take(served(whole, logs.Place(), 10**6, 100), logs.Place(), 10**6)
    assert place.second == whole[-2][0]
    assert place.skip == sum(len(line) for _, line in whole[-2:])


def test_lines_without_a_time_are_taken_as_they_are() -> None:
    """What is no log of Kubernetes is shown, not lost, and nothing is skipped because of it."""
    raw = b"x" * 100 + b"\nfailed to read\n"
    data, place = logs.take(raw, logs.Place(), 1000)
    assert data.replace(b"to ", b"").startswith(b"x" * 100)
    assert (place.second, place.skip) == (0, len(raw))


@pytest.mark.parametrize("cursor", ["x", "1.2.3", "1.1_1.1", "-1.0", "1.1z"])
def test_a_cursor_of_something_else_is_refused(cursor: str) -> None:
    """A cursor that is none of this attempt's has its code."""
    with pytest.raises(errors.PermanentError) as caught:
        logs.places(cursor, 1)
    assert caught.value.code == "kubernetes.cursor"
