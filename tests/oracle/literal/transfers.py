"""Rules about data that leaves its country: us-doj, eu-gdpr, uk-gdpr, fr-hds, cn-export, ru-local, in, sa, vn."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from tests.oracle.literal import facts, tables
from tests.oracle.literal.facts import DENY, OBLIGE, WAIVED, Case, Finding


def _of(job: Case, subject: str) -> list[Case]:
    return [data for data in facts.data_sets(job) if subject in facts.subjects(data)]


def us_doj(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """us-doj.prohibited-omic, us-doj.restricted, us-doj.restricted-no-cisa."""
    if at < tables.DOJ_FROM:
        return
    operator = facts.operator(backend)
    places = {backend.get("country"), operator.get("legal_country"), operator.get("parent_hq")}
    places |= set(backend.get("admin_from") or ())
    if not (places & tables.DOJ_COUNTRIES or operator.get("covered_person")):
        return
    for data in _of(job, "US"):
        has = facts.classes(data)
        thresholds = [limit for name, limit in tables.DOJ_THRESHOLDS.items() if name in has]
        above = bool(thresholds) and facts.count(data) > min(thresholds)
        if not (above or "us-gov-related" in has):
            continue
        if above and has & {"genomic", "omic"}:
            yield DENY, "us-doj.prohibited-omic"
        elif "cisa-requirements" in facts.safeguards(data):
            yield OBLIGE, "us-doj.restricted"
        else:
            yield DENY, "us-doj.restricted-no-cisa"


def _adequate_for_eu(place: str, frameworks: set[str], at: dt.date) -> bool:
    if place not in tables.EU_ADEQUATE:
        return False
    begins, ends, condition = tables.EU_ADEQUATE[place]
    return begins <= at <= ends and (condition is None or condition in frameworks)


def eu_gdpr(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """eu-gdpr.art46:<l> and eu-gdpr.transfer:<l>."""
    frameworks = set(facts.operator(backend).get("frameworks") or ())
    for data in facts.data_sets(job):
        about_eea = facts.subjects(data) & (tables.EEA | {"EU"}) or data.get("controller") in tables.EEA
        if not facts.is_personal(data) or not about_eea:
            continue
        guards = facts.safeguards(data)
        covered = bool(guards & {"scc-eu", "bcr-eu"}) and "tia" in guards
        for place in facts.locations(backend):
            if place in tables.EEA:
                continue
            if _adequate_for_eu(place, frameworks, at):
                yield WAIVED, f"eu-gdpr.transfer:{place} by adequacy"
            elif covered:
                yield OBLIGE, f"eu-gdpr.art46:{place}"
            else:
                yield DENY, f"eu-gdpr.transfer:{place}"


def _adequate_for_uk(place: str, frameworks: set[str], at: dt.date) -> bool:
    if place not in tables.UK_ADEQUATE:
        return False
    begins, condition = tables.UK_ADEQUATE[place]
    return begins <= at and (condition is None or condition in frameworks)


def uk_gdpr(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """uk-gdpr.art46:<l> and uk-gdpr.transfer:<l>."""
    frameworks = set(facts.operator(backend).get("frameworks") or ())
    for data in facts.data_sets(job):
        british = "GB" in facts.subjects(data) or data.get("controller") == "GB"
        if not facts.is_personal(data) or not british:
            continue
        guards = facts.safeguards(data)
        covered = bool(guards & {"idta", "uk-addendum"}) and "tra" in guards
        for place in facts.locations(backend):
            if place in tables.UK_FREE:
                continue
            if _adequate_for_uk(place, frameworks, at):
                yield WAIVED, f"uk-gdpr.transfer:{place} by adequacy"
            elif covered:
                yield OBLIGE, f"uk-gdpr.art46:{place}"
            else:
                yield DENY, f"uk-gdpr.transfer:{place}"


def fr_hds(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """fr-hds.location, fr-hds.self-hosted, fr-hds.certificate."""
    for data in _of(job, "FR"):
        if "health" not in facts.classes(data):
            continue
        if backend.get("country") not in tables.EEA:
            yield DENY, "fr-hds.location"
        if data.get("self_hosted"):
            yield OBLIGE, "fr-hds.self-hosted"
        elif not facts.has_certificate(backend, "hds-v2", at):
            yield DENY, "fr-hds.certificate"
        else:
            yield WAIVED, "fr-hds.certificate by hds-v2"


def cn_export(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """cn-export.core-data, cn-export.cac-assessment, cn-export.cn-scc|cn-cert."""
    if backend.get("country") == "CN":
        return
    for data in _of(job, "CN"):
        has, guards = facts.classes(data), facts.safeguards(data)
        personal, count, sensitive = facts.is_personal(data), facts.count(data), facts.sensitive_count(data)
        if "core" in has:
            yield DENY, "cn-export.core-data"
        many = count >= tables.CN_ASSESSMENT_PERSONS or sensitive >= tables.CN_ASSESSMENT_SENSITIVE
        if "important" in has or (personal and (data.get("ciio") or many)):
            code, waivers = "cn-export.cac-assessment", ["cac-assessment"]
        elif personal and (count >= tables.CN_CONTRACT_PERSONS or sensitive > 0):
            code, waivers = "cn-export.cn-scc|cn-cert", ["cn-scc", "cn-cert", "cac-assessment"]
        else:
            continue
        held = [name for name in waivers if name in guards]
        if held:
            yield WAIVED, f"{code} by {held[0]}"
        else:
            yield DENY, code


def ru_local(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """ru-local.collection, ru-local.cross-border-notice."""
    if backend.get("country") == "RU":
        return
    for data in _of(job, "RU"):
        if not facts.is_personal(data):
            continue
        if data.get("primary_db") != "RU":
            yield DENY, "ru-local.collection"
        elif "rkn-notice" not in facts.safeguards(data):
            yield DENY, "ru-local.cross-border-notice"
        else:
            yield WAIVED, "ru-local.cross-border-notice by rkn-notice"


def india(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """in.rbi-payment-data, in.sdf-localised, in.dpdp-s16-check-negative-list."""
    if backend.get("country") == "IN":
        return
    for data in _of(job, "IN"):
        if "payment" in facts.classes(data):
            yield DENY, "in.rbi-payment-data"
        if data.get("sdf_localised"):
            yield DENY, "in.sdf-localised"
        if facts.is_personal(data):
            yield OBLIGE, "in.dpdp-s16-check-negative-list"


def saudi_arabia(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """sa.gov-data, sa.pdpl-art29, sa.pdpl-transfer."""
    if backend.get("country") == "SA":
        return
    for data in _of(job, "SA"):
        if facts.classes(data) & {"gov-secret", "gov-restricted"}:
            yield DENY, "sa.gov-data"
        if facts.is_personal(data):
            guards = facts.safeguards(data)
            if guards & {"sa-scc", "sa-bcr"} and "sa-risk-assessment" in guards:
                yield OBLIGE, "sa.pdpl-art29"
            else:
                yield DENY, "sa.pdpl-transfer"


def vietnam(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """vn.core-data, vn.ctia-dossier."""
    if at < tables.VN_FROM or backend.get("country") == "VN":
        return
    for data in _of(job, "VN"):
        if "core" in facts.classes(data):
            yield DENY, "vn.core-data"
        if facts.is_personal(data):
            yield OBLIGE, "vn.ctia-dossier"


RULES = (us_doj, eu_gdpr, uk_gdpr, fr_hds, cn_export, ru_local, india, saudi_arabia, vietnam)
