"""The packs as Cedar, run by somebody else's evaluator, answer what the engine answers: code for code."""

from __future__ import annotations

import datetime as dt
import os
import random
from typing import Any

import pytest

from orchestrator.domain import claims, facts, ids, jobs
from orchestrator.policy import attributes, constraints, conversions, evaluator, operands, predicates, rulebook
from orchestrator.policy.cedar import askings, engine, exports, packforms
from orchestrator.sources import packs

COUNT = 30_000 if os.environ.get("COMITY_TEST_SIZE") == "full" else 1_000
SEED = 20261122
PARTS = 3

COUNTRIES = (
    "FR", "DE", "NO", "IS", "CH", "US", "CA", "JP", "BR", "GB", "SG", "IN", "KR", "CN", "HK", "MO", "RU", "SA", "VN",
    "AE", "IR", "KP", "CU", "BY", "ZZ",
)  # fmt: skip
REGIONS = (None, None, "UA-43", "UA-40", "FR-59", "AE-DU")
SCHEMES = ("hds-v2", "secnumcloud-3.2", "c5")
SAFEGUARDS = (
    "scc-eu", "bcr-eu", "tia", "idta", "uk-addendum", "tra", "cac-assessment", "cn-scc", "cn-cert", "rkn-notice",
    "sa-scc", "sa-bcr", "sa-risk-assessment", "cisa-requirements",
)  # fmt: skip
CLASSES = (
    "personal", "health", "genomic", "omic", "biometric", "geolocation", "financial", "identifiers", "us-gov-related",
    "important", "core", "payment", "gov-secret", "gov-restricted", "open", "sensitive",
)  # fmt: skip
EVIDENCE = ("bis-licence", "veu", "nac", "aca", "bis-gp10-clear", "iaas-d5-review")
COUNTS = (0, 1, 99, 100, 101, 1_000, 1_001, 10_000, 10_001, 99_999, 100_000, 100_001, 999_999, 1_000_000)
FRAMEWORKS = ("dpf", "dpf-uk", "pipeda", "appi")
DAYS = (
    "2019-01-23", "2023-07-10", "2025-06-30", "2025-10-05", "2026-01-25", "2026-01-26", "2026-05-30", "2026-05-31",
    "2026-06-12", "2026-07-01", "2026-07-09", "2026-07-10", "2026-11-22", "2027-04-06", "2027-04-07", "2027-12-01",
    "2027-12-02", "2031-12-27", "2031-12-28",
)  # fmt: skip
CLOCKS = tuple(dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC) for day in DAYS)


