"""The computed odds against a seeded simulation that draws, runs, compares and judges for real."""

import fractions
import itertools
import random

import pytest

from orchestrator.domain import executions, ids, jobs
from orchestrator.verification import decisions, draws, hands, odds, results

Fraction = fractions.Fraction
SUBJECT = ids.Digest("sha256:" + "5" * 64)
OTHER = ids.Digest("sha256:" + "6" * 64)
OPERATOR = frozenset({jobs.Distinct.OPERATOR})
RUNS = 600


def left(word):
    return (executions.OutputFile("out", 1, ids.Digest(f"{word:064x}")),)


def simulate(request, operators, answers, rate, seed, runs=RUNS):
    """Count what becomes of ``runs`` jobs. ``answers(job, drawn)`` gives (word, subject) by operator; 0 is right."""
    key = random.Random(seed).randbytes(32)
    sites = [draws.Candidate(f"{name}-{n}", name, "XX") for n, name in enumerate(operators)]
    names = {one.site: one.operator for one in sites}
    seen = dict.fromkeys(("untouched", "caught", "accepted_wrong", "honest_blamed", "refereed"), 0)
    for number in range(runs):
        job = f"job-{number}"
        drawn = [names[one] for one in draws.replicas(key, job, sites, request.replicas, request.distinct)]
        said = answers(job, drawn)
        found = [results.Result(name, name, "XX", said[name][1], left(said[name][0])) for name in drawn]
        bad = {name for name in drawn if said[name] != (0, SUBJECT)}
        audit = draws.is_checked(key, job, rate)
        verdict = decisions.decide(request, found, results.exact, audit=audit)
        asked = verdict.outcome is decisions.Outcome.REFEREE
        while verdict.outcome is decisions.Outcome.REFEREE:
            name = f"~{len(found)}"
            found.append(results.Result(name, "own", "FR", SUBJECT, left(0), results.Role.REFEREE))
            verdict = decisions.decide(request, found, results.exact, audit=audit)
        assert verdict.outcome is decisions.Outcome.ACCEPTED
        wrong = verdict.accepted in bad
        seen["untouched"] += not bad
        seen["accepted_wrong"] += wrong
        seen["caught"] += bool(bad) and not wrong and set(verdict.blamed) == bad
        seen["honest_blamed"] += bool(set(verdict.blamed) - bad)
        seen["refereed"] += asked
        assert wrong or not set(verdict.blamed) - bad
    return seen


def agree(expected, seen, runs=RUNS):
    """Compare with five standard deviations of a binomial; exactly where the probability is 0 or 1."""
    for name, count in seen.items():
        p = float(getattr(expected, name))
        assert abs(count - p * runs) <= 5 * (runs * p * (1 - p)) ** 0.5, (name, count / runs, p)


@pytest.mark.parametrize(
    ("replicas", "quorum", "operators", "colluders", "rate"),
    [
        (1, 1, 5, 2, Fraction(1, 20)),
        (2, 2, 6, 3, Fraction(0)),
        (3, 2, 6, 2, Fraction(0)),
        (3, 2, 8, 4, Fraction(1, 5)),
        (3, 3, 6, 2, Fraction(1, 10)),
        (5, 3, 7, 4, Fraction(1, 20)),
    ],
)
def test_colluders_pass_as_often_as_computed(replicas, quorum, operators, colluders, rate):
    request = results.Request(SUBJECT, replicas, quorum, OPERATOR)
    names = [f"op{n}" for n in range(operators)]
    bad = set(names[:colluders])
    # The first of them has many sites; that must not help it.
    seen = simulate(
        request, [*names, *[names[0]] * 6], lambda _, drawn: {one: (int(one in bad), SUBJECT) for one in drawn}, rate, 7
    )
    expected = odds.colluding(request, operators=operators, colluders=colluders, rate=rate)
    assert expected.untouched + expected.caught + expected.accepted_wrong == 1
    agree(expected, seen)


