"""Which result holds, who is blamed, and what is asked for next."""

import pytest

from orchestrator.domain import executions, ids, jobs
from orchestrator.verification import decisions, results

F = decisions.Finding
Out = decisions.Outcome
SUBJECT = ids.Digest("sha256:" + "5" * 64)
BOTH = frozenset(jobs.Distinct)
OF_THREE = results.Request(SUBJECT, replicas=3, quorum=2, distinct=BOTH)


def left(word, name="out.txt"):
    return (executions.OutputFile(name, 1, word * 64),)


def replica(name, word, *, operator="", country="", subject=SUBJECT, seal=results.Seal.NONE):
    return results.Result(
        name, operator or f"op-{name}", country or f"C{name}", subject, left(word) if word else None, seal=seal
    )


def referee(name, word):
    return results.Result(name, "own", "FR", SUBJECT, left(word) if word else None, results.Role.REFEREE)


def decide(*found, request=OF_THREE, relation=results.exact, audit=False):
    return decisions.decide(request, found, relation, audit=audit)


def test_a_quorum_is_accepted_and_the_one_that_differs_is_blamed():
    verdict = decide(replica("a", "1"), replica("b", "2"), replica("c", "1"))
    assert (verdict.outcome, verdict.accepted, verdict.agreeing) == (Out.ACCEPTED, "a", ("a", "c"))
    assert (verdict.blamed, verdict.independent, verdict.by) == (("b",), 2, results.Role.REPLICA)


def test_a_quorum_is_accepted_before_the_last_one_answers():
    assert decide(replica("a", "1"), replica("c", "1")).outcome is Out.ACCEPTED


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        ((), Out.WAIT),
        ((replica("a", "1"),), Out.WAIT),
        ((replica("a", "1"), replica("b", "2")), Out.WAIT),
        ((replica("a", "1"), replica("b", None)), Out.WAIT),
        ((replica("a", None), replica("b", None)), Out.REFEREE),
        ((replica("a", "1"), replica("b", "2"), replica("c", "3")), Out.REFEREE),
    ],
)
def test_it_waits_while_a_quorum_is_possible_and_asks_for_a_referee_after_that(found, outcome):
    verdict = decide(*found)
    assert (verdict.outcome, verdict.accepted, verdict.blamed) == (outcome, None, ())


def test_two_results_of_one_operator_or_of_one_country_are_one_hand():
    for same in ({"operator": "x"}, {"country": "DE"}):
        verdict = decide(replica("a", "1", **same), replica("b", "1", **same), replica("c", "2"))
        assert verdict.outcome is Out.REFEREE


@pytest.mark.parametrize(
    ("one", "finding"),
    [
        (replica("c", None), F.NO_OUTPUTS),
        (replica("c", "1", subject=None), F.NO_SUBJECT),
        (replica("c", "1", subject=ids.Digest("sha256:6")), F.OTHER_SUBJECT),
        (results.Result("c", None, "DE", SUBJECT, left("1")), F.HAND_UNKNOWN),
        (results.Result("c", "op", "DE", SUBJECT, (executions.OutputFile("out.txt", 1),)), F.NO_OUTPUTS),
        (results.Result("c", "op", "DE", SUBJECT, ()), F.NO_OUTPUTS),
        (replica("c", "1", seal=results.Seal.BROKEN), F.SEAL_BROKEN),
    ],
)
def test_what_is_missing_or_for_other_work_is_no_agreement(one, finding):
    verdict = decide(replica("a", "1"), replica("b", "2"), one)
    assert verdict.outcome is Out.REFEREE
    assert dict(verdict.findings)["c"] is finding
    assert verdict.blamed == (("c",) if finding in decisions.BLAMED else ())


def test_without_its_seal_a_result_does_not_count_where_seals_were_asked_for():
    request = results.Request(SUBJECT, 3, 2, BOTH, sealed=True)
    verdict = decide(*(replica(name, "1") for name in "abc"), request=request)
    assert (verdict.outcome, verdict.blamed) == (Out.REFEREE, ())
    kept = (replica(name, "1", seal=results.Seal.KEPT) for name in "abc")
    assert decide(*kept, request=request).outcome is Out.ACCEPTED


def test_a_referee_that_one_replica_confirms_decides_and_the_others_are_blamed():
    three = (replica("a", "1"), replica("b", "2"), replica("c", "3"))
    verdict = decide(*three, referee("r1", "2"))
    assert (verdict.outcome, verdict.accepted, verdict.by) == (Out.ACCEPTED, "r1", results.Role.REFEREE)
    assert verdict.blamed == ("a", "c")


def test_a_referee_outranks_a_quorum_once_a_second_trusted_run_says_the_same():
    three = (replica("a", "1"), replica("b", "1"), replica("c", "1"))
    assert decide(*three, referee("r1", "2")).outcome is Out.REFEREE
    verdict = decide(*three, referee("r1", "2"), referee("r2", "2"))
    assert (verdict.outcome, verdict.accepted, verdict.blamed) == (Out.ACCEPTED, "r1", ("a", "b", "c"))


