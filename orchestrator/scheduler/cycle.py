"""One scheduling cycle: a snapshot in, a plan out. It acts on nothing; the control loop commits and acts.

No step is proportional to queue times sites: each class is judged once (and remembered), each class walks down its
ranking once, and a lane is left at the first job of it that finds no room. A job that raises anywhere is quarantined
with its error, and the others go on.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain import decisions as made
from orchestrator.domain import ids, jobs, obligations, offers, tallies
from orchestrator.placement import columns, select
from orchestrator.scheduler import (
    caches,
    classes,
    countings,
    elements,
    families,
    gangs,
    queues,
    rooms,
    shares,
    snapshots,
    waits,
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A job, or element ``index`` of an array, is to go to a site. The rest becomes its placement record."""

    job: ids.JobId
    index: int | None
    site: ids.SiteName
    decision: ids.Digest
    policy: ids.Digest
    facts: ids.Digest
    expires: dt.datetime | None
    counted: tuple[tallies.Tally, ...] = ()
    """What it adds to the ledger."""
    owed: tuple[obligations.Duty, ...] = ()
    """What it obliges to."""
    hand: jobs.Hand | None = None
    """Whose place it is, for a run of a verified job."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Jobs of one lane that do not carry yet the condition they should: at most ``queues.REPORTED_MAX`` a cycle."""

    class_digest: ids.Digest
    wait: waits.Wait
    jobs: tuple[ids.JobId, ...]
    decision: ids.Digest


@dataclass(frozen=True, slots=True)
class Plan:
    """What one cycle decided. ``contents`` holds everything that the decisions name and that is not known to be stored
    since the cache saw an earlier plan committed; storing one twice is fine.

    ``next_at``: the next moment at which the same snapshot would be planned differently, as far as is known.
    """

    placements: tuple[Placed, ...] = ()
    decisions: Mapping[ids.Digest, made.Decision] = field(default_factory=dict)
    contents: Mapping[ids.Digest, made.Content] = field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()
    quarantined: tuple[tuple[ids.JobId, str], ...] = ()
    next_at: dt.datetime | None = None


def plan(snapshot: snapshots.Snapshot, cache: caches.Cache | None = None) -> Plan:
    """Plan one cycle. ``cache`` is the memory of earlier cycles of the same control loop; without one all is judged.

    1. let in the jobs whose back-off is over; 2. bring the columns up to date, promises subtracted; 3. classify and
    judge each lane; 4. serve, or keep room for, big jobs that waited too long; 5. place by priority, fair share and
    arrival until nothing fits; 6. say why the others wait.
    """
    snapshot.queue.release(snapshot.at)
    memory = cache if cache is not None else caches.Cache()
    memory.settle(snapshot.queue)
    cycle = _Cycle(snapshot, memory, memory.refresh(snapshot))
    cycle.judge()
    cycle.serve_impatient()
    cycle.place()
    cycle.report()
    return cycle.plan()


@dataclass(slots=True)
class _Turn:
    """A lane in this cycle."""

    lane: queues.Lane
    priority: int
    walk: rooms.Walk
    selection: select.Selection
    line: elements.Line
    blocked: bool = False
    """Nothing of it fits any more."""
    broken: bool = False
    """It raised, and its jobs are quarantined."""
    deferred: bool = False
    """What this cycle counted concerns it: it is judged anew by the next one."""
    wait: waits.Wait | None = None
    """Why verified jobs of it that have no place yet find none."""


