"""Asks Cedar about one class of jobs at many sites, and says what its rules answered in the words of our reasons.

A rule that fires denies (``cedar.<policy>.<id>``) or, with ``@effect("oblige")``, obliges. A rule that could not be
evaluated, and a policy that cannot be used at all, deny (``cedar.error:<policy>[:<id>]``): Cedar alone would allow.
Rules are asked once for each data set of the job, as rules of the packs are. What is asked is bounded by number, not
by a clock, and remembered by the values that the rules read.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.domain import policies, reasons
from orchestrator.policy import attributes, dated, memory, operands, rendering, table
from orchestrator.policy.cedar import checking, engine, schemas, texts

STEPS_MAX = 200_000
"""Rules times questions to Cedar in one judgement (some 2 s); what is beyond is refused, not waited for."""
ASK_ON_AFTER = dt.timedelta(minutes=1)
"""When a judgement that met the bound is over, so that the rest is asked."""
REMEMBERED_MAX = 65_536
"""Answers kept, one for each different (job, site) as the rules see them."""

FIRED, FAILED = 0, 1

Owed = tuple[reasons.Reason, str, int | None]
"""A duty: its sentence, its source, and the days after the placement within which it is done (None: no day)."""

CODES = (
    ("cedar.<policy>.<id>", "deny, oblige", "the sentence of its @reason"),
    ("cedar.error:<policy>:<id>", "deny", "the rule could not be evaluated, so it refuses"),
    ("cedar.error:<policy>", "deny", "the policy cannot be used, so it refuses"),
)
"""The codes of rules of the house's own: code, effect, what it says."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule of a policy, or (``rule`` None) a policy that cannot be used, with its dates."""

    policy: policies.CedarPolicy
    rule: checking.Rule | None
    problem: str = ""

    @property
    def code(self) -> str:
        """Return the code of what it says when it fires."""
        return f"cedar.{self.policy.name}.{self.rule.id}" if self.rule else self.error

    @property
    def error(self) -> str:
        """Return the code of what it says when it cannot be evaluated."""
        return f"cedar.error:{self.policy.name}:{self.rule.id}" if self.rule else f"cedar.error:{self.policy.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The bits of every site of a table: the distinct answers, and for each row which one it has."""

    answers: tuple[int, ...]
    codes: table.Codes
    is_partial: bool = False
    """The bound was met: some sites are refused because nobody has asked about them yet."""

    def of(self, row: int) -> int:
        """Return the bits of one row."""
        return self.answers[int(self.codes[row])]

    def where(self, mask: int) -> table.Bools:
        """Return the rows with any of some bits."""
        return np.array([bool(bits & mask) for bits in self.answers], dtype=np.bool_)[self.codes]

    def word(self, first: int, word: int) -> table.Words:
        """Return one 64-bit word of every row, when the bits begin at number ``first``."""
        cut = [bits << first >> 64 * word & _WORD for bits in self.answers]
        return np.array(cut, dtype=np.uint64)[self.codes]


_WORD = 2**64 - 1


