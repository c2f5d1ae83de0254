"""Whose hand an operator is."""

import pytest

from orchestrator.domain import sites
from orchestrator.verification import hands


def operator(name, *owners):
    return sites.Operator(
        name, owners=sites.Owners(100.0, tuple(sites.Owner(who, "FR", share) for who, share in owners))
    )


DECLARED = {
    one.name: one
    for one in (
        operator("alone"),
        operator("daughter", ("mother", 51.0), ("fund", 49.0)),
        operator("mother", ("grandmother", 100.0)),
        operator("half", ("mother", 50.0), ("fund", 50.0)),
        operator("abroad", ("nobody-declared", 80.0)),
        operator("ring", ("gnir", 90.0)),
        operator("gnir", ("ring", 90.0)),
    )
}


@pytest.mark.parametrize(
    ("name", "hand"),
    [
        ("alone", "alone"),
        ("daughter", "grandmother"),
        ("mother", "grandmother"),
        ("half", "half"),
        ("abroad", "nobody-declared"),
        ("unknown", None),
        (None, None),
    ],
)
def test_a_majority_owner_has_the_last_word(name, hand):
    """As far as documents say; whoever is not declared is nobody's hand."""
    assert hands.of_operator(name, DECLARED) == hand


def test_two_that_own_each_other_are_one_hand():
    """A circle is a mistake of documents; it does not hang, and counts as little as it can."""
    assert hands.of_operator("ring", DECLARED) == hands.of_operator("gnir", DECLARED) == "gnir"
    below = {**DECLARED, "below": operator("below", ("ring", 100.0))}
    assert hands.of_operator("below", below) == "gnir"
