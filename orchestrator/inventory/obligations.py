"""What a commit does to the obligations of its jobs: placements bring them, ends and withdrawals take some away.

Both who acts (the loop) and who answers (the use cases) commit ends of jobs, so both ask here. Nothing is read where
no duty ever fired: the job's own condition ``Obliged`` says whether there is anything to read. Elements of an array
owe nothing of their own: what is owed for any of them is owed once, by the array.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain import conditions, decisions, events, ids, jobs, journal, obligations
from orchestrator.ports import stores

PAGE = 1_000
_MESSAGE_MAX = 1_000
CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class Brought:
    """A placement that brings duties."""

    placement: decisions.Placement
    duties: Sequence[obligations.Duty]


@dataclass(frozen=True, slots=True)
class Undone:
    """An attempt that was withdrawn before anybody launched it."""

    job: ids.JobId
    number: int
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Over:
    """A job that has ended."""

    job: ids.JobId
    at: dt.datetime


Deed = Brought | Undone | Over
_Owed = dict[str, obligations.Obligation]
"""What one job owes, by code."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What to commit beside the rows: ``rows`` are those of jobs whose conditions changed."""

    rows: Mapping[ids.JobId, jobs.Job] = field(default_factory=dict)
    obligations: Sequence[obligations.Obligation] = ()
    entries: Sequence[journal.Entry] = ()


def owner_of(job: ids.JobId) -> ids.JobId:
    """Return the job that owes what is owed for a job: an element's array, else the job itself."""
    return ids.split_element(job)[0]


def owes(job: jobs.Job) -> bool:
    """Say whether something was ever owed for a live job: its condition says so."""
    found = job.condition(obligations.OBLIGED)
    return found is not None and found.status


def of_jobs(store: stores.Store, owners: Iterable[ids.JobId]) -> list[obligations.Obligation]:
    """Return all obligations of some jobs. Raises StoreError."""
    wanted = stores.ObligationFilter(jobs=frozenset(owners))
    found: list[obligations.Obligation] = []
    cursor: str | None = None
    while wanted.jobs:
        page = store.list_obligations(wanted, limit=PAGE, cursor=cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    return found


def settle(store: stores.Store, rows: Mapping[ids.JobId, jobs.Job], deeds: Sequence[Deed], by: str) -> Settled:
    """Return what ``deeds``, in their order, do to obligations. ``rows`` are the jobs as they will be committed, the
    owners among them; ``by`` is who acts. Raises StoreError."""
    if not deeds:
        return Settled()
    owners = {_subject(deed): _when(deed) for deed in deeds}
    known = of_jobs(store, [job for job in owners if rows[job].condition(obligations.OBLIGED) is not None])
    before: dict[ids.JobId, _Owed] = {job: {} for job in owners}
    for one in known:
        before[one.job][one.duty.code] = one
    after = {job: dict(owed) for job, owed in before.items()}
    ends = [Over(job, at) for job, at in owners.items() if rows[job].phase.terminal]
    for deed in (*deeds, *ends):
        job = _subject(deed)
        for one in _done(deed, rows[job], after[job]):
            after[job][one.duty.code] = one
    moved: dict[ids.JobId, jobs.Job] = {}
    changed: list[obligations.Obligation] = []
    entries: list[journal.Entry] = []
    for job, at in owners.items():
        mine = [one for code, one in after[job].items() if one != before[job].get(code)]
        changed += mine
        entries += _entries(rows[job], mine, at, by)
        row = with_conditions(rows[job], list(after[job].values()), at)
        if row is not rows[job]:
            moved[job] = row
    return Settled(moved, changed, entries)


def with_conditions(job: jobs.Job, owed: Sequence[obligations.Obligation], at: dt.datetime) -> jobs.Job:
    """Return the job saying what of it is to be done, and what is late. One that has ended says neither: its
    obligations say it."""
    live = not job.phase.terminal
    pending = [one.duty.code for one in owed if live and one.state.pending]
    late = [one.duty.code for one in owed if live and one.state is obligations.State.OVERDUE]
    for type_, codes, reason in (
        (obligations.OBLIGED, pending, "DutiesOpen"),
        (obligations.OVERDUE, late, "DutiesOverdue"),
    ):
        text = ", ".join(codes)[:_MESSAGE_MAX]
        over = "NothingOpen" if live else "JobEnded"
        note = events.ConditionChanged(at, type_, bool(codes), reason if codes else over, text)
        job = conditions.changed(job, note)
    return job


def _subject(deed: Deed) -> ids.JobId:
    return owner_of(deed.placement.job) if isinstance(deed, Brought) else deed.job


def _when(deed: Deed) -> dt.datetime:
    return deed.placement.placed_at if isinstance(deed, Brought) else deed.at


def _done(deed: Deed, job: jobs.Job, now: _Owed) -> list[obligations.Obligation]:
    match deed:
        case Brought(placement, duties):
            return [
                obligations.recorded(
                    now.get(duty.code),
                    duty,
                    job=job.id,
                    tenant=job.tenant,
                    site=placement.site,
                    attempt=placement.number,
                    placed_at=placement.placed_at,
                )
                for duty in duties
            ]
        case Undone(_, number, at):
            why = f"attempt {number} was never launched"
            return [obligations.withdrawn(one, why, at) for one in now.values() if one.attempt == number]
        case Over(_, at):
            standing = [one for one in now.values() if one.due_at is None]
            return [obligations.withdrawn(one, "the job has ended", at) for one in standing]


def _entries(job: jobs.Job, changed: Sequence[obligations.Obligation], at: dt.datetime, by: str) -> list[journal.Entry]:
    """Return one entry for what a job owes newly, and one for what it does not owe any more."""
    mine = sorted(changed, key=lambda one: one.duty.code)
    new = [one for one in mine if one.state is obligations.State.OPEN]
    gone = [one for one in mine if one.state is obligations.State.WITHDRAWN]
    found = []
    if new:
        due = {one.duty.code: None if one.due_at is None else one.due_at.isoformat() for one in new}
        body: dict[str, object] = {"attempt": new[0].attempt, "site": str(new[0].site), "due": due}
        found.append(journal.Entry("obligation.recorded", f"job/{job.id}", at, by, body, job.tenant))
    if gone:
        body = {"codes": [one.duty.code for one in gone], "reason": gone[0].reason}
        found.append(journal.Entry("obligation.withdrawn", f"job/{job.id}", at, by, body, job.tenant))
    return found
