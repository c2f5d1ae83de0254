"""Every bundle that was ever kept still verifies, and the rules it holds still give its answer."""

import base64
import json

import pytest

from orchestrator.cli.rendering import evidence as rendering
from orchestrator.evidence import comparisons, statements
from tests.golden.bundles import samples


def test_there_are_bundles() -> None:
    """At least the bundle of the first packs is kept."""
    assert samples.names()


@pytest.mark.parametrize("name", samples.names())
def test_a_kept_bundle_verifies(name: str) -> None:
    """Signature, signer, inclusion, consistency with the checkpoint kept, and the same judgement again."""
    sample = samples.sample(name)
    report = sample.verify()
    assert report.problems == ()
    words = (report.signature, report.signer, report.included, report.consistent, report.rejudged)
    assert [answer.word.value for answer in words] == ["good", "trusted", "yes", "yes", "same"], words
    assert report.verified


@pytest.mark.parametrize("name", samples.names())
def test_trust_goes_on_through_a_rotation(name: str) -> None:
    """Who trusts the first key trusts what it handed over to; who trusts another key trusts nobody here."""
    sample = samples.sample(name)
    assert sample.first != sample.current
    assert sample.verify(None, sample.first).verified
    stranger = sample.verify(None, "ab" * 32)
    assert not stranger.wrong
    assert stranger.signer.word is comparisons.Word.UNKNOWN
    assert not stranger.verified


@pytest.mark.parametrize("name", samples.names())
def test_names_and_commands_stay_closed(name: str) -> None:
    """Neither the job's name nor its command or environment stands in the file, not even inside the envelopes."""
    value = samples.sample(name).value()
    inside = [base64.b64decode(one["envelope"]["payload"]).decode() for one in value["statements"]]
    text = json.dumps(value) + "".join(inside)
    for word in ("tune-mammography", "secret-word", "train.py", "EPOCHS"):
        assert word not in text
    assert "spec.command" in text


@pytest.mark.parametrize("name", samples.names())
def test_erasing_what_is_opened_keeps_every_proof(name: str) -> None:
    """Without salts, values, records and what entries say, everything still verifies; only judging again is not
    possible, and says what it needs."""
    sample = samples.sample(name)
    value = sample.value()
    for stated in value["statements"]:
        stated["disclosures"] = []
    report = sample.verify(samples.dumps(value))
    assert report.verified
    assert report.rejudged.word is comparisons.Word.SAME
    value["records"] = {}
    for number, shown in enumerate(value["entries"]):
        if shown.get("entry") and shown["entry"]["subject"].startswith("job/"):
            link = next(each for each in samples_links(sample) if each[0] == shown["seq"])[1]
            value["entries"][number] = {"seq": shown["seq"], "hash": link, "proof": shown["proof"]}
    report = sample.verify(samples.dumps(value))
    assert report.verified, report.problems
    assert report.rejudged.word is comparisons.Word.NOT_POSSIBLE
    assert "needs the record of the decision" in report.rejudged.why


def samples_links(sample: samples.Sample) -> list[tuple[int, str]]:
    """Return number and link of each entry that the bundle shows."""
    return [(shown.seq, f"sha256:{shown.link.hex()}") for shown in sample.verify().entries]


@pytest.mark.parametrize("name", samples.names())
def test_a_page_names_sources_and_what_is_not_proved(name: str) -> None:
    """The page for people names the place, the rules, dated sources, and what nobody observed."""
    page = rendering.page(samples.sample(name).verify(), "evidence.json")
    for words in (
        "was placed at paris/cpu",
        "exposure.US",
        "as of 2026-11-01",
        "What is NOT proved",
        "backendIdentity",
        "not legal advice",
    ):
        assert words in page, page
    assert "Verdict: verified." in page


BEFORE_ANYBODY_LOOKED = frozenset({"eval-1-deea66baa85b"})
"""Bundles of versions whose adapters reported no more than an end."""


@pytest.mark.parametrize("name", samples.names())
def test_what_is_stated_is_what_was_asked(name: str) -> None:
    """Each attempt has a decision and an execution; packs that are off are named; what was not observed is null."""
    found = samples.sample(name).verify().found
    assert [(one.kind, one.attempt) for one, _ in found] == [
        (kind, number) for number in (1, 2) for kind in (statements.DECISION, statements.EXECUTION)
    ]
    decision, execution = found[0][0].predicate, found[1][1]
    assert "us-affiliates-50" in decision["packsOff"]
    assert {"id", "version", "digest"} == set(decision["packs"][0])
    assert execution["exit"]["value"]["exitCode"] == 3
    unseen = {"observed": False, "source": None, "value": None}
    if name in BEFORE_ANYBODY_LOOKED:
        assert [execution[path] for path in ("node", "adapterVersion", "outputDigests", "locationCheck")] == [
            unseen
        ] * 4
    else:
        assert execution["node"]["value"][0]["node"] == "cpu-0"
        assert execution["adapterVersion"]["value"]["distribution"] == "comity"
        assert execution["outputDigests"]["value"] == []
        assert execution["locationCheck"] == unseen
