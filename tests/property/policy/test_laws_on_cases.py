"""The laws of the policy table over every pack, asked from outside: compact cases in, decisions out.

The cases are those of the literal oracle's generator, which hit every rule; the packs are those that ship.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import os
from random import Random
from typing import Any

import pytest

from orchestrator.policy import cases, rulebook
from orchestrator.sources import packs
from tests.oracle.literal import agreement, evaluator, generate, palette, shrinking, themes, themes_data, themes_trade

Case = shrinking.Case
BOOK = packs.load()
NUMBER = 5_000 if os.environ.get("COMITY_TEST_SIZE") == "full" else 250
UNJUDGED = "core.unsupported:"


def ask(items: list[Case], book: rulebook.RuleBook = BOOK) -> list[cases.Answer]:
    """Return what the product answers."""
    return agreement.answers(items, book)


def denials(answer: cases.Answer) -> set[str]:
    """Return the denials of an answer that rules of packs gave."""
    rules = answer.rules if answer.decision == cases.DENY else ()
    return {rule for rule in rules if not rule.startswith(UNJUDGED)}


def told(case: Case, before: cases.Answer, after: cases.Answer) -> str:
    """Return what a failure shows."""
    return shrinking.written(case, (before.decision, before.rules), f"{after.decision} {after.rules}")


FOLDERS = sorted(path.name for path in packs.BUILT_IN.iterdir() if path.is_dir())


@pytest.mark.parametrize("pack", FOLDERS)
def test_a_pack_only_adds(pack: str) -> None:
    """What is denied without a pack is denied with it, by the same rules and at most some of its own."""
    without = packs.load(off=(pack,), expected=())
    items = list(generate.cases(len(pack) * 1000 + ord(pack[0]), NUMBER // 5))
    for case, before, after in zip(items, ask(items, without), ask(items), strict=True):
        assert denials(before) <= denials(after), told(case, before, after)
        added = {rule.partition(".")[0] for rule in denials(after) - denials(before)}
        assert len(added) <= 1, told(case, before, after)
        if before.decision == after.decision == cases.OBLIGED:
            assert set(before.rules) <= set(after.rules), told(case, before, after)


def test_the_order_of_packs_does_not_matter() -> None:
    """Rules in any order give the same answers."""
    items = list(generate.cases(11, NUMBER))
    expected = ask(items)
    for seed in range(2):
        rules = list(BOOK.rules)
        Random(seed).shuffle(rules)
        assert ask(items, dataclasses.replace(BOOK, rules=tuple(rules))) == expected


def test_the_order_of_what_is_written_does_not_matter() -> None:
    """Data sets, places, evidence, owners and directives in any order give the same answers."""
    items = list(generate.cases(12, NUMBER))
    rng = Random(12)
    assert ask([_shuffled(rng, case) for case in items]) == ask(items)


def _shuffled(rng: Random, value: Any) -> Any:
    if isinstance(value, dict):
        found = [(key, _shuffled(rng, item)) for key, item in value.items()]
        return dict(rng.sample(found, len(found)))
    if isinstance(value, tuple):
        return tuple(_shuffled(rng, item) for item in value)
    if isinstance(value, list):
        return [_shuffled(rng, item) for item in rng.sample(value, len(value))]
    return value


FACTS = (
    *("country", "operator", "operator.legal_country", "operator.parent_hq", "operator.frameworks", "operator.supp8"),
    *("in_service_since", "accelerator.tpp", "accelerator.pd", "accelerator.us_subject", "certs", "evidence", "seal"),
    *("attestation", "attestation.verified", "attestation.age_h", "region_pinned", "log_retention_days"),
)
"""Facts that let a case through where they are known and good; losing one can only cost."""


def _without(case: Case, name: str) -> Case:
    job, backend, at = copy.deepcopy(case)
    first, _, second = name.partition(".")
    holder = (backend.get(first) or {}) if second else backend
    holder.pop(second or first, None)
    return job, backend, at


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_that_nobody_states_never_allows(name: str) -> None:
    """Taking away a fact never turns a denial into a yes; a missing mandatory one denies by its name."""
    items = [case for case in generate.cases(len(name), 20 * NUMBER) if _without(case, name) != case]
    items = [case for case in items if not _beyond(case, name)][: NUMBER // 5]
    for case, before, after in zip(items, ask(items), ask([_without(case, name) for case in items]), strict=True):
        assert before.decision != cases.DENY or after.decision == cases.DENY, told(case, before, after)
        if name in ("country", "operator", "operator.legal_country", "operator.parent_hq"):
            assert any(rule.startswith("core.missing:") for rule in denials(after)), told(case, before, after)


def _beyond(case: Case, name: str) -> bool:
    """Return whether the table says nothing of this fact's absence: TPP of what is not subject to the EAR."""
    return name == "accelerator.tpp" and (case[1].get("accelerator") or {}).get("us_subject") is False


