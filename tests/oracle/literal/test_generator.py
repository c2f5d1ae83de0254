"""The random cases reach what they are for: every rule fires and every waiver waives, often, and visibly."""

from __future__ import annotations

import collections
import re

from tests.oracle.literal import evaluator, facts, generate, shrinking

NUMBER = 20_000
FIRED_AT_LEAST = 25
WAIVED_AT_LEAST = 10

FIRE = str.split("""
core.missing:backend.country core.missing:operator.legal_country core.missing:operator.parent_hq core.stale-facts
sanctions.embargo sanctions.listed-party us-ear.missing:tpp us-ear.dest us-ear.hq
us-ear.hq-carry-over-until-further-notice us-ear.iaas-training-red-flag us-ear.is-informed us-gp10.prc-3a090
us-doj.prohibited-omic us-doj.restricted us-doj.restricted-no-cisa exposure.* eu-gdpr.art46:* eu-gdpr.transfer:*
uk-gdpr.art46:* uk-gdpr.transfer:* fr-hds.location fr-hds.self-hosted fr-hds.certificate cn-export.core-data
cn-export.cac-assessment cn-export.cn-scc|cn-cert ru-local.collection ru-local.cross-border-notice in.rbi-payment-data
in.sdf-localised in.dpdp-s16-check-negative-list sa.gov-data sa.pdpl-art29 sa.pdpl-transfer vn.core-data
vn.ctia-dossier eu-seal.missing:* eu-seal.SOV-* eu-seal.score certs.* tee.type tee.attestation
eu-dora.location-unspecified eu-dora.register+exit eu-aiact.logs eu-aiact.logs-from-2027-12-02
eu-aiact.gpai-systemic-notify cn-chips.foreign-accelerator directive.* tech-export.unknown:* tech-export.unlicensed:*
accepts.tenant-country accepts.data-class:* accepts.type
""")

WAIVE = {
    "us-ear.dest": "bis-licence veu aca nac supp8",
    "us-ear.hq": "bis-licence veu nac",
    "us-ear.hq-carry-over-until-further-notice": "bis-licence veu nac",
    "us-ear.iaas-training-red-flag": "iaas-d5-review",
    "us-ear.is-informed": "bis-licence veu",
    "us-gp10.prc-3a090": "bis-gp10-clear",
    "exposure.*": "immunity",
    "eu-gdpr.transfer:*": "adequacy",
    "uk-gdpr.transfer:*": "adequacy",
    "fr-hds.certificate": "hds-v2",
    "cn-export.cac-assessment": "cac-assessment",
    "cn-export.cn-scc|cn-cert": "cn-scc cn-cert cac-assessment",
    "ru-local.cross-border-notice": "rkn-notice",
    "directive.*": "us_only_users",
    "tech-export.unlicensed:*": "licence",
}

_OPEN = re.compile(
    r"^(exposure\.|directive\.|certs\.|eu-seal\.missing:|eu-seal\.SOV-|accepts\.data-class:|tech-export\.un\w+:"
    r"|(?:eu|uk)-gdpr\.\w+:).*"
)


def _family(code: str) -> str:
    return _OPEN.sub(r"\1*", code)


def _counted(seed: int, number: int) -> tuple[collections.Counter[str], collections.Counter[str]]:
    """Return how often a rule is in an answer, and how often one is missing there only because it was waived."""
    fired: collections.Counter[str] = collections.Counter()
    waived: collections.Counter[str] = collections.Counter()
    for job, backend, at in generate.cases(seed, number):
        found = evaluator.findings(job, backend, facts.day(at))
        decision, rules = evaluator.amount(found)
        fired.update({_family(code) for code in rules})
        fired.update({f"{_family(code)}, {decision}" for code in rules if code == "us-gp10.prc-3a090"})
        for effect, code in found:
            name, _, by = code.partition(" by ")
            if effect == facts.WAIVED and name not in rules:
                waived[f"{_family(name)} by {by}"] += 1
    return fired, waived


def test_every_rule_fires_and_every_waiver_waives() -> None:
    """In 20,000 cases each rule is in the answer at least 25 times, and each waiver leaves it out at least 10 times."""
    fired, waived = _counted(1, NUMBER)
    wanted = [*FIRE, "us-gp10.prc-3a090, DENY", "us-gp10.prc-3a090, ALLOW_WITH_OBLIGATIONS"]
    rare = {code: fired[code] for code in wanted if fired[code] < FIRED_AT_LEAST}
    assert not rare
    waivers = [f"{code} by {name}" for code, names in WAIVE.items() for name in names.split()]
    rare = {code: waived[code] for code in waivers if waived[code] < WAIVED_AT_LEAST}
    assert not rare
    assert set(fired) <= set(wanted)
    assert set(waived) <= set(waivers)


def test_decisions_are_mixed() -> None:
    """Each decision is a twentieth of the answers at least: where all is denied, duties are never seen."""
    decisions = collections.Counter(evaluator.judge(*case)[0] for case in generate.cases(2, 5_000))
    assert set(decisions) == {evaluator.ALLOW, evaluator.OBLIGED, evaluator.DENIED}
    assert min(decisions.values()) > 250


def test_a_seed_repeats_its_cases() -> None:
    """The same seed gives the same cases, another one others."""
    assert list(generate.cases(3, 50)) == list(generate.cases(3, 50)) != list(generate.cases(4, 50))


def test_a_small_case_is_as_small_as_can_be() -> None:
    """What is left after shrinking is needed: here the one data set, its class, its subject and the place."""

    def transferred(case: shrinking.Case) -> bool:
        return "eu-gdpr.transfer:SG" in evaluator.judge(*case)[1]

    found = next(case for case in generate.cases(5, 20_000) if transferred(case) and len(str(case)) > 300)
    job, backend, at = shrinking.shrink(found, transferred)
    assert at == shrinking.TODAY
    assert [*job] == ["data"]
    (data,) = job["data"]
    assert len(str(data)) < 70
    assert list(backend.values()) in (["SG"], [["SG"]])
