# ruff: noqa: PT008 -- a planted function keeps its signature
"""Bugs planted into the control plane, each a patch of one function: the simulation must see them.

``python -m tests.sim.planted`` tells for each how many histories it took.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import time
from collections.abc import Iterable, Iterator
from unittest import mock

from backends.simulated import client
from orchestrator.control import (
    compliance,
    dispatcher,
    guards,
    index,
    lease,
    ledger,
    loop,
    marks,
    observer,
    planners,
    policy_clock,
    retry,
    reviews,
    whereabouts,
)
from orchestrator.domain import elements, errors, events, ids, jobs, journal, lifecycle, obligations, tenants
from orchestrator.inventory import claimants, elsewhere
from orchestrator.inventory import obligations as owings
from orchestrator.inventory import worlds as inventory_worlds
from orchestrator.ports import stores
from orchestrator.scheduler import snapshots, standings
from orchestrator.store import stated
from orchestrator.verification import decisions, families, hands
from tests.sim import bundles, histories, invariants, verified, worlds


@contextlib.contextmanager
def _over_commit() -> Iterator[None]:
    """Reservations are forgotten: promised room is given away again."""
    with mock.patch.object(snapshots, "reserved", lambda live, known: {}):
        yield


@contextlib.contextmanager
def _blind() -> Iterator[None]:
    """After an unknown outcome the attempt is given up as refused: the next one may run beside it."""
    real = retry.verdict

    def verdict(error: BaseException) -> retry.Verdict:
        found = real(error)
        return retry.Verdict.REFUSED if found is retry.Verdict.LOOK_UP else found

    with mock.patch.object(retry, "verdict", verdict):
        yield


@contextlib.contextmanager
def _ignore_term() -> Iterator[None]:
    """Effects are not fenced by the term."""
    with mock.patch.object(guards.Guard, "check_term", lambda self, term: None):
        yield


@contextlib.contextmanager
def _no_guard() -> Iterator[None]:
    """Rules are not compared just before the launch."""
    with mock.patch.object(guards.Guard, "check", lambda self, placement, stamp, term: None):
        yield


@contextlib.contextmanager
def _first_gone() -> Iterator[None]:
    """The first GONE is believed, lag or not."""
    with mock.patch.object(observer, "trust", lambda *args, **more: observer.Trust.FULL):
        yield


@contextlib.contextmanager
def _no_tombstone() -> Iterator[None]:
    """The backend forgets a stop that overtakes its submit."""
    real = client.Machine.end

    def end(self: client.Machine, key: str, *, term: int) -> None:
        if self.read(key)[0] is not None:
            real(self, key, term=term)

    with mock.patch.object(client.Machine, "end", end):
        yield


@contextlib.contextmanager
def _stop_is_done() -> Iterator[None]:
    """A stop that was asked for counts as done."""
    real = lifecycle.apply

    def apply(job, event):  # type: ignore[no-untyped-def]
        new = real(job, event)
        if isinstance(event, events.StopRequested) and new is not job and new.attempt and not new.phase.terminal:
            return real(new, events.Vanished(event.at, new.attempt.number))
        return new

    with mock.patch.object(ledger.lifecycle, "apply", apply):
        yield


@contextlib.contextmanager
def _no_review() -> Iterator[None]:
    """Running jobs are never judged again."""
    with mock.patch.object(reviews.Reviews, "_rules", lambda self, world, term: None):
        yield


@contextlib.contextmanager
def _unreachable_is_lost() -> Iterator[None]:
    """A backend that does not answer has lost its jobs."""
    real = reviews.Reviews._reach

    def reach(self, job, sighting, now, *, down, long):  # type: ignore[no-untyped-def]
        if down and job.attempt is not None:
            self.book.stage(job.id, events.Vanished(now, job.attempt.number))
        return real(self, job, sighting, now, down=down, long=long)

    with mock.patch.object(reviews.Reviews, "_reach", reach):
        yield


@contextlib.contextmanager
def _refusal_of_an_old_try() -> Iterator[None]:
    """A refusal of a second try is believed although the first may still arrive."""
    real = dispatcher.Dispatcher._refused

    def refused(self, job, attempt, one, *, code, message, where):  # type: ignore[no-untyped-def]
        real(self, job, attempt, dataclasses.replace(one, fresh=True), code=code, message=message, where=where)

    with mock.patch.object(dispatcher.Dispatcher, "_refused", refused):
        yield


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Ends are not journaled."""
    real = ledger.entries.of

    def of(before, after, event):  # type: ignore[no-untyped-def]
        return None if isinstance(event, events.Ended) else real(before, after, event)

    with mock.patch.object(ledger.entries, "of", of):
        yield


