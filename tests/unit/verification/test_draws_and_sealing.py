"""Draws that an auditor repeats, and seals that only their maker opens."""

import fractions

import pytest

from orchestrator.domain import ids, jobs
from orchestrator.evidence import commitments
from orchestrator.verification import draws, results, sealing

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
OPERATOR = frozenset({jobs.Distinct.OPERATOR})
BOTH = frozenset(jobs.Distinct)
SALT = b"s" * 16
ANSWER = ids.Digest("sha256:" + "a" * 64)


def test_a_draw_is_the_same_again_and_another_with_another_key_job_or_purpose():
    # By openssl dgst -sha256 -mac HMAC over ["comity.draw.1","spot-check","j1"].
    assert draws.draw(KEY, "spot-check", "j1") == 0x315677004D5B5D88
    others = [draws.draw(OTHER, "spot-check", "j1"), draws.draw(KEY, "spot-check", "j2"), draws.draw(KEY, "hand", "j1")]
    assert len({draws.draw(KEY, "spot-check", "j1"), *others}) == 4


def test_words_are_kept_apart():
    assert draws.draw(KEY, "p", "ab", "c") != draws.draw(KEY, "p", "a", "bc")


def test_a_rate_of_none_checks_nothing_and_a_whole_one_everything():
    jobs = [f"j{n}" for n in range(300)]
    assert not any(draws.is_checked(KEY, job, fractions.Fraction(0)) for job in jobs)
    assert all(draws.is_checked(KEY, job, fractions.Fraction(1)) for job in jobs)
    with pytest.raises(ValueError, match="rate"):
        draws.is_checked(KEY, "j", fractions.Fraction(3, 2))


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        draws.draw(b"short", "p")
    with pytest.raises(ValueError, match="32 bytes"):
        draws.commitment(b"short")


def test_a_key_is_fixed_by_its_commitment():
    assert draws.commitment(KEY) == draws.commitment(KEY) != draws.commitment(OTHER)
    assert KEY.hex() not in draws.commitment(KEY)


def site(name, operator, country):
    return draws.Candidate(name, operator, country)


def test_drawn_sites_differ_in_every_field_whenever_so_many_do():
    # A greedy choice of x/1 first leaves no second one: only {x/2, y/1} stands apart in both.
    found = [site("s1", "x", "1"), site("s2", "x", "2"), site("s3", "y", "1")]
    for n in range(50):
        assert set(draws.replicas(KEY, f"j{n}", found, 2, BOTH) or ()) == {"s2", "s3"}
    assert draws.replicas(KEY, "j", found, 3, BOTH) is None


def test_a_site_of_an_unknown_hand_is_not_drawn_where_hands_must_differ():
    found = [site("s1", "x", "1"), site("s2", None, "2"), site("s3", "y", None)]
    assert draws.replicas(KEY, "j", found, 2, OPERATOR) is not None
    assert draws.replicas(KEY, "j", found, 2, BOTH) is None


def test_without_fields_each_site_is_drawn_once():
    found = [site(f"s{n}", "x", "1") for n in range(4)]
    assert sorted(draws.replicas(KEY, "j", found, 4, frozenset()) or ()) == ["s0", "s1", "s2", "s3"]
    assert draws.replicas(KEY, "j", found, 5, frozenset()) is None


def test_an_operator_with_many_sites_is_drawn_no_more_often():
    found = [site(f"big-{n}", "big", "1") for n in range(20)] + [site(f"s{n}", f"o{n}", "1") for n in range(3)]
    drawn = [draws.replicas(KEY, f"j{n}", found, 1, OPERATOR) for n in range(800)]
    big = sum(one is not None and one[0].startswith("big") for one in drawn)
    assert 140 < big < 260  # a quarter is 200; by sites it would be 696


def test_a_seal_is_opened_by_its_maker_only():
    mine = sealing.seal("j", "a", ANSWER, SALT)
    said = commitments.disclosure(sealing.path("j", "a"), ANSWER, SALT)
    assert sealing.opened("j", "a", {"a": mine}, said, ANSWER) is results.Seal.KEPT
    copied = {"a": mine, "b": mine}
    assert sealing.opened("j", "a", copied, said, ANSWER) is results.Seal.KEPT
    assert sealing.opened("j", "b", copied, said, ANSWER) is results.Seal.BROKEN
    renamed = commitments.disclosure(sealing.path("j", "b"), ANSWER, SALT)
    assert sealing.opened("j", "b", copied, renamed, ANSWER) is results.Seal.BROKEN
    assert sealing.opened("j2", "a", {"a": mine}, said, ANSWER) is results.Seal.BROKEN


def test_an_answer_that_was_not_sealed_is_a_broken_seal_and_silence_is_none():
    mine = sealing.seal("j", "a", ANSWER, SALT)
    said = commitments.disclosure(sealing.path("j", "a"), ANSWER, SALT)
    other = ids.Digest("sha256:" + "b" * 64)
    assert sealing.opened("j", "a", {"a": mine}, said, other) is results.Seal.BROKEN
    changed = commitments.disclosure(sealing.path("j", "a"), other, SALT)
    assert sealing.opened("j", "a", {"a": mine}, changed, other) is results.Seal.BROKEN
    assert sealing.opened("j", "a", {}, said, ANSWER) is results.Seal.NONE
    assert sealing.opened("j", "a", {"a": mine}, None, ANSWER) is results.Seal.NONE
