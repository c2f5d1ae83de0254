"""Lists of jobs: pages, newest first, from two tables at one moment; and lists of obligations, by job and code.

Each phase is asked for by itself, so that one compound index answers each question in order and without sorting;
ids first (from the index alone), whole rows only for the page that is shown.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from orchestrator.domain import ids, jobs, obligations
from orchestrator.ports import stores
from orchestrator.store import codec
from orchestrator.store.sql import schema

_LIVE = (jobs.Phase.QUEUED, jobs.Phase.PLACED, jobs.Phase.STARTING, jobs.Phase.RUNNING, jobs.Phase.STOPPING)
_FINISHED = (jobs.Phase.SUCCEEDED, jobs.Phase.FAILED, jobs.Phase.CANCELLED)
_HIGHEST = "\x7f"
"""Sorts after every character of a job id."""


def find_ids(
    connection: sa.Connection,
    wanted: stores.JobFilter,
    *,
    limit: int,
    below: ids.JobId | None,
    above: int | None,
) -> list[str]:
    """Return the ids of up to ``limit`` wanted jobs in their order."""
    found: list[Sequence[Any]] = []
    for table, phases in ((schema.live_jobs, _LIVE), (schema.finished_jobs, _FINISHED)):
        asked = [phase for phase in phases if wanted.phases is None or phase in wanted.phases]
        for where in _questions(table, asked, wanted):
            query = sa.select(table.c.id, table.c.idx).where(*where).limit(limit)
            if wanted.parent is not None:
                query = query.where(table.c.idx > above) if above is not None else query
                query = query.order_by(table.c.idx)
            else:
                query = query.where(table.c.id < below) if below is not None else query
                query = query.order_by(table.c.id.desc())
            found += connection.execute(query).fetchall()
    if wanted.parent is not None:
        return [row[0] for row in heapq.nsmallest(limit, found, key=lambda row: row[1])]
    return [row[0] for row in heapq.nlargest(limit, found, key=lambda row: row[0])]


def _questions(
    table: sa.Table, phases: Sequence[jobs.Phase], wanted: stores.JobFilter
) -> list[list[sa.ColumnElement[bool]]]:
    """Return the conditions of each query that one index answers."""
    columns = table.c
    same: list[sa.ColumnElement[bool]] = []
    if wanted.parent is not None:
        same += [columns.parent == wanted.parent, columns.parent.is_not(None)]
    elif wanted.top_level_only:
        same.append(columns.parent.is_(None))
    for column, value in (
        (columns.tenant, wanted.tenant),
        (columns.name, wanted.name),
        (columns.queue, wanted.queue),
        (columns.site, wanted.site),
    ):
        if value is not None:
            same.append(column == value)
    if wanted.id_prefix is not None:
        prefix = wanted.id_prefix.upper()
        same += [columns.id >= prefix, columns.id < prefix + _HIGHEST]
    for key, value in wanted.labels:
        labels = schema.spec_labels.c
        having = sa.select(labels.spec_digest).where(
            labels.key == key, labels.value == value, labels.spec_digest == columns.spec_digest
        )
        same.append(having.exists())
    if not phases:
        return []
    if wanted.name is not None or wanted.parent is not None or wanted.id_prefix is not None:
        some = [] if wanted.phases is None else [columns.phase.in_([phase.value for phase in phases])]
        return [same + some]
    return [[*same, columns.phase == phase.value] for phase in phases]


def of_obligations(
    wanted: stores.ObligationFilter, *, limit: int, after: tuple[str, str] | None
) -> list[sa.Select[tuple[object, ...]]]:
    """Return queries, each answered in order by one index, that together find the first ``limit`` wanted ones."""
    table = schema.obligations
    columns = table.c
    same: list[sa.ColumnElement[bool]] = [] if wanted.tenant is None else [columns.tenant == wanted.tenant]
    if after is not None:
        job, code = after
        same.append(sa.or_(columns.job > job, sa.and_(columns.job == job, columns.code > code)))
        same.append(columns.job >= job)
    order: list[sa.ColumnElement[object]] = [columns.job, columns.code]
    if wanted.due_by is not None:
        same += [columns.due_at.is_not(None), columns.due_at <= codec.micros(wanted.due_by)]
        order = [columns.due_at, *order]
    states = [state.value for state in wanted.states or obligations.State]
    if wanted.jobs is not None:
        some = [*same, columns.job.in_(sorted(wanted.jobs))]
        some += [] if wanted.states is None else [columns.state.in_(sorted(states))]
        return [sa.select(table).where(*some).order_by(*order).limit(limit)]
    return [sa.select(table).where(*same, columns.state == state).order_by(*order).limit(limit) for state in states]