class UserRules:
    """Policies of the house, ready to be asked. Bit ``2k`` of an answer: entry k fired; ``2k + 1``: it failed."""

    def __init__(self, declared: Sequence[policies.CedarPolicy], sets: Iterable[str]) -> None:
        self.entries: tuple[Entry, ...] = tuple(entry for policy in declared for entry in _entries(policy, sets))
        self.codes: tuple[str, ...] = tuple(code for entry in self.entries for code in (entry.code, entry.error))
        """The code of each bit."""
        self.denies = sum(
            1 << (2 * k + kind)
            for k, entry in enumerate(self.entries)
            for kind in (FIRED, FAILED)
            if kind == FAILED or entry.rule is None or entry.rule.effect is reasons.Effect.DENY
        )
        """The bits that deny; all others oblige."""
        self._active: dict[tuple[int, ...], _Active] = {}
        self._known: memory.Memory[int] = memory.Memory(REMEMBERED_MAX)

    def on(self, day: dt.date) -> _Active:
        """Return the entries in force on a day."""
        chosen = tuple(k for k, entry in enumerate(self.entries) if entry.policy.in_force(day))
        known = self._active.get(chosen)
        if known is None:
            if len(self._active) > 64:
                self._active.clear()
            known = self._active[chosen] = _Active(self.entries, chosen)
        return known

    def column(
        self, job: attributes.JobAttributes, sites: table.SiteTable, day: dated.DayFacts, at: dt.datetime
    ) -> Column:
        """Return the bits of every site of a table. Never raises for what a rule meets."""
        active = self.on(day.day)
        if not active.numbers or not len(sites):
            return Column((0,), np.zeros(len(sites), dtype=np.intp))
        combined = sites.combined(active.site_names)
        _, first = np.unique(combined.codes, return_index=True)
        found, is_partial = self._ask(job, [sites.sites[row] for row in first.tolist()], day, at, active)
        return Column(tuple(found), combined.codes, is_partial)

    def row(
        self, job: attributes.JobAttributes, site: attributes.SiteAttributes, day: dated.DayFacts, at: dt.datetime
    ) -> int:
        """Return the bits of one site, asked afresh: nothing is remembered or shared."""
        active = self.on(day.day)
        return active.ask(job, [site], day, at)[0] if active.numbers else 0

    def _ask(
        self,
        job: attributes.JobAttributes,
        sites: Sequence[attributes.SiteAttributes],
        day: dated.DayFacts,
        at: dt.datetime,
        active: _Active,
    ) -> tuple[list[int], bool]:
        """Return the bits of each site, and whether the bound was met."""
        about = (active, day, *active.job_key(job, at))
        keys = [(about, *(operands.OPERANDS[name].read(site) for name in active.site_names)) for site in sites]
        found = [self._known.get(key) for key in keys]
        missing = [k for k, one in enumerate(found) if one is None]
        if missing:
            # What is beyond the bound is refused now and not remembered: the next judgement asks on from there.
            within = missing[: active.sites_max(job)]
            for k, bits in zip(within, active.ask(job, [sites[k] for k in within], day, at), strict=True):
                found[k] = bits
                self._known.keep(keys[k], bits)
        refused = active.always | active.failing
        return [refused if bits is None else bits for bits in found], None in found

    def reasons(
        self, bits: int, job: attributes.JobAttributes, site: attributes.SiteAttributes
    ) -> list[reasons.Reason]:
        """Return the sentences of an answer."""
        found = []
        while bits:
            low = bits & -bits
            bits ^= low
            k, kind = divmod(low.bit_length() - 1, 2)
            entry = self.entries[k]
            found.append(_said(entry, job, site) if entry.rule and kind == FIRED else _failed(entry))
        return found

    def duties(self, bits: int, job: attributes.JobAttributes, site: attributes.SiteAttributes) -> list[Owed]:
        """Return the duties of an answer."""
        found = []
        for k, entry in enumerate(self.entries):
            if entry.rule is not None and bits >> (2 * k + FIRED) & 1:
                source = f"policy {entry.policy.name}, rule {entry.rule.id}"
                found.append((_said(entry, job, site), source, entry.rule.due_days))
        return found

    def hour_matters(self, day: dt.date) -> bool:
        """Say whether an answer of this day may change with the hour."""
        return checking.HOUR in self.on(day).context


def _entries(policy: policies.CedarPolicy, sets: Iterable[str]) -> Iterable[Entry]:
    if policy.problem is not None:
        return (Entry(policy, None, policy.problem),)
    try:
        return tuple(Entry(policy, rule) for rule in checking.check(policy.text, sets))
    except texts.TextError as error:
        return (Entry(policy, None, str(error)),)
    except Exception as error:  # noqa: BLE001 - a policy that cannot even be checked refuses, like any that cannot be used
        return (Entry(policy, None, f"{type(error).__name__} while it was checked"),)


