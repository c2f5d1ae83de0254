"""What belongs together in a bundle: each way of taking it apart is named."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.evidence import bindings, bundles, comparisons, statements
from tests.golden.bundles import samples


def _double(value: list[Any], at: int = 0) -> None:
    value.insert(at, copy.deepcopy(value[at]))


def _job_entries(value: Any) -> list[int]:
    return [n for n, one in enumerate(value["entries"]) if one.get("entry", {}).get("subject", "").startswith("job/")]


def _proof_of_another(value: Any) -> None:
    value["entries"][-1]["proof"], value["entries"][0]["proof"] = (
        value["entries"][0]["proof"],
        value["entries"][-1]["proof"],
    )


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "entries in another order": (lambda v: v["entries"].reverse(), "out of order"),
    "an entry twice": (lambda v: _double(v["entries"]), "out of order"),
    "an entry left out": (lambda v: v["entries"].pop(_job_entries(v)[-1]), "is missing"),
    "proofs exchanged": (_proof_of_another, "not included"),
    "no statements": (lambda v: v["statements"].clear(), "no https://comity.dev/decision/v1"),
    "a statement left out": (lambda v: v["statements"].pop(), "no https://comity.dev/execution/v1"),
    "a statement twice": (lambda v: _double(v["statements"]), "each once"),
    "statements in another order": (lambda v: v["statements"].reverse(), "not in order"),
    "envelopes exchanged": (
        lambda v: v["statements"][0].update(envelope=v["statements"][2]["envelope"]),
        "is not what was committed to",
    ),
    "a signature twice": (lambda v: _double(v["statements"][0]["envelope"]["signatures"]), "signature does not fit"),
    "openings in another order": (lambda v: v["statements"][0]["disclosures"].reverse(), "not in order of path"),
    "an opening twice": (lambda v: _double(v["statements"][0]["disclosures"]), "each once"),
    "a record of something else": (
        lambda v: v["records"].update({"sha256:" + bundles.canonical.digest({}).removeprefix("sha256:"): {}}),
        "belongs to no decision",
    ),
    "a record under another name": (
        lambda v: v["records"].update({next(iter(v["records"])): {"x": 1}}),
        "has another digest",
    ),
    "no rotations": (
        lambda v: v.update(entries=[one for one in v["entries"] if one["entry"]["subject"] != "log/key"]),
        "no signature of the log's own key",
    ),
    "another first key": (lambda v: v.update(firstKey="ab" * 32), "keys: entry"),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_what_is_taken_apart_is_named(change: str) -> None:
    """Nothing verifies that was left out, doubled, exchanged or moved, and the words say what."""
    sample = samples.sample()
    value = sample.value()
    if change == "no rotations":
        value["entries"] = [one for one in value["entries"] if "entry" in one]
    make, words = CHANGES[change]
    make(value)
    report = sample.verify(samples.dumps(value))
    assert report.wrong
    assert not report.verified
    assert any(words in problem for problem in report.problems), report.problems


def test_an_exit_that_the_journal_does_not_hold_is_wrong() -> None:
    """Whoever has the key may sign another exit code, and the entry still says the first one."""
    report = samples.sample().verify()
    statement, opened = next(each for each in report.found if each[0].kind == statements.EXECUTION)
    assert bindings.unlike(statement, opened, report.entries) == []
    said = {**opened, "exit": {**opened["exit"], "value": {"exitCode": 0, "signal": None}}}
    (wrong,) = bindings.unlike(statement, said, report.entries)
    assert "exitCode is 0" in wrong


def test_a_statement_about_another_log_attempt_or_site_is_untied() -> None:
    """Each word that a statement shares with the entry that placed the attempt is held to it."""
    report = samples.sample().verify()
    assert report.checkpoint is not None
    entries = {shown.seq: shown for shown in report.entries}
    statement = report.found[0][0]
    for name, other in (("chosen", "frankfurt/cpu"), ("policyClock", "2031-01-01T00:00:00.000000Z"), ("attempt", 2)):
        changed = statements.Statement(statement.kind, statement.subjects, {**statement.predicate, name: other})
        assert bindings.untied(changed, report.checkpoint, entries), name
    assert bindings.untied(statement, report.checkpoint, entries) == []


@pytest.mark.parametrize("member", ["root", "link"])
def test_heads_of_one_size_agree_in_root_and_link(member: str) -> None:
    """Either one that differs is another history."""
    report = samples.sample().verify()
    assert report.checkpoint is not None
    other = {"root": bytes(32), "link": "sha256:" + "0" * 64}[member]
    changed = dataclasses.replace(report.checkpoint, **{member: other})
    assert comparisons.compare(changed, report.checkpoint, forward=()).word is comparisons.Word.NO
    assert comparisons.compare(report.checkpoint, report.checkpoint, forward=()).word is comparisons.Word.YES