def test_trusted_runs_that_differ_settle_nothing_and_blame_nobody():
    found = (replica("a", "1"), replica("b", "2"), replica("c", "3"), referee("r1", "1"), referee("r2", "2"))
    verdict = decide(*found)
    assert (verdict.outcome, verdict.accepted, verdict.blamed) == (Out.UNSETTLED, None, ())


def test_trusted_runs_that_failed_are_bounded():
    three = (replica("a", "1"), replica("b", "2"), replica("c", "3"))
    assert decide(*three, referee("r1", None)).outcome is Out.REFEREE
    assert decide(*three, referee("r1", None), referee("r2", None)).outcome is Out.UNSETTLED


def test_a_spot_check_of_a_single_run_blames_only_on_the_word_of_two_trusted_runs():
    one = results.Request(SUBJECT)
    bad = replica("a", "1")
    assert decide(bad, request=one).outcome is Out.ACCEPTED
    assert decide(bad, request=one, audit=True).outcome is Out.REFEREE
    assert decide(bad, referee("r1", "1"), request=one, audit=True).outcome is Out.ACCEPTED
    once = decide(bad, referee("r1", "2"), request=one, audit=True)
    assert (once.outcome, once.blamed) == (Out.REFEREE, ())
    assert decide(bad, referee("r1", "2"), referee("r2", "2"), request=one, audit=True).blamed == ("a",)


def test_what_could_not_be_compared_is_neither_agreement_nor_blame():
    def unknown(one, other):
        return results.Answer.UNKNOWN if "c" in (one.name, other.name) else results.exact(one, other)

    verdict = decide(replica("a", "1"), replica("b", "1"), replica("c", "2"), relation=unknown)
    assert (dict(verdict.findings)["c"], verdict.blamed) == (F.NOT_COMPARED, ())
    assert decide(replica("a", "1"), replica("b", "2"), replica("c", "1"), relation=unknown).outcome is Out.REFEREE


def test_near_the_accepted_group_is_not_blamed():
    steps = {"a": 0, "b": 1, "c": 2}

    def near(one, other):
        return results.Answer.SAME if abs(steps[one.name] - steps[other.name]) <= 1 else results.Answer.DIFFERENT

    verdict = decide(replica("a", "1"), replica("c", "3"), request=OF_THREE, relation=near)
    assert verdict.outcome is Out.WAIT
    steps["d"] = 3
    four = results.Request(SUBJECT, 4, 3)
    verdict = decide(*(replica(name, "1") for name in "abcd"), request=four, relation=near)
    assert (verdict.accepted, dict(verdict.findings)["d"], verdict.blamed) == ("b", F.NEAR, ())


@pytest.mark.parametrize(("replicas", "quorum"), [(0, 0), (1, 2), (2, 1), (3, 1), (4, 2), (101, 60), (3, 4)])
def test_a_quorum_that_two_answers_could_have_is_refused(replicas, quorum):
    with pytest.raises(ValueError, match=r"quorum|replicas"):
        results.Request(SUBJECT, replicas, quorum)


def test_one_referee_is_too_few():
    with pytest.raises(ValueError, match="referees"):
        results.Request(SUBJECT, referees=1)


def test_more_results_than_were_asked_for_are_refused():
    with pytest.raises(ValueError, match="more results"):
        decide(*(replica(name, "1") for name in "abcd"))
    with pytest.raises(ValueError, match="one name"):
        decide(replica("a", "1"), replica("a", "2"))


def test_outputs_are_compared_by_path_size_and_content_in_any_order():
    one, two = left("1", "a") + left("2", "b"), left("2", "b") + left("1", "a")
    assert results.answer(one) == results.answer(two)
    assert results.answer(one) != results.answer(left("2", "a") + left("1", "b"))
    assert results.answer(one) != results.answer(left("1", "a"))


def test_a_subject_is_of_spec_inputs_and_image():
    d = [ids.Digest(f"sha256:{n}") for n in range(4)]
    base = results.subject(spec=d[0], inputs=[("x", d[1]), ("y", d[2])], image=d[3])
    assert base == results.subject(spec=d[0], inputs=[("y", d[2]), ("x", d[1])], image=d[3])
    assert base != results.subject(spec=d[0], inputs=[("y", d[1]), ("x", d[2])], image=d[3])
    assert base != results.subject(spec=d[0], inputs=[("x", d[1]), ("y", d[2])], image=None)


def test_trusted_runs_that_cannot_be_compared_settle_nothing_either():
    def relation(one, other):
        both = {one.role, other.role} == {results.Role.REFEREE}
        return results.Answer.UNKNOWN if both else results.exact(one, other)

    found = (replica("a", "1"), replica("b", "2"), replica("c", "3"), referee("r1", "1"), referee("r2", "2"))
    assert decide(*found, relation=relation).outcome is Out.UNSETTLED


def test_trusted_runs_are_no_independent_hands():
    request = results.Request(SUBJECT, 3, 3)
    found = (replica("a", "1"), replica("b", "1"), replica("c", "2"), referee("r1", "1"))
    verdict = decide(*found, request=request)
    assert (verdict.by, verdict.agreeing, verdict.independent) == (results.Role.REFEREE, ("a", "b", "r1"), 2)
