"""A receipt holds all that its verdict rests on, and a changed one does not hold."""

import copy
import datetime as dt
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from orchestrator.domain import executions, ids, jobs, money
from orchestrator.evidence import canonical, dsse
from orchestrator.verification import receipts, results

SUBJECT = ids.Digest("sha256:" + "5" * 64)
AT = dt.datetime(2026, 11, 23, 2, tzinfo=dt.timezone(dt.timedelta(hours=1)))
REQUEST = results.Request(SUBJECT, 3, 2, frozenset(jobs.Distinct))


def result(name, word, operator="", role=results.Role.REPLICA):
    left = (executions.OutputFile("out", 1, "sha256:" + word * 64),) if word else None
    return results.Result(name, operator or f"op-{name}", f"C-{name}", SUBJECT, left, role)


def made(*words, relation=results.exact, audit=False):
    found = [result(name, word) for name, word in zip("abc", words, strict=False)]
    return receipts.receipt("j1", AT, REQUEST, found, relation, audit=audit)


@pytest.mark.parametrize("words", [("1", "1", "2"), ("1", "2", "3"), ("1", None, "1"), (None,), ("1", "1")])
@pytest.mark.parametrize("audit", [False, True])
def test_a_receipt_that_came_through_json_is_judged_the_same_again(words, audit):
    value = made(*words, audit=audit)
    assert receipts.rejudge(json.loads(canonical.dumps(value)))


def test_a_receipt_names_inputs_answers_and_verdict_and_no_content():
    value = made("1", "1", "2")
    assert (value["at"], value["exact"], value["request"]["subject"]) == ("2026-11-23T01:00:00+00:00", True, SUBJECT)
    assert value["verdict"]["accepted"] == "a"
    assert value["results"][0]["answer"] == result("a", "1").answer()


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["verdict"].update(accepted="c"),
        lambda v: v["verdict"]["findings"].__setitem__(0, ["a", "differs"]),
        lambda v: v["results"][1].update(answer=v["results"][2]["answer"]),
        lambda v: v["results"][1].update(operator="op-a"),
        lambda v: v["results"][0].update(subject="sha256:6"),
        lambda v: v["pairs"].__setitem__(1, ["a", "c", "same"]),
        lambda v: v["pairs"].__setitem__(0, ["a", "b", "different"]),
        lambda v: v["request"].update(quorum=3),
        lambda v: v.update(audit=True),
    ],
)
def test_a_changed_receipt_does_not_hold(change):
    value = copy.deepcopy(made("1", "1", "2"))
    change(value)
    assert not receipts.rejudge(value)
    with pytest.raises(receipts.ReceiptError):
        receipts.blames(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("pairs"),
        lambda v: v.update(version=2),
        lambda v: v.update(pairs=[]),
        lambda v: v.update(pairs=[*v["pairs"], ["a", "z", "same"]]),
        lambda v: v.update(results="x"),
        lambda v: v["request"].update(replicas=2, quorum=1),
        lambda v: v["results"][0].update(role="boss"),
    ],
)
def test_what_is_no_receipt_is_told(change):
    value = copy.deepcopy(made("1", "1", "2"))
    change(value)
    with pytest.raises(receipts.ReceiptError):
        receipts.rejudge(value)


def test_another_relation_is_taken_at_its_word_but_for_equal_answers():
    value = made("1", "2", "3", relation=lambda *_: results.Answer.SAME)
    assert (value["exact"], value["verdict"]["outcome"], receipts.rejudge(value)) == (False, "accepted", True)
    assert not receipts.rejudge(made("1", "1", "2", relation=lambda *_: results.Answer.DIFFERENT))


def test_blame_is_dated_names_the_operator_and_the_receipt():
    value = made("1", "1", "2")
    (blame,) = receipts.blames(value)
    assert (blame.operator, blame.result, blame.at, blame.receipt) == ("op-c", "c", AT, canonical.digest(value))


def test_neither_a_trusted_site_nor_an_unknown_operator_is_blamed():
    other = results.Result("r", "own", "FR", ids.Digest("sha256:6"), result("r", "1").outputs, results.Role.REFEREE)
    nobody = results.Result("c", None, "C", ids.Digest("sha256:6"), result("c", "1").outputs)
    found = [result("a", "1"), result("b", "1"), nobody, other]
    value = receipts.receipt("j1", AT, REQUEST, found, results.exact)
    assert ["c", "other-subject"] in value["verdict"]["findings"]
    assert ["r", "other-subject"] in value["verdict"]["findings"]
    assert receipts.blames(value) == ()


def test_a_receipt_is_signed_as_what_it_is():
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    payload = canonical.dumps(made("1", "1", "2"))
    signed = dsse.sign(payload, key, public, payload_type=receipts.TYPE)
    assert dsse.verify(signed, public)
    assert not dsse.verify(dsse.Envelope(payload, dsse.IN_TOTO, signed.signatures), public)


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        receipts.receipt("j1", AT.replace(tzinfo=None), REQUEST, [], results.exact)


def eur(micro):
    return money.Money(micro, "EUR")


def test_a_price_has_a_least_an_expected_and_a_most():
    found = receipts.price([eur(100), eur(200), eur(300)], eur(1001), (1, 20))
    assert found == receipts.Price(eur(600), eur(651), eur(2602))
    assert receipts.price([eur(100)], None, (0, 1)) == receipts.Price(eur(100), eur(100), eur(100))


def test_prices_of_several_currencies_have_no_sum():
    assert receipts.price([eur(1), money.Money(1, "USD")], None, (0, 1)) is None
    assert receipts.price([eur(1)], money.Money(1, "USD"), (0, 1)) is None
    assert receipts.price([], eur(1), (0, 1)) is None
    assert receipts.price([eur(1)], eur(1), (2, 1)) is None
