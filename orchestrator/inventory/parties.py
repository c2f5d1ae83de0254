"""Who is named besides operators: what lists say of tenants, controllers and end users, and where a control plane sits.

No rule of the table refuses them; what is found here is a caveat of every answer (``caveat.listed-parties``). A tenant
and an end user are names only, so nothing identifies them; a controller that is a registered operator has its number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from orchestrator.domain import listings, sites, tenants
from orchestrator.inventory import screeners

FOUND_MAX = 16
"""Entries told of one party: a name that meets everything says no more with the seventeenth."""

DataSets = Mapping[str, Mapping[str, tenants.DataSet]]


def tenant(found: tenants.Tenant, screener: screeners.Screener | None) -> tenants.Tenant:
    """Return a tenant with the entries that it may be, by its name."""
    listed = _by_name(found.name, "the tenant", screener)
    return dataclasses.replace(found, listed=listed) if listed else found


def data_sets(
    declared: DataSets, screenings: Mapping[str, listings.Screening], screener: screeners.Screener | None
) -> DataSets:
    """Return the data sets, each with the entries that its controller or the end users of its licences may be."""
    if screener is None:
        return declared
    return {
        owner: {name: _data_set(one, screenings, screener) for name, one in whose.items()}
        for owner, whose in declared.items()
    }


def _data_set(
    data: tenants.DataSet, screenings: Mapping[str, listings.Screening], screener: screeners.Screener
) -> tenants.DataSet:
    controller = screenings.get(data.controller.operator or "")
    listed = _told(controller, f"the controller of {data.name}") if controller is not None else ()
    users = {user for item in data.export_control for licence in item.licences for user in licence.end_users}
    for user in sorted(users):
        listed += _by_name(user, f"end user of {data.name}", screener)
    return dataclasses.replace(data, listed=listed[:FOUND_MAX]) if listed else data


def control_plane(
    plane: tenants.ControlPlane | None,
    operators: Mapping[str, sites.Operator],
    screenings: Mapping[str, listings.Screening],
) -> tenants.ControlPlane | None:
    """Return the control plane with the countries of who runs it, and the entries that this operator may be.

    Whoever sits somewhere is bound by what binds there.
    """
    operator = operators.get(plane.operator or "") if plane is not None else None
    if plane is None or operator is None:
        return plane
    found = {operator.legal_country, operator.ultimate_parent_hq} - {None}
    screened = screenings.get(operator.name)
    listed = _told(screened, "the operator of the control plane") if screened is not None else ()
    return dataclasses.replace(plane, seats=tuple(sorted(str(code) for code in found)), listed=listed)


def _by_name(name: str, role: str, screener: screeners.Screener | None) -> tuple[str, ...]:
    return _told(screener.of(sites.Operator(name)), role) if screener is not None else ()


def _told(found: listings.Screening, role: str) -> tuple[str, ...]:
    """Return one line a match of the party itself, certain ones first; one that a person cleared is none."""
    cleared = {(one.list, one.entry, one.party) for one in found.answered if not one.same}
    own = [hit for hit in (*found.identified, *found.reviews) if hit.percent is None]
    still = [hit for hit in own if (hit.list, hit.entry, hit.party) not in cleared]
    return tuple(f"{role} {hit.party}: {hit.list}:{hit.entry} by {hit.by}" for hit in still[:FOUND_MAX])