@contextlib.contextmanager
def _no_lookup() -> Iterator[None]:
    """PLACED attempts of an earlier life are never looked up."""
    real = observer.Observer.apply

    def apply(self, backend, found, owners, read):  # type: ignore[no-untyped-def]
        placed = {a.key for j in self._live.jobs.values() if (a := j.attempt) and a.phase.value == "PLACED"}
        real(self, backend, [each for each in found if each.key not in placed], owners, read)

    with mock.patch.object(observer.Observer, "apply", apply):
        yield


@contextlib.contextmanager
def _two_leaders() -> Iterator[None]:
    """Everybody leads, under whatever term is newest."""

    def term(self: lease.Leadership) -> object:
        self._lease = self._store.acquire_lease(self._holder, self._ttl) or self._lease
        return self._store.current_term()

    with mock.patch.object(lease.Leadership, "term", term):
        yield


@contextlib.contextmanager
def _told_too_early() -> Iterator[None]:
    """A job that arrives is acknowledged before the commit."""
    real = ledger.Ledger._commit_chunk

    def commit(self, steps, term, made, contents, arrival):  # type: ignore[no-untyped-def]
        if arrival is not None:
            arrival.future.set_result(stores.Receipt(journal.ChainHead(0, ids.NO_DIGEST), (arrival.job,)))
        return real(self, steps, term, made, contents, arrival)

    with mock.patch.object(ledger.Ledger, "_commit_chunk", commit):
        yield


@contextlib.contextmanager
def _launched_too_early() -> Iterator[None]:
    """A job that arrives is launched before the commit."""
    real = loop.Loop._commit

    def commit(self, term, *, made=(), contents=(), arrival=None):  # type: ignore[no-untyped-def]
        if arrival is not None:
            for step in self._book._steps:
                if step.placement is not None:
                    world, now = self._w.inventory.world(), self._w.clock.now()
                    self._live.put(lifecycle.apply(arrival.job, step.event))
                    self._dispatcher.placed(step.placement, self._w.planner.stamp(world, now))
            for lane in self._lanes.all():
                self._dispatcher.start_launches(lane, term, self._w.inventory.world())
        return real(self, term, made=made, contents=contents, arrival=arrival)

    with mock.patch.object(loop.Loop, "_commit", commit):
        yield


@contextlib.contextmanager
def _endless_grace() -> Iterator[None]:
    """Facts that grew old never matter to what runs."""
    real = compliance.Compliance._sorted_out

    def sorted_out(self, here, found, now):  # type: ignore[no-untyped-def]
        self.grace = dt.timedelta(days=7300)
        return real(self, here, found, now)

    with mock.patch.object(compliance.Compliance, "_sorted_out", sorted_out):
        yield


@contextlib.contextmanager
def _grace_anew() -> Iterator[None]:
    """A new loop begins every grace anew."""
    real = compliance.Compliance._bears

    def bears(self, job, standing, now):  # type: ignore[no-untyped-def]
        begun = vars(self.times).setdefault("begun", {})
        known = job.condition("FactsExpired")
        if known is not None and known.status:
            since = begun.setdefault(job.id, now)
            others = tuple(one for one in job.conditions if one is not known)
            job = dataclasses.replace(job, conditions=(*others, dataclasses.replace(known, since=since)))
        return real(self, job, standing, now)

    with mock.patch.object(compliance.Compliance, "_bears", bears):
        yield


@contextlib.contextmanager
def _no_grace() -> Iterator[None]:
    """A grace is asked for and told to nobody."""
    with mock.patch.object(compliance.Compliance, "_note", lambda *args: None):
        yield


@contextlib.contextmanager
def _held_for_good() -> Iterator[None]:
    """A held change holds everything, sanctions and urgent directives too."""
    real = standings._standing

    def standing(*args):  # type: ignore[no-untyped-def]
        return dataclasses.replace(real(*args), at_once=False)

    with mock.patch.object(standings, "_standing", standing):
        yield


@contextlib.contextmanager
def _half_a_record() -> Iterator[None]:
    """A placement is committed with its decision, and without what that names."""
    real = ledger.Ledger._commit_chunk

    def commit(self, steps, term, made, contents, arrival):  # type: ignore[no-untyped-def]
        return real(self, steps, term, made, (), arrival)

    with mock.patch.object(ledger.Ledger, "_commit_chunk", commit):
        yield


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """A confirmation is not noticed."""
    real = compliance.Compliance._changes

    def changes(self):  # type: ignore[no-untyped-def]
        return {id: (dataclasses.replace(one, confirmed=None), at) for id, (one, at) in real(self).items()}

    with mock.patch.object(compliance.Compliance, "_changes", changes):
        yield


