"""What an attempt may cost: the highest bid for its longest run; reserved, and deposited, before it is made."""

from __future__ import annotations

import datetime as dt

from backends import records
from backends.akash import errors, settings
from orchestrator.domain import money
from orchestrator.ports import backends

LEAST_MICRO = money.MICRO // 2
"""The least deposit that the Console takes."""
SECONDS_MIN = 60


def seconds(placement: backends.SealedPlacement, wanted: settings.AkashSettings) -> int:
    """Return the longest run: what is left of the deadline, at most ``minutesMax``."""
    most = wanted.minutes_max * 60
    if placement.time_limit is not None:
        most = min(most, int(placement.time_limit.total_seconds()))
    return max(SECONDS_MIN, most)


def reserve(seconds: int, wanted: settings.AkashSettings, known: records.Records, now: dt.datetime) -> int:
    """Return the deposit of an attempt in millionths of a USD. Raises BackendError where a limit does not allow it.

    It pays for the longest run and for the time in which it may start. What was reserved is not given back within its
    month, so that the limit holds whatever the network tells later. Where the Console manages deposits itself it
    ignores ours: then what holds is that no higher bid is taken, and that the deployment is closed when its time is up.
    """
    paid = seconds + wanted.start_minutes * 60 + wanted.bid_seconds
    cost = max(LEAST_MICRO, -(-settings.micro(wanted.spend.per_hour) * paid // 3600))
    if cost > settings.micro(wanted.spend.per_job):
        text = f"it may cost {money.Money(cost, 'USD')}, and spend.perJob is {wanted.spend.per_job:g} USD"
        raise errors.elsewhere("spend", f"{text}: give it a time limit, or raise the limit")
    month = now.astimezone(dt.UTC)
    spent = known.reserved_micro((month.year, month.month))
    if spent + cost > settings.micro(wanted.spend.per_month):
        text = f"{money.Money(spent, 'USD')} are reserved this month, it may cost {money.Money(cost, 'USD')}"
        raise errors.elsewhere("spend", f"{text}, and spend.perMonth is {wanted.spend.per_month:g} USD")
    return cost
