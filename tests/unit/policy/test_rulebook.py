"""Packs that load, fail, are switched off, and what that answers."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from pathlib import Path

import pytest

from orchestrator.domain import jobs
from orchestrator.policy import attributes, cases, constraints, evaluator, rulebook, table
from orchestrator.sources import packs

AT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
PLACE = attributes.SiteAttributes(name="s", country="FR", legal_country="FR", parent_hq="FR")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the packs that ship."""
    return Path(shutil.copytree(packs.BUILT_IN, tmp_path / "packs"))


def asking(**asked: object) -> attributes.JobAttributes:
    """Return a job with constraints."""
    merged = constraints.merge((jobs.Sovereignty(**asked),))  # type: ignore[arg-type]
    return attributes.JobAttributes(constraints=merged, asks=merged.asks())


def denials(
    job: attributes.JobAttributes, book: rulebook.RuleBook, site: attributes.SiteAttributes = PLACE
) -> list[str]:
    """Return the codes that deny, after checking that both readers deny alike."""
    answer = cases.answer(evaluator.explain(job, site, book, AT))
    found = list(answer.rules) if answer.decision == cases.DENY else []
    assert bool(found) == bool(evaluator.judge(job, table.SiteTable((site,)), book, AT).denied[0])
    return found


def test_the_packs_that_ship_load_without_a_problem() -> None:
    """Nothing is failed, every pack of the table is in force, and the previews are off."""
    book = packs.load()
    assert book.failed == ()
    assert tuple(name for name, _ in book.versions) == rulebook.PLANNED_PACKS
    assert book.off == ("eu-cada", "us-4e091", "us-affiliates-50", "us-remote-access")


def test_a_preview_is_in_force_only_when_somebody_switches_it_on() -> None:
    """It judges then; the others stay off."""
    book = packs.load(on=("eu-cada",))
    public = attributes.JobAttributes(tenant=attributes.TenantAttributes("t", "FR", "eu-public"))
    site = dataclasses.replace(PLACE, legal_country="US")
    assert denials(public, packs.load(), site) == []
    assert denials(public, book, site) == ["eu-cada.established-in-union"]
    assert "eu-cada" not in book.off
    assert "eu-cada" not in rulebook.decode(book.body).off


def test_a_bad_rule_names_file_line_and_path(folder: Path) -> None:
    """The problem can be found without searching."""
    file = folder / "certs" / "rules.yaml"
    file.write_text(file.read_text().replace("holds_named", "holdz"))
    text = dict(packs.load(folder).failed)["certs"]
    line = next(n for n, row in enumerate(file.read_text().splitlines(), 1) if "holdz" in row)
    assert f"{file}:{line}: rules[0].unless[0].holdz: unknown key" in text


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("effect: deny", "effect: forbid", "expected one of caveat, deny, oblige"),
        ("site.country", "site.planet", "not an attribute"),
        ("eea", "atlantis", "the set 'atlantis' is not known"),
        ("for_each: [data]", "for_each: [moon]", "'moon' is not one of"),
        ("{site.service}", "{site.secret}", "not an attribute"),
        ("pack: fr-hds", "pack: other", "the name of the folder"),
        ("version: '1'", "version: '1'\nversion: '2'", "stands twice"),
        ("version: '1'", "version: &a '1'", "anchors"),
    ],
)
def test_a_bad_law_pack_denies_everything(folder: Path, old: str, new: str, text: str) -> None:
    """A law that should be in force and is not lets no job anywhere, and says why."""
    file = folder / "fr-hds" / "rules.yaml"
    file.write_text(file.read_text().replace(old, new))
    book = packs.load(folder)
    assert text in dict(book.failed)["fr-hds"]
    assert denials(attributes.JobAttributes(), book) == ["core.unsupported:packs.fr-hds"]


def test_a_pack_that_vanished_denies_everything(folder: Path) -> None:
    """A missing folder is a failure, not a policy without that law."""
    shutil.rmtree(folder / "eu-gdpr")
    assert "core.unsupported:packs.eu-gdpr" in denials(attributes.JobAttributes(), packs.load(folder))


def test_a_failed_constraint_pack_denies_only_who_asks(folder: Path) -> None:
    """Without the pack `exposure` a job that denies no exposure is judged as ever."""
    (folder / "exposure" / "rules.yaml").write_text("rules: [")
    book = packs.load(folder)
    assert denials(attributes.JobAttributes(), book) == []
    assert denials(asking(exposure=jobs.Exposure(("US",))), book) == ["core.unsupported:spec.sovereignty.exposure"]