CONSTRAINTS: tuple[dict[str, Any], ...] = (
    {"deny_exposure": ["US", "SG"]},
    {"min_seal": {2: 2, 5: 1}},
    {"min_score": 30},
    {"require_certs": ["c5"]},
    {"require_tee": ["tdx"]},
    {"ai_act": "high-risk"},
    {"train_flop": 2e25},
)


@pytest.mark.parametrize("added", CONSTRAINTS, ids=lambda added: next(iter(added)))
def test_a_constraint_only_adds(added: dict[str, Any]) -> None:
    """A job that asks for more is denied wherever it was, by the same rules."""
    (name,) = added
    items = [case for case in generate.cases(21, NUMBER) if name not in case[0]]
    more = [({**job, **added}, backend, at) for job, backend, at in items]
    for case, before, after in zip(items, ask(items), ask(more), strict=True):
        assert denials(before) <= denials(after), told(case, before, after)


def test_more_data_only_adds() -> None:
    """A further data set takes no denial away and no duty."""
    rng = Random(22)
    items = list(generate.cases(22, NUMBER))
    others = [job["data"] for job, _, _ in generate.cases(23, NUMBER) if job.get("data")]
    more = [({**job, "data": [*job.get("data", []), *rng.choice(others)]}, backend, at) for job, backend, at in items]
    for case, before, after in zip(items, ask(items), ask(more), strict=True):
        assert denials(before) <= denials(after), told(case, before, after)
        if after.decision == cases.OBLIGED:
            assert before.decision == cases.ALLOW or set(before.rules) <= set(after.rules), told(case, before, after)


def test_splitting_data_does_not_help() -> None:
    """Data sets split by class and by subject are denied wherever they were denied whole, by the same rules."""
    items = [case for case in generate.cases(24, 2 * NUMBER) if case[0].get("data")]
    split = [({**job, "data": [part for data in job["data"] for part in _parts(data)]}, *rest) for job, *rest in items]
    for case, before, after in zip(items, ask(items), ask(split), strict=True):
        assert denials(before) <= denials(after), told(case, before, after)


def _parts(data: dict[str, Any]) -> list[dict[str, Any]]:
    classes = [[name] for name in data["classes"]] or [[]]
    subjects = [[code] for code in data["subjects"]] or [[]]
    return [{**data, "classes": some, "subjects": who} for some in classes for who in subjects]


BORDERS = {
    "2019-01-23": ("eu-gdpr",),
    "2021-12-17": ("eu-gdpr",),
    "2023-07-10": ("eu-gdpr",),
    "2023-10-12": ("uk-gdpr",),
    "2025-04-08": ("us-doj",),
    "2025-12-19": ("eu-gdpr",),
    "2026-01-01": ("vn",),
    "2026-01-26": ("eu-gdpr",),
    "2026-02-03": ("us-ear",),
    "2026-05-31": ("us-ear",),
    "2026-07-10": ("us-ear",),
    "2027-04-07": ("us-ear",),
    "2027-12-02": ("eu-aiact",),
    "2031-12-28": ("eu-gdpr",),
    "2026-03-15": (),
    "2026-11-10": (),
    "2026-11-22": (),
    "2028-08-02": (),
}
"""First day of a new state of the law, and the packs that may answer otherwise from then on; none on quiet days."""


