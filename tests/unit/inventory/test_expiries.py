"""What ends first: facts, papers and claims alike, told 30, 7 and 1 days before."""

import dataclasses
import datetime as dt

import pytest

from orchestrator.domain import claims, ids
from orchestrator.inventory import expiries
from tests.unit.inventory.test_claimants import OPERATOR, made

TODAY = dt.date(2026, 11, 22)


def claim(path, days):
    return claims.Claim(path, ids.NO_DIGEST, valid_to=None if days is None else TODAY + dt.timedelta(days=days))


@pytest.mark.parametrize(("days", "threshold"), [(40, None), (29, 30), (6, 7), (0, 1)])
def test_all_that_ends_is_told_the_first_first(days, threshold):
    """One that ended before is no news, one without an end never is."""
    given = [claim("b", 300), claim("a", days), claim("c", -1), claim("d", None), claim("a", days)]
    first, second = expiries.of_claims(given, TODAY)
    assert (first.what, first.threshold(TODAY)) == ("claims[a]", threshold)
    assert (second.what, second.threshold(TODAY)) == ("claims[b]", None)


def test_nothing_that_ends_is_nothing():
    """No claims, or none with an end that is to come."""
    assert expiries.of_claims([claim("c", -1), claim("d", None)], TODAY) == []


def test_a_claim_of_the_operator_ends_for_its_backends():
    """What a site rests on is told of its backend, whoever declared it; what two sites share, once."""

    @dataclasses.dataclass
    class World:
        sites: tuple

    site = dataclasses.replace(made(), claims=(claim("operator.facts", 5), claim("backend.facts", 9)))
    found = expiries.of_backends(World((site, site)), TODAY)
    assert OPERATOR.name == site.operator_name
    assert [one.what for one in found["gra"]] == ["claims[operator.facts]", "claims[backend.facts]"]