def test_a_constraint_pack_switched_off_denies_who_asks() -> None:
    """What a job asks for is never accepted and ignored."""
    found = denials(asking(certifications=("c5",)), packs.load(off=("certs",)))
    assert found == ["core.unsupported:spec.sovereignty.certifications"]


def test_constraints_without_a_pack_deny() -> None:
    """Seal, score and environment are refused by name where the pack that judges them is off."""
    job = asking(seal=(("SOV-1", 1),), sovereignty_score=1, tee=("tdx",))
    fields = ("seal", "sovereigntyScore", "tee")
    found = denials(job, packs.load(off=("eu-seal", "tee")))
    assert found == [f"core.unsupported:spec.sovereignty.{field}" for field in fields]


def test_core_cannot_be_switched_off() -> None:
    """Facts that must be known stay so."""
    book = packs.load(off=("core", "eu-gdpr"))
    assert "eu-gdpr" in book.off
    assert "core" not in book.off
    assert denials(attributes.JobAttributes(), book, attributes.SiteAttributes(name="s"))


def test_a_pack_switched_off_is_a_caveat_of_every_answer() -> None:
    """A yes says which laws judged nothing."""
    found = evaluator.explain(attributes.JobAttributes(), PLACE, packs.load(off=("eu-gdpr",)), AT)
    assert "caveat.pack-off:eu-gdpr" in {reason.code for reason in found}


def test_a_misspelt_country_denies_instead_of_protecting_nobody() -> None:
    """`UK` is no code: the job is refused, and told what it meant; lists of countries are left to placement."""
    book = packs.load()
    found = book.refusals(asking(exposure=jobs.Exposure(("UK",))), AT.date())
    assert [code for code, _ in found] == ["core.unsupported:spec.sovereignty.exposure"]
    assert "did you mean GB?" in found[0][1]
    assert denials(asking(countries_deny=("UK",)), book) == []
    assert denials(asking(countries_allow=("EEA", "CH")), book) == []


@pytest.mark.parametrize(
    ("written", "meant"), [("UK", "GB"), ("eea", "EEA"), ("EE-A", "EEA"), ("fr", "FR"), ("Z9", None)]
)
def test_the_nearest_country_or_set_is_found(written: str, meant: str | None) -> None:
    """Codes, sets and common mistakes are found; two letters alone are no hint."""
    assert packs.load().nearest_country(written, AT.date()) == meant


def test_digests_follow_what_they_name(folder: Path) -> None:
    """A changed rule changes the policy digest only; a changed fact changes both; switching off changes the policy."""
    before = packs.load(folder)
    file = folder / "certs" / "rules.yaml"
    file.write_text(file.read_text().replace("Required certificates", "Certificates"))
    ruled = packs.load(folder)
    facts = folder / "eu-gdpr" / "facts.yaml"
    facts.write_text(facts.read_text().replace("2031-12-27", "2031-12-26"))
    after = packs.load(folder)
    assert before.digest != ruled.digest != after.digest
    assert before.facts_digest == ruled.facts_digest != after.facts_digest
    assert packs.load(off=("certs",)).digest != packs.load().digest


def test_a_parameter_of_the_house_changes_the_answer() -> None:
    """The threshold of owners can be set, and one that the pack does not have is a failure."""
    reach = (attributes.Reach("US", "operator.owners.list", 15.0),)
    owned = attributes.SiteAttributes(name="s", country="FR", legal_country="FR", parent_hq="FR", reach=reach)
    job = asking(exposure=jobs.Exposure(("US",)))
    assert denials(job, packs.load(), owned) == []
    strict = packs.load(parameters={"exposure": {"owner_percent_min": 10}})
    assert denials(job, strict, owned) == ["exposure.US"]
    assert "exposure" in dict(packs.load(parameters={"exposure": {"nonsense": 1}}).failed)


def test_boundaries_are_the_days_on_which_facts_change() -> None:
    """G42 and Core42 leave Supplement 8, logs of high-risk systems become law, the UK decision ends."""
    days = (dt.date(2027, 4, 7), dt.date(2027, 12, 2), dt.date(2031, 12, 28))
    assert packs.load().boundaries(AT) == tuple(map(rulebook.midnight, days))


