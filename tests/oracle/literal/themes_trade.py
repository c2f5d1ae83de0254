"""Themes about parties, goods and know-how: each puts one pack into play on a job and a backend."""

from __future__ import annotations

from random import Random

from tests.oracle.literal import palette


def missing(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """Core: a fact is not there, or ends about now."""
    kind = rng.randrange(5)
    if kind == 0:
        backend.pop("country", None)
    elif kind in (1, 2):
        name = ("legal_country", "parent_hq")[kind - 1]
        backend["operator"].pop(name, None)
        if rng.random() < 0.2:
            backend["operator"][name] = None
    else:
        backend["facts_valid_to"] = palette.beside(at, rng.choice((-30, -1, 0, 0, 1, 300)))


def sanctions(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """Sanctions: embargoed countries and regions, listed owners."""
    kind = rng.randrange(5)
    code = rng.choice(palette.words("CU IR KP SY RU VE"))
    if kind == 0:
        backend["country"] = code
    elif kind == 1:
        backend["operator"]["parent_hq" if rng.random() < 0.7 else "legal_country"] = code
    elif kind == 2:
        job.setdefault("tenant", {})["parent_hq"] = code
    elif kind == 3:
        backend |= {"country": "UA", "subdivision": rng.choice(palette.words("UA-43 UA-40 UA-14 UA-09 UA-30 UA-12"))}
    elif rng.random() < 0.3:
        backend["operator"]["listed"] = rng.random() < 0.7
    else:
        backend["operator"]["listed_ownership_pct"] = rng.choice((0, 49, 49.99, 50, 50.01, 60, 100))


def ear_destination(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """us-ear.dest: controlled accelerators in listed destinations, with and without what waives it."""
    palette.add_chip(rng, backend)
    backend["country"] = rng.choice(
        ("AE", rng.choice(palette.D_GROUPS), rng.choice(palette.D_GROUPS), rng.choice(palette.EVERYWHERE))
    )
    if rng.random() < 0.8:
        backend["operator"] |= {
            "legal_country": backend["country"],
            "parent_hq": rng.choice((backend["country"], "US")),
        }
    if backend["country"] == "AE" or rng.random() < 0.05:
        names = ["Core42", "Core42", "Core42", "G42", "G42", rng.choice(palette.SUPPLEMENT_8), "Khazna", "core42"]
        if rng.random() < 0.7:
            backend["operator"]["supp8"] = rng.choice(names)
    palette.add_evidence(rng, backend, ["bis-licence", "veu", "aca", "nac"], 0.2)


def ear_parent(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """us-ear.hq and its carry-over: parents in D:5 or Macau elsewhere."""
    palette.add_chip(rng, backend)
    backend["operator"]["parent_hq"] = rng.choice(("CN", "HK", "MO", "RU", "VE", "KH", "MM", "TW", "SA"))
    if rng.random() < 0.2:
        backend["country"] = rng.choice(("US", "CN", "MO", "HK"))
    if rng.random() < 0.8:
        since = ("2026-05-30", "2026-05-30", "2026-05-31", "2026-06-01", "2024-01-01", "2026-07-01")
        backend["in_service_since"] = rng.choice(since)
    palette.add_evidence(rng, backend, ["bis-licence", "veu", "nac", "nac", "aca"], 0.2)


def ear_training(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """us-ear.iaas-training-red-flag: training for parties with parents in D:5."""
    palette.add_chip(rng, backend)
    job["workload"] = rng.choice(palette.WORKLOADS)
    job.setdefault("tenant", {})["parent_hq"] = rng.choice(("CN", "CN", "HK", "MO", "RU", "KH", "TW", "FR"))
    palette.add_evidence(rng, backend, ["iaas-d5-review", "bis-licence"], 0.25)


def ear_informed(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """us-ear.is-informed: accelerators named in a letter."""
    chip = palette.add_chip(rng, backend)
    if rng.random() < 0.6:
        chip |= {"tpp": 2368, "pd": 2.91}
    chip["is_informed"] = rng.random() < 0.9
    name = rng.choice(("country", "parent_hq"))
    (backend if name == "country" else backend["operator"])[name] = rng.choice(("CN", "HK", "MO", "RU", "KH", "TW"))
    palette.add_evidence(rng, backend, ["bis-licence", "veu", "nac"], 0.2)


def prc_chips(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """us-gp10 and cn-chips: Chinese accelerators anywhere, foreign ones in funded Chinese sites."""
    chip = palette.add_chip(rng, backend)
    kind = rng.random()
    if kind < 0.6:
        chip |= {"vendor_hq": "CN", "us_subject": rng.random() < 0.1}
        if rng.random() < 0.6:
            chip |= {"tpp": rng.choice((12800, 5120, 8000)), "pd": 9.62}
    elif kind < 0.7:
        chip.pop("vendor_hq")
    if rng.random() < 0.3:
        job.setdefault("tenant", {})["us_person"] = rng.random() < 0.7
    if rng.random() < 0.3:
        backend["operator"]["us_person"] = rng.random() < 0.7
    if rng.random() < 0.4:
        backend["cn_state_funded"] = rng.random() < 0.8
        backend["country"] = rng.choice(("CN", "CN", "FR"))
    if rng.random() < 0.08:
        backend.pop("accelerator")
    palette.add_evidence(rng, backend, ["bis-gp10-clear", "bis-licence"], 0.25)


def directive(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """directive.<id>: named models between two days."""
    job["model"] = rng.choice(("fable-5", "fable-5", "other-1"))
    found = []
    for name in rng.sample(["us-1", "us-2", "eu-1"], rng.randint(1, 2)):
        begins, ends = rng.choice((-100, -1, 0, 0, 1)), rng.choice((-1, 0, 0, 1, 100))
        row: palette.Part = {
            "id": name,
            "models": ["fable-5", "x"],
            "from": palette.beside(at, min(begins, ends)),
            "to": palette.beside(at, ends),
        }
        if rng.random() < 0.1:
            row.pop("to")
        found.append(row)
    job["directives"] = found
    if rng.random() < 0.3:
        job.setdefault("tenant", {})["us_only_users"] = rng.random() < 0.7


def know_how(rng: Random, at: str, job: palette.Part, backend: palette.Part) -> None:
    """tech-export: weights and data sets under export control, licensed and not."""
    countries = palette.words("FR DE NO CH GB US SG CN")
    controls = []
    for regime in rng.sample(["eu-dual-use", "ear", "uk-sec"], rng.randint(1, 2)):
        control: palette.Part = {"regime": regime, "item": rng.choice(("3E001", "4E091", "unknown", "none"))}
        if rng.random() < 0.6:
            ends = (palette.beside(at, -1), at, palette.beside(at, 1), "2030-01-01", None)
            names = (backend.get("country") or "FR", *rng.sample(countries, 2), *rng.sample(["EU", "EEA"], 1))
            licences = [
                {"destinations": sorted({*rng.sample([*names], rng.randint(1, 2))}), "valid_to": rng.choice(ends)}
                for _ in range(rng.randint(1, 2))
            ]
            for licence in licences:
                if licence["valid_to"] is None:
                    licence.pop("valid_to")
            control["licences"] = licences
        controls.append(control)
    if rng.random() < 0.5:
        holder = job
    else:
        holder = palette.a_data_set(rng, job)
        palette.add_classes(rng, holder, "model", palette.OTHER)
    holder["export_control"] = controls
    if rng.random() < 0.85:
        countries = [*countries, *rng.sample(palette.EEA, 2)]
        holder["controller"] = rng.choice((backend.get("country") or "FR", *countries))
    if rng.random() < 0.5:
        palette.place_somewhere(rng, backend, countries)


THEMES = [
    *(missing, sanctions, directive, know_how, prc_chips),
    *(ear_destination, ear_destination, ear_parent, ear_parent, ear_training, ear_informed),
]
BORDERS = {
    ear_destination: ("2026-02-03", "2026-07-10", "2026-07-10", "2027-04-06"),
    ear_parent: ("2026-05-31",),
    ear_training: ("2026-02-03",),
    ear_informed: ("2026-02-03",),
    directive: ("2026-06-12", "2026-07-01"),
}