@contextlib.contextmanager
def _only_facts() -> Iterator[None]:
    """The launch compares facts, and not the digest of the policy; a change of rules alone is not looked at again."""
    real = planners.SchedulerPlanner.stamp

    def stamp(self, world, at):  # type: ignore[no-untyped-def]
        return dataclasses.replace(real(self, world, at), policy=ids.NO_DIGEST)

    guard = guards.Guard.check

    def guarded(self, placement, stamp, term):  # type: ignore[no-untyped-def]
        guard(self, dataclasses.replace(placement, policy=ids.NO_DIGEST), stamp, term)

    with (
        mock.patch.object(planners.SchedulerPlanner, "stamp", stamp),
        mock.patch.object(guards.Guard, "check", guarded),
    ):
        yield


@contextlib.contextmanager
def _any_time() -> Iterator[None]:
    """A clock that goes back is ignored."""
    with (
        mock.patch.object(policy_clock.PolicyClock, "look", lambda self, term: None),
        mock.patch.object(policy_clock.PolicyClock, "is_back", lambda self, now: False),
    ):
        yield


@contextlib.contextmanager
def _short_memory() -> Iterator[None]:
    """A new loop takes the time as it finds it."""
    with mock.patch.object(policy_clock, "_floor_of", lambda store, now: (now, None)):
        yield


@contextlib.contextmanager
def _by_change_only() -> Iterator[None]:
    """Running jobs are judged again when something is declared, and not when a day comes."""
    real = compliance.Compliance.run

    def run(self, world, term):  # type: ignore[no-untyped-def]
        if self._judged is not None:
            self._again_at = None
            day = self.times.review_now().date()
            self._judged = dataclasses.replace(self._judged, day=day)
        real(self, world, term)

    with mock.patch.object(compliance.Compliance, "run", run):
        yield


@contextlib.contextmanager
def _lists_unread() -> Iterator[None]:
    """A world is not made anew when other lists are in force."""
    real = inventory_worlds.Inventory._is_made_of

    def is_made_of(self, world, marks, book, _, *rest):  # type: ignore[no-untyped-def]
        return real(self, world, marks, book, self._screener, *rest)

    with mock.patch.object(inventory_worlds.Inventory, "_is_made_of", is_made_of):
        yield


@contextlib.contextmanager
def _seen_and_left() -> Iterator[None]:
    """What is seen of where attempts run is kept, and nothing follows from it."""
    with mock.patch.object(whereabouts.Whereabouts, "violations", lambda self, job, attempt, execution, *, over: ()):
        yield


@contextlib.contextmanager
def _unmarked() -> Iterator[None]:
    """A contradiction stops the attempt, and leaves no mark on its site."""
    with mock.patch.object(marks.Marks, "commit", lambda self, term: None):
        yield


@contextlib.contextmanager
def _mark_unread() -> Iterator[None]:
    """The mark of a site is written, and read by nobody."""
    with mock.patch.object(elsewhere, "marked", lambda site, marks: {}):
        yield


@contextlib.contextmanager
def _duty_lost() -> Iterator[None]:
    """What a placement brings is not kept."""
    real = owings.settle

    def settle(store, rows, deeds, by):  # type: ignore[no-untyped-def]
        return real(store, rows, [one for one in deeds if not isinstance(one, owings.Brought)], by)

    with mock.patch.object(owings, "settle", settle):
        yield


@contextlib.contextmanager
def _born_done() -> Iterator[None]:
    """A duty counts as done once its job has ended."""
    real = obligations.recorded

    def recorded(old, duty, **more):  # type: ignore[no-untyped-def]
        made = real(old, duty, **more)
        return made if old is not None else dataclasses.replace(made, state=obligations.State.FULFILLED)

    with mock.patch.object(obligations, "recorded", recorded):
        yield


@contextlib.contextmanager
def _forgotten_entry() -> Iterator[None]:
    """What the system notes for itself, once more, has no entry."""
    real = stated.entry

    def entry(changes, *rest):  # type: ignore[no-untyped-def]
        noted = any(one.kind == "Mark" and one.version for one in changes.documents)
        return None if noted else real(changes, *rest)

    with mock.patch.object(stated, "entry", entry):
        yield


