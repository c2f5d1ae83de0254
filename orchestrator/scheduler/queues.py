"""The queue, kept in lanes so that a cycle never looks at a million rows.

A lane holds the jobs of one share, priority and kind, in order of arrival. The control loop keeps the index up to date
by giving it every committed job (``put``); a cycle walks the heads of lanes and changes nothing but bookkeeping. A job
costs about 100 bytes here beside its id. Jobs that are backing off wait in a heap; quarantined jobs are not in it.
"""

from __future__ import annotations

import array
import bisect
import datetime as dt
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from orchestrator.domain import ids, jobs
from orchestrator.scheduler import classes, worlds

UNPLACEABLE = "Unplaceable"
"""Condition: no site may take the job, and waiting does not change that."""
WAITING = "Waiting"
"""Condition: some site may take the job, but not now."""
QUARANTINED = "Quarantined"
"""Condition: the job breaks the scheduler; it is passed over until its condition is cleared."""

REPORTED_MAX = 1000
"""Jobs of one lane whose condition is brought up to date in one cycle; the others follow in the next."""
REPORTED_TOTAL_MAX = 5000
"""The same over all lanes: each of them is a row to write."""

_COMPACT_AT = 1024


@dataclass(frozen=True, slots=True)
class LaneKey:
    """What the jobs of a lane have in common. ``priority`` is the name: its number depends on the queue's document."""

    tenant: str
    queue: str | None
    priority: str | None
    kind: classes.Kind

    @property
    def share(self) -> str:
        """Return whose share of the whole its jobs use."""
        return f"{self.tenant}/{self.queue or ''}"


@dataclass(slots=True)
class Lane:
    """Jobs alike, in order of arrival. Removed ones leave a hole ("") until the lane is compacted."""

    key: LaneKey
    sequences: array.array[int] = field(default_factory=lambda: array.array("q"))
    jobs: list[ids.JobId] = field(default_factory=list)
    since: array.array[float] = field(default_factory=lambda: array.array("d"))
    notes: array.array[int] = field(default_factory=lambda: array.array("l"))
    """Which condition each job carries, as a number of the index."""
    head: int = 0
    alive: int = 0
    note: int = 0
    cursor: int = 0
    """Every job before it carries ``note``."""

    def add(self, sequence: int, job: ids.JobId, since: float, note: int) -> None:
        """Put a job in its place."""
        at = bisect.bisect_right(self.sequences, sequence)
        self.sequences.insert(at, sequence)
        self.jobs.insert(at, job)
        self.since.insert(at, since)
        self.notes.insert(at, note)
        self.head, self.cursor = min(self.head, at), min(self.cursor, at)
        self.alive += 1

    def remove(self, sequence: int, job: ids.JobId) -> None:
        """Take a job out."""
        at = self._find(sequence, job)
        self.jobs[at] = ids.JobId("")
        self.alive -= 1
        while self.head < len(self.jobs) and not self.jobs[self.head]:
            self.head += 1
        if len(self.jobs) > _COMPACT_AT and self.alive < len(self.jobs) // 2:
            self._compact()

    def set_note(self, sequence: int, job: ids.JobId, note: int) -> None:
        """Remember which condition a job carries now."""
        at = self._find(sequence, job)
        if self.notes[at] != note:
            self.notes[at] = note
            self.cursor = min(self.cursor, at)

    def note_of(self, sequence: int, job: ids.JobId) -> int:
        """Return which condition a job carries."""
        return self.notes[self._find(sequence, job)]

    def untold(self, note: int, limit: int) -> list[ids.JobId]:
        """Return at most ``limit`` jobs that do not carry this condition yet, first come first."""
        if note != self.note:
            self.note, self.cursor = note, 0
        while self.cursor < len(self.jobs) and (not self.jobs[self.cursor] or self.notes[self.cursor] == note):
            self.cursor += 1
        found: list[ids.JobId] = []
        for at in range(self.cursor, len(self.jobs)):
            if len(found) >= limit:
                break
            if self.jobs[at] and self.notes[at] != note:
                found.append(self.jobs[at])
        return found

    def _find(self, sequence: int, job: ids.JobId) -> int:
        at = bisect.bisect_left(self.sequences, sequence)
        while self.jobs[at] != job:
            at += 1
        return at

    def _compact(self) -> None:
        keep = [at for at, job in enumerate(self.jobs) if job]
        self.cursor = bisect.bisect_left(keep, self.cursor)
        self.sequences = array.array("q", [self.sequences[at] for at in keep])
        self.since = array.array("d", [self.since[at] for at in keep])
        self.notes = array.array("l", [self.notes[at] for at in keep])
        self.jobs = [self.jobs[at] for at in keep]
        self.head = 0


