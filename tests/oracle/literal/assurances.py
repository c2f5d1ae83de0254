"""Rules about what a place can show for itself: eu-seal, certs, tee, eu-dora, eu-aiact."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from fractions import Fraction

from tests.oracle.literal import facts, tables
from tests.oracle.literal.facts import DENY, OBLIGE, Case, Finding


def eu_seal_missing(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """eu-seal.missing:SOV-<k>."""
    levels = facts.by_objective(backend.get("seal"))
    asked = set(facts.by_objective(job.get("min_seal")))
    if job.get("min_score") is not None:
        asked = set(tables.SEAL_WEIGHTS)
    for objective in sorted(asked):
        if levels.get(objective) is None:
            yield DENY, f"eu-seal.missing:SOV-{objective}"


def eu_seal_level(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """eu-seal.SOV-<k>."""
    levels = facts.by_objective(backend.get("seal"))
    for objective, minimum in sorted(facts.by_objective(job.get("min_seal")).items()):
        level = levels.get(objective)
        if level is not None and minimum is not None and level < minimum:
            yield DENY, f"eu-seal.SOV-{objective}"


def eu_seal_score(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """eu-seal.score."""
    levels, minimum = facts.by_objective(backend.get("seal")), job.get("min_score")
    if minimum is None or any(levels.get(objective) is None for objective in tables.SEAL_WEIGHTS):
        return
    score = sum(Fraction(weight * levels[objective], 4) for objective, weight in tables.SEAL_WEIGHTS.items())
    if score < Fraction(minimum):
        yield DENY, "eu-seal.score"


def certs(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """certs.<scheme>."""
    for scheme in job.get("require_certs") or ():
        if not facts.has_certificate(backend, scheme, at):
            yield DENY, f"certs.{scheme}"


def tee(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """tee.type, tee.attestation."""
    wanted = job.get("require_tee")
    if not wanted:
        return
    attestation = backend.get("attestation") or {}
    age = attestation.get("age_h")
    if attestation.get("tee") not in wanted:
        yield DENY, "tee.type"
    elif not attestation.get("verified") or age is None or age > tables.ATTESTATION_HOURS:
        yield DENY, "tee.attestation"


def eu_dora(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """eu-dora.location-unspecified, eu-dora.register+exit."""
    if facts.tenant(job).get("sector") != "eu-finance":
        return
    if backend.get("region_pinned") is not True:
        yield DENY, "eu-dora.location-unspecified"
    yield OBLIGE, "eu-dora.register+exit"


def eu_aiact_logs(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """eu-aiact.logs, eu-aiact.logs-from-2027-12-02."""
    kept = backend.get("log_retention_days")
    if job.get("ai_act") != "high-risk" or (kept is not None and kept >= tables.LOG_RETENTION_DAYS):
        return
    if at >= tables.HIGH_RISK_FROM:
        yield DENY, "eu-aiact.logs"
    else:
        yield OBLIGE, "eu-aiact.logs-from-2027-12-02"


def eu_aiact_gpai(job: Case, backend: Case, at: dt.date) -> Iterator[Finding]:
    """eu-aiact.gpai-systemic-notify."""
    if (job.get("train_flop") or 0) >= tables.SYSTEMIC_FLOP:
        yield OBLIGE, "eu-aiact.gpai-systemic-notify"


RULES = (eu_seal_missing, eu_seal_level, eu_seal_score, certs, tee, eu_dora, eu_aiact_logs, eu_aiact_gpai)
