"""Asks adapters for attestation results of attempts whose jobs demand them, and judges what comes.

Between the start and the first result nobody knows where an attempt runs but by the word of documents; secrets and data
are not ours to hold back, so that time is bounded: no valid result within it, and the attempt is stopped. One that does
not hold stops it at once. Level beats edge: each observation of a running attempt asks what is due, and since when is
a condition of the job, so a new loop goes on with the same bound.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.control import identities, index, lanes, ledger, marks, retry, whereabouts
from orchestrator.domain import events, facts, ids, jobs, offers, sites
from orchestrator.inventory import attesting, worlds
from orchestrator.inventory import identities as pins
from orchestrator.policy import constraints
from orchestrator.ports import backends, environment

DUE = "AttestationDue"
"""Condition of a job whose attempt is to be attested, since that was first known."""
WITHIN = dt.timedelta(minutes=2)
"""So long after it was first seen running an attempt may be without a valid result."""
AGAIN_S = 5.0
"""From one question about an attempt to the next."""
CALLS_MAX = 4
"""Questions to one backend at once."""
REMEMBERED_MAX = 10_000
NOTHING = attesting.Wanted()


@dataclass(slots=True)
class Attestations:
    """Not thread-safe: used by the loop only. Remembers only when it asked last, and what jobs demand."""

    clock: environment.Clock
    inventory: worlds.Inventory
    live: index.JobIndex
    book: ledger.Ledger
    all_lanes: lanes.Lanes
    marks: marks.Marks
    now: Callable[[], dt.datetime]
    """Of the steady clock: a wall clock that jumps shortens no bound."""
    within: dt.timedelta = WITHIN
    _asked_s: dict[ids.AttemptKey, float] = field(default_factory=dict)
    _wanted: dict[tuple[str, str | None, jobs.Sovereignty], attesting.Wanted] = field(default_factory=dict)
    _world: worlds.World | None = None

    def due(self, job: jobs.Job, attempt: jobs.Attempt, capabilities: offers.Capabilities) -> Sequence[events.Event]:
        """Return what follows for an attempt that is seen running, and ask for a result where one is due."""
        wanted = self._demand(job)
        if wanted is NOTHING or job.stop is not None:
            return ()
        able = capabilities.has(offers.Capability.ATTESTS)
        if not able and not wanted.place:
            return ()  # the tee of a document is judged by its own age; nothing of the attempt can be known here
        now, known = self.now(), attempt.execution.attested
        if known is not None and now < known.at + (known.until - known.at) / 2:
            return ()
        if able:
            self._ask(job, attempt)
        waiting = job.condition(DUE)
        if waiting is None or not waiting.status:
            text = f"attempt {attempt.number} is to be attested; it is stopped where no valid result comes in time"
            return (events.ConditionChanged(now, DUE, True, "Waiting", text),)
        ends = max(waiting.since + self.within, known.until if known is not None else waiting.since)
        return () if now < ends else self._missing(job, attempt, ends, able=able)

    def demanded(self, job: jobs.Job) -> bool:
        """Say whether something may be due for a job by time alone."""
        return self._demand(job) is not NOTHING

    def take(self, lane: lanes.Lane, call: lanes.Call) -> None:
        """Take the answer of ``attest()``."""
        key, owner, round = call.payload
        job = self.live.get(owner)
        attempt = job.attempt if job is not None else None
        error = call.future.exception()
        if error is not None:
            if retry.verdict(error) is not retry.Verdict.POISON:
                self.all_lanes.failed(lane, error)
            return
        self.all_lanes.answered(lane)
        answer: identities.Answer = call.future.result()
        token, world = answer.found, self.inventory.world()
        pinned = world.identities.get(lane.backend)
        if pinned is not None and pins.digest_of(answer.identity) != pinned.pinned:
            return  # a stranger's word
        if token is None or job is None or attempt is None or attempt.key != key or attempt.phase.terminal:
            return
        if attempt.execution.rounds != round:
            return  # the answer to a question that was answered before
        site = world.site(attempt.site)
        if site is None:
            return
        self._judge(job, attempt, site, token, world)

    def _judge(self, job: jobs.Job, attempt: jobs.Attempt, site: sites.Site, token: Any, world: worlds.World) -> None:
        now = self.now()
        try:
            result = attesting.verify(
                self.inventory.verifier(),
                token,
                job=job,
                attempt=attempt,
                site=site,
                plane=world.control_plane,
                declared=world.backends.get(site.backend),
                wanted=self._demand(job),
                at=now,
            )
        except attesting.RejectedError as error:
            self.marks.put(site, sites.Unattested(error.code, error.detail, attempt.key, now))
            text = f"{site.name}: the attestation result of attempt {attempt.number} does not hold: {error.detail}"
            for event in whereabouts.violation(job, attempt, error.code, text, now):
                self.book.stage(job.id, event)
            return
        self.book.stage(job.id, events.Attested(now, attempt.number, result))
        self.book.stage(job.id, events.ConditionChanged(now, DUE, False, "Attested", ""))

    def _missing(
        self, job: jobs.Job, attempt: jobs.Attempt, ends: dt.datetime, *, able: bool
    ) -> Sequence[events.Event]:
        now, site = self.now(), self.inventory.world().site(attempt.site)
        why = "no valid result came" if able else "its adapter brings none any more"
        text = f"{attempt.site}: attempt {attempt.number} was to be attested by {ends.isoformat()}, and {why}"
        if site is not None:
            self.marks.put(site, sites.Unattested(sites.ATTESTATION_MISSING, text[:400], attempt.key, now))
        over = events.ConditionChanged(now, DUE, False, "AttestationMissing", "")
        return (over, *whereabouts.violation(job, attempt, "AttestationMissing", text, now))

    def _ask(self, job: jobs.Job, attempt: jobs.Attempt) -> None:
        lane = self.all_lanes.lane(attempt.site.partition("/")[0])
        now_s, adapter = self.clock.monotonic(), lane.adapter
        if now_s < self._asked_s.get(attempt.key, float("-inf")) + AGAIN_S or lane.in_flight("attest") >= CALLS_MAX:
            return
        if adapter is None or not isinstance(adapter, backends.Attests) or not lane.breaker.closed:
            return
        while len(self._asked_s) >= REMEMBERED_MAX:
            self._asked_s.pop(next(iter(self._asked_s)))
        self._asked_s[attempt.key] = now_s
        audience = self.inventory.verifier().audience
        nonce = attesting.challenge(audience, attempt.key, attempt.execution.rounds)
        ref = backends.AttemptRef(attempt.key, attempt.handle, attempt.submitted_at)
        attester = adapter  # narrowed here, not in the lambda
        what = identities.asked(adapter, lambda: attester.attest(ref, nonce=nonce, audience=audience))
        payload = (attempt.key, job.id, attempt.execution.rounds)
        self.all_lanes.start(lane, "attest", what, self.all_lanes.pace.call_timeout_s, payload)

    def _demand(self, job: jobs.Job) -> attesting.Wanted:
        """Return what a job demands after its tenant's floor and tier; asked at each observation, so remembered."""
        world = self.inventory.world()
        if world is not self._world or len(self._wanted) >= REMEMBERED_MAX:
            self._wanted.clear()
            self._world = world
        key = (job.tenant, job.spec.tier, job.spec.sovereignty)
        found = self._wanted.get(key)
        if found is None:
            tenant = world.tenants.get(job.tenant)
            asked = constraints.merge_floor(job.spec.sovereignty, tenant=tenant, tier=job.spec.tier).constraints
            place = asked.min_assurance is facts.Assurance.ATTESTED
            found = self._wanted[key] = attesting.Wanted(asked.tee, place) if asked.tee or place else NOTHING
        return found
