"""Who belongs to the sets that documents may name, written down once more by hand, with days on and beside each border.

Rules of the packs read few of them, so no decision shows a member that is missing; a person who writes ``NATO`` means
all of it. The groups of export control are those of the literal tables.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from orchestrator.policy import rulebook
from tests.oracle.literal import tables

Day = dt.date

_EU_FIRST = tables.codes("AT BE DE DK ES FI FR GR IE IT LU NL PT SE")
_EU_JOINED = {
    Day(2004, 5, 1): tables.codes("CY CZ EE HU LT LV MT PL SI SK"),
    Day(2007, 1, 1): tables.codes("BG RO"),
    Day(2013, 7, 1): tables.codes("HR"),
}
_NATO_FIRST = tables.codes("AL BE BG CA CZ DE DK EE ES FR GB GR HR HU IS IT LT LU LV NL NO PL PT RO SI SK TR US")
_NATO_JOINED = {
    Day(2017, 6, 5): tables.codes("ME"),
    Day(2020, 3, 27): tables.codes("MK"),
    Day(2023, 4, 4): tables.codes("FI"),
    Day(2024, 3, 7): tables.codes("SE"),
}
_SEATS = {"GB": "uk", "US": "us", "CN": "cn"}
_EFTA = tables.codes("CH IS LI NO")
_CLASSES = tables.PERSONAL | tables.codes(
    "payment important core gov-secret gov-restricted us-gov-related model industrial open"
)
DAYS = tuple(
    border + dt.timedelta(days=shift)
    for border in (
        *(*_EU_JOINED, *_NATO_JOINED, tables.AE_MOVED, tables.CAMBODIA_LEFT),
        *(end + dt.timedelta(days=1) for end in tables.SUPPLEMENT_8_TO.values() if end != tables.NEVER_ENDS),
    )
    for shift in (-1, 0)
)


def expected(day: Day) -> dict[str, frozenset[str]]:
    """Return the members of each set on a day."""
    return {
        "eu27": _EU_FIRST.union(*(who for since, who in _EU_JOINED.items() if since <= day)),
        "nato": _NATO_FIRST.union(*(who for since, who in _NATO_JOINED.items() if since <= day)),
        "efta": _EFTA,
        "five-eyes": tables.FIVE_EYES,
        "data-classes": _CLASSES,
        "ear-a5": tables.a5(day),
        "ear-a6": tables.A6,
        "ear-d1": tables.D1,
        "ear-d4": tables.d4(day),
        "ear-d5": tables.d5(day),
        "ear-supplement-8": frozenset(
            who for who, end in tables.SUPPLEMENT_8_TO.items() if tables.SUPPLEMENT_8_FROM <= day <= end
        ),
    }


def seats(day: Day) -> dict[str, str]:
    """Return by country of seat the sanctions regime that binds whoever sits there: all of the EU by that of the EU.

    The scope clause binds persons of whoever is a member now; the set keeps no days of accession, which lie before
    every regime that a list can carry.
    """
    return dict.fromkeys(expected(max(day, *DAYS))["eu27"], "eu") | _SEATS


def wrong(book: rulebook.RuleBook) -> Iterator[str]:
    """Yield each set that has other members on some day."""
    for day in DAYS:
        found = book.facts.on(day).sets
        for name, members in expected(day).items():
            if name not in found or found[name].codes != members:
                yield f"{name} on {day}"
        bound = found["sanction-seats"].members if "sanction-seats" in found else {}
        if {value: member.condition for value, member in bound.items()} != seats(day):
            yield f"sanction-seats on {day}"
