"""What adapters report of nodes and files: bounded, merged, compared."""

import dataclasses
import datetime as dt

import pytest

from orchestrator.domain import executions, facts, ids

A = executions.Agreement


def node(rank=0, country="FR", **more):
    return executions.Whereabouts(rank, more.pop("node", f"n{rank}"), country=country, source="label", **more)


@pytest.mark.parametrize(
    ("nodes", "count", "expected", "agreement"),
    [
        ((), 1, "FR", A.NOT_OBSERVED),
        ((node(country=None),), 1, "FR", A.NOT_OBSERVED),
        ((node(),), 1, "FR", A.AGREES),
        ((node(), node(1, None)), 2, "FR", A.PARTLY),
        ((node(), node(1)), 2, "FR", A.AGREES),
        ((node(), node(1, "DE")), 2, "FR", A.CONTRADICTS),
        ((node(0, "DE"), node()), 1, "FR", A.CONTRADICTS),
        ((node(),), 1, None, A.CONTRADICTS),
    ],
)
def test_countries_are_compared(nodes, count, expected, agreement):
    """One wrong node contradicts; silence about one agrees in part; silence about all is no answer."""
    assert executions.check(executions.Execution(nodes), expected, count).agreement is agreement


def test_the_least_assured_node_is_the_assurance_of_all():
    """A comparison is known no better than its weakest source."""
    found = executions.Execution((node(assurance=facts.Assurance.DOCUMENTED), node(1)))
    assert executions.check(found, "FR", 2).assurance is facts.Assurance.DECLARED


def test_an_attested_country_stands_for_nodes_without_one():
    """It is bound to the attempt; a node that says otherwise still contradicts."""
    at = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    result = executions.AttestationResult("tdx", "v", "1", ids.NO_DIGEST, at, at, ("location.country",), "FR")
    found = executions.Execution((node(country=None),), attested=result)
    check = executions.check(found, "FR", 2)
    assert (check.agreement, check.assurance) == (A.AGREES, facts.Assurance.ATTESTED)
    assert executions.check(found, "DE", 2).agreement is A.CONTRADICTS
    strange = dataclasses.replace(found, nodes=(node(1, "SG"),))
    assert executions.check(strange, "FR", 2).agreement is A.CONTRADICTS


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "n0",
        node(-1),
        node(2),
        node(True),
        node(node=""),
        node(node="a\nb"),
        executions.Whereabouts(0, "n0", country="FR", source=5),
    ],
)
def test_what_makes_no_sense_is_left_out(bad):
    """A rank that is none, a name that cannot be printed, a value of another type."""
    assert executions.bounded([bad, node(1)], 2) == (node(1),)


def test_malformed_values_are_not_kept_and_words_are_bounded():
    """A country or digest of another form says nothing; an adapter's word counts for documented at most."""
    found = executions.bounded(
        [node(country="france", image_digest="latest", node="x" * 300, assurance=facts.Assurance.ATTESTED)], 1
    )
    assert (found[0].country, found[0].image_digest, len(found[0].node)) == (None, None, executions.NODE_MAX)
    assert found[0].assurance is facts.Assurance.DOCUMENTED


@pytest.mark.parametrize("order", [1, -1])
def test_no_order_hides_a_country(order):
    """Two answers about one rank are both kept where their countries differ."""
    found = executions.bounded([node(), node(country="SG"), node(country=None)][::order], 1)
    assert [one.country for one in found] == ["FR", "SG"]


def test_what_was_seen_once_stays():
    """A later answer replaces the node and takes no country back; the same answer changes nothing."""
    first, later = (node(country="SG"),), (node(),)
    both = executions.merged(first, later)
    assert [one.country for one in both] == ["FR", "SG"]
    assert executions.merged(both, later) == executions.merged(both, first) == both
    assert executions.merged((node(node="old"),), (node(node="new"),)) == (node(node="new"),)
    assert executions.merged(both, ()) == both


def test_many_countries_of_one_rank_are_bounded():
    """A machine that names another country each time leaves four at most."""
    known = ()
    for letter in "ABCDEFGH":
        known = executions.merged(known, (node(country=f"A{letter}"),))
    assert len(known) == 4


def test_files_are_all_told_or_not_at_all():
    """A list that is too long, or has one that makes no sense, is none: it would look whole."""
    good = executions.OutputFile("b", 1, "sha256:" + "a" * 64)
    assert executions.bounded_outputs([good, executions.OutputFile("a", 0, "x")]) == (
        executions.OutputFile("a", 0, None),
        good,
    )
    assert executions.bounded_outputs([]) == ()
    assert executions.bounded_outputs(None) is None
    assert executions.bounded_outputs([good, executions.OutputFile("c", -1)]) is None
    many = [executions.OutputFile(str(at), 1) for at in range(executions.OUTPUTS_MAX + 1)]
    assert executions.bounded_outputs(many) is None
