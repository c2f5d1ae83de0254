"""Thresholds that add up: what a placement counts towards them, and what was counted already.

A pack says with its ``counts`` what is counted: conditions like those of a rule, read for the job and the site that
takes it. The ledger (all tallies, frozen for one day in a :class:`View`) is read back into the attributes of jobs, so
that every rule about counts reads ``already + this job``. Splitting one data set, or one training, gains nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain import tallies
from orchestrator.policy import attributes, counters, instances, operands, rulebook, rules


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The ledger on one day: what counts towards which counter, by scope."""

    by_id: Mapping[str, counters.Counter] = field(default_factory=dict)
    by_scope: Mapping[str, tuple[tallies.Tally, ...]] = field(default_factory=dict)

    def persons(
        self, data: attributes.DataAttributes, tenant: str, beside: Sequence[attributes.DataAttributes]
    ) -> tuple[tuple[str, int, int], ...]:
        """Return (country, persons, of these sensitive) that count besides a data set of a job.

        Added are the job's other data sets (``beside``) and those of the ledger that have the same controller, share
        a class, and hold people of the same country; each data set once.
        """
        found: dict[str, tuple[int, int]] = {}
        own = {item(tenant, other) for other in (data, *beside)}
        for country in sorted(data.subjects):
            most: dict[str, tuple[int, int]] = {}
            for other in beside:
                if controller(other) == controller(data) and other.classes & data.classes and country in other.subjects:
                    most[item(tenant, other)] = (other.count, other.sensitive_count)
            for tally in self.by_scope.get(controller(data), ()):
                counter = self.by_id[tally.counter]
                if counter.country == country and tally.item not in own and data.classes & set(tally.classes):
                    persons, sensitive = most.get(tally.item, (0, 0))
                    most[tally.item] = (max(persons, tally.persons), max(sensitive, tally.sensitive))
            total = sum(persons for persons, _ in most.values()), sum(number for _, number in most.values())
            if any(total):
                found[country] = total
        return tuple((country, *total) for country, total in found.items())

    def holds(self, tally: tallies.Tally) -> bool:
        """Say whether counting a tally would change no sum of today: the same thing is counted already."""
        return any(
            other.key == tally.key
            and set(tally.classes) <= set(other.classes)
            and other.persons >= tally.persons
            and other.sensitive >= tally.sensitive
            and other.operations >= tally.operations
            for other in self.by_scope.get(tally.scope, ())
        )

    def dated(self, tally: tallies.Tally) -> bool:
        """Say whether the same thing is already counted as of that day or a later one."""
        known = self.by_scope.get(tally.scope, ())
        return any(other.key == tally.key and other.at.date() >= tally.at.date() for other in known)

    def operations(self, tenant: str, model: str) -> float:
        """Return the operations that were spent on training a model's lineage."""
        found = self.by_scope.get(lineage(tenant, model), ())
        return sum(tally.operations for tally in found if self.by_id[tally.counter].measure == counters.OPERATIONS)


NOTHING = View()


def view(counted: Iterable[tallies.Tally], of: Iterable[counters.Counter], day: dt.date) -> View:
    """Freeze the ledger for a day; tallies of counters that no pack in force has are left out."""
    known = {counter.rule.id: counter for counter in of}
    by_scope: dict[str, list[tallies.Tally]] = {}
    for tally in counted:
        counter = known.get(tally.counter)
        if counter is not None and counter.counts_on(tally.at.astimezone(dt.UTC).date(), day):
            by_scope.setdefault(tally.scope, []).append(tally)
    return View(known, {scope: tuple(found) for scope, found in by_scope.items()})


def controller(data: attributes.DataAttributes) -> str:
    """Return whom the persons of a data set add up for; all whose controller nobody stated stand together."""
    return f"controller/{data.controller_operator or ''}/{data.controller_country or ''}"


def lineage(tenant: str, model: str) -> str:
    """Return whom operations of training add up for."""
    return f"model/{tenant}/{model}"


def item(tenant: str, data: attributes.DataAttributes) -> str:
    """Return what a data set is counted as."""
    return f"data/{tenant}/{data.name}"


def counted(
    job: attributes.JobAttributes,
    site: attributes.SiteAttributes,
    book: rulebook.RuleBook,
    at: dt.datetime,
    *,
    tenant: str,
    who: str,
) -> tuple[tallies.Tally, ...]:
    """Return what placing a job at a site counts.

    A condition that raises counts: nothing is left out because somebody could not tell. ``who`` is the job.
    """
    found: list[tallies.Tally] = []
    day = book.facts.on(instances.utc_day(at))
    for counter in book.counters:
        rule = counter.rule
        if not rule.active(day.day):
            continue
        for instance in instances.instances(rule, job, day, at):
            binding = {**instance.binding, operands.SITE: site}
            if instance.problem is None and not _holds(rule, binding, day, at):
                continue
            if counter.measure == counters.OPERATIONS:
                if job.model is not None and job.operations:
                    scope = lineage(tenant, job.model)
                    found.append(tallies.Tally(rule.id, scope, f"job/{who}", at, operations=job.operations))
                continue
            data = binding.get("data")
            if data is not None:
                classes = tuple(sorted(data.classes))
                scope, what = controller(data), item(tenant, data)
                found.append(tallies.Tally(rule.id, scope, what, at, classes, data.count, data.sensitive_count))
    return tuple(found)


def _holds(rule: rules.Rule, binding: operands.Binding, day: object, at: dt.datetime) -> bool:
    try:
        return instances.plain(rule.body, lambda leaf: instances.test(leaf, binding, day, at))  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - what cannot be told is counted
        return True


def concerned(job: attributes.JobAttributes, book: rulebook.RuleBook, at: dt.datetime) -> bool:
    """Say whether placing a job of this class could count anything, wherever it goes."""
    day = book.facts.on(instances.utc_day(at))
    return any(
        next(iter(instances.instances(counter.rule, job, day, at)), None) is not None
        for counter in book.counters
        if counter.rule.active(day.day)
    )


def scopes(job: attributes.JobAttributes, tenant: str) -> frozenset[str]:
    """Return every scope whose sums a class of jobs reads."""
    found = {controller(data) for data in job.data}
    return frozenset(found if job.model is None else {*found, lineage(tenant, job.model)})
