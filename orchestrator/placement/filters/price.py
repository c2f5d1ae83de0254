"""Does the job cost no more than it may?"""

from __future__ import annotations

from collections.abc import Hashable

from orchestrator.domain import reasons
from orchestrator.placement import columns, exchanges, requirements, rows
from orchestrator.placement.filters import base


class Price(base.Filter):
    """``limits.price``: an hour of the whole job costs more than ``limits.pricePerHour``.

    The price is the pool's price per accelerator and hour, times accelerators, times nodes (per node where the pool
    has no accelerator); of an array, of one element. ``limits.price.unknown``: the pool states none.
    ``limits.price.unknown-currency``: it is in another currency and no dated exchange rate is known. Raise the limit,
    state a price, or add a rate.
    """

    name = "limits.price"
    priced = True

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        limit = question.requirement.price_per_hour_max
        if limit is None:
            return None
        unit = table.unit_price(question)
        with_accelerator = limit.micro // max(question.requirement.billed_units(True), 1)
        without = limit.micro // max(question.requirement.billed_units(False), 1)
        too_dear = unit > with_accelerator
        if with_accelerator != without:
            too_dear &= table.has_accelerator
            too_dear |= (unit > without) & ~table.has_accelerator
        too_dear |= unit < 0
        return too_dear

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        limit, stated = question.requirement.price_per_hour_max, row.site.price_per_hour
        if limit is None:
            return None
        cited: tuple[reasons.FactCitation, ...] = (base.cite(row.site, "backend.pools[].pricePerHour", stated),)
        if stated is None:
            remedy = base.fix_backend(f"state pricePerHour of {row.site.name}")
            message = f"the job may cost {limit} an hour and the pool states no price"
            return base.deny(f"{self.name}.unknown", message, remedy=remedy, cited=cited)
        price, rate = rows.price_per_hour(row.site, question), question.rate_of(stated.currency)
        cited += (exchanges.cited(rate),) if rate is not None else ()
        if price is None:
            remedy = base.change_job(
                f"state the limit in {stated.currency}, or have a rate of today given to the server"
            )
            message = f"no dated rate from {stated.currency} to {limit.currency} is known on {question.day}"
            return base.deny(f"{self.name}.unknown-currency", message, remedy=remedy, cited=cited)
        if price.micro <= limit.micro:
            return None
        remedy = base.change_job(f"raise limits.pricePerHour to {price}")
        return base.deny(self.name, f"the job costs {price} an hour; its limit is {limit}", remedy=remedy, cited=cited)

    def reads(self, row: rows.Row) -> Hashable:
        """See the base."""
        site = row.site
        name = site.name if site.price_per_hour is None else None
        return site.price_per_hour, site.accelerator is not None, name, site.facts