class Draw:
    """Random jobs, sites and days that hit the edges of the packs; a seed makes them again."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.more = random.Random(seed + 1)  # drawn apart: what was drawn before claims came stays as it was

    def maybe(self, *values: Any) -> Any:
        return None if self.r.random() < 0.25 else self.r.choice(values)

    def some(self, values: tuple[str, ...], most: int) -> tuple[str, ...]:
        return tuple(sorted(self.r.sample(values, self.r.randint(0, most))))

    def day(self) -> dt.date | None:
        return self.maybe(*(clock.date() for clock in CLOCKS))

    def papers(self, kinds: tuple[str, ...], most: int) -> tuple[attributes.Paper, ...]:
        return tuple(
            attributes.Paper(
                kind,
                self.day() if self.r.random() < 0.1 else None,
                self.day() if self.r.random() < 0.3 else None,
                in_scope=self.r.random() < 0.9,
                assurance=self.r.choice(tuple(facts.Assurance)),
            )
            for kind in self.some(kinds, most)
        )

    def export(self, owner: str) -> attributes.ExportItem:
        licences = tuple(
            attributes.Licence(frozenset(self.some(COUNTRIES, 4)), frozenset(self.some(("op", "x"), 1)), self.day())
            for _ in range(self.r.randint(0, 2))
        )
        item = self.r.choice(("none", "unknown", "3E001"))
        return attributes.ExportItem(
            owner, self.r.choice(("ear", "eu-dual-use")), item, self.maybe("FR", "US"), licences
        )

    def data(self) -> attributes.DataAttributes:
        return attributes.DataAttributes(
            name=self.r.choice(("d", "e")),
            classes=frozenset(self.some(CLASSES, 3)),
            subjects=frozenset(self.some(("EU", *COUNTRIES[:-1]), 3)),
            count=self.r.choice(COUNTS),
            sensitive_count=self.r.choice(COUNTS),
            safeguards=self.papers(SAFEGUARDS, 12),
            controller_country=self.maybe(*COUNTRIES),
            controller_operator=self.maybe("op", "x"),
            ciio=self.maybe(True, False),
            primary_db=self.maybe("RU", "FR"),
            sdf_localised=self.maybe(True, False),
            already=tuple((code, self.r.choice(COUNTS), self.r.choice(COUNTS)) for code in self.some(("US", "CN"), 2)),
        )

    def directive(self, number: int) -> attributes.Directive:
        return attributes.Directive(
            f"d{number}",
            frozenset(self.some(("m", "n"), 2)),
            frozenset(self.some(("t", "op"), 1)),
            self.day(),
            self.day(),
        )

    def job(self) -> attributes.JobAttributes:
        asked = constraints.merge(
            (
                jobs.Sovereignty(
                    exposure=jobs.Exposure(self.some(("US", "CN", "FR", "EEA"), 2), self.some(SCHEMES, 2)),
                    certifications=self.some(SCHEMES, 2),
                    seal=tuple((name, self.r.randint(0, 4)) for name in self.some(operands.OBJECTIVES, 2)),
                    sovereignty_score=self.maybe(0, 50, 75),
                    tee=self.some(("tdx", "sev-snp"), 1),
                    min_assurance=self.maybe(*facts.Assurance),
                ),
            )
        )
        tenant = attributes.TenantAttributes(
            "t",
            self.maybe(*COUNTRIES),
            self.maybe("eu-finance", "eu-public", "health"),
            self.maybe(True, False),
            self.maybe(True, False),
        )
        directives = tuple(self.directive(number) for number in range(self.r.randint(0, 2)))
        return attributes.JobAttributes(
            workload=self.maybe("train", "finetune", "infer", "batch"),
            tenant=self.maybe(tenant),
            data=tuple(self.data() for _ in range(self.r.choice((0, 1, 1, 2)))),
            places=tuple(
                attributes.Place(code, "controlPlane.location.country")
                for code in self.some((*COUNTRIES, attributes.UNKNOWN), 2)
            ),
            constraints=asked,
            asks=conversions.asks(asked, directives),
            control_plane_stamp=facts.FactStamp(assurance=self.r.choice(tuple(facts.Assurance))),
            model=self.maybe("m", "o"),
            train_flop=self.maybe(0.0, 9.99e24, 1e25, 2e25, 1e26),
            ai_act=self.maybe("high-risk", "none"),
            exports=tuple(self.export(owner) for owner in self.some(("d", "model"), 2)),
            directives=directives,
            bound_by=self.more.choice((attributes.EVERY_REGIME, self.regimes(2), self.regimes(2))),
            barred=self.regimes(1),
            seats=tuple(self.more.sample(("FR", "US", "SG"), self.more.randint(0, 1))),
        )

    def regimes(self, most: int) -> frozenset[str]:
        return frozenset(self.more.sample(sorted(attributes.EVERY_REGIME), self.more.randint(0, most)))

    def site(self, at: dt.datetime) -> attributes.SiteAttributes:
        country, legal, parent = (self.maybe(*COUNTRIES) for _ in range(3))
        admins = self.some(COUNTRIES[:-1], 2)
        reach = [attributes.Reach(code, "backend.adminFrom") for code in (*admins, legal, parent) if code]
        for _ in range(self.r.randint(0, 2)):
            share = self.r.choice((10.0, 24.99, 25.0, 60.0))
            reach.append(attributes.Reach(self.maybe(*COUNTRIES), "operator.owners.list", share))
        verified_at = self.maybe(
            at - dt.timedelta(hours=24), at - dt.timedelta(hours=25), at + dt.timedelta(hours=1), at
        )
        attested = attributes.Attested(
            self.r.choice(("tdx", "sev-snp")),
            self.r.random() < 0.8,
            verified_at,
            self.maybe(0.0, 23.5, 24.0, 24.001),
            self.more.choice((None, None, at, at - dt.timedelta(seconds=1), at + dt.timedelta(hours=2))),
        )
        places = [attributes.Place(country, "backend.location.country")] if country else []
        return attributes.SiteAttributes(
            name="s",
            country=country,
            subdivision=self.r.choice(REGIONS),
            region_pinned=self.maybe(True, False),
            places=(*places, *(attributes.Place(code, "backend.adminFrom") for code in admins)),
            admin_from=admins,
            operator=self.maybe("op", "x"),
            legal_country=legal,
            parent_hq=parent,
            frameworks=frozenset(self.some(FRAMEWORKS, 2)),
            reach=tuple(reach),
            owners_coverage=self.maybe(100.0, 60.0),
            certs=self.papers(SCHEMES, 3),
            evidence=self.papers(EVIDENCE, 3),
            accepts_countries=self.maybe((), ("EEA",), ("EU", "US"), ("CN",)),
            accepts_deny_classes=frozenset(self.some(("health", "open"), 1)),
            accepts_types=self.maybe(frozenset(), frozenset({"train"}), frozenset({"infer", "train"})),
            facts_valid_to=self.day(),
            log_store_country=self.maybe("FR"),
            log_retention_days=self.maybe(0, 182, 183, 365),
            stated_listed=self.maybe(True, False, False),
            stated_listed_percent=self.maybe(0.0, 49.9, 50.0),
            listed_by=self.regimes(1),
            seats=tuple(self.more.sample(("DE", "US", "CN", "GB", "SG"), self.more.randint(0, 2))),
            bound_by=self.more.choice((attributes.EVERY_REGIME, self.regimes(2))),
            barred=self.regimes(1),
            us_person=self.maybe(True, False),
            covered_person=self.maybe(True, False),
            supp8=self.maybe("g42", "microsoft", "nobody"),
            accelerator=self.maybe("chip"),
            vendor_hq=self.maybe("US", "CN"),
            tpp=self.maybe(2368.0, 4800.0, 15824.0),
            ear_class=self.maybe("a", "b", "a-nondc"),
            is_informed=self.r.random() < 0.2,
            us_subject=self.r.random() < 0.8,
            accelerator_mark=self.maybe("memory", "unverified"),
            in_service_since=self.day(),
            state_funded=self.maybe(True, False),
            seal=tuple((name, self.r.randint(0, 4)) for name in operands.OBJECTIVES if self.r.random() < 0.8),
            attested=self.maybe(attested),
            claims=self.claims(),
            assurance=self.r.choice(tuple(facts.Assurance)),
            backend_stamp=facts.FactStamp(assurance=self.r.choice(tuple(facts.Assurance))),
            operator_stamp=facts.FactStamp(assurance=self.r.choice(tuple(facts.Assurance))),
        )

    def claims(self) -> tuple[claims.Claim, ...]:
        found = []
        for _ in range(self.more.choice((0, 0, 1, 2))):
            fault = self.more.choice(tuple(claims.Fault))
            first = self.more.choice((None, *(clock.date() for clock in CLOCKS))) if fault in _BEGINNING else None
            last = (
                self.more.choice((None, *(clock.date() for clock in CLOCKS)))
                if fault is claims.Fault.NOT_YET_VALID
                else None
            )
            if fault in (claims.Fault.EXPIRED, claims.Fault.REVOKED, claims.Fault.NOT_YET_VALID) and not (
                first or last
            ):
                continue  # a date is what these are
            path = self.more.choice(("operator.lei", "backend.seal")) if fault is claims.Fault.CONTRADICTION else None
            flaw = claims.Flaw(fault, "drawn", first, last, path)
            found.append(claims.Claim("backend.facts", ids.NO_DIGEST, flaws=(flaw,)))
        return tuple(found)


_BEGINNING = (claims.Fault.EXPIRED, claims.Fault.REVOKED, claims.Fault.UNTRUSTED_ISSUER)
"""Faults that may begin on a day."""


def book() -> rulebook.RuleBook:
    return packs.load()


def engine_says(
    job: attributes.JobAttributes, site: attributes.SiteAttributes, rules: rulebook.RuleBook, at: dt.datetime
) -> tuple[frozenset[str], frozenset[str]]:
    found = [one for one in evaluator.explain(job, site, rules, at) if not one.code.startswith("core.unsupported")]
    return tuple(frozenset(one.code for one in found if one.effect.value == word) for word in ("deny", "oblige"))  # type: ignore[return-value]


@pytest.mark.parametrize("part", range(PARTS))
def test_cedar_and_the_engine_agree(part: int) -> None:
    """Random (job, site, date): the same codes deny, the same oblige, and Cedar meets no error."""
    rules = book()
    asker = askings.Asker(rules)
    seen: set[str] = set()
    for number in range(COUNT):
        seed = SEED + part * 10_000_000 + number
        draw = Draw(seed)
        at = draw.r.choice(CLOCKS) + dt.timedelta(hours=draw.r.choice((0, 0, 13)))
        job, site = draw.job(), draw.site(at)
        asked = asker.ask(job, site, at)
        denied, obliged = engine_says(job, site, rules, at)
        assert asked.errors == (), f"seed {seed}"
        assert (asked.denied, asked.obliged) == (denied, obliged), (
            f"seed {seed}: only Cedar {(asked.denied | asked.obliged) - denied - obliged}, "
            f"only the engine {(denied | obliged) - asked.denied - asked.obliged}"
        )
        seen |= {code.partition(":")[0] for code in denied | obliged}
    # A comparison in which few rules ever fire compares little.
    silent = {rule.id for rule in rules.rules if not any(code.startswith(_stem(rule.code)) for code in seen)}
    assert len(silent) <= SILENT_MAX, silent


SILENT_MAX = 3
"""Rules that may not fire in one part: a rare one needs more luck than a thousand draws have."""


def _stem(code: str) -> str:
    return code.partition(":")[0].partition("{")[0]


def test_the_export_is_valid_by_its_own_schema() -> None:
    """Cedar's validator accepts every exported rule: no attribute is read that may be missing, none is misspelt."""
    made = exports.export(book(), dt.date(2026, 11, 22))
    assert engine.validate(made.policies, made.schema) == []
    assert len(engine.tree(made.policies)) == len(book().rules) + 1
    engine.entities(made.entities)


def test_every_predicate_and_operand_can_be_exported() -> None:
    """A predicate or an attribute that is new in the packs' vocabulary has a form here before it can be used there."""
    writer = exports.Writer(book())
    assert [name for name in predicates.PREDICATES if not hasattr(writer, f"_p_{name}")] == []
    for operand in operands.OPERANDS.values():
        if not operand.name.endswith(("_stamp", "site.claims")):  # cited, never asked
            packforms.of(operand)