@dataclass(frozen=True, slots=True)
class ArrayRoom:
    """What a parent may still take: its untouched elements, and how many more may occupy sites at once.

    ``verification``: the elements are the runs of a verified job, of which ``held`` are all places so far.
    """

    untouched: tuple[tuple[int, int], ...]
    budget: int | None
    """None: no bound."""
    verification: jobs.Verification | None = None
    held: tuple[jobs.Hand, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    lane: Lane
    sequence: int


class QueueIndex:
    """Every queued job, by lane. One writer (the control loop); a cycle reads it on the same thread."""

    def __init__(self, queued: Iterable[jobs.Job] = ()) -> None:
        self.lanes: dict[LaneKey, Lane] = {}
        self.arrays: dict[ids.JobId, ArrayRoom] = {}
        self.broken: dict[ids.JobId, str] = {}
        """Jobs that could not even be put into a lane, with the error: the next plan reports them."""
        self._places: dict[ids.JobId, _Place] = {}
        self._delayed: list[tuple[dt.datetime, ids.JobId]] = []
        self._waiting: dict[ids.JobId, jobs.Job] = {}
        self._notes: dict[tuple[str, str, str], int] = {}
        for job in queued:
            self.put(job)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, job: ids.JobId) -> bool:
        return job in self._places

    def put(self, job: jobs.Job) -> None:
        """Bring the index up to date with a job as committed: in, out, or changed. Never raises."""
        try:
            self._put(job)
        except Exception as error:  # noqa: BLE001 - a poisonous spec must not stop the queue (fault 28)
            self.discard(job.id)
            self.broken[job.id] = f"{type(error).__name__}: {error}"

    def discard(self, job: ids.JobId) -> None:
        """Take a job out; one that is not in is fine."""
        self.broken.pop(job, None)
        self.arrays.pop(job, None)
        self._leave(job)

    def _leave(self, job: ids.JobId) -> None:
        self._waiting.pop(job, None)
        place = self._places.pop(job, None)
        if place is not None:
            place.lane.remove(place.sequence, job)
            if not place.lane.alive:
                del self.lanes[place.lane.key]

    def release(self, at: dt.datetime) -> None:
        """Let in the jobs whose back-off is over."""
        while self._delayed and self._delayed[0][0] <= at:
            when, job_id = heapq.heappop(self._delayed)
            job = self._waiting.get(job_id)
            if job is not None and job.not_before == when:
                del self._waiting[job_id]
                self._enter(job)

    def next_release(self) -> dt.datetime | None:
        """Return when the next back-off is over."""
        return self._delayed[0][0] if self._delayed else None

    def note(self, type_: str, reason: str, message: str) -> int:
        """Return the number of a condition."""
        return self._notes.setdefault((type_, reason, message), len(self._notes) + 1)

    def carries(self, job: ids.JobId, note: int) -> bool:
        """Say whether a job in line carries a condition; one that is not in line needs none."""
        place = self._places.get(job)
        return place is None or place.lane.note_of(place.sequence, job) == note

    def walk(self) -> Iterator[Lane]:
        """Yield the lanes that hold jobs."""
        yield from self.lanes.values()

    def _put(self, job: jobs.Job) -> None:
        condition = job.condition(QUARANTINED)
        quarantined = condition is not None and condition.status
        stays = job.phase is jobs.Phase.QUEUED
        if job.array_state is not None:
            # A parent is there for its untouched elements; those that were touched are jobs of their own.
            self.arrays[job.id] = room_of_array(job)
            if job.phase.terminal:
                del self.arrays[job.id]
            stays = not job.phase.terminal and job.array_state.untouched_count > 0
        if not stays or job.stop is not None or quarantined:
            self._leave(job.id)
        elif job.not_before is not None:
            # Whether it is over is the cycle's to say: it knows the time.
            self._leave(job.id)
            self._waiting[job.id] = job
            heapq.heappush(self._delayed, (job.not_before, job.id))
        else:
            self._enter(job)

    def _enter(self, job: jobs.Job) -> None:
        note = self._note_of(job)
        place = self._places.get(job.id)
        if place is not None:
            place.lane.set_note(place.sequence, job.id, note)
            return
        kind = classes.kind_of(job.tenant, job.spec)
        key = LaneKey(job.tenant, job.spec.queue, job.spec.priority, kind)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = Lane(key)
        lane.add(job.queue_seq, job.id, job.submitted_at.timestamp(), note)
        self._places[job.id] = _Place(lane, job.queue_seq)

    def _note_of(self, job: jobs.Job) -> int:
        for condition in job.conditions:
            if condition.status and condition.type in (UNPLACEABLE, WAITING):
                return self.note(condition.type, condition.reason, condition.message)
        return 0


def room_of_array(parent: jobs.Job) -> ArrayRoom:
    """Return what an array may still take."""
    state, spec = parent.array_state, parent.spec.array
    assert state is not None  # noqa: S101 - callers ask for parents only
    if spec is None or spec.parallel is None:
        return ArrayRoom(state.untouched, None, parent.spec.verification, state.held)
    occupying = sum(state.count(phase) for phase in jobs.OCCUPYING)
    return ArrayRoom(state.untouched, max(spec.parallel - occupying, 0))


def priority_of(lane: Lane, world: worlds.World) -> int:
    """Return the number of a lane's priority."""
    return world.priority(lane.key.tenant, lane.key.queue, lane.key.priority)
