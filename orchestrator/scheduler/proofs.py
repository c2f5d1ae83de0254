"""Proves a nearest change: makes it in the job's document and judges the changed job at the site.

Only changes that a program can make are made: limits, amounts, accelerators, entries of the job's own constraint
lists. What the tenant's floor or tier asks is not the job's to change, so such a change is disproved here. Facts of
sites, data and operators are never changed: they are evidence to obtain, and stay open beside the proof.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace

from orchestrator.domain import ids, jobs, reasons
from orchestrator.placement import changes, columns, explanations, requirements, rows, select
from orchestrator.policy import attributes, evaluator, table
from orchestrator.scheduler import caches, classes, worlds

Change = Callable[[jobs.JobSpec], jobs.JobSpec | None]
"""Returns the changed document; None: it is not the job's own list, or nothing to change."""


def prover(
    spec: jobs.JobSpec,
    tenant: str,
    world: worlds.World,
    grid: columns.Columns,
    sites: table.SiteTable,
    selection: select.Selection,
) -> changes.Prove:
    """Return what proves candidates for one job in one cycle."""
    question = selection.verdict.question
    at = evaluator_clock(selection)
    judge = _Judge(tenant, world, grid, sites)

    def prove(candidate: changes.Candidate) -> tuple[changes.Proof, tuple[reasons.Remedy, ...]]:
        position = grid.index[ids.SiteName(candidate.site)]
        row = grid.items[position]
        changed, then = spec, at
        beside: list[reasons.Reason] = []
        made: set[tuple[reasons.RemedyKind, str]] = set()
        for reason in candidate.answer.reasons:
            remedy = reason.remedy
            if reason.effect is not reasons.Effect.DENY or remedy is None:
                continue
            if remedy.kind is reasons.RemedyKind.WAIT and remedy.until is not None:
                then = max(then, remedy.until)
                made.add((remedy.kind, remedy.change))
            elif remedy.kind is not reasons.RemedyKind.CHANGE_JOB:
                beside.append(reason)
            else:
                change = change_for(reason, row, question)
                after = change(changed) if change else None
                if after is None:
                    return changes.Proof.OPEN, candidate.remedies
                changed = after
                made.add((remedy.kind, remedy.change))
        if not made:
            return changes.Proof.HOLDS, candidate.remedies
        refused = judge.refusals(changed, position, then)
        if not refused <= {reason.code for reason in beside}:
            return changes.Proof.FAILS, ()
        still = [reason.remedy for reason in beside if reason.remedy is not None and reason.code in refused]
        made |= {(remedy.kind, remedy.change) for remedy in still}
        needed = tuple(remedy for remedy in candidate.remedies if (remedy.kind, remedy.change) in made)
        return changes.Proof.HOLDS, needed

    return prove


def evaluator_clock(selection: select.Selection) -> dt.datetime:
    """Return the policy clock at which a selection was judged."""
    judgement = selection.verdict.judgement
    assert isinstance(judgement, evaluator.Judgement)  # noqa: S101 - the scheduler asks no other judge
    return judgement.at


class _Judge:
    """Judges changed jobs. Many changes leave what policy reads of a job alone: it is then asked once."""

    def __init__(self, tenant: str, world: worlds.World, grid: columns.Columns, sites: table.SiteTable) -> None:
        self._tenant = tenant
        self._world = world
        self._grid = grid
        self._sites = sites
        self._judged: dict[tuple[attributes.JobAttributes, dt.datetime], evaluator.Judgement] = {}

    def refusals(self, spec: jobs.JobSpec, position: int, at: dt.datetime) -> set[str]:
        """Return the codes that would refuse a job at one site."""
        world = self._world
        job, requirement = classes.read(classes.kind_of(self._tenant, spec), world)
        day = caches.day_of(at)
        question = requirements.ask(requirement, day, world.sets_on(day), world.tables)
        judgement = self._judged.get((job, at))
        if judgement is None:
            judgement = self._judged[(job, at)] = evaluator.judge(job, self._sites, world.rulebook, at)
        found = select.select(question, self._grid, judgement)
        filtered = explanations.filter_reasons(
            question, self._grid.items[position], int(found.bits[position]), now=True
        )
        denying = {reason.code for reason in filtered if reason.effect is reasons.Effect.DENY}
        return denying | judgement.refusing(position)


def change_for(reason: reasons.Reason, row: rows.Row, question: requirements.Question) -> Change | None:
    """Return how the document changes so that a reason of the job's own making goes; None: no program can."""
    maker = _BY_CODE.get(reason.code)
    if maker is not None:
        return maker(row, question)
    listed = re.fullmatch(r"(countries|exposure)\.([A-Z]{2})", reason.code)
    if listed is None:
        return None
    code = listed[2]
    return (lambda spec: _country(spec, code)) if listed[1] == "countries" else (lambda spec: _exposure(spec, code))