@contextlib.contextmanager
def _another_record() -> Iterator[None]:
    """The placement that is stored is not the one that the journal tells of."""
    real = ledger.Ledger._apply

    def apply(self, draft, step):  # type: ignore[no-untyped-def]
        before = len(draft.placements)
        real(self, draft, step)
        draft.placements[before:] = [
            dataclasses.replace(one, expires=one.placed_at + dt.timedelta(days=99)) for one in draft.placements[before:]
        ]

    with mock.patch.object(ledger.Ledger, "_apply", apply):
        yield


@contextlib.contextmanager
def _overlooked() -> Iterator[None]:
    """A claim that does not hold is overlooked."""
    real = claimants._standing

    def standing(opened, path, flaws):  # type: ignore[no-untyped-def]
        return dataclasses.replace(real(opened, path, flaws), flaws=())

    with mock.patch.object(claimants, "_standing", standing):
        yield


@contextlib.contextmanager
def _packs_gone() -> Iterator[None]:
    """A pack that cannot be read takes its rules with it, and nobody is told."""
    real = bundles.Keeper._read

    def read(self):  # type: ignore[no-untyped-def]
        return dataclasses.replace(real(self), failed=())

    with mock.patch.object(bundles.Keeper, "_read", read):
        yield


@contextlib.contextmanager
def _milder() -> Iterator[None]:
    """A tenant whose document cannot be read has no floor, instead of nothing."""
    real = tenants.Tenant

    def tenant(*args, **more):  # type: ignore[no-untyped-def]
        return real(*args, **(more | {"problem": None}))

    with mock.patch.object(inventory_worlds.tenant_values, "Tenant", tenant):
        yield


@contextlib.contextmanager
def _one_hand() -> Iterator[None]:
    """Siblings are not looked at when a place is drawn or written."""
    with mock.patch.object(families, "may_lie", lambda request, number, children, place: True):
        yield


@contextlib.contextmanager
def _places_forgotten() -> Iterator[None]:
    """A place that a run was given is not kept."""
    with mock.patch.object(elements, "given", lambda parent, hand, at: parent):
        yield


@contextlib.contextmanager
def _by_counts() -> Iterator[None]:
    """A verified job is over when its runs are, as an array is."""
    real = elements._settle_parent

    def settle(parent: jobs.Job, at: dt.datetime) -> jobs.Job:
        settled = real(dataclasses.replace(parent, spec=dataclasses.replace(parent.spec, verification=None)), at)
        return dataclasses.replace(settled, spec=parent.spec)

    with mock.patch.object(elements, "_settle_parent", settle):
        yield


@contextlib.contextmanager
def _goes_on() -> Iterator[None]:
    """Runs of which nothing is needed any more are not stopped."""
    real = lifecycle.apply

    def apply(job: jobs.Job, event: events.Event) -> jobs.Job:
        settled = isinstance(event, events.StopRequested) and event.cause is jobs.StopCause.SETTLED
        return job if settled else real(job, event)

    with mock.patch.object(lifecycle, "apply", apply):
        yield


@contextlib.contextmanager
def _unlooked() -> Iterator[None]:
    """What ended before a loop began it never compares."""
    real = index.JobIndex.replace_all

    def replace_all(self: index.JobIndex, live: Iterable[jobs.Job]) -> None:
        real(self, live)
        self.unjudged.clear()

    with mock.patch.object(index.JobIndex, "replace_all", replace_all):
        yield


@contextlib.contextmanager
def _each_a_quorum() -> Iterator[None]:
    """Hands are not counted."""
    with mock.patch.object(hands, "independent", lambda found, fields: 100):
        yield


@contextlib.contextmanager
def _blamed_all() -> Iterator[None]:
    """Who says the same answers for it as well."""
    with mock.patch.object(decisions, "BLAMED", frozenset(decisions.Finding)):
        yield


@contextlib.contextmanager
def _uncounted() -> Iterator[None]:
    """A run that ends after the verdict leaves no trace on its job."""
    real = elements.element_changed

    def changed(parent: jobs.Job, before: jobs.Phase, after: jobs.Phase, at: dt.datetime) -> jobs.Job:
        return parent if parent.phase.terminal else real(parent, before, after, at)

    with mock.patch.object(elements, "element_changed", changed):
        yield


