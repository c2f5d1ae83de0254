"""The pretended machine: a table of attempts whose state follows from the time. Thread-safe.

With a folder it keeps an append-only record there, so that what runs is still running after the control plane crashed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import heapq
import json
import pathlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

from backends.simulated import errors, render

KEPT = dt.timedelta(hours=6)
"""So long an ended attempt is remembered by the record."""
RECORD = "attempts.jsonl"


@dataclass(frozen=True, slots=True)
class Record:
    """One attempt, or, without an order, the mark that a key must not start."""

    key: str
    accepted_at: dt.datetime
    order: render.Order | None = None
    stopped_at: dt.datetime | None = None

    @property
    def starts_at(self) -> dt.datetime:
        """Return when it begins to run."""
        return self.accepted_at + dt.timedelta(seconds=self.order.start_delay_s if self.order else 0)

    @property
    def ends_at(self) -> dt.datetime:
        """Return when it ends, by itself or because it was stopped."""
        order = self.order
        if order is None:
            return self.accepted_at
        lasts_s = order.run_time_s / 2 if order.preempted else order.run_time_s
        if order.time_limit_s is not None:
            lasts_s = min(lasts_s, order.time_limit_s)
        end = self.starts_at + dt.timedelta(seconds=lasts_s)
        return end if self.stopped_at is None else min(end, max(self.stopped_at, self.accepted_at))


@dataclass(slots=True)
class Used:
    """What the attempts of one pool take that are not over."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    accelerators: int = 0
    attempts: int = 0

    def add(self, order: render.Order, sign: int) -> None:
        """Count an attempt in (1) or out (-1)."""
        self.cpu_milli += sign * order.cpu_milli
        self.memory_bytes += sign * order.memory_bytes
        self.accelerators += sign * order.accelerators
        self.attempts += sign


class Machine:
    """Attempts by key. Reads its record at the first use, not when it is made."""

    def __init__(self, now: Callable[[], dt.datetime], folder: str | None = None) -> None:
        self._now = now
        self._path = None if folder is None else pathlib.Path(folder) / RECORD
        self._lock = threading.RLock()
        self._records: dict[str, Record] = {}
        self._term = 0
        self._opened = False
        self._file: IO[str] | None = None
        self._live: dict[str, Record] = {}
        self._ends: list[tuple[dt.datetime, str]] = []
        self._used: dict[str, Used] = {}

    def create(self, order: render.Order, *, term: int, room: Callable[[Used], bool]) -> str:
        """Get or create an attempt; ``room`` says whether it fits beside those of its pool that are not over."""
        with self._lock:
            self._open()
            self._check_term(term)
            known = self._records.get(order.key)
            if known is not None:
                if known.order is None:
                    raise errors.stopped_before(order.key)
                return known.key
            self._sweep()
            if not room(self._used.get(order.pool, Used())):
                raise errors.full(order.pool)
            self._write(Record(order.key, self._now(), order))
            return order.key

    def end(self, key: str, *, term: int) -> None:
        """End exactly this attempt; one that is not there yet must never start."""
        with self._lock:
            self._open()
            self._check_term(term)
            known = self._records.get(key)
            now = self._now()
            if known is None:
                self._write(Record(key, now, None, now))
            elif known.order is not None and known.stopped_at is None and known.ends_at > now:
                self._write(dataclasses.replace(known, stopped_at=now))

    def read(self, key: str) -> tuple[Record | None, dt.datetime]:
        """Return an attempt, None for an unknown one, and the time."""
        with self._lock:
            self._open()
            return self._records.get(key), self._now()

    def current(self) -> Mapping[str, Record]:
        """Return the attempts that are not over."""
        with self._lock:
            self._open()
            self._sweep()
            return dict(self._live)

    def used(self, pool: str) -> Used:
        """Return what is taken of a pool now."""
        with self._lock:
            self._open()
            self._sweep()
            return dataclasses.replace(self._used.get(pool, Used()))

    def drop(self, key: str) -> None:
        """Forget an attempt that is over."""
        with self._lock:
            self._open()
            known = self._records.get(key)
            if known is not None and known.order is not None and known.ends_at <= self._now():
                self._records.pop(key)

    def _sweep(self) -> None:
        now = self._now()
        while self._ends and self._ends[0][0] <= now:
            key = heapq.heappop(self._ends)[1]
            record = self._live.get(key)
            if record is not None and record.order is not None and record.ends_at <= now:
                del self._live[key]
                self._used[record.order.pool].add(record.order, -1)

    def _enter(self, record: Record) -> None:
        if record.order is not None:
            if record.key not in self._live:
                self._used.setdefault(record.order.pool, Used()).add(record.order, 1)
            self._live[record.key] = record
            heapq.heappush(self._ends, (record.ends_at, record.key))

    def _check_term(self, term: int) -> None:
        if term < self._term:
            raise errors.stale_term(term)
        self._term = term

    def _write(self, record: Record) -> None:
        self._records[record.key] = record
        self._enter(record)
        if self._path is not None:
            if self._file is None:
                self._file = self._path.open("a", encoding="utf-8")
            self._file.write(json.dumps({**_dump(record), "term": self._term}) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Let go of the record; it is opened again at the next use."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _open(self) -> None:
        if self._opened:
            return
        self._opened = True
        if self._path is None or not self._path.exists():
            return
        now = self._now()
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                body = json.loads(line)
                record = _load(body)
            except (ValueError, KeyError, TypeError):
                continue  # the last line of a crash; the attempt was never acknowledged
            self._term = max(self._term, int(body.get("term", 0)))
            self._records[record.key] = record
        self._records = {key: r for key, r in self._records.items() if now - r.ends_at < KEPT}
        for record in self._records.values():
            if record.ends_at > now:
                self._enter(record)
        fresh = self._path.with_suffix(".new")
        lines = (json.dumps({**_dump(r), "term": self._term}) + "\n" for r in self._records.values())
        fresh.write_text("".join(lines), encoding="utf-8")
        fresh.replace(self._path)


def _dump(record: Record) -> dict[str, object]:
    return {
        "key": record.key,
        "acceptedAt": record.accepted_at.isoformat(),
        "order": dataclasses.asdict(record.order) if record.order else None,
        "stoppedAt": record.stopped_at.isoformat() if record.stopped_at else None,
    }


def _load(body: dict[str, object]) -> Record:
    order, stopped = body["order"], body["stoppedAt"]
    return Record(
        key=str(body["key"]),
        accepted_at=dt.datetime.fromisoformat(str(body["acceptedAt"])),
        order=render.Order(**{**order, "outputs": tuple(order["outputs"])}) if isinstance(order, dict) else None,
        stopped_at=dt.datetime.fromisoformat(str(stopped)) if stopped else None,
    )
