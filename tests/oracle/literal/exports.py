"""Rules about goods and knowledge: us-ear, us-gp10, cn-chips, directives, tech-export."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

from tests.oracle.literal import facts, tables
from tests.oracle.literal.facts import DENY, OBLIGE, WAIVED, Case, Finding

LICENCE = ("bis-licence", "veu")


def _or_waived(effect: str, code: str, waivers: Iterable[str], held: set[str]) -> Finding:
    for name in waivers:
        if name in held:
            return WAIVED, f"{code} by {name}"
    return effect, code


def _accelerator(backend: Case) -> Case | None:
    """Return the accelerator if it is there and subject to the EAR."""
    accelerator = backend.get("accelerator")
    if accelerator is None or accelerator.get("us_subject") is False:
        return None
    return accelerator


def us_ear_missing_tpp(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """us-ear.missing:tpp."""
    accelerator = _accelerator(backend)
    if accelerator is not None and accelerator.get("tpp") is None:
        yield DENY, "us-ear.missing:tpp"


def _supplement_8_live(backend: Case, at: dt.date) -> bool:
    name = facts.operator(backend).get("supp8")
    return name in tables.SUPPLEMENT_8_TO and tables.SUPPLEMENT_8_FROM <= at <= tables.SUPPLEMENT_8_TO[name]


def us_ear_dest(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """us-ear.dest."""
    accelerator = _accelerator(backend)
    found = facts.ear_class(accelerator) if accelerator is not None else None
    country = backend.get("country")
    if found is None or country not in tables.licence_destinations(at):
        return
    held = facts.evidence(backend)
    waivers = [*LICENCE]
    if found in ("b", "a-nondc"):
        waivers.append("nac" if country in tables.d5_and_macau(at) else "aca")
    if country == "AE" and _supplement_8_live(backend, at):
        waivers.append("supp8")
        held = held | {"supp8"}
    yield _or_waived(DENY, "us-ear.dest", waivers, held)


def us_ear_hq(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """us-ear.hq and us-ear.hq-carry-over-until-further-notice."""
    accelerator = _accelerator(backend)
    found = facts.ear_class(accelerator) if accelerator is not None else None
    if found is None or at < tables.HQ_RULE_FROM:
        return
    if facts.parent(backend) not in tables.d5_and_macau(at) or backend.get("country") == "US":
        return
    waivers = [*LICENCE, "nac"] if found in ("b", "a-nondc") else [*LICENCE]
    since = backend.get("in_service_since")
    if since is None or facts.day(since) >= tables.HQ_RULE_FROM:
        yield _or_waived(DENY, "us-ear.hq", waivers, facts.evidence(backend))
    else:
        code = "us-ear.hq-carry-over-until-further-notice"
        yield _or_waived(OBLIGE, code, waivers, facts.evidence(backend))


def us_ear_iaas(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """us-ear.iaas-training-red-flag."""
    accelerator = _accelerator(backend)
    if accelerator is None or facts.ear_class(accelerator) is None:
        return
    trains = job.get("workload") in ("train", "finetune")
    if trains and facts.tenant(job).get("parent_hq") in tables.d5_and_macau(at):
        yield _or_waived(DENY, "us-ear.iaas-training-red-flag", ["iaas-d5-review"], facts.evidence(backend))


def us_ear_is_informed(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """us-ear.is-informed."""
    accelerator = _accelerator(backend)
    if accelerator is None or not accelerator.get("is_informed"):
        return
    if {backend.get("country"), facts.parent(backend)} & tables.d5_and_macau(at):
        yield _or_waived(DENY, "us-ear.is-informed", LICENCE, facts.evidence(backend))


def us_gp10(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """us-gp10.prc-3a090."""
    accelerator = backend.get("accelerator")
    if accelerator is None or accelerator.get("vendor_hq") != "CN" or facts.ear_class(accelerator) != "a":
        return
    american = facts.tenant(job).get("us_person") or facts.operator(backend).get("us_person")
    effect = DENY if american else OBLIGE
    yield _or_waived(effect, "us-gp10.prc-3a090", ["bis-gp10-clear"], facts.evidence(backend))


def cn_chips(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """cn-chips.foreign-accelerator."""
    accelerator = backend.get("accelerator")
    if backend.get("cn_state_funded") and accelerator is not None and accelerator.get("vendor_hq") != "CN":
        yield DENY, "cn-chips.foreign-accelerator"


def directives(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """directive.<id>."""
    for directive in job.get("directives") or ():
        begins, ends = directive.get("from"), directive.get("to")
        in_force = (begins is None or facts.day(begins) <= at) and (ends is None or at <= facts.day(ends))
        named = job.get("model") is not None and job["model"] in (directive.get("models") or ())
        if in_force and named:
            if facts.tenant(job).get("us_only_users"):
                yield WAIVED, f"directive.{directive['id']} by us_only_users"
            else:
                yield DENY, f"directive.{directive['id']}"


def _territory(controller: str | None) -> frozenset[str]:
    if controller is None:
        return frozenset()
    return tables.EU27 if controller in tables.EU27 else frozenset({controller})


def tech_export(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """tech-export.unknown:<regime> and tech-export.unlicensed:<regime>:<l>."""
    for holder in (job, *facts.data_sets(job)):
        home = _territory(holder.get("controller"))
        abroad = [place for place in facts.locations(backend) if place not in home]
        for control in holder.get("export_control") or ():
            item, regime = control.get("item"), control.get("regime")
            if item == "none":
                continue
            if item is None or item == "unknown":
                if abroad:
                    yield DENY, f"tech-export.unknown:{regime}"
                continue
            for place in abroad:
                if _licensed(control, place, at):
                    yield WAIVED, f"tech-export.unlicensed:{regime}:{place} by licence"
                else:
                    yield DENY, f"tech-export.unlicensed:{regime}:{place}"


def _licensed(control: Case, place: str, at: dt.date) -> bool:
    for licence in control.get("licences") or ():
        end = licence.get("valid_to")
        named: set[str] = set()
        for name in licence.get("destinations") or ():
            named |= tables.NAMED_SETS.get(name, frozenset({name}))
        if place in named and (end is None or at <= facts.day(end)):
            return True
    return False


RULES = (
    us_ear_missing_tpp,
    us_ear_dest,
    us_ear_hq,
    us_ear_iaas,
    us_ear_is_informed,
    us_gp10,
    cn_chips,
    directives,
    tech_export,
)