class _Active:
    """The entries in force on some day, and what they read."""

    def __init__(self, entries: Sequence[Entry], numbers: tuple[int, ...]) -> None:
        self.numbers = numbers
        self.rules = [(k, rule) for k in numbers if (rule := entries[k].rule) is not None]
        # A policy that cannot be used fires as one: see ``Entry.code``.
        self.always = sum(1 << (2 * k + FIRED) for k in numbers if entries[k].rule is None)
        self.failing = sum(1 << (2 * k + FAILED) for k, _ in self.rules)
        names = frozenset(name for _, rule in self.rules for name in rule.operands)
        self.names = names
        self.context = frozenset(member for _, rule in self.rules for member in rule.context)
        self.site_names = tuple(each.name for each in _named(names) if each.scope == operands.SITE)
        self._job_reads = [each for each in _named(names) if each.scope == operands.JOB]
        self._data_reads = [each for each in _named(names) if each.scope == checking.DATA]
        self._policies: engine.PolicySet | None = None

    def job_key(self, job: attributes.JobAttributes, at: dt.datetime) -> tuple[Any, ...]:
        """Return everything of job and clock, but for the day, that an answer depends on."""
        hour = _utc(at).hour if checking.HOUR in self.context else None
        data = tuple(tuple(operand.read(one) for operand in self._data_reads) for one in self._data(job))
        name = job.tenant.name if job.tenant else None
        return (hour, name, data, *(operand.read(job) for operand in self._job_reads))

    def _data(self, job: attributes.JobAttributes) -> Sequence[attributes.DataAttributes]:
        return job.data if checking.DATA in self.context else ()

    def sites_max(self, job: attributes.JobAttributes) -> int:
        """Return about how many sites may be asked in one judgement."""
        return STEPS_MAX // (max(1, len(self.rules)) * max(1, len(self._data(job))))

    def ask(
        self,
        job: attributes.JobAttributes,
        sites: Sequence[attributes.SiteAttributes],
        day: dated.DayFacts,
        at: dt.datetime,
    ) -> list[int]:
        """Ask about every site. Whatever goes wrong makes the rules that were to be asked fail."""
        if not self.rules:
            return [self.always] * len(sites)
        data: Sequence[attributes.DataAttributes | None] = self._data(job) or (None,)
        found = [self.always | self.failing] * len(sites)
        stated: list[int] = []
        rows: list[Mapping[str, Any]] = []
        try:
            shared = self._shared(job, data, day)
            for k, site in enumerate(sites):
                try:
                    rows.append(self._site(site, k, day.day))
                    stated.append(k)
                except schemas.OutOfRangeError:
                    continue
            requests = [self._request(job, sites[k], k, n, one, day, at) for k in stated for n, one in enumerate(data)]
            answers = engine.ask(requests, self._prepared(), engine.entities([*shared, *rows]))
        except Exception:  # noqa: BLE001 - what nobody could ask is refused
            return found
        for position, k in enumerate(stated):
            bits = self.always
            for answer in answers[position * len(data) : (position + 1) * len(data)]:
                bits |= self._bits(answer)
            found[k] = bits
        return found

    def _prepared(self) -> engine.PolicySet:
        if self._policies is None:
            self._policies = engine.policies([rule.text for _, rule in self.rules])
        return self._policies

    def _bits(self, answer: engine.Answer) -> int:
        if answer.broken:
            return self.failing
        bits = 0
        for kind, numbers in ((FIRED, answer.fired), (FAILED, answer.failed)):
            for number in numbers:
                bits |= 1 << (2 * self.rules[number][0] + kind)
        return bits

    def _shared(
        self, job: attributes.JobAttributes, data: Sequence[attributes.DataAttributes | None], day: dated.DayFacts
    ) -> list[Mapping[str, Any]]:
        """Return the entities that all questions share: the job, its data sets, the sets of countries."""

        def of_job(operand: operands.Operand) -> Any:
            return operand.read(job)

        about = schemas.attributes_of(schemas.JOB, of_job, self.names, day.day)
        about["tenant"] = schemas.attributes_of(schemas.TENANT, of_job, self.names, day.day)
        parents = [_uid("Tenant", job.tenant.name)] if job.tenant else []
        found = [_entity("Job", "job", about, parents)]
        for number, one in enumerate(data):
            if one is not None:
                own = schemas.attributes_of(schemas.DATA, lambda operand, of=one: operand.read(of), self.names, day.day)  # type: ignore[misc]
                found.append(_entity("Data", str(number), own))
        if checking.SETS in self.context:
            found.append(_entity("CountrySets", "day", schemas.public_sets(day)))
        return found

    def _site(self, site: attributes.SiteAttributes, number: int, day: dt.date) -> Mapping[str, Any]:
        own = schemas.attributes_of(schemas.SITE, lambda operand: operand.read(site), self.names, day)
        return _entity("Site", _site_id(self, site, number), own)

    def _request(
        self,
        job: attributes.JobAttributes,
        site: attributes.SiteAttributes,
        number: int,
        position: int,
        data: attributes.DataAttributes | None,
        day: dated.DayFacts,
        at: dt.datetime,
    ) -> Mapping[str, Any]:
        clock = _utc(at)
        context: dict[str, Any] = {
            "day": schemas.datetime(day.day),
            "hour": clock.hour,
            "weekday": clock.isoweekday(),
            "sets": {"__entity": _uid("CountrySets", "day")},
        }
        if data is not None:
            context["data"] = {"__entity": _uid("Data", str(position))}
        if checking.LOCATIONS in self.context:
            context["locations"] = sorted({place.code for place in (*site.places, *job.places)})
        return {
            "principal": _uid("Job", "job"),
            "action": engine.ACTION,
            "resource": _uid("Site", _site_id(self, site, number)),
            "context": {name: value for name, value in context.items() if name in self.context},
        }