@pytest.mark.parametrize(
    ("kind", "replicas", "quorum", "rate"),
    [
        ("wrong", 3, 2, Fraction(0)),
        ("wrong", 1, 1, Fraction(1, 10)),
        ("other input, hidden", 4, 3, Fraction(1, 20)),
        ("other input, said", 3, 2, Fraction(1, 20)),
    ],
)
def test_lone_cheaters_are_caught_as_often_as_computed(kind, replicas, quorum, rate):
    request = results.Request(SUBJECT, replicas, quorum, OPERATOR)
    dice, fresh = random.Random(f"{kind}{replicas}"), itertools.count(1)

    def answers(_, drawn):
        wrong = (lambda: (next(fresh), OTHER)) if kind == "other input, said" else (lambda: (next(fresh), SUBJECT))
        return {one: wrong() if dice.random() < 0.3 else (0, SUBJECT) for one in drawn}

    seen = simulate(request, [f"op{n}" for n in range(6)], answers, rate, 11)
    agree(odds.alone(request, cheating=Fraction(3, 10), rate=rate), seen)


def test_who_copies_a_colluder_counts_as_one_and_who_copies_an_honest_answer_passes():
    request = results.Request(SUBJECT, 3, 2, OPERATOR)
    names = [f"op{n}" for n in range(6)]

    def copies(source_is_bad):
        def answers(_, drawn):
            said = {one: (int(one == "op0"), SUBJECT) for one in drawn}
            others = [one for one in drawn if one != "op1" and (one == "op0") is source_is_bad]
            if "op1" in drawn and others:
                said["op1"] = said[others[0]]
            return said

        return answers

    # Who copies only where the source was drawn too is right in all other jobs: both pass where both are drawn.
    seen = simulate(request, names, copies(source_is_bad=True), Fraction(0), 3)
    both = float(odds.colluding(request, operators=6, colluders=2).accepted_wrong)
    assert abs(seen["accepted_wrong"] - both * RUNS) <= 5 * (RUNS * both * (1 - both)) ** 0.5
    assert simulate(request, names, copies(source_is_bad=False), Fraction(0), 3)["accepted_wrong"] == 0


def test_spot_checks_find_a_steady_cheater_as_soon_as_computed():
    rate, runs, key = Fraction(1, 20), 20, random.Random(5).randbytes(32)
    found = sum(any(draws.is_checked(key, f"{n}/{m}", rate) for m in range(runs)) for n in range(1000))
    p = float(odds.caught_within(runs, rate))
    assert abs(found - 1000 * p) <= 5 * (1000 * p * (1 - p)) ** 0.5


def test_figures_of_the_manual():
    """Three replicas and a quorum of two, ten operators of which two collude: 1 in 15; five of ten: one half."""
    request = results.Request(SUBJECT, 3, 2, OPERATOR)
    assert odds.colluding(request, operators=10, colluders=2).accepted_wrong == Fraction(1, 15)
    assert odds.colluding(request, operators=10, colluders=5).accepted_wrong == Fraction(1, 2)
    assert odds.colluding(results.Request(SUBJECT), operators=10, colluders=2).accepted_wrong == Fraction(1, 5)
    assert odds.runs_until(Fraction(95, 100), Fraction(1, 20)) == 59
    assert odds.caught_within(58, Fraction(1, 20)) < Fraction(95, 100) <= odds.caught_within(59, Fraction(1, 20))


@pytest.mark.parametrize("seed", range(40))
def test_the_matching_equals_trying_every_subset(seed):
    dice = random.Random(seed)
    pairs = [(str(dice.randrange(4)), str(dice.randrange(4))) for _ in range(dice.randrange(8))]
    apart = [
        len(some)
        for size in range(len(pairs) + 1)
        for some in itertools.combinations(pairs, size)
        if len({a for a, _ in some}) == len({b for _, b in some}) == len(some)
    ]
    assert hands.matching(pairs) == max(apart)
