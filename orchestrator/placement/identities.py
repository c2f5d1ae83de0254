"""What an answer has to say about a backend's identity besides refusals: caveats, shown and stored, never counted."""

from __future__ import annotations

from orchestrator.domain import reasons, sites

CAVEATS = {
    "caveat.identity-unpinned": "nothing recognises the backend again: it was not met yet, or its adapter cannot tell",
    "caveat.identity-shared:<other>": "two backends of the same facts are one: its room may be counted twice",
}
"""What every answer may carry about identities, for the reference."""


def caveats(site: sites.Site) -> tuple[reasons.Reason, ...]:
    """Return what is not known about who a site is, or is the same as another's."""
    if site.identity is None:
        return _UNPINNED
    return tuple(
        _caveat(
            f"caveat.identity-shared:{other}",
            f"{site.backend} and {other} are one and the same: what is free there may be counted twice",
        )
        for other in site.identity.agrees
    )


def _caveat(code: str, message: str) -> reasons.Reason:
    return reasons.Reason(code, reasons.Effect.CAVEAT, reasons.Basis.DILIGENCE, message)


_UNPINNED = (
    _caveat("caveat.identity-unpinned", "nothing recognises this backend again, should another answer in its place"),
)
