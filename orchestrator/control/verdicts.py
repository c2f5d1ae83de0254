"""Compares what came back of verified jobs: asks for trusted runs, and says which result holds, once and for all.

Looked at are the jobs of which a run has ended, and all of them after a start: the verdict follows from rows alone, so
nothing of it has to be remembered. Verdict, receipt and the stops of runs that go on are durable in one commit.
"""

from __future__ import annotations

import fractions
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.control import contents, entries, index, ledger, marks, runs
from orchestrator.domain import elements, events, ids, jobs, journal, sites
from orchestrator.inventory import blames, worlds
from orchestrator.ports import environment, stores
from orchestrator.verification import decisions, draws, families, receipts, results, tolerance

_PAGE = 200


@dataclass(slots=True)
class Verdicts:
    """Not thread-safe: used by the loop only."""

    store: stores.Store
    live: index.JobIndex
    book: ledger.Ledger
    clock: environment.Clock
    inventory: worlds.Inventory
    contents: contents.Contents
    draw_key: bytes = field(repr=False)
    _broken: dict[ids.JobId, int] = field(default_factory=dict)
    """Version of the row at which a job contradicted itself: it is not looked at again before that changes."""

    def run(self, term: ids.Term, commit: Callable[[], object]) -> None:
        """Look at what has ended since the last turn. ``commit`` makes what is staged durable. Raises StoreError."""
        self.live.unjudged.update(self.contents.waiting())
        for id in list(self.live.unjudged):
            parent = self.live.get(id)
            try:
                if parent is None:
                    self._look_late(id, term)
                elif parent.stop is None and self._broken.get(id) != parent.version:
                    self._look(parent, term, commit)
                else:
                    self.contents.forget(id)
            except stores.StoreError:
                raise
            except Exception as error:  # noqa: BLE001 -- one job that contradicts itself must not stop all others
                self.book.broken[id] = f"{type(error).__name__}: {error}"
                self._broken[id] = parent.version if parent is not None else 0
            self.live.unjudged.discard(id)

    def _look(self, parent: jobs.Job, term: ids.Term, commit: Callable[[], object]) -> None:
        wanted = parent.spec.verification
        if wanted is None:
            return
        request = results.request(wanted, runs.subject(parent.spec, parent.spec_digest))
        rows = list(self._rows(parent.id))
        children = runs.children(parent, rows)
        audit = self._is_checked(parent.id, wanted)
        relation = self._relation(parent, children, rows, term)
        if relation is None:
            return  # what is to be compared is on its way
        step = families.step(request, children, relation, audit=audit)
        now = self.clock.now()
        for number in step.create:
            if number >= wanted.replicas:
                text = _why_asked(children, audit=audit)
                self.book.stage(parent.id, events.RefereeAsked(now, number, text))
        if not step.final:
            return
        commit()  # so that all that follows from the verdict is one commit
        found = [child.result for child in children.values() if child.result is not None]
        receipt = receipts.receipt(parent.id, now, request, found, relation, audit=audit)
        accepted = step.verdict.accepted
        self.book.stage(
            parent.id,
            events.Judged(
                at=now,
                accepted=None if accepted is None else ids.split_element(ids.JobId(accepted))[1],
                reason=_reason(step.verdict),
                message=_message(step.verdict)[:1000],
                receipt=receipt,
            ),
            blamed=self._blamed(receipt, parent),
        )
        for number in step.stop:
            text = "the verdict stands without this run"
            stop = events.StopRequested(now, jobs.StopCause.SETTLED, entries.CONTROLLER, text)
            self.book.stage(ids.element_id(parent.id, number), stop)
        commit()
        self.contents.forget(parent.id)

    def _relation(
        self, parent: jobs.Job, children: Mapping[int, families.Child], rows: Iterable[jobs.Job], term: ids.Term
    ) -> results.Relation | None:
        """Return how two results compare; None: not all that is needed for it is here yet."""
        apart = parent.spec.verification.tolerance if parent.spec.verification is not None else None
        if apart is None:
            return results.exact
        found = [child.result for child in children.values() if child.result is not None]
        needed = {ids.JobId(name): paths for name, paths in tolerance.needed(found).items()}
        files = self.contents.of(parent, needed, rows, term)
        return None if files is None else tolerance.relation(files, apart)

    def _look_late(self, id: ids.JobId, term: ids.Term) -> None:
        """Judge again with a run that ended after the verdict: what holds stays, and who answers for it is noted."""
        parent = self.store.job(id)
        wanted, state = (parent.spec.verification, parent.array_state) if parent is not None else (None, None)
        self.contents.forget(id)
        if parent is None or wanted is None or state is None or state.accepted is None or wanted.tolerance is not None:
            return
        request = results.request(wanted, runs.subject(parent.spec, parent.spec_digest))
        children = runs.children(parent, self._rows(id))
        found = [child.result for child in children.values() if child.result is not None]
        now = self.clock.now()
        audit = self._is_checked(id, wanted)
        receipt = receipts.receipt(id, now, request, found, results.exact, audit=audit)
        for left in reversed(range(marks.TRIES_MAX)):
            documents = blames.documents(self._blamed(receipt, parent), self.store)
            if not documents:
                return
            entry = journal.Entry(
                "job.verified-late", f"job/{id}", now, entries.CONTROLLER, {"receipt": receipt}, parent.tenant
            )
            try:
                self.store.commit(stores.Changes(documents=documents, entries=(entry,), term=term))
                return
            except stores.VersionConflictError:  # somebody changed the operator's document meanwhile
                if not left:
                    raise

    def _blamed(self, receipt: Mapping[str, Any], parent: jobs.Job) -> list[tuple[str, sites.Blame]]:
        """Return (operator, blame) of who answers for a result: the operator whose place had the run last."""
        state, world = parent.array_state, self.inventory.world()
        held = {} if state is None else {ids.element_id(parent.id, hand.number): hand.site for hand in state.held}
        found = []
        for blame in receipts.blames(receipt):
            name = held.get(ids.JobId(blame.result))
            site = world.site(name) if name is not None else None
            if name is None or site is None or site.operator_name is None:
                continue
            one = sites.Blame(blame.job, blame.result, name, blame.finding.value, blame.at, blame.receipt)
            found.append((site.operator_name, one))
        return found

    def _rows(self, parent: ids.JobId) -> Iterable[jobs.Job]:
        cursor: str | None = None
        while True:
            page = self.store.list_jobs(stores.JobFilter(parent=parent), limit=_PAGE, cursor=cursor)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def _is_checked(self, parent: ids.JobId, wanted: jobs.Verification) -> bool:
        rate = fractions.Fraction(str(wanted.spot_check))
        return rate > 0 and draws.is_checked(self.draw_key, parent, rate)


def _reason(verdict: decisions.Verdict) -> str:
    if verdict.outcome is not decisions.Outcome.ACCEPTED:
        return elements.UNSETTLED
    return "Quorum" if verdict.by is results.Role.REPLICA else "Referee"


def _why_asked(children: Mapping[int, families.Child], *, audit: bool) -> str:
    told = [child.result for child in children.values() if child.result is not None]
    left = sum(one.answer() is not None for one in told)
    why = "a spot check was drawn for it" if audit else f"{left} of {len(told)} runs left outputs, and too few the same"
    return f"a trusted site runs it too: {why}"


def _message(verdict: decisions.Verdict) -> str:
    if verdict.accepted is None:
        return "the trusted runs do not say the same, nor does anybody say what one of them says: nothing is believed"
    quorum = verdict.by is results.Role.REPLICA
    by = f"{verdict.independent} independent hands" if quorum else "a trusted run, and another"
    text = f"{verdict.accepted} holds: {by} left the same outputs ({', '.join(verdict.agreeing)})"
    others = [
        f"{name} {finding.value}" for name, finding in verdict.findings if finding is not decisions.Finding.AGREES
    ]
    return f"{text}; {', '.join(others)}" if others else text
