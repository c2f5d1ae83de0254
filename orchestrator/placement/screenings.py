"""What an answer has to say about sanctions lists besides its refusals: caveats, shown and stored, never counted."""

from __future__ import annotations

from orchestrator.domain import reasons, sites

CAVEATS = {
    "caveat.lists-none": "no sanctions list is loaded, so nobody looked; embargoes hold anyway",
    "caveat.listed:<list>:<entry>": "which entry of which list the operator, or an owner, is, and how it was found",
    "caveat.owners-unknown": "owners that nobody states could make the listed share 50 %",
}
"""What every answer may carry about lists, for the reference."""

HALF = 50.0
"""Percent of listed owners from which the operator itself counts as listed."""


def caveats(site: sites.Site) -> tuple[reasons.Reason, ...]:
    """Return what the lists do not say, and which entry a site's operator is."""
    found = site.screening
    if found is None or not found.configured:
        return _NO_LISTS
    made = [
        _caveat(
            f"caveat.listed:{hit.list}:{hit.entry}",
            f"{hit.party} is {hit.entry_name!r} of {hit.list} (regime {hit.regime}), by {hit.by}"
            + ("" if hit.percent is None else f"; it owns {hit.percent:g} % of the operator"),
            reasons.FactCitation(f"lists.{hit.list}.{hit.entry}", hit.matched, source=", ".join(hit.programs) or None),
        )
        for hit in found.identified
    ]
    if found.consulted and site.operator is not None and found.may_reach(HALF):
        text = (
            f"nobody states who owns {found.unknown_percent:g} % of {site.operator_name}: "
            f"that listed parties together own less than {HALF:g} % is not proved"
        )
        made.append(_caveat("caveat.owners-unknown", text))
    return tuple(made)


def _caveat(code: str, message: str, *cited: reasons.FactCitation) -> reasons.Reason:
    return reasons.Reason(code, reasons.Effect.CAVEAT, reasons.Basis.DILIGENCE, message, cited)


_NO_LISTS = (
    _caveat(
        "caveat.lists-none",
        "no sanctions list is loaded: nobody looked whether the operator or its owners are listed",
    ),
)