def _country(spec: jobs.JobSpec, code: str) -> jobs.JobSpec | None:
    own = spec.sovereignty
    deny = tuple(name for name in own.countries_deny if name != code)
    allow = own.countries_allow
    if allow is not None and code not in allow:
        allow = (*allow, code)
    changed = replace(own, countries_deny=deny, countries_allow=allow)
    return replace(spec, sovereignty=changed) if changed != own else None


def _exposure(spec: jobs.JobSpec, code: str) -> jobs.JobSpec | None:
    own = spec.sovereignty.exposure
    if code not in own.deny:
        # Denied through a set, or by the tenant: no entry of the job's own to take away.
        return None
    changed = replace(own, deny=tuple(name for name in own.deny if name != code))
    return replace(spec, sovereignty=replace(spec.sovereignty, exposure=changed))


def _price(row: rows.Row, question: requirements.Question) -> Change | None:
    price = rows.price_per_hour(row.site, question)
    return None if price is None else lambda spec: replace(spec, limits=replace(spec.limits, price_per_hour=price))


def _rtt(row: rows.Row, question: requirements.Question) -> Change | None:
    distance = rows.rtt_ms(row.site, question)
    limit = None if distance is None else int(-(-distance // 1))
    return lambda spec: replace(spec, limits=replace(spec.limits, rtt_ms=limit))


def _start(row: rows.Row, question: requirements.Question) -> Change | None:
    wait = rows.starts_in(row, question)
    return None if wait is None else lambda spec: replace(spec, limits=replace(spec.limits, start_within=wait))


def _accelerators(**values: object) -> Change:
    def change(spec: jobs.JobSpec) -> jobs.JobSpec | None:
        wanted = spec.resources.accelerators
        if wanted is None:
            return None
        changed = replace(wanted, **values)  # type: ignore[arg-type]  # names and types are those of the callers below
        return replace(spec, resources=replace(spec.resources, accelerators=changed))

    return change


def _accelerator(row: rows.Row, question: requirements.Question) -> Change | None:
    have = row.site.accelerator
    if have is None:
        return lambda spec: replace(spec, resources=replace(spec.resources, accelerators=None))
    return _accelerators(any_of=(*question.requirement.accelerators_any_of, have))


def _count(row: rows.Row, question: requirements.Question) -> Change | None:
    if row.offer is None or row.node is None:
        return None
    most = min(row.node.accelerators, row.offer.total.accelerators // question.requirement.nodes)
    return _accelerators(count=most) if most > 0 else None


def _memory(row: rows.Row, _question: requirements.Question) -> Change | None:
    return _accelerators(memory_gb=row.site.accelerator_memory_gb or None)


def _cpus(row: rows.Row, question: requirements.Question) -> Change | None:
    if row.offer is None or row.node is None:
        return None
    most = min(row.node.cpu_milli, row.offer.total.cpu_milli // question.requirement.nodes)
    return lambda spec: replace(spec, resources=replace(spec.resources, cpu_milli=most)) if most > 0 else None


def _host_memory(row: rows.Row, question: requirements.Question) -> Change | None:
    if row.offer is None or row.node is None:
        return None
    most = min(row.node.memory_bytes, row.offer.total.memory_bytes // question.requirement.nodes)
    return lambda spec: replace(spec, resources=replace(spec.resources, memory_bytes=most)) if most > 0 else None


def _interconnect(_row: rows.Row, _question: requirements.Question) -> Change | None:
    return _accelerators(interconnect=None)


def _nodes(row: rows.Row, _question: requirements.Question) -> Change | None:
    bound = row.backend.nodes_max if row.backend else None
    return (lambda spec: replace(spec, nodes=bound)) if bound else None


_BY_CODE: dict[str, Callable[[rows.Row, requirements.Question], Change | None]] = {
    "limits.price": _price,
    "limits.rtt": _rtt,
    "limits.rtt.unknown": _rtt,
    "limits.start-within": _start,
    "fit.accelerator": _accelerator,
    "fit.accelerator-count": _count,
    "fit.memory": _memory,
    "fit.cpus": _cpus,
    "fit.host-memory": _host_memory,
    "fit.interconnect": _interconnect,
    "fit.nodes": _nodes,
    "fit.capability:gangs": lambda _row, _question: lambda spec: replace(spec, nodes=1),
    "fit.capability:outputs": lambda _row, _question: lambda spec: replace(spec, outputs=()),
    "fit.capability:workdir": lambda _row, _question: lambda spec: replace(spec, workdir=None),
    "fit.capability:files": lambda _row, _question: lambda spec: replace(spec, files=()),
    "fit.capability:containers": lambda _row, _question: lambda spec: replace(spec, image=None),
}
