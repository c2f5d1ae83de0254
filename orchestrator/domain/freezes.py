"""What a stop of new placements covers, and how it says so."""

from __future__ import annotations

from orchestrator.domain import sites


def touch(frozen: sites.Frozen, site: sites.Site) -> str | None:
    """Return by what a stop covers a site, as a sentence; None: it does not.

    A country is touched by whatever lies or is ruled there: the machines, their logs, who administers them, the
    operator and its ultimate parent. Where that is not said of a site it may be there.
    """
    if frozen.backend not in (None, site.backend) or frozen.operator not in (None, site.operator_name):
        return None
    if frozen.country is None:
        return "it is one of those that were named" if frozen.backend or frozen.operator else "everything is stopped"
    operator = site.operator
    ways = (
        ((site.location.country,), "it lies there", "it may lie there: its country is not stated"),
        ((site.log_store.country,), "its logs lie there", "its logs may lie there: logStore is not stated"),
        (
            (operator and operator.legal_country,),
            "its operator has its seat there",
            "its operator may have its seat there: legalCountry is not stated",
        ),
        (
            (operator and operator.ultimate_parent_hq,),
            "its operator's ultimate parent has its headquarters there",
            "its operator's ultimate parent may have its headquarters there: ultimateParentHq is not stated",
        ),
        (
            site.admin_from or (None,),
            "it is administered from there",
            "it may be administered from there: adminFrom is not stated",
        ),
    )
    known = next((sure for countries, sure, _ in ways if frozen.country in countries), None)
    return known or next((unsure for countries, _, unsure in ways if None in countries), None)


def words(frozen: sites.Frozen) -> str:
    """Return what a stop covers, as the command line has it: ``--country FR``; "" is everything."""
    parts = (("backend", frozen.backend), ("operator", frozen.operator), ("country", frozen.country))
    return " ".join(f"--{name} {value}" for name, value in parts if value is not None)