class _Cycle:
    """The state of one cycle, thrown away at its end."""

    def __init__(self, snapshot: snapshots.Snapshot, cache: caches.Cache, table: columns.Columns) -> None:
        self._snapshot = snapshot
        self._cache = cache
        self._table = table
        self._rooms = rooms.Rooms(table)
        self._shares = shares.Shares(_whole(table), snapshot.live, snapshot.world)
        self._budgets = elements.Budgets(snapshot.queue.arrays)
        self._families = families.Families(snapshot, table.names)
        self._walks: dict[ids.Digest, tuple[rooms.Walk, select.Selection]] = {}
        self._turns: list[_Turn] = []
        self._placements: list[Placed] = []
        self._decisions: dict[ids.Digest, made.Decision] = {}
        self._contents: dict[ids.Digest, made.Content] = {}
        self._waiting: list[Waiting] = []
        self._quarantined: list[tuple[ids.JobId, str]] = list(snapshot.queue.broken.items())
        self._owed: dict[tuple[ids.Digest, int], tuple[obligations.Duty, ...]] = {}
        self._counting = countings.Counting(snapshot.world, snapshot.at, cache.table())

    def judge(self) -> None:
        """Classify every lane and judge every class. What raises is quarantined."""
        for lane in self._snapshot.queue.walk():
            try:
                priority = queues.priority_of(lane, self._snapshot.world)
                job = self._cache.class_of(lane.key.kind)
                walk, selection = self._walk(job)
            except Exception as error:  # noqa: BLE001 - a poisonous job must not stop the others (fault 28)
                self._quarantine(lane, error)
                continue
            line = elements.Line(lane, self._budgets)
            self._turns.append(_Turn(lane, priority, walk, selection, line))

    def serve_impatient(self) -> None:
        """Give the first big job of each share that waited too long its turn now, or keep a site for it."""
        big = {id(turn.lane): turn for turn in self._turns if turn.walk.job.big}
        found = gangs.impatient(
            ((turn.priority, turn.lane) for turn in big.values()), self._snapshot.at, self._snapshot.settings.patience
        )
        for priority, lane in found:
            turn = big[id(lane)]
            if not self._take_turn(turn) and turn.blocked:
                gangs.keep(turn.selection, self._rooms, priority, len(self._table))

    def place(self) -> None:
        """Give turns by priority, then to the share that has used least, then by arrival."""
        by_priority: dict[int, dict[str, list[tuple[int, int]]]] = {}
        for number, turn in enumerate(self._turns):
            if not turn.blocked and (sequence := turn.line.sequence()) is not None:
                by_priority.setdefault(turn.priority, {}).setdefault(turn.lane.key.share, []).append((sequence, number))
        for priority in sorted(by_priority, reverse=True):
            self._place_priority(by_priority[priority])

    def _place_priority(self, by_share: dict[str, list[tuple[int, int]]]) -> None:
        waiting = []
        for share, lanes in by_share.items():
            heapq.heapify(lanes)
            waiting.append((self._shares.used(share), lanes[0][0], share))
        heapq.heapify(waiting)
        while waiting and len(self._placements) < self._snapshot.settings.placements_max:
            share = heapq.heappop(waiting)[2]
            lanes = by_share[share]
            number = heapq.heappop(lanes)[1]
            turn = self._turns[number]
            self._take_turn(turn)
            sequence = turn.line.sequence()
            if not turn.blocked and sequence is not None:
                heapq.heappush(lanes, (sequence, number))
            if lanes:
                heapq.heappush(waiting, (self._shares.used(share), lanes[0][0], share))

    def report(self) -> None:
        """Say why the jobs of blocked lanes wait, to those that were not told yet."""
        known: dict[ids.Digest, waits.Wait] = {}
        budget = queues.REPORTED_TOTAL_MAX
        for turn in self._turns:
            if not (turn.blocked or turn.wait) or turn.broken or turn.deferred or budget <= 0:
                continue
            try:
                digest = turn.walk.job.digest
                wait = turn.wait or known.get(digest)
                if wait is None:
                    wait = known[digest] = self._cache.wait(turn.walk.job, turn.selection)
                note = self._snapshot.queue.note(wait.type, wait.reason, wait.message)
                untold = turn.line.untold(note, min(budget, queues.REPORTED_MAX))
                budget -= len(untold)
                if untold:
                    decision = self._decide(turn)
                    self._waiting.append(Waiting(digest, wait, untold, decision.digest))
            except Exception as error:  # noqa: BLE001 - a poisonous job must not stop the others (fault 28)
                self._quarantine(turn.lane, error)

    def plan(self) -> Plan:
        """Return what was decided."""
        ends = [selection.verdict.expires for _, selection in self._walks.values()]
        ends.append(self._snapshot.queue.next_release())
        ends += [self._snapshot.at] if any(turn.deferred for turn in self._turns) else []
        self._cache.offer(self._contents)
        return Plan(
            placements=tuple(self._placements),
            decisions=self._decisions,
            contents=self._contents,
            waiting=tuple(self._waiting),
            quarantined=tuple(self._quarantined),
            next_at=min((end for end in ends if end is not None), default=None),
        )

    def _walk(self, job: classes.JobClass) -> tuple[rooms.Walk, select.Selection]:
        known = self._walks.get(job.digest)
        if known is None:
            selection = select.choose(self._cache.verdict(job, self._snapshot.at), self._table)
            known = self._walks[job.digest] = (rooms.Walk(job, selection.ranking.tolist()), selection)
        return known

    def _take_turn(self, turn: _Turn) -> bool:
        """Place the next job of a lane, or the next few elements of an array; say whether anything was placed."""
        if turn.lane.key.kind.spec.verification is not None:
            head = turn.line.head()
            return head is not None and self._take_family(turn, ids.split_element(head)[0])
        wanted = min(turn.line.wanted(), self._counting.at_once(turn.walk.job))
        if wanted == 0:
            turn.deferred = turn.blocked = turn.line.wanted() > 0
            return False
        found = turn.walk.next(self._rooms, turn.priority, wanted)
        if found is None:
            turn.blocked = True
            return False
        row, times = found
        try:
            decision, owed = self._decide(turn), self._owes(turn, row)
        except Exception as error:  # noqa: BLE001 - a poisonous job must not stop the others (fault 28)
            turn.broken = True
            turn.line.leave()
            self._quarantine(turn.lane, error)
            return False
        self._give(turn, row, turn.line.take(times), decision, owed)
        return True

    def _take_family(self, turn: _Turn, family: ids.JobId) -> bool:
        """Place all runs of a verified job that wait, each in another hand; once in a cycle."""
        self._budgets.close(family)
        if family not in self._snapshot.queue.arrays:
            return False  # it has its verdict: its runs are about to go
        at_once = self._counting.at_once(turn.walk.job)
        if not at_once:
            turn.deferred = turn.blocked = True
            return False
        if turn.wait is not None and self._families.is_fresh(family):
            return False
        rows = [row for row in turn.selection.ranking.tolist() if self._rooms.open_to(row, turn.priority)]
        rows = [row for row in rows if self._rooms.times(row, turn.walk.job, 1)]
        turn.blocked = not rows
        if not rows:
            return False
        try:
            seats = self._families.seats(family, rows)
            if isinstance(seats, str):
                self._untaken(turn, family, seats)
                return False
            decision = self._decide(turn)
            owed = [self._owes(turn, seat.row) for seat in seats]
        except Exception as error:  # noqa: BLE001 - a poisonous job must not stop the others (fault 28)
            turn.broken = True
            turn.line.leave()
            self._quarantine(turn.lane, error)
            return False
        for seat, duties in list(zip(seats, owed, strict=True))[:at_once]:
            who = (ids.element_id(family, seat.number), None) if seat.touched else (family, seat.number)
            turn.line.pass_over(who[0])
            self._give(turn, seat.row, [who], decision, duties, seat.hand)
        return True

    def _untaken(self, turn: _Turn, family: ids.JobId, why: str) -> None:
        """Say why a verified job finds no places: of its own where it had some, else as all others like it."""
        wait = waits.Wait(queues.WAITING, "Verification", why)
        if self._families.is_fresh(family):
            turn.wait = wait
            return
        note = self._snapshot.queue.note(wait.type, wait.reason, wait.message)
        waiting = self._families.waiting(family)
        for job in dict.fromkeys(ids.element_id(family, number) if touched else family for number, touched in waiting):
            turn.line.pass_over(job)
            if not self._snapshot.queue.carries(job, note):
                self._waiting.append(Waiting(turn.walk.job.digest, wait, (job,), self._decide(turn).digest))

    def _give(
        self,
        turn: _Turn,
        row: int,
        takers: list[tuple[ids.JobId, int | None]],
        decision: made.Decision,
        owed: tuple[obligations.Duty, ...],
        hand: jobs.Hand | None = None,
    ) -> None:
        """Give room at a site away, once for each (job, element)."""
        self._rooms.take(row, turn.walk.job.room, len(takers))
        self._shares.use(turn.lane.key.share, turn.walk.job.room, len(takers))
        for job, index in takers:
            counted = self._counting.count(turn.walk.job, row, job if index is None else ids.element_id(job, index))
            placed = Placed(
                job=job,
                index=index,
                site=self._table.names[row],
                decision=decision.digest,
                policy=self._cache.policy().digest,
                facts=self._cache.facts().facts.digest,
                expires=decision.expires,
                counted=counted,
                owed=owed,
                hand=hand,
            )
            self._placements.append(placed)

    def _decide(self, turn: _Turn) -> made.Decision:
        decision, own = self._cache.decision(turn.walk.job, turn.selection, self._snapshot.at)
        if decision.digest not in self._decisions:
            self._decisions[decision.digest] = decision
            facts = self._cache.facts()
            needed = (*own, self._cache.book(), facts.facts, facts.shapes, *facts.each)
            self._contents.update({c.digest: c for c in needed if not self._cache.is_given(c.digest)})
        return decision

    def _owes(self, turn: _Turn, row: int) -> tuple[obligations.Duty, ...]:
        """Return what a placement obliges to: nothing is asked where no duty fires, and once a class and site else."""
        judgement = turn.selection.verdict.judgement
        if not judgement.obliged[row]:
            return ()
        key = (turn.walk.job.digest, row)
        known = self._owed.get(key)
        if known is None:
            known = self._owed[key] = judgement.owed(row)
        return known

    def _quarantine(self, lane: queues.Lane, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"[:500]
        self._quarantined += [(job, text) for job in elements.alive(lane, queues.REPORTED_MAX)]


def _whole(table: columns.Columns) -> offers.Room:
    ints = table.ints
    return offers.Room(
        cpu_milli=int(ints["total_cpu"].sum()),
        memory_bytes=int(ints["total_memory"].sum()),
        accelerators=int(ints["total_accelerators"].sum()),
    )
