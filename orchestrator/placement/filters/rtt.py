"""Is the site near enough?"""

from __future__ import annotations

from collections.abc import Hashable

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class RoundTripTime(base.Filter):
    """``limits.rtt``: the round-trip time to the site is above ``limits.rttMs``.

    Measured from ``latencyFrom``, else from where the first data set lies. ``limits.rtt.unknown``: nobody stated the
    distance, or the origin. A short distance is not guessed, not even within one country. Distances are dated data
    that ship with Comity, and files that the operator names (``comity serve --distances``).
    """

    name = "limits.rtt"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        limit = question.requirement.rtt_ms_max
        # An unknown distance is NaN, which is not below any limit.
        return None if limit is None else ~(table.rtt_ms(question) <= limit)

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        limit, origin = question.requirement.rtt_ms_max, question.requirement.latency_from
        if limit is None:
            return None
        location = row.site.location
        place = question.measured(location.region, location.country)
        distance = None if place is None else question.distances.places.get(place)
        if distance is None or place is None:
            place = location.region or location.country or "an unknown place"
            message = f"the round-trip time from {origin or 'an unknown place'} to {place} is not known"
            remedy = base.change_job("ask for no limits.rttMs" if origin else "state latencyFrom")
            return base.deny(f"{self.name}.unknown", message, remedy=remedy)
        if distance <= limit:
            return None
        return base.deny(
            self.name,
            f"the round-trip time from {origin} to {place} is {distance:g} ms; the limit is {limit} ms",
            remedy=base.change_job(f"raise limits.rttMs to {-(-distance // 1):g}"),
            cited=(_cited(question.distances, place, distance),),
        )

    def reads(self, row: rows.Row) -> Hashable:
        """See the base."""
        return row.site.location.region, row.site.location.country


def _cited(distances: requirements.Distances, place: str, ms: float) -> reasons.FactCitation:
    stamp = distances.stamps.get(place, distances.stamp)
    return reasons.FactCitation(
        f"rtt[{distances.origin}, {place}]",
        f"{ms:g} ms",
        source=stamp.source,
        as_of=stamp.as_of,
        valid_to=stamp.valid_to,
        assurance=stamp.assurance,
    )
