"""What a cycle remembers for the next: columns, classes, verdicts, decisions.

A memo: it changes no plan, only what a plan costs.

Everything is kept by what it depends on: classes by world, verdicts by (class, table, policy, day) until they expire,
decisions by verdict and bits. A test holds a cold and a warm cycle to the same plan.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.domain import decisions, ids
from orchestrator.placement import columns, records, requirements, select
from orchestrator.policy import conversions, evaluator
from orchestrator.policy import table as policy_tables
from orchestrator.scheduler import classes, queues, snapshots, waits, worlds

VERDICTS_MAX = 4096
"""Classes whose verdict is kept."""
GIVEN_MAX = 100_000
"""Digests of contents that are known to be stored."""


@dataclass(slots=True)
class _Known:
    """A verdict and what it was made from; ``decided`` and ``waited`` are the last
    decision and the last condition made from it, by filter bits."""

    stamp: tuple[object, ...]
    verdict: select.Verdict
    decided: tuple[bytes, decisions.Decision, tuple[decisions.Content, ...]] | None = None
    waited: tuple[bytes, waits.Wait] | None = None


@dataclass(slots=True)
class Cache:
    """One control loop's memory between cycles. Not shared between threads."""

    _world: worlds.World | None = None
    _classes: classes.Classes | None = None
    _columns: columns.Columns | None = None
    _table: policy_tables.SiteTable | None = None
    _sites: tuple[object, ...] = ()
    _facts: records.Sites | None = None
    _facts_version: int = -1
    _known: records.Known = field(default_factory=dict)
    _policy: records.Policy | None = None
    _verdicts: dict[ids.Digest, _Known] = field(default_factory=dict)
    _given: set[ids.Digest] = field(default_factory=set)
    _offered: tuple[ids.Digest, ...] = ()
    _queue: object = None

    def refresh(self, snapshot: snapshots.Snapshot) -> columns.Columns:
        """Bring the columns up to date with a snapshot, row by row where possible; forget what a new world changes."""
        if snapshot.world is not self._world:
            self._world, self._classes, self._policy = snapshot.world, classes.Classes(snapshot.world), None
            self._verdicts.clear()
        table = columns.update(self._columns, snapshots.rows_of(snapshot))
        if table is not self._columns:
            self._columns, self._facts = table, None
            self._verdicts.clear()
        sites = tuple(row.site for row in table.items)
        if self._table is None or len(sites) != len(self._sites):
            self._table = policy_tables.SiteTable(conversions.of_site(site) for site in sites)
        elif any(new is not old for new, old in zip(sites, self._sites, strict=True)):
            known = self._table.sites
            old_sites = self._sites
            self._table = self._table.updated(
                known[at] if site is old_sites[at] else conversions.of_site(site) for at, site in enumerate(sites)
            )
        self._sites = sites
        return table

    def class_of(self, kind: classes.Kind) -> classes.JobClass:
        """Return the class of a kind in the current world. May raise whatever a poisonous spec brings about."""
        assert self._classes is not None  # noqa: S101 - refreshed first
        return self._classes.of(kind)

    def verdict(self, job: classes.JobClass, at: dt.datetime) -> select.Verdict:
        """Return what documents and dates say about a class, judging it where that is not known."""
        world, table, policy_table = self._world, self._columns, self._table
        assert world is not None  # noqa: S101 - refreshed first
        assert table is not None  # noqa: S101 - refreshed first
        assert policy_table is not None  # noqa: S101 - refreshed first
        stamp = (table.version, world.rulebook.digest, day_of(at))
        known = self._verdicts.get(job.digest)
        if known is not None and known.stamp == stamp and not _over(known.verdict.expires, at):
            return known.verdict
        verdict = judge(job, world, table, policy_table, at)
        if len(self._verdicts) >= VERDICTS_MAX:
            self._verdicts.clear()
        self._verdicts[job.digest] = _Known(stamp, verdict)
        return verdict

    def settle(self, queue: queues.QueueIndex) -> None:
        """Begin a cycle. Another queue means another life of the control loop: what is stored is not known any more."""
        self._offered = ()
        if queue is not self._queue or len(self._given) > GIVEN_MAX:
            self._given.clear()
        self._queue = queue

    def stored(self) -> None:
        """Note that the contents of the last plan are durable: only then are they not given again."""
        self._given.update(self._offered)
        self._offered = ()

    def is_given(self, digest: ids.Digest) -> bool:
        """Say whether a content is known to be stored."""
        return digest in self._given

    def offer(self, digests: Iterable[ids.Digest]) -> None:
        """Remember what a plan hands over."""
        self._offered = tuple(digests)

    def table(self) -> policy_tables.SiteTable:
        """Return the sites as policy reads them, in the order of the columns."""
        assert self._table is not None  # noqa: S101 - refreshed first
        return self._table

    def book(self) -> decisions.Content:
        """Return the rule book as it is stored."""
        assert self._world is not None  # noqa: S101 - refreshed first
        return decisions.Content(self._world.rulebook.digest, self._world.rulebook.body)

    def facts(self) -> records.Sites:
        """Return the contents of all sites, made once for each version of the columns."""
        table = self._columns
        assert table is not None  # noqa: S101 - refreshed first
        if self._facts is None or self._facts_version != table.version:
            self._facts, self._facts_version = records.sites_of(table, self._known), table.version
            self._known = {
                row.site.name: (row.site, content) for row, content in zip(table.items, self._facts.each, strict=True)
            }
        return self._facts

    def policy(self) -> records.Policy:
        """Return the policy in force as decisions name it."""
        assert self._world is not None  # noqa: S101 - refreshed first
        if self._policy is None:
            self._policy = self._world.policy()
        return self._policy

    def decision(
        self, job: classes.JobClass, selection: select.Selection, at: dt.datetime
    ) -> tuple[decisions.Decision, tuple[decisions.Content, ...]]:
        """Return the decision of a selection and the contents of its own; the same object while nothing changed."""
        known = self._verdicts.get(job.digest)
        bits = selection.bits.tobytes()
        if known is not None and known.verdict is selection.verdict and known.decided and known.decided[0] == bits:
            return known.decided[1], known.decided[2]
        decision, own = records.record(
            selection, class_digest=job.digest, at=at, facts=self.facts(), policy=self.policy()
        )
        own = (*own, job.content)
        if known is not None and known.verdict is selection.verdict:
            known.decided = (bits, decision, own)
        return decision, own

    def wait(self, job: classes.JobClass, selection: select.Selection) -> waits.Wait:
        """Return the condition with which jobs of a class wait; the same object while nothing changed."""
        assert self._columns is not None  # noqa: S101 - refreshed first
        known = self._verdicts.get(job.digest)
        bits = selection.bits.tobytes()
        if known is not None and known.verdict is selection.verdict and known.waited and known.waited[0] == bits:
            return known.waited[1]
        wait = waits.explain(selection, self._columns)
        if known is not None and known.verdict is selection.verdict:
            known.waited = (bits, wait)
        return wait


def judge(
    job: classes.JobClass,
    world: worlds.World,
    table: columns.Columns,
    policy_table: policy_tables.SiteTable,
    at: dt.datetime,
) -> select.Verdict:
    """Ask policy and placement about one class at every site."""
    day = day_of(at)
    question = requirements.ask(job.requirement, day, world.sets_on(day), world.tables)
    judgement = evaluator.judge(job.attributes, policy_table, world.rulebook, at)
    changes = (requirements.next_change(question, world.tables), columns.next_screening_change(table, day))
    change = min((one for one in changes if one is not None), default=None)
    expires = dt.datetime(change.year, change.month, change.day, tzinfo=dt.UTC) if change else None
    return select.judge(question, table, judgement, expires=expires)


def day_of(at: dt.datetime) -> dt.date:
    """Return the day of the policy clock: rules and facts are dated in UTC."""
    return at.astimezone(dt.UTC).date()


def _over(expires: dt.datetime | None, at: dt.datetime) -> bool:
    return expires is not None and at >= expires
