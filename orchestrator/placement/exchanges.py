"""What an answer has to say about prices in other currencies: a caveat that names the rate, shown, never counted."""

from __future__ import annotations

from orchestrator.domain import facts, money, reasons
from orchestrator.placement import requirements, rows

CAVEATS = {"caveat.price-converted": "by which dated rate, of whom, the price was turned into the limit's currency"}
"""What every answer may carry about prices, for the reference."""


def caveats(question: requirements.Question, row: rows.Row) -> tuple[reasons.Reason, ...]:
    """Return by which rate the site's price was compared; nothing where it needed none, or there is none."""
    price = row.site.price_per_hour
    rate = None if price is None else question.rate_of(price.currency)
    if price is None or rate is None:
        return ()
    message = f"its price of {price} is compared at {_units(rate)}, good to {rate.valid_to or 'any day'}"
    effect, basis = reasons.Effect.CAVEAT, reasons.Basis.DILIGENCE
    return (reasons.Reason("caveat.price-converted", effect, basis, message, (cited(rate),)),)


def cited(rate: requirements.Rate) -> reasons.FactCitation:
    """Return a rate as a dated fact."""
    return reasons.FactCitation(
        f"rates.{rate.base}.{rate.quote}",
        _units(rate),
        rate.source,
        rate.valid_from,
        rate.valid_to,
        facts.Assurance.DOCUMENTED if rate.source else facts.Assurance.DECLARED,
    )


def _units(rate: requirements.Rate) -> str:
    return f"{money.Money(rate.micro, rate.quote)} a {rate.base}"
