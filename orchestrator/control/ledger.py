"""Collects what happened in a tick and commits it: events onto the newest rows, one entry each, under the term.

When somebody else changed a row meanwhile (a cancel, say), it is read again and the same events are applied to it:
``lifecycle.apply`` is total, so what does not fit any more falls away. What a failed commit loses is found again,
because everything is derived from the store and from what backends say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from orchestrator.control import arrivals, entries, index, retry, runs
from orchestrator.domain import decisions, elements, events, ids, jobs, journal, lifecycle, obligations, sites, tallies
from orchestrator.inventory import blames, ledgers
from orchestrator.inventory import obligations as owings
from orchestrator.ports import stores

JOBS_MAX = 2_000
"""Jobs in one commit."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event of one job; ``placement`` stands beside a ``Placed``."""

    job: ids.JobId
    event: events.Event
    placement: decisions.Placement | None = None
    counted: Sequence[tallies.Tally] = ()
    """What the placement adds to thresholds that add up."""
    owed: Sequence[obligations.Duty] = ()
    """What the placement obliges to."""
    blamed: Sequence[tuple[str, sites.Blame]] = ()
    """(operator, blame) of a verdict."""


@dataclass(slots=True)
class _Draft:
    rows: dict[ids.JobId, jobs.Job] = field(default_factory=dict)
    entries: list[journal.Entry] = field(default_factory=list)
    placements: list[decisions.Placement] = field(default_factory=list)
    counted: list[tallies.Tally] = field(default_factory=list)
    deeds: list[owings.Deed] = field(default_factory=list)
    blamed: list[tuple[str, sites.Blame]] = field(default_factory=list)