BUGS = {
    "over-commit": (_over_commit, {"I11"}),
    "give up after an unknown outcome": (_blind, {"I1", "I5", "I6", "I4"}),
    "ignore the term": (_ignore_term, {"I3", "I1"}),
    "no check before the launch": (_no_guard, {"I3"}),
    "believe the first GONE": (_first_gone, {"I1", "I5", "I10"}),
    "a stop leaves no mark": (_no_tombstone, {"I1", "I5"}),
    "a stop is done when asked for": (_stop_is_done, {"I1", "I5"}),
    "never judge again": (_no_review, {"I3"}),
    "unreachable is lost": (_unreachable_is_lost, {"I1", "I5", "I10"}),
    "believe the refusal of a second try": (_refusal_of_an_old_try, {"I1", "I5"}),
    "ends are not journaled": (_silent, {"I4"}),
    "never look up": (_no_lookup, {"I9"}),
    "tell before the commit": (_told_too_early, {"I2"}),
    "launch before the commit": (_launched_too_early, {"I4"}),
    "a decision is stored without what it names": (_half_a_record, {"I4"}),
    "a grace does not end": (_endless_grace, {"I3"}),
    "a grace begins anew with each loop": (_grace_anew, {"I3"}),
    "conditions are not told": (_no_grace, {"I3"}),
    "a held change holds sanctions too": (_held_for_good, {"I3"}),
    "a confirmation is not noticed": (_deaf, {"I3"}),
    "rules are not compared, facts are": (_only_facts, {"I3"}),
    "a clock that goes back is ignored": (_any_time, {"I3"}),
    "a new loop forgets the time": (_short_memory, {"I3"}),
    "days change nothing for what runs": (_by_change_only, {"I3"}),
    "lists are not looked at again": (_lists_unread, {"I3"}),
    "a contradiction is seen and left": (_seen_and_left, {"I12"}),
    "a contradiction leaves no mark": (_unmarked, {"I12"}),
    "a mark is read by nobody": (_mark_unread, {"I12"}),
    "duties are lost": (_duty_lost, {"I13"}),
    "duties are born done": (_born_done, {"I13"}),
    "a commit forgets its entry": (_forgotten_entry, {"I4"}),
    "the row of a placement is not the one that is journaled": (_another_record, {"I4"}),
    "a claim that does not hold is overlooked": (_overlooked, {"I3"}),
    "a pack that cannot be read is forgotten": (_packs_gone, {"I3"}),
    "a tenant that cannot be read has no floor": (_milder, {"I3"}),
    "two runs may lie in one hand": (_one_hand, {"I14"}),
    "places that runs had are forgotten": (_places_forgotten, {"I14"}),
    "a verified job ends by its counts": (_by_counts, {"I14"}),
    "a run goes on after the verdict": (_goes_on, {"I14"}),
    "a new loop does not look at verified jobs": (_unlooked, {"I9"}),
    "each answer is a quorum": (_each_a_quorum, {"I14"}),
    "who agrees is blamed": (_blamed_all, {"I14"}),
    "a run after the verdict is not counted": (_uncounted, {"I14"}),
}


STRAYING = (
    "a contradiction is seen and left",
    "a contradiction leaves no mark",
    "a mark is read by nobody",
    "duties are lost",
    "duties are born done",
)
"""Only seen in worlds whose machines stray, and whose placements bring duties."""
LYING = (
    "a claim that does not hold is overlooked",
    "a pack that cannot be read is forgotten",
    "a tenant that cannot be read has no floor",
)
"""Only seen in worlds where documents and packs are not what they should be."""
VERIFYING = frozenset(name for name, (_, seen) in BUGS.items() if "I14" in seen) | {
    "a new loop does not look at verified jobs"
}
"""Only seen in worlds with verified jobs."""
FIRST = (
    dict.fromkeys(STRAYING, worlds.STRAYS_FROM)
    | dict.fromkeys(LYING, worlds.LIES_FROM)
    | dict.fromkeys(VERIFYING, verified.FIRST)
    | {
        "a held change holds sanctions too": 30_030,
        "lists are not looked at again": 30_030,
    }
)
"""Where a hunt begins that would take long from the usual seed, 30,000."""


def hunt(name: str, histories_max: int, *, first: int | None = None) -> tuple[int, str] | None:
    """Return (histories until it was seen, what was seen); None: it was not."""
    bug, _ = BUGS[name]
    first = FIRST.get(name, 30_000) if first is None else first
    with bug():
        for number in range(histories_max):
            try:
                (verified.History if name in VERIFYING else histories.History)(first + number).run()
            except invariants.Violation as error:
                return number + 1, str(error)
            except errors.BackendError as error:
                return number + 1, f"crash: {error}"
            except AssertionError as error:
                return number + 1, f"assertion: {error}"
    return None


if __name__ == "__main__":
    for each in BUGS:
        begun = time.process_time()
        print(each, "->", hunt(each, 60), f"{time.process_time() - begun:.0f} s", flush=True)
