"""What themes are mixed from: countries, classes, words, and small steps that change a job or a backend."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

Part = dict[str, Any]


def words(text: str) -> list[str]:
    """Return the words of a line."""
    return text.split()


CALM = words("FR DE NL FI IT ES NO CH GB JP CA US SG IN BR KR AU")
D_GROUPS = words("CN HK MO RU VE KH VN KZ AM SA QA BH EG IL AE TW CY MT MM BY CU IR KP SY LB LY NI AF ZW SO KW OM")
D_GROUPS += words("BH JO IL TJ TM UZ GE LA MD MN KG VE CF CD ER HT IQ SS SD KH AZ PK YE")
EEA = words("AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO")
EVERYWHERE = [*CALM, *D_GROUPS, *EEA, *words("AD AR FO GG IM JE NZ UY GI MX ZA AL TR MY PH UA TH ID NG RS")]
EU_OR_NEAR = words("FR DE NL AT HR NO IS LI GB CH US CA JP KR BR IL NZ AR GI GG")
PERSONAL = words("personal health genomic omic biometric geolocation financial identifiers")
OTHER = words("payment important core gov-secret gov-restricted us-gov-related model industrial open x-sensors")
EVIDENCE = words("bis-licence veu aca nac iaas-d5-review bis-gp10-clear")
SUPPLEMENT_8 = [*words("Amazon Apple Google Meta Microsoft OpenAI Oracle xAI"), "UAE government"]
SCHEMES = words("hds-v2 secnumcloud-3.2 c5 iso27001 x-house")
SUBJECTS = words("EU FR DE NO GB US CN RU IN SA VN CH BR")
SAFEGUARDS = words(
    "scc-eu bcr-eu tia idta uk-addendum tra cac-assessment cn-scc cn-cert rkn-notice sa-scc sa-bcr "
    "sa-risk-assessment cisa-requirements"
)
WORKLOADS = words("train finetune infer batch")


def beside(at: str, *days: int) -> str:
    """Return a day beside another."""
    return str(dt.date.fromisoformat(at) + dt.timedelta(days=days[0]))


def some(rng: Random, values: list[Any], most: int) -> list[Any]:
    """Return up to ``most`` of the values, none twice."""
    return rng.sample(values, rng.randint(0, min(most, len(values))))


def base(rng: Random) -> Part:
    """Return a backend of which nothing is refused by itself."""
    country = rng.choice(CALM)
    backend: Part = {"country": country, "operator": {"legal_country": country, "parent_hq": country}}
    if rng.random() < 0.3:
        backend["accelerator"] = {"vendor_hq": "US", "tpp": 1544, "pd": 5.24}
    return backend


def a_data_set(rng: Random, job: Part) -> Part:
    """Return a data set of the job: a new one, or now and then one that is there."""
    sets = job.setdefault("data", [])
    if sets and rng.random() < 0.25:
        return rng.choice(sets)
    sets.append({"classes": [], "subjects": []})
    return sets[-1]


def add_classes(rng: Random, data: Part, first: str, others: list[str], most: int = 1) -> None:
    names = [first, *some(rng, others, most)] if rng.random() < 0.25 else [first]
    data["classes"] = sorted({*data["classes"], *names})


def add_subject(rng: Random, data: Part, code: str) -> None:
    extra = [rng.choice(SUBJECTS)] if rng.random() < 0.1 else []
    data["subjects"] = sorted({*data["subjects"], code, *extra})


def add_safeguards(rng: Random, data: Part, names: list[str], likely: float) -> None:
    chosen = [name for name in names if rng.random() < likely]
    if chosen:
        data["safeguards"] = sorted({*data.get("safeguards", []), *chosen})


def place_somewhere(rng: Random, backend: Part, countries: list[str]) -> None:
    """Put the site, its administrators or a store into one of the countries."""
    kind = rng.random()
    if kind < 0.7:
        backend["country"] = rng.choice(countries)
        if rng.random() < 0.7:
            backend["operator"] |= {"legal_country": backend["country"], "parent_hq": backend["country"]}
    elif kind < 0.85:
        backend["admin_from"] = sorted({*backend.get("admin_from", []), *rng.sample(countries, rng.randint(1, 2))})
    else:
        backend["stores"] = sorted({*backend.get("stores", []), *rng.sample(countries, rng.randint(1, 2))})


def add_evidence(rng: Random, backend: Part, names: list[str], likely: float) -> None:
    """Give the backend none, one or several of the kinds of evidence; one alone shows what it waives."""
    one = rng.random() < 2 * likely
    chosen = [rng.choice(names)] if one else [name for name in names if rng.random() < likely / 2]
    if chosen:
        backend["evidence"] = sorted({*backend.get("evidence", []), *chosen})


def add_chip(rng: Random, backend: Part) -> Part:
    """Give the backend an accelerator near a threshold of the EAR classes."""
    kind = rng.random()
    if kind < 0.3:
        chip = {"tpp": rng.choice((15832, 36000, 4800, 5285)), "pd": rng.choice((19.45, 22.11, 5.92, 5.91, None))}
    elif kind < 0.45:
        chip = {"tpp": rng.choice((2400, 3000, 4799)), "pd": rng.choice((1.6, 3.5, 5.91))}
    elif kind < 0.75:
        chip = {
            "tpp": rng.choice((1599, 1600, 1601, 1912, 2368, 2399, 2400, 3152, 4799, 4799.9, 4800)),
            "pd": rng.choice((1.59, 1.6, 2.91, 3.19, 3.2, 3.5, 5.91, 5.92, 6.04, None)),
        }
    elif kind < 0.85:
        chip = {"tpp": rng.choice((5285, 4800)), "pd": 8.68, "datacenter": False}
    else:
        chip = {"tpp": rng.choice((None, 819, 1544, 5285, 6704)), "pd": rng.choice((None, 2.2, 5.24, 8.68))}
    chip = {key: value for key, value in chip.items() if value is not None or rng.random() < 0.3}
    chip["vendor_hq"] = "US"
    if "datacenter" not in chip and rng.random() < 0.2:
        chip["datacenter"] = rng.random() < 0.5
    if rng.random() < 0.06:
        chip["us_subject"] = rng.random() < 0.3
    backend["accelerator"] = chip
    return chip


def add_certificates(rng: Random, at: str, backend: Part) -> None:
    ends = (None, None, beside(at, -1), at, beside(at, 1), "2027-06-30", "2020-01-01")
    held = {scheme: rng.choice(ends) for scheme in some(rng, SCHEMES, 4)}
    backend["certs"] = {**backend.get("certs", {}), **held}
