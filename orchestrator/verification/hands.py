"""How many results are independent: the most of them that differ from each other in every field at once.

With one field that is the number of different values. With two it is a matching in the graph whose edges are the
results, from operator to country (augmenting paths, Kuhn 1955; Berge 1957); a count by greed could fall when a
result is added, and an accepted answer would be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.domain import jobs, sites
from orchestrator.verification import results


def is_known(result: results.Result, fields: Iterable[jobs.Distinct]) -> bool:
    """Say whether all is known that a result must differ in; what is not known counts as nobody's hand."""
    return all(result.hand(field) for field in fields)


def independent(found: Iterable[results.Result], fields: frozenset[jobs.Distinct]) -> int:
    """Return how many of ``found`` are pairwise different in every one of ``fields``; all of them without fields."""
    known = [one for one in found if is_known(one, fields)]
    if not fields:
        return len(known)
    if len(fields) == 1:
        (field,) = fields
        return len({one.hand(field) for one in known})
    return matching((one.operator or "", one.country or "") for one in known)


def matching(pairs: Iterable[tuple[str, str]]) -> int:
    """Return the size of a largest set of pairs of which no two share their first or their second half."""
    ways: dict[str, list[str]] = {}
    for left, right in pairs:
        ways.setdefault(left, []).append(right)
    taken: dict[str, str] = {}

    def place(left: str, tried: set[str]) -> bool:
        for right in ways[left]:
            if right not in tried:
                tried.add(right)
                if right not in taken or place(taken[right], tried):
                    taken[right] = left
                    return True
        return False

    return sum(place(left, set()) for left in ways)


def of_operator(name: str | None, operators: Mapping[str, sites.Operator]) -> str | None:
    """Return who has the last word over an operator: its majority owner, and that one's, as far as documents say.

    Two subsidiaries are one hand. An operator that is not declared is nobody's: None. Who owns an operator is what
    its document says; where it says nothing, the operator is taken for its own.
    """
    above: list[str] = []
    while name is not None and name in operators and name not in above:
        above.append(name)
        name = next((owner.name for owner in operators[name].owners.list if owner.percent > 50), None)
    if not above:
        return None
    if name in above:
        return min(above[above.index(name) :])  # documents that name each other as owners: one hand
    return name or above[-1]  # an owner need not be declared
