"""What a stop of new placements covers, and how it says so."""

from __future__ import annotations

from orchestrator.domain import sites


def touch(frozen: sites.Frozen, site: sites.Site) -> str | None:
    """Return by what a stop covers a site, as a sentence; None: it does not.

    A country is touched by whatever lies or is ruled there: the machines, their logs, who administers them, the
    operator and its ultimate parent. A site that does not say where it lies may lie there.
    """
    if frozen.backend not in (None, site.backend) or frozen.operator not in (None, site.operator_name):
        return None
    if frozen.country is None:
        return "it is one of those that were named" if frozen.backend or frozen.operator else "everything is stopped"
    operator = site.operator
    ways = (
        (site.location.country or frozen.country, "it lies there" if site.location.country else "it may lie there"),
        (site.log_store.country, "its logs lie there"),
        (operator and operator.legal_country, "its operator has its seat there"),
        (operator and operator.ultimate_parent_hq, "its operator's ultimate parent has its headquarters there"),
        *((country, "it is administered from there") for country in site.admin_from),
    )
    return next((text for country, text in ways if country == frozen.country), None)


def words(frozen: sites.Frozen) -> str:
    """Return what a stop covers, as the command line has it: ``--country FR``; "" is everything."""
    parts = (("backend", frozen.backend), ("operator", frozen.operator), ("country", frozen.country))
    return " ".join(f"--{name} {value}" for name, value in parts if value is not None)