def test_groups_of_the_ear_have_their_members_on_the_day() -> None:
    """The Emirates join A:5 on 2026-07-10 and leave D:4; Hong Kong stands with D:5; a licence is still needed there."""
    book = packs.load()
    for day, a5, d4 in ((dt.date(2026, 7, 9), 37, True), (dt.date(2026, 7, 10), 38, False)):
        sets = book.facts.on(day).sets
        assert len(sets["ear-a5"]) == a5
        assert ("AE" in sets["ear-d4"]) is d4
        assert "AE" in sets["ear-destinations"]
        assert len(sets["ear-d5"]) == 23
        assert len(sets["ear-a6"]) == 8
        assert not sets["ear-destinations"].codes & (sets["ear-a5"].codes | sets["ear-a6"].codes) - {"AE"}
    assert "KH" in book.facts.on(dt.date(2026, 2, 2)).sets["ear-d5"]
    assert "KH" not in book.facts.on(dt.date(2026, 2, 3)).sets["ear-d5"]


def test_named_sets_stand_for_their_countries_on_the_day() -> None:
    """EEA has 30 members, EU 27, NATO 32 since Sweden joined, FVEY 5; Croatia joined in 2013."""
    book, day = packs.load(), AT.date()
    sizes = {name: len(book.countries((name,), day)[0]) for name in ("EEA", "EU", "EFTA", "NATO", "FVEY")}
    assert sizes == {"EEA": 30, "EU": 27, "EFTA": 4, "NATO": 32, "FVEY": 5}
    assert len(book.countries(("EEA",), dt.date(2013, 6, 30))[0]) == 29
    assert len(book.countries(("NATO",), dt.date(2024, 3, 6))[0]) == 31
    assert len(book.facts.on(day).sets["eu-adequate"].members) == 16
    assert book.countries(("Atlantis", "FR"), day) == (frozenset({"FR"}), ("Atlantis",))


@pytest.mark.parametrize(
    ("written", "days"),
    [("", 30), ("  due: 14d\n", 14), ("  due: 0d\n", 0), ("  due: none\n", None)],
)
def test_a_duty_says_when_it_is_due(folder: Path, written: str, days: int | None) -> None:
    """Days after the placement; thirty where nothing is said; none where it lasts as long as the job."""
    file = folder / "uk-gdpr" / "rules.yaml"
    file.write_text(file.read_text().replace("  effect: oblige\n", f"  effect: oblige\n{written}", 1))
    book = packs.load(folder)
    assert book.failed == ()
    (rule,) = [one for one in book.rules if one.pack == "uk-gdpr" and one.effect.value == "oblige"]
    assert rule.due_days == days
    again = [one.due_days for one in rulebook.decode(book.body).rules if one.id == rule.id]
    assert again == [days], "the book that is stored says the same"


@pytest.mark.parametrize(
    ("pack", "effect", "due"),
    [
        ("uk-gdpr", "oblige", "two weeks"),
        ("uk-gdpr", "oblige", "14"),
        ("uk-gdpr", "oblige", "9999d"),
        ("uk-gdpr", "oblige", "[]"),
        ("certs", "deny", "14d"),
    ],
)
def test_a_day_that_is_none_is_refused(folder: Path, pack: str, effect: str, due: str) -> None:
    """The pack fails as a whole: a duty whose day nobody can read is not quietly due in thirty days."""
    file = folder / pack / "rules.yaml"
    file.write_text(file.read_text().replace(f"  effect: {effect}\n", f"  effect: {effect}\n  due: {due}\n", 1))
    assert ".due" in dict(packs.load(folder).failed)[pack]


def test_the_days_of_the_table() -> None:
    """Where the table of policies gives a period, the rule has it; each that lasts as long as the job is named."""
    days = {rule.id: rule.due_days for rule in packs.load().rules if rule.effect.value == "oblige"}
    assert {rule: due for rule, due in days.items() if due != 30} == {
        "eu-aiact.gpai-systemic-notify": 14,
        "eu-aiact.logs-from-2027-12-02": None,
        "us-ear.hq-carry-over-until-further-notice": None,
        "vn.ctia-dossier": 60,
    }


def test_the_affiliates_rule_adds_up_owners_on_export_lists_too() -> None:
    """A preview: in force only where switched on, from its day, at half of the shares."""
    book = packs.load(on=("us-affiliates-50",))
    half = dataclasses.replace(PLACE, affiliates_percent=50.0)
    assert denials(attributes.JobAttributes(), book, half) == ["us-affiliates-50.listed-owners"]
    assert denials(attributes.JobAttributes(), book, dataclasses.replace(PLACE, affiliates_percent=49.9)) == []
    assert denials(attributes.JobAttributes(), packs.load(), half) == []
