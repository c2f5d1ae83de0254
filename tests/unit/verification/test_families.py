"""Which runs a verified job has, where they may lie, and when there is nothing more to do."""

import pytest

from orchestrator.domain import executions, ids, jobs
from orchestrator.verification import decisions, draws, families, results

KEY = b"k" * 32
SUBJECT = ids.Digest("sha256:" + "5" * 64)
OF_THREE = results.Request(SUBJECT, replicas=3, quorum=2, distinct=frozenset(jobs.Distinct))
A, B, C, D = (draws.Candidate(f"site-{x}", f"op-{x}", f"C-{x}") for x in "abcd")
OWN = draws.Candidate("own", "hospital", "FR")
C_OF_B = draws.Candidate("site-c2", "op-b", "C-c")


def ended(number, place, word):
    left = (executions.OutputFile("out", 1, word * 64),) if word else None
    kind = families.role(OF_THREE, number)
    return families.Child(
        held=(place,), result=results.Result(str(number), place.operator, place.country, SUBJECT, left, kind)
    )


def step(children):
    return families.step(OF_THREE, children, results.exact)


def test_all_replicas_and_no_trusted_run_are_asked_for_at_first():
    assert step({}).create == (0, 1, 2)


def test_what_a_kill_left_undone_is_asked_for_again_and_nothing_else():
    assert step({1: families.Child(waits=True)}).create == (0, 2)


def test_a_quorum_ends_it_and_stops_the_replica_that_still_runs():
    said = step({0: ended(0, A, "1"), 1: ended(1, B, "1"), 2: families.Child(held=(C,))})
    assert (said.final, said.stop, said.create) == (True, (2,), ())


def test_without_a_quorum_a_trusted_run_is_asked_for_once():
    children = {0: ended(0, A, "1"), 1: ended(1, B, "2"), 2: ended(2, C, "3")}
    assert step(children).create == (3,)
    assert step(children | {3: families.Child(waits=True)}).create == ()


def test_a_second_trusted_run_follows_one_that_failed_and_there_is_no_third():
    children = {0: ended(0, A, "1"), 1: ended(1, B, "2"), 2: ended(2, C, "3"), 3: ended(3, OWN, None)}
    assert step(children).create == (4,)
    said = step(children | {4: ended(4, OWN, None)})
    assert (said.verdict.outcome, said.create, said.final) == (decisions.Outcome.UNSETTLED, (), True)


def test_nothing_is_unsettled_while_a_replica_could_still_say_the_same():
    children = {0: ended(0, A, "1"), 1: families.Child(held=(B,)), 2: ended(2, C, "3")}
    children |= {3: ended(3, OWN, "4"), 4: ended(4, OWN, None)}
    assert not step(children).final
    assert step(children | {1: ended(1, B, "4")}).verdict.outcome is decisions.Outcome.ACCEPTED


def test_a_place_that_a_sibling_left_is_closed_to_others_and_open_to_itself():
    children = {0: families.Child(held=(A, B)), 1: families.Child(waits=True)}
    assert not families.may_lie(OF_THREE, 1, children, A)
    assert families.may_lie(OF_THREE, 0, children, A)


def test_half_a_hand_of_a_sibling_is_enough_to_close_a_place():
    assert not families.may_lie(OF_THREE, 1, {0: families.Child(held=(B,))}, C_OF_B)


def test_an_unknown_hand_gets_no_run():
    unknown = draws.Candidate("site-x", None, "C-x")
    assert not families.may_lie(OF_THREE, 0, {}, unknown)
    assert not families.may_lie(OF_THREE, 3, {}, unknown)


def test_a_trusted_run_confirms_no_replica_of_its_own_operator():
    children = {0: ended(0, A, "1")}
    assert not families.may_lie(OF_THREE, 3, children, draws.Candidate("elsewhere", "op-a", "C-x"))
    assert families.may_lie(OF_THREE, 4, children | {3: ended(3, OWN, "1")}, OWN)


def test_replicas_are_drawn_apart_and_the_draw_can_be_repeated():
    children = {number: families.Child(waits=True) for number in range(3)}
    found = families.places(KEY, "job", OF_THREE, children, [A, B, C, D, C_OF_B])
    assert found == families.places(KEY, "job", OF_THREE, children, [C_OF_B, D, C, B, A])
    places = [one for one in (A, B, C, D, C_OF_B) if one.site in found.values()]
    assert len({one.operator for one in places}) == len({one.country for one in places}) == 3


def test_a_replica_that_lost_its_place_goes_back_to_its_own_hand():
    children = {0: families.Child(held=(A,), waits=True), 1: families.Child(held=(B,)), 2: families.Child(waits=True)}
    assert families.places(KEY, "job", OF_THREE, children, [A, B, C, D])[0] == "site-a"


def test_too_few_hands_place_nothing():
    children = {number: families.Child(waits=True) for number in range(3)}
    assert families.places(KEY, "job", OF_THREE, children, [A, B, C_OF_B]) is None


def test_a_replica_does_not_go_back_to_a_hand_that_has_become_a_sibling_s_too():
    children = {0: families.Child(held=(A,), waits=True), 1: families.Child(held=(B, A))}
    assert families.places(KEY, "job", OF_THREE, children, [A, B, C]) == {0: "site-c"}


def test_two_replicas_share_no_site_where_nothing_else_must_differ():
    request = results.Request(SUBJECT, replicas=3, quorum=2)
    assert not families.may_lie(request, 1, {0: families.Child(held=(A,))}, A)


def test_a_replica_lies_with_none_who_did_the_trusted_run():
    assert not families.may_lie(OF_THREE, 2, {3: ended(3, OWN, "1")}, draws.Candidate("site-y", "hospital", "C-y"))


@pytest.mark.parametrize("number", [-1, 5])
def test_a_number_that_no_child_has_is_refused(number):
    with pytest.raises(ValueError, match="0 to 4"):
        step({number: families.Child()})


def test_a_result_in_the_place_of_the_other_role_is_refused():
    with pytest.raises(ValueError, match="is a referee"):
        step({3: ended(0, A, "1")})