class Ledger:
    """Not thread-safe: used by the loop only."""

    def __init__(self, store: stores.Store, live: index.JobIndex) -> None:
        self._store = store
        self._live = live
        self._steps: list[Step] = []
        self.broken: dict[ids.JobId, str] = {}
        """Jobs whose rows took no event since the loop last asked, and why: a bug, or a damaged store."""

    def stage(
        self,
        job: ids.JobId,
        event: events.Event,
        placement: decisions.Placement | None = None,
        counted: Sequence[tallies.Tally] = (),
        owed: Sequence[obligations.Duty] = (),
        blamed: Sequence[tuple[str, sites.Blame]] = (),
    ) -> None:
        """Note that ``event`` happened to ``job``."""
        self._steps.append(Step(job, event, placement, counted, owed, blamed))

    def __len__(self) -> int:
        return len(self._steps)

    def subjects(self) -> set[ids.JobId]:
        """Return the jobs of which something is staged."""
        return {step.job for step in self._steps}

    def commit(
        self,
        term: ids.Term,
        *,
        made: Sequence[decisions.Decision] = (),
        contents: Sequence[decisions.Content] = (),
        arrival: arrivals.Arrival | None = None,
        stored: Callable[[], None] = lambda: None,
    ) -> list[decisions.Placement]:
        """Make everything staged durable and return the placements that took hold. Raises StoreError.

        Each placement is durable together with its decision. What decisions name (``contents``) goes into the first
        commit that writes anything, after which ``stored`` is called; with it goes the job that is just arriving, which
        is given its receipt.
        """
        steps, self._steps = self._steps, []
        placed: list[decisions.Placement] = []
        for start in range(0, max(len(steps), 1), JOBS_MAX):
            chunk = steps[start : start + JOBS_MAX]
            try:
                written = self._commit_chunk(chunk, term, made, contents, arrival)
            except stores.VersionConflictError:
                written = retry.on_conflict()(self._commit_chunk, chunk, term, made, contents, arrival)
            if written is None:
                continue  # somebody else was faster with all of it: nothing was committed, and so no content either
            placed += written
            if contents:
                stored()
            contents, arrival = (), None
        return placed

    def _commit_chunk(
        self,
        steps: Sequence[Step],
        term: ids.Term,
        made: Sequence[decisions.Decision],
        contents: Sequence[decisions.Content],
        arrival: arrivals.Arrival | None,
    ) -> list[decisions.Placement] | None:
        """Return the placements of one commit; None where nothing was left to write."""
        draft = _Draft()
        if arrival is not None:
            draft.rows[arrival.job.id] = arrival.job
            draft.entries += arrival.changes.entries
        for step in steps:
            try:
                self._apply(draft, step)
            except Exception as error:  # one row that contradicts itself must not stop all others
                if self._was_stale(step.job):
                    raise stores.VersionConflictError(f"job/{step.job}") from error
                self.broken[step.job] = f"{type(error).__name__}: {error}"
        if not draft.rows:
            return None
        settled = owings.settle(self._store, draft.rows, draft.deeds, entries.CONTROLLER)
        draft.rows.update(settled.rows)
        wanted = {placement.decision for placement in draft.placements}
        changes = stores.Changes(
            jobs=tuple(draft.rows.values()),
            placements=tuple(draft.placements),
            decisions=tuple(one for one in made if one.digest in wanted or not one.placeable) if made else (),
            contents=tuple(contents),
            keys=arrival.changes.keys if arrival is not None else (),
            # A placement, what it counts and what it obliges to are durable together, or nothing of it is.
            documents=self._documents(draft),
            obligations=settled.obligations,
            entries=(*draft.entries, *settled.entries),
            term=term,
        )
        try:
            receipt = self._store.commit(changes)
        except stores.VersionConflictError:
            self._read(draft.rows)
            raise
        if arrival is not None:
            arrival.receipt = receipt
            self._live.drop(arrival.job.id)  # it was there without its place in the queue
        for job in receipt.jobs:
            self._live.put(job)
        return draft.placements

    def _documents(self, draft: _Draft) -> tuple[stores.Document, ...]:
        counted = ledgers.documents(draft.counted, self._store) if draft.counted else ()
        return (*counted, *(blames.documents(draft.blamed, self._store) if draft.blamed else ()))

    def _apply(self, draft: _Draft, step: Step) -> None:
        job = draft.rows.get(step.job) or self._live.get(step.job)
        parent_id, number = ids.split_element(step.job)
        parent = draft.rows.get(parent_id) or self._live.get(parent_id) if number is not None else None
        touched = False
        if job is None and parent is not None and number is not None:
            parent, job, touched = *_touch(parent, number), True
        if job is None:
            return
        new = lifecycle.apply(job, step.event)
        if new is job:
            return
        if parent is None and number is not None and job.phase is not new.phase:
            parent = self._store.job(parent_id)  # a run of a verified job that has its verdict: it is counted still
        if parent is not None:
            moved = elements.element_changed(parent, job.phase, new.phase, step.event.at)
            if isinstance(step.event, events.Placed) and parent.spec.verification is not None:
                hand = step.event.hand
                if hand is None or not runs.may_take(parent, hand):
                    return  # a sibling was given this hand meanwhile: it is drawn again
                moved = elements.given(moved, hand, step.event.at)
            if touched or job.phase is not new.phase:
                entry = entries.of_parent(parent, moved, step.event.at)
                draft.entries += [entry] if entry is not None else []
                draft.rows[parent_id] = moved
        draft.rows[step.job] = new
        _owe(draft, step, draft.rows.get(parent_id) or parent or new)
        if (entry := entries.of(job, new, step.event, step.placement)) is not None:
            draft.entries.append(entry)
        draft.blamed += step.blamed
        if step.placement is not None:
            draft.placements.append(step.placement)
            draft.counted += step.counted

    def _was_stale(self, job: ids.JobId) -> bool:
        """Read a family again, and say whether it was not as known: an array and its elements, of different moments."""
        family = ids.split_element(job)[0]
        known = {id: row.version for id in self._family(family) if (row := self._live.get(id)) is not None}
        self._read([job])
        return known != {id: row.version for id in self._family(family) if (row := self._live.get(id)) is not None}

    def _family(self, parent: ids.JobId) -> tuple[ids.JobId, ...]:
        return (parent, *self._live.elements.get(parent, ()))

    def _read(self, wanted: Collection[ids.JobId]) -> None:
        # An array counts its elements by phase: they are only right together, so a family is read whole.
        families = {ids.split_element(id)[0] for id in wanted}
        members = (each for parent in families for each in self._family(parent))
        for id in {*wanted, *members}:
            stored = self._store.job(id)
            if stored is None:
                self._live.drop(id)
            else:
                self._live.put(stored)


def _owe(draft: _Draft, step: Step, owner: jobs.Job) -> None:
    """Note what the step does to the obligations of its owner; next to nothing where no duty ever fired."""
    if step.owed and step.placement is not None:
        draft.rows.setdefault(owner.id, owner)
        draft.deeds.append(owings.Brought(step.placement, step.owed))
    elif owings.owes(owner):
        if owner.phase.terminal:
            draft.deeds.append(owings.Over(owner.id, step.event.at))
        elif isinstance(step.event, events.Withdrawn) and step.job == owner.id:
            draft.deeds.append(owings.Undone(owner.id, step.event.number, step.event.at))


def _touch(parent: jobs.Job, number: int) -> tuple[jobs.Job, jobs.Job | None]:
    state = parent.array_state
    if state is None or parent.stop is not None or not any(low <= number < high for low, high in state.untouched):
        return parent, None
    return elements.touch(parent, number)
