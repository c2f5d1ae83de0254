"""The atlas answers as its golden file says, and says of every value where it comes from."""

import re

import pytest

from tests.oracle.atlas import atlas

GOLDENS = {golden.job: golden for golden in atlas.goldens()}
REGIONS = {
    "Europe": {"AT", "BE", "CH", "DE", "ES", "FI", "FR", "GB", "IE", "IS", "IT", "LU", "NL", "NO", "PL", "SE"},
    "America": {"US", "CA"},
    "Gulf": {"AE", "BH", "KW", "OM", "QA", "SA"},
    **{country: {country} for country in ("IN", "JP", "KR", "CN", "SG", "MY")},
}


@pytest.mark.parametrize("name", sorted(GOLDENS))
def test_golden_answer(name: str) -> None:
    """Chosen site, the ranking, the duties, and every code of every refused site."""
    golden = GOLDENS[name]
    answer = atlas.ask(golden.job, golden.tenant)
    assert (answer["chosen"], answer["ranking"]) == (golden.chosen, golden.placeable)
    refused = {site["site"]: atlas.codes(site, "deny") for site in answer["sites"] if not site["allowed"]}
    assert refused == golden.refused
    allowed = {site["site"]: atlas.codes(site, "oblige") for site in answer["sites"] if site["allowed"]}
    assert {site: found for site, found in allowed.items() if found} == golden.duties


def test_every_job_has_a_golden_answer() -> None:
    """No job of the folder is without one, and every site is in each."""
    assert {path.stem for path in (atlas.FOLDER / "jobs").glob("*.yaml")} == set(GOLDENS)
    backends = atlas.of_kind("Backend")
    sites = {f"{name}/{pool['name']}" for name, spec in backends.items() for pool in spec["pools"]}
    for golden in GOLDENS.values():
        assert {*golden.placeable, *golden.refused} == sites


@pytest.mark.parametrize("kind", ["Operator", "Backend"])
def test_every_value_has_a_source_and_a_date(kind: str) -> None:
    """What is not confirmed, or invented, is only declared; what is declared says why."""
    for name, spec in atlas.of_kind(kind).items():
        facts = spec["facts"]
        assert len(facts["source"]) > 10, name
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", facts["asOf"]), name
        assert facts["asOf"] <= atlas.day().date().isoformat() < facts["validTo"], name
        unsure = "not confirmed" in facts["source"] or "invented" in facts["source"]
        assert (facts["assurance"] == "declared") == unsure, name


def test_nobody_real_is_given_what_no_source_says() -> None:
    """No SEAL level at all; a certificate names its evidence; only `example-` has invented facts and papers."""
    for kind in ("Operator", "Backend", "ControlPlane"):
        for name, spec in atlas.of_kind(kind).items():
            assert "seal" not in spec, name
            invented = "invented" in str(spec)
            assert invented == name.startswith("example-") or kind == "ControlPlane", name
            for paper in spec.get("certifications", []):
                assert re.search(r"20\d\d|\.com", paper["evidence"]), name
            assert not spec.get("evidence") or name.startswith("example-"), name
    assert all(name.startswith("example-") for name in atlas.of_kind("Tenant"))


def test_the_world_is_there() -> None:
    """About fifty offers, in every region that the page names, and places that nobody named."""
    places = [spec.get("location", {}).get("country") for spec in atlas.of_kind("Backend").values()]
    assert len(places) >= 50
    assert None in places
    for region, countries in REGIONS.items():
        assert countries & set(places), region