def _named(names: Iterable[str]) -> list[operands.Operand]:
    return [operands.OPERANDS[name] for name in sorted(names)]


def _utc(at: dt.datetime) -> dt.datetime:
    return at.astimezone(dt.UTC)


def _site_id(active: _Active, site: attributes.SiteAttributes, number: int) -> str:
    """Return the id of a site in Cedar: its name where a rule may compare it, else a number (sites share answers)."""
    return site.name if "site.name" in active.names else str(number)


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}


def _entity(
    kind: str, name: str, attrs: Mapping[str, Any], parents: Sequence[Mapping[str, str]] = ()
) -> Mapping[str, Any]:
    return {"uid": _uid(kind, name), "attrs": attrs, "parents": list(parents)}


def _said(entry: Entry, job: attributes.JobAttributes, site: attributes.SiteAttributes) -> reasons.Reason:
    """Return the sentence of a rule that fired, with the values that it read."""
    rule = entry.rule
    assert rule is not None  # noqa: S101 - the caller asks for rules that fired
    name = entry.policy.name
    change = rule.remedy or f"change the policy {name}, rule {rule.id}"
    verb = "forbids it" if rule.effect is reasons.Effect.DENY else "lays a duty on it"
    return reasons.Reason(
        code=entry.code,
        effect=rule.effect,
        basis=rule.basis,
        message=rule.message or f"the rule {rule.id} of the policy {name} {verb}",
        facts=(*_cited(rule, job, site), reasons.FactCitation(f"policies.{name}.{rule.id}", rule.effect.value)),
        remedy=reasons.Remedy(rule.remedy_kind, change),
    )


CITED_MAX = 12
"""Attributes that a reason cites; a rule that reads a thing whole reads more than anybody wants to see."""


def _cited(
    rule: checking.Rule, job: attributes.JobAttributes, site: attributes.SiteAttributes
) -> Iterable[reasons.FactCitation]:
    found: dict[reasons.FactCitation, None] = {}
    for operand in _named(rule.operands):
        for data in job.data if operand.scope == checking.DATA else (None,):
            binding = {operands.SITE: site, operands.JOB: job, checking.DATA: data}
            value = rendering.text_of(operand.read(binding[operand.scope]))
            found[rendering.cited(operand.path, value, binding)] = None
    return tuple(found)[:CITED_MAX]


def _failed(entry: Entry) -> reasons.Reason:
    name = entry.policy.name
    if entry.rule is None:
        text, change = f"the policy {name} cannot be used, so it refuses: {entry.problem}", f"mend the policy {name}"
    else:
        text = f"the rule {entry.rule.id} of the policy {name} could not be evaluated, so it refuses"
        change = f"mend the policy {name}, rule {entry.rule.id}"
    remedy = reasons.Remedy(reasons.RemedyKind.CHANGE_POLICY, change)
    return reasons.Reason(entry.error, reasons.Effect.DENY, reasons.Basis.DILIGENCE, text[:1000], (), remedy)


@functools.lru_cache(maxsize=16)
def rules_of(declared: tuple[policies.CedarPolicy, ...], sets: tuple[str, ...]) -> UserRules:
    """Return the rules of some policies, made ready once. ``sets``: names of the public sets of countries."""
    return UserRules(declared, sets)
