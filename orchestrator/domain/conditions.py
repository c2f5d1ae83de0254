"""Conditions of a job: set, changed, cleared. Bounded, one of each type, ``since`` kept while the status stays."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from orchestrator.domain import events, jobs

SITE_WAITING = "SiteWaiting"
"""The place that was decided on has the attempt and does not start it yet: reason and message are the place's own."""
MAX_CONDITIONS = 32
"""Conditions kept on a job; the types are few, this only bounds a mistake."""


def changed(job: jobs.Job, event: events.ConditionChanged) -> jobs.Job:
    """Return the job with the condition; the same object if it says so already, or never did and is false."""
    old = job.condition(event.type)
    if old is None and not event.status:
        return job
    if old is not None and (old.status, old.reason, old.message) == (event.status, event.reason, event.message):
        return job
    since = old.since if old is not None and old.status == event.status else event.at
    new = jobs.Condition(event.type, event.status, event.reason, event.message, since)
    kept = tuple(new if c.type == event.type else c for c in job.conditions)
    if old is None:
        kept = (*kept, new)[-MAX_CONDITIONS:]
    return replace(job, conditions=kept)


def cleared(job: jobs.Job, *types: str, at: dt.datetime, reason: str = "Placed") -> jobs.Job:
    """Return the job with these conditions false, where they were true: by default because it was placed."""
    for type_ in types:
        old = job.condition(type_)
        if old is not None and old.status:
            job = changed(job, events.ConditionChanged(at, type_, False, reason, ""))
    return job


def after(job: jobs.Job, event: events.OfAttempt) -> jobs.Job:
    """Return the job with what its place says that the attempt waits for, after ``event`` was applied.

    A running attempt that waits was suspended there; that it runs again, or is over, ends the condition.
    """
    match event:
        case events.SeenWaiting() if job.phase not in (jobs.Phase.STARTING, jobs.Phase.RUNNING):
            return job
        case events.SeenWaiting() if event.reason:
            return changed(job, events.ConditionChanged(event.at, SITE_WAITING, True, event.reason, event.message))
        case events.SeenWaiting() if job.phase is jobs.Phase.STARTING:
            return cleared(job, SITE_WAITING, at=event.at, reason="Starting")
        case events.Started():
            return cleared(job, SITE_WAITING, at=event.at, reason="Started")
        case _ if job.phase in (jobs.Phase.STARTING, jobs.Phase.RUNNING, jobs.Phase.STOPPING):
            return job
        case _:
            return cleared(job, SITE_WAITING, at=event.at, reason="Over")
