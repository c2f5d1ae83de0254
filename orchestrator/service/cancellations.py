"""What a wish to end a job changes: its row, the row of its array, and an entry for each that moved."""

from __future__ import annotations

from orchestrator.domain import elements, events, jobs, journal, lifecycle
from orchestrator.inventory import obligations as owings
from orchestrator.ports import stores


def changes(store: stores.Store, old: jobs.Job, stop: events.StopRequested) -> stores.Changes | None:
    """Return what to commit, the job itself first; None if nothing changes.

    ``old`` is the job, the array, or the element as it was read (version 0: an element nobody has touched).
    """
    moved = _moved(store, old, stop)
    if moved is None:
        return None
    told = [moved[0], *(pair for pair in moved[1:] if pair[0].phase is not pair[1].phase)]
    entries = [_entry(before, after, stop) for before, after in told]
    rows = {after.id: after for _, after in moved}
    over = [owings.Over(row.id, stop.at) for row in rows.values() if row.phase.terminal and owings.owes(row)]
    settled = owings.settle(store, rows, over, stop.by)
    rows |= settled.rows
    return stores.Changes(
        jobs=list(rows.values()), obligations=settled.obligations, entries=[*entries, *settled.entries]
    )


def _moved(store: stores.Store, old: jobs.Job, stop: events.StopRequested) -> list[tuple[jobs.Job, jobs.Job]] | None:
    """Return (before, after) of each row."""
    if old.parent is None:
        new = lifecycle.apply(old, stop)
        return None if new is old else [(old, new)]
    parent = store.job(old.parent)
    if parent is None or old.index is None:
        raise AssertionError(f"element {old.id} without its array")
    before = parent
    if old.version == 0:
        if old.phase.terminal or parent.phase.terminal or parent.stop is not None:
            return None
        parent, old = elements.touch(parent, old.index)
    new = lifecycle.apply(old, stop)
    if new is old:
        return None
    changed = elements.element_changed(parent, old.phase, new.phase, stop.at)
    return [(old, new), *([(before, changed)] if changed is not before else [])]


def _entry(before: jobs.Job, after: jobs.Job, stop: events.StopRequested) -> journal.Entry:
    """Return the entry of one row that the wish moved: the job's own, or that of the array it belongs to."""
    kind = "job.cancelled" if after.array_state is None or after.stop is not None else "job.array"
    body = {"from": before.phase.value, "to": after.phase.value, "reason": after.reason or stop.cause.value}
    return journal.Entry(kind, f"job/{after.id}", stop.at, stop.by, body, after.tenant)