@pytest.mark.parametrize("border", BORDERS)
def test_a_border_changes_only_what_cites_it(border: str) -> None:
    """Between the day before a border and the border itself, only rules of its pack come or go."""
    eve = str(dt.date.fromisoformat(border) - dt.timedelta(days=1))
    some = [(*_undated(job, backend), border) for job, backend, _ in generate.cases(31, NUMBER // 4)]
    items = [*some, *(case for name in BORDERS[border] for case in _turning(name, eve, border))]
    earlier = [(job, backend, eve) for job, backend, _ in items]
    changed = set()
    for case, before, after in zip(items, ask(earlier), ask(items), strict=True):
        one, other = set(before.rules), set(after.rules)
        if (before.decision == cases.DENY) != (after.decision == cases.DENY):
            one, other = denials(before), denials(after)
        packs_changed = {rule.partition(".")[0] for rule in one ^ other}
        assert packs_changed <= {*BORDERS[border]}, told(case, before, after)
        changed |= packs_changed
    assert changed == {*BORDERS[border]}


THEMES = {
    "eu-gdpr": (themes_data.gdpr,),
    "uk-gdpr": (themes_data.uk_gdpr,),
    "us-doj": (themes_data.us_bulk,),
    "vn": (themes_data.vietnamese_data,),
    "us-ear": (themes_trade.ear_destination, themes_trade.ear_parent, themes_trade.ear_training),
    "eu-aiact": (themes.ai_act,),
}


def _turning(pack: str, eve: str, border: str) -> list[Case]:
    """Return up to ten cases of a pack that the literal oracle answers otherwise from the border on."""
    rng, found = Random(32), []
    for _ in range(5_000):
        job, backend = {}, palette.base(rng)
        for theme in THEMES[pack]:
            if len(THEMES[pack]) == 1 or rng.random() < 0.5:
                theme(rng, border, job, backend)
        if evaluator.judge(job, backend, eve) != evaluator.judge(job, backend, border):
            found.append((job, backend, border))
        if len(found) == 10:
            break
    return found


def _undated(job: dict[str, Any], backend: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a case whose own days lie far off, so that only those of the law are near."""
    job, backend = copy.deepcopy((job, backend))
    backend.pop("facts_valid_to", None)
    backend["certs"] = dict.fromkeys(backend.get("certs", {}))
    job.pop("directives", None)
    for holder in (job, *job.get("data", [])):
        for control in holder.get("export_control", []):
            for licence in control.get("licences", []):
                licence.pop("valid_to", None)
    return job, backend


def test_the_days_of_a_case_change_only_what_cites_them() -> None:
    """A certificate, licence, directive or fact that ends changes only the rules that rest on it."""
    resting = {"core", "certs", "exposure", "fr-hds", "directive", "tech-export"}
    items = [(job, backend, "2026-11-21") for job, backend, _ in _ending(NUMBER)]
    later = [(job, backend, "2026-11-22") for job, backend, _ in items]
    changed = set()
    for case, before, after in zip(items, ask(items), ask(later), strict=True):
        one, other = set(before.rules), set(after.rules)
        if (before.decision == cases.DENY) != (after.decision == cases.DENY):
            one, other = denials(before), denials(after)
        found = {rule.partition(".")[0] for rule in one ^ other}
        assert found <= resting, told(case, before, after)
        changed |= found
    assert changed == resting


def _ending(number: int) -> list[Case]:
    """Return cases whose own days all end on 2026-11-21."""
    end, rng, found = "2026-11-21", Random(41), []
    for job, backend, _ in generate.cases(41, number):
        backend["facts_valid_to"] = end if rng.random() < 0.1 else "2030-01-01"
        backend["certs"] = {scheme: rng.choice((None, end)) for scheme in backend.get("certs", {})}
        if rng.random() < 0.3:
            job["deny_exposure"] = [palette.CALM[0], backend.get("country") or "FR"]
            job["accept_immunity"] = ["c5"]
            backend["certs"]["c5"] = end
        for directive in job.get("directives", []):
            directive |= {"from": "2026-01-01", "to": end}
        for holder in (job, *job.get("data", [])):
            for control in holder.get("export_control", []):
                for licence in control.get("licences", []):
                    licence["valid_to"] = end
        found.append((job, backend, end))
    return found
