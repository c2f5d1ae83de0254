"""The themes of random cases, and those about what a place can show and what it takes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.oracle.literal import palette, themes_data, themes_trade

Theme = Callable[[Random, str, dict[str, Any], dict[str, Any]], None]


def exposure(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """exposure: owners, parents, administrators and declared reach against what a job refuses."""
    refused = rng.sample(["US", "CN", "IN", "GB", "CA", "FR", "HK"], rng.randint(1, 3))
    job["deny_exposure"] = sorted({*job.get("deny_exposure", []), *refused})
    code, operator, kind = rng.choice(refused), backend["operator"], rng.randrange(5)
    if kind == 0:
        operator["legal_country"] = code
    elif kind == 1:
        operator["parent_hq"] = code
    elif kind == 2:
        backend["admin_from"] = [code]
    elif kind == 3:
        operator["exposure"] = [code, *palette.some(rng, palette.EVERYWHERE, 1)]
    else:
        owners = [
            (code, rng.choice((10, 24, 24.99, 25, 26, 100))),
            (rng.choice(palette.EVERYWHERE), rng.choice((5, 25, 40))),
        ]
        operator["owners"] = [{"country": name, "pct": percent} for name, percent in owners[: rng.randint(1, 2)]]
        if rng.random() < 0.1:
            operator["owners"][0].pop("country")
    if rng.random() < 0.4:
        job["accept_immunity"] = rng.sample(palette.SCHEMES, rng.randint(1, 2))
        palette.add_certificates(rng, at, backend)


def seal(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """eu-seal: minimum levels and scores, at the level and at the exact score."""
    weights = {1: 15, 2: 10, 3: 10, 4: 15, 5: 20, 6: 15, 7: 10, 8: 5}
    levels = {number: rng.choice((1, 2, 3, 3, 4)) for number in weights}
    for number in palette.some(rng, [*weights], rng.choice((0, 0, 0, 2))):
        levels.pop(number)
    if rng.random() < 0.95:
        backend["seal"] = levels
    if rng.random() < 0.7:
        job["min_seal"] = {
            number: rng.choice((0, 1, 2, 2, 3)) for number in sorted(rng.sample([*weights], rng.randint(1, 7)))
        }
    if rng.random() < 0.5:
        score = sum(weights[number] * level for number, level in levels.items()) // 4
        job["min_score"] = rng.choice((score, score, score + 1, score + 1, max(0, score - 1), 40, 60, 0))


def certificates(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """certs: required schemes, some of them on their last day."""
    job["require_certs"] = rng.sample(palette.SCHEMES, rng.randint(1, 2))
    palette.add_certificates(rng, at, backend)
    if rng.random() < 0.5:
        held = backend.setdefault("certs", {})
        held |= {scheme: rng.choice((None, at, palette.beside(at, 1))) for scheme in job["require_certs"]}


def trusted(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """tee: types, verified or not, at 24 hours."""
    job["require_tee"] = rng.sample(["tdx", "sev-snp", "nvidia-cc"], rng.randint(1, 2))
    if rng.random() < 0.9:
        found: palette.Part = {"tee": rng.choice([*job["require_tee"], "tdx"]), "verified": rng.random() < 0.8}
        found["age_h"] = rng.choice((0, 2, 23.9, 24, 24.5, 25, 100))
        for name in palette.some(rng, [*found], 1) if rng.random() < 0.2 else []:
            found.pop(name)
        backend["attestation"] = found


def finance(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """eu-dora: financial tenants of the EU."""
    job.setdefault("tenant", {})["sector"] = rng.choice(("eu-finance", "eu-finance", "eu-finance", "health"))
    if rng.random() < 0.8:
        backend["region_pinned"] = rng.random() < 0.7


def ai_act(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """eu-aiact: high-risk models and training operations."""
    if rng.random() < 0.7:
        job["ai_act"] = "high-risk"
        if rng.random() < 0.8:
            backend["log_retention_days"] = rng.choice((0, 30, 182, 182, 183, 184, 365))
    else:
        job["train_flop"] = rng.choice((9.99e24, 9.9999999e24, 1e25, 1e25, 1.01e25, 1e26, 0))


def own_terms(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """accepts: what a host takes."""
    terms: palette.Part = {}
    if rng.random() < 0.6:
        terms["tenant_countries"] = palette.some(rng, ["EEA", "EU", "CH", "GB", "NO", "US"], 3)
        if rng.random() < 0.85:
            job.setdefault("tenant", {})["parent_hq"] = rng.choice(palette.words("FR DE NO LI CH GB US CN"))
    if rng.random() < 0.5:
        terms["deny_classes"] = palette.some(rng, [*palette.PERSONAL, *palette.OTHER], 8)
        data = palette.a_data_set(rng, job)
        palette.add_classes(
            rng, data, rng.choice([*palette.OTHER, "personal", "health"]), [*palette.PERSONAL, *palette.OTHER], 3
        )
    if rng.random() < 0.5:
        terms["types"] = palette.some(rng, palette.WORKLOADS, 3)
        if rng.random() < 0.8:
            job["workload"] = rng.choice(palette.WORKLOADS)
    backend["accepts"] = terms


def noise(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """Lay a little of everything over a case now and then."""
    if rng.random() < 0.06:
        backend["operator"]["parent_hq"] = rng.choice(palette.EVERYWHERE)
    if rng.random() < 0.06:
        backend["operator"]["legal_country"] = rng.choice(palette.EVERYWHERE)
    if rng.random() < 0.06:
        backend["admin_from"] = palette.some(rng, palette.EVERYWHERE, 2)
    if rng.random() < 0.06:
        backend["stores"] = palette.some(rng, palette.EVERYWHERE, 2)
    if rng.random() < 0.06:
        backend["country"] = rng.choice(palette.EVERYWHERE)
    if rng.random() < 0.06:
        backend["evidence"] = palette.some(rng, palette.EVIDENCE, 4)
    if rng.random() < 0.04:
        job.setdefault("tenant", {})["parent_hq"] = rng.choice(palette.EVERYWHERE)
    if rng.random() < 0.04:
        job["workload"] = rng.choice(palette.WORKLOADS)
    if rng.random() < 0.04:
        data = palette.a_data_set(rng, job)
        data["classes"] = palette.some(rng, [*palette.PERSONAL, *palette.OTHER], 3)
        data["subjects"] = palette.some(rng, palette.SUBJECTS, 3)
        data["safeguards"] = palette.some(rng, palette.SAFEGUARDS, 5)
        data["count"] = rng.choice((0, 1, 101, 1001, 100_000, 10**6))
    if rng.random() < 0.01:
        backend["operator"] = {}


def nothing_known(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """Say of some things that nobody knows them, which is the same as saying nothing."""
    for holder in (job, backend, backend["operator"], backend.get("accelerator", {}), backend.get("seal", {})):
        for key in [*holder]:
            if holder[key] is not None and key not in ("operator", "data", "country") and rng.random() < 0.03:
                holder[key] = None


THEMES = [exposure, own_terms, seal, certificates, trusted, finance, ai_act]
ALL: list[Theme] = [*THEMES, *themes_trade.THEMES, *themes_data.THEMES]
BORDERS: dict[Theme, tuple[str, ...]] = {ai_act: ("2027-12-02",), **themes_trade.BORDERS, **themes_data.BORDERS}
"""Days on which the law of a theme changes."""
