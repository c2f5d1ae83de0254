"""Laws of a verdict, for any answers of any hands in any order."""

import itertools

import hypothesis
from hypothesis import strategies as st

from orchestrator.domain import executions, ids, jobs
from orchestrator.verification import decisions, results

SUBJECT = ids.Digest("sha256:" + "5" * 64)
OTHER = ids.Digest("sha256:" + "6" * 64)
R = results
LAW = hypothesis.settings(max_examples=120, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))


@st.composite
def requests(draw):
    count = draw(st.integers(1, 6))
    quorum = draw(st.integers(count // 2 + 1, count))
    return R.Request(
        SUBJECT, count, quorum, draw(st.frozensets(st.sampled_from(jobs.Distinct))), sealed=draw(st.booleans())
    )


def outputs(word):
    return None if word is None else (executions.OutputFile("out", 1, f"{word:064x}"),)


def replica(name):
    return st.builds(
        R.Result, st.just(name), st.sampled_from([None, "x", "y", "z", name]), st.sampled_from([None, "1", "2", name]),
        st.sampled_from([SUBJECT, SUBJECT, SUBJECT, None, OTHER]), st.sampled_from([0, 0, 1, 2, None]).map(outputs),
        st.just(R.Role.REPLICA), st.sampled_from([R.Seal.KEPT, R.Seal.KEPT, R.Seal.NONE, R.Seal.BROKEN]),
    )  # fmt: skip


def referee(name):
    return st.builds(
        R.Result, st.just(name), st.just("own"), st.just("FR"), st.just(SUBJECT),
        st.sampled_from([0, 0, 1, None]).map(outputs), st.just(R.Role.REFEREE),
    )  # fmt: skip


@st.composite
def cases(draw, referees=2):
    request = draw(requests())
    found = [draw(replica(f"p{n}")) for n in range(draw(st.integers(0, request.replicas)))]
    found += [draw(referee(f"t{n}")) for n in range(draw(st.integers(0, referees)))]
    return request, draw(st.permutations(found))


def counts(request, one):
    """Say, by the words of the manual, whether a replica may count at all."""
    return (
        one.role is R.Role.REPLICA
        and one.subject == SUBJECT
        and one.outputs is not None
        and one.seal is not R.Seal.BROKEN
        and (one.seal is R.Seal.KEPT or not request.sealed)
        and all(one.hand(field) is not None for field in request.distinct)
    )


def apart(some, fields):
    return all(a.hand(field) != b.hand(field) for a, b in itertools.combinations(some, 2) for field in fields)


@LAW
@hypothesis.given(cases(), st.booleans())
def test_nothing_is_accepted_without_a_quorum_of_independent_hands_or_two_runs_with_a_trusted_one(case, audit):
    request, found = case
    verdict = decisions.decide(request, found, R.exact, audit=audit)
    if verdict.outcome is not decisions.Outcome.ACCEPTED:
        assert verdict.accepted is None
        return
    members = [one for one in found if one.name in verdict.agreeing]
    assert len({one.outputs for one in members}) == 1
    assert members[0].outputs is not None
    if verdict.by is R.Role.REFEREE:
        assert len(members) > 1
        assert any(one.role is R.Role.REFEREE for one in members)
    else:
        assert not audit
        honest = [one for one in members if counts(request, one)]
        assert len(honest) == len(members)
        assert any(apart(some, request.distinct) for some in itertools.combinations(honest, request.quorum))


@LAW
@hypothesis.given(cases(), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(case, audit, dice):
    request, found = case
    again = list(found)
    dice.shuffle(again)
    decide = decisions.decide
    assert decide(request, found, R.exact, audit=audit) == decide(request, again, R.exact, audit=audit)


@LAW
@hypothesis.given(cases(referees=0))
def test_an_answer_that_a_quorum_accepted_is_not_taken_back_by_later_ones(case):
    request, found = case
    first = None
    for count in range(len(found) + 1):
        verdict = decisions.decide(request, found[:count], R.exact)
        if verdict.outcome is decisions.Outcome.ACCEPTED:
            said = next(one.answer() for one in found if one.name == verdict.accepted)
            first = first or said
            assert said == first
        else:
            assert first is None


@LAW
@hypothesis.given(cases(), st.booleans())
def test_an_honest_one_is_blamed_only_where_a_quorum_colludes_or_trusted_runs_are_wrong(case, audit):
    """Answer 0 is right. Honest: right subject, right answer, no broken seal."""
    request, found = case
    verdict = decisions.decide(request, found, R.exact, audit=audit)
    honest = {one.name for one in found if one.outputs == outputs(0) and one.subject == SUBJECT}
    honest -= {one.name for one in found if one.seal is R.Seal.BROKEN}
    if honest & set(verdict.blamed):
        liars = [one for one in found if one.name in verdict.agreeing]
        assert verdict.outcome is decisions.Outcome.ACCEPTED
        assert all(one.outputs == outputs(1) or one.outputs == outputs(2) for one in liars)
        assert len(liars) >= (request.quorum if verdict.by is R.Role.REPLICA else 2)


@LAW
@hypothesis.given(cases(), st.booleans())
def test_what_is_missing_or_unknown_is_never_agreement_and_never_blamed(case, audit):
    request, found = case
    verdict = decisions.decide(request, found, R.exact, audit=audit)
    for one in found:
        if one.outputs is None or one.subject is None:
            assert one.name not in verdict.agreeing
            assert one.name not in verdict.blamed or one.seal is R.Seal.BROKEN or one.subject == OTHER
    assert {name for name, _ in verdict.findings} == {one.name for one in found}
    assert not set(verdict.blamed) & set(verdict.agreeing)


@LAW
@hypothesis.given(cases())
def test_what_cannot_be_compared_is_accepted_by_nobody(case):
    request, found = case
    verdict = decisions.decide(request, found, lambda *_: R.Answer.UNKNOWN, audit=True)
    assert verdict.outcome is not decisions.Outcome.ACCEPTED
