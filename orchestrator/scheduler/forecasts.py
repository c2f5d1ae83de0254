"""What a verified job would meet: hands enough or not, who is trusted, the price, and how often a wrong answer passes.

Which places are drawn nobody knows before: the price is that of some draws, with the least and the most of them.
"""

from __future__ import annotations

import fractions
import statistics
from collections.abc import Sequence

from orchestrator.domain import decisions, ids, jobs, money, sites
from orchestrator.scheduler import families
from orchestrator.scheduler import worlds as scheduler_worlds
from orchestrator.verification import draws, odds, receipts, results
from orchestrator.verification import families as rules

DRAWS = 16
_KEY = bytes(draws.KEY_BYTES_MIN)
"""Any key: what it draws is an example."""


def forecast(
    wanted: jobs.Verification,
    answer: decisions.Answer,
    all_sites: Sequence[sites.Site],
    world: scheduler_worlds.World,
) -> receipts.Forecast:
    """Return what is to be expected, from the answer that its class got."""
    by_name = {site.name: site for site in all_sites}
    candidates = [families.candidate(by_name[name], world.operators) for name in answer.ranking if name in by_name]
    trusted = families.trusted(world)
    request = results.request(wanted, ids.NO_DIGEST)
    children = {number: rules.Child(waits=True) for number in range(wanted.replicas)}
    prices = {one.site: one.price_per_hour for one in answer.sites}
    why, found = None, []
    for number in range(DRAWS):
        drawn = families.drawn(_KEY, f"example/{number}", request, children, candidates, trusted)
        if isinstance(drawn, str):
            why = drawn
            break
        found.append([prices.get(ids.SiteName(site)) for site in drawn.values()])
    own = tuple(ids.SiteName(one.site) for one in candidates if trusted is not None and one.operator == trusted)
    strangers = draws.room([one for one in candidates if one.operator != trusted], wanted.distinct)
    hands = strangers if strangers >= wanted.replicas else draws.room(candidates, wanted.distinct)
    referee = prices.get(own[0]) if own else None
    return receipts.Forecast(
        wanted=wanted,
        hands=hands,
        trusted=own,
        why=why,
        price=_price(found, wanted, referee),
        prices_trusted=not own or referee is not None,
        passes=_passes(request, wanted, hands),
    )


def _price(
    found: Sequence[Sequence[money.Money | None]], wanted: jobs.Verification, referee: money.Money | None
) -> receipts.Price | None:
    rate = fractions.Fraction(str(wanted.spot_check))
    made = []
    for each in found:
        known = [one for one in each if one is not None]
        one = receipts.price(known, referee, (rate.numerator, rate.denominator)) if len(known) == len(each) else None
        if one is None:
            return None
        made.append(one)
    if len({one.least.currency for one in made}) != 1:
        return None
    currency = made[0].least.currency
    cent = money.MICRO // 100
    expected = round(statistics.fmean(one.expected.micro for one in made) / cent) * cent
    least, most = min(one.least.micro for one in made), max(one.most.micro for one in made)
    return receipts.Price(*(money.Money(micro, currency) for micro in (least, expected, most)))


def _passes(request: results.Request, wanted: jobs.Verification, hands: int) -> tuple[tuple[int, float], ...]:
    if hands < wanted.replicas or wanted.distinct != frozenset({jobs.Distinct.OPERATOR}):
        return ()  # the figures are for hands that are operators, drawn alike
    rate = fractions.Fraction(str(wanted.spot_check))
    chances = (
        odds.colluding(request, operators=hands, colluders=count, rate=rate) for count in range(1, min(hands, 2) + 1)
    )
    return tuple((number, float(one.accepted_wrong)) for number, one in enumerate(chances, 1))
