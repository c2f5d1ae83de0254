"""The plan step behind a small door, and what keeps one poisonous job from stopping everybody's planning."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.domain import decisions, events, ids, jobs, obligations, tallies
from orchestrator.inventory import sightings, worlds
from orchestrator.scheduler import standings
from orchestrator.scheduler import worlds as scheduler_worlds


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a verdict rests on; a launch compares it with that of the plan."""

    policy: ids.Digest
    facts: ids.Digest


@dataclass(frozen=True, slots=True, eq=False)
class Cycle:
    """What one planning cycle may know. ``live`` are all live jobs, as the loop knows them."""

    at: dt.datetime
    term: ids.Term
    world: worlds.World
    seen: sightings.Seen
    live: Mapping[ids.JobId, jobs.Job]

    def next_number(self, job: ids.JobId) -> int:
        """Return the number of the next attempt; 1 for an element that nobody touched."""
        known = self.live.get(job)
        return known.attempts[-1].number + 1 if known is not None and known.attempts else 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cycle decided. ``notes`` are conditions of jobs, the poisonous ones' ``Quarantined`` among them."""

    placements: Sequence[decisions.Placement] = ()
    made: Sequence[decisions.Decision] = ()
    contents: Sequence[decisions.Content] = ()
    notes: Sequence[tuple[ids.JobId, events.ConditionChanged]] = ()
    counted: Mapping[ids.AttemptKey, Sequence[tallies.Tally]] = field(default_factory=dict)
    """What each placement adds to the ledger; committed with it."""
    owed: Mapping[ids.AttemptKey, Sequence[obligations.Duty]] = field(default_factory=dict)
    """What each placement obliges to; committed with it."""
    hands: Mapping[ids.AttemptKey, jobs.Hand] = field(default_factory=dict)
    """Whose place each run of a verified job gets."""


class Planner(Protocol):
    """Orders, judges and places. Used by the loop only; it is told of every committed job, as stored."""

    def put(self, job: jobs.Job) -> None:
        """Take a job as committed: live, changed or ended. Never raises."""

    def discard(self, job: ids.JobId) -> None:
        """Drop a job that is not live."""

    def clear(self) -> None:
        """Forget all jobs: they are put anew."""

    def stored(self) -> None:
        """Note that the contents of the last plan are durable: until then they are given again with each."""

    def plan(self, cycle: Cycle) -> Plan:
        """Return what to place now. A job that breaks it is quarantined in ``notes``, never an exception."""

    def stamp(self, world: worlds.World, at: dt.datetime) -> Stamp:
        """Return what a verdict given now rests on. Quick, and safe from the executor's threads."""

    def declared(self, world: worlds.World, at: dt.datetime) -> scheduler_worlds.World:
        """Return the declared world as plans read it. Raises ValueError without a rule book."""

    def standings(self, world: worlds.World, here: Sequence[jobs.Job], at: dt.datetime) -> standings.Standings:
        """Judge jobs again at the sites where they are, or were last. Without a rule book nobody can be judged."""
