"""Themes about data that leaves its country: each puts one pack into play on a job and a backend."""

from __future__ import annotations

from random import Random

from tests.oracle.literal import palette


def us_bulk(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """us-doj: counts at the thresholds, places and persons that reach."""
    data = palette.a_data_set(rng, job)
    limits = {"genomic": 100, "omic": 1000, "biometric": 1000, "geolocation": 1000, "health": 10000}
    limits |= {"financial": 10000, "identifiers": 100000, "us-gov-related": 0, "personal": 100}
    first = rng.choice([*limits])
    palette.add_classes(rng, data, first, [*limits, *palette.OTHER], 2)
    palette.add_subject(rng, data, "US")
    near = rng.choice([limits[first], limits[rng.choice([*limits])], 100, 1000])
    data["count"] = max(0, near + rng.choice((-1, 0, 1, 1, 50)))
    if rng.random() < 0.1:
        data.pop("count")
    palette.add_safeguards(rng, data, ["cisa-requirements"], 0.5)
    _reach(rng, backend)


def _reach(rng: Random, backend: palette.Part) -> None:
    code = rng.choice(palette.words("CN HK MO CU IR KP RU VE TW SA SG"))
    kind = rng.randrange(7)
    if kind == 0:
        backend["country"] = code
    elif kind == 1:
        backend["operator"]["legal_country"] = code
    elif kind in (2, 3):
        backend["operator"]["parent_hq"] = code
    elif kind == 4:
        backend["admin_from"] = [code]
    elif kind == 5:
        backend["stores"] = [code]
    else:
        backend["operator"]["covered_person"] = rng.random() < 0.8


def _conditional(rng: Random, backend: palette.Part, frameworks: dict[str, str]) -> None:
    """Put the site where a decision has a first day or a condition, mostly with the framework that it asks for."""
    backend["country"] = rng.choice([*frameworks])
    backend["operator"] |= {"legal_country": backend["country"], "parent_hq": backend["country"]}
    if rng.random() < 0.8:
        backend["operator"]["frameworks"] = [frameworks[backend["country"]]]


def gdpr(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """eu-gdpr: personal data of the EEA at places inside, adequate and outside."""
    data = palette.a_data_set(rng, job)
    palette.add_classes(rng, data, rng.choice(palette.PERSONAL), palette.OTHER)
    if rng.random() < 0.75:
        palette.add_subject(rng, data, rng.choice(("EU", "FR", "NO", "CH", rng.choice(palette.EEA))))
    else:
        data["controller"] = rng.choice((*palette.words("FR NO GB CH US"), rng.choice(palette.EEA)))
    palette.place_somewhere(rng, backend, palette.EU_OR_NEAR if rng.random() < 0.7 else palette.EVERYWHERE)
    if rng.random() < 0.4:
        backend["operator"]["frameworks"] = palette.some(rng, ["dpf", "pipeda", "appi", "dpf-uk"], 3)
    if rng.random() < 0.2:
        _conditional(
            rng, backend, {"JP": "appi", "US": "dpf", "CA": "pipeda", "KR": "none", "BR": "none", "GB": "none"}
        )
    palette.add_safeguards(rng, data, ["scc-eu", "bcr-eu", "tia", "tia"], 0.35)


def uk_gdpr(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """uk-gdpr: personal data of Britain at places inside, adequate and outside."""
    data = palette.a_data_set(rng, job)
    palette.add_classes(rng, data, rng.choice(palette.PERSONAL), palette.OTHER)
    if rng.random() < 0.75:
        palette.add_subject(rng, data, "GB")
    else:
        data["controller"] = rng.choice(palette.words("GB GB FR GI"))
    palette.place_somewhere(rng, backend, palette.EU_OR_NEAR if rng.random() < 0.7 else palette.EVERYWHERE)
    if rng.random() < 0.4:
        backend["operator"]["frameworks"] = palette.some(rng, ["dpf", "pipeda", "appi", "dpf-uk"], 3)
    if rng.random() < 0.2:
        _conditional(rng, backend, {"JP": "appi", "US": "dpf-uk", "CA": "pipeda"})
    palette.add_safeguards(rng, data, ["idta", "uk-addendum", "tra", "tra", "scc-eu"], 0.35)


def hds(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """fr-hds: health data of France."""
    data = palette.a_data_set(rng, job)
    palette.add_classes(rng, data, "health", palette.PERSONAL)
    palette.add_subject(rng, data, rng.choice(palette.words("FR FR FR EU DE")))
    backend["country"] = rng.choice(palette.words("FR FR DE NO LI CH GB US"))
    if rng.random() < 0.3:
        data["self_hosted"] = rng.random() < 0.8
    if rng.random() < 0.6:
        ends = (None, palette.beside(at, -1), at, palette.beside(at, 1), "2027-06-30")
        backend["certs"] = {**backend.get("certs", {}), "hds-v2": rng.choice(ends)}


def chinese_data(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """cn-export: personal, important and core data of China, at the thresholds."""
    data = palette.a_data_set(rng, job)
    first = rng.choice(("personal", "personal", "personal", "health", "identifiers", "important", "core", "industrial"))
    palette.add_classes(rng, data, first, [*palette.PERSONAL, "important", "core"])
    palette.add_subject(rng, data, "CN")
    counts = (0, 10, 99_999, 100_000, 100_001, 500_000, 999_999, 1_000_000, 1_000_001)
    data["count"] = rng.choice(counts)
    if rng.random() < 0.4:
        data["sensitive_count"] = rng.choice((0, 0, 1, 9_999, 10_000, 10_001))
    if rng.random() < 0.15:
        data["ciio"] = rng.random() < 0.7
    if rng.random() < 0.15:
        backend["country"] = rng.choice(("CN", "HK", "MO", "TW"))
    palette.add_safeguards(rng, data, ["cac-assessment", "cn-scc", "cn-cert"], 0.2)


def russian_data(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """ru-local: personal data of Russia."""
    data = palette.a_data_set(rng, job)
    palette.add_classes(rng, data, rng.choice([*palette.PERSONAL, "industrial"]), palette.OTHER)
    palette.add_subject(rng, data, "RU")
    if rng.random() < 0.7:
        data["primary_db"] = rng.choice(("RU", "RU", "RU", "DE"))
    if rng.random() < 0.1:
        backend["country"] = "RU"
    palette.add_safeguards(rng, data, ["rkn-notice"], 0.5)


def indian_data(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """in: payments, localised and personal data of India."""
    data = palette.a_data_set(rng, job)
    palette.add_classes(
        rng, data, rng.choice(("payment", "personal", "personal", "financial", "open")), palette.PERSONAL
    )
    palette.add_subject(rng, data, "IN")
    if rng.random() < 0.25:
        data["sdf_localised"] = rng.random() < 0.7
    if rng.random() < 0.15:
        backend["country"] = "IN"


def saudi_data(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """sa: government and personal data of Saudi Arabia."""
    data = palette.a_data_set(rng, job)
    palette.add_classes(
        rng, data, rng.choice(("gov-secret", "gov-restricted", "personal", "personal", "health")), palette.PERSONAL
    )
    palette.add_subject(rng, data, "SA")
    if rng.random() < 0.15:
        backend["country"] = "SA"
    palette.add_safeguards(rng, data, ["sa-scc", "sa-bcr", "sa-risk-assessment", "sa-risk-assessment"], 0.4)


def vietnamese_data(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """vn: core and personal data of Vietnam."""
    data = palette.a_data_set(rng, job)
    palette.add_classes(
        rng, data, rng.choice(("core", "personal", "personal", "identifiers", "important")), palette.PERSONAL
    )
    palette.add_subject(rng, data, "VN")
    if rng.random() < 0.15:
        backend["country"] = "VN"


THEMES = [
    *(us_bulk, us_bulk, gdpr, gdpr, uk_gdpr, hds, chinese_data, chinese_data),
    *(russian_data, indian_data, saudi_data, vietnamese_data),
]
BORDERS = {
    us_bulk: ("2025-04-08",),
    gdpr: ("2019-01-23", "2021-12-17", "2023-07-10", "2025-12-19", "2026-01-26", "2031-12-27"),
    uk_gdpr: ("2023-10-12",),
    vietnamese_data: ("2026-01-01",),
}
