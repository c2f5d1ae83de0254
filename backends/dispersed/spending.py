"""What an attempt may cost, reserved before it is created. A limit that cannot be reckoned is a refusal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from backends import records
from backends.dispersed import errors, settings, wire
from orchestrator.domain import money, sites
from orchestrator.ports import backends

_HOUR_MS = 3_600_000


def reserve(
    placement: backends.SealedPlacement,
    pools: Sequence[sites.Pool],
    wanted: settings.DispersedSettings,
    known: records.Records,
    now: dt.datetime,
) -> int:
    """Return what is to be reserved for an attempt, in millionths; 0 without limits. Raises BackendError.

    Preparing counts as running: what the network charges for it, it does not say. What was reserved is never given
    back within its month, so that the limit holds whatever the network tells later.
    """
    limits = wanted.spend
    if limits is None:
        return 0
    price = next((pool.price_per_hour for pool in pools if pool.name == placement.pool), None)
    if price is None:
        raise errors.elsewhere("no-price", f"pool {placement.pool} has no pricePerHour: its cost cannot be limited")
    if price.currency != limits.currency:
        raise errors.elsewhere(
            "no-price", f"pool {placement.pool} is priced in {price.currency}, not {limits.currency}"
        )
    chips = placement.spec.resources.accelerators
    longest_ms = wire.START_MS + wire.run_ms(placement, wanted)
    cost = -(-price.micro * max(1, chips.count if chips is not None else 1) * longest_ms // _HOUR_MS)
    if cost > limits.per_job * money.MICRO:
        raise errors.elsewhere(
            "spend", f"it may cost {money.Money(cost, price.currency)}, and perJob is {limits.per_job} {price.currency}"
        )
    month = now.astimezone(dt.UTC)
    spent = known.reserved_micro((month.year, month.month))
    if spent + cost > limits.per_month * money.MICRO:
        text = f"{money.Money(spent, price.currency)} are reserved this month, it may cost"
        more = f"{money.Money(cost, price.currency)}, and perMonth is {limits.per_month} {price.currency}"
        raise errors.elsewhere("spend", f"{text} {more}")
    return cost
