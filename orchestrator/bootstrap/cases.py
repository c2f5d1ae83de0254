"""Reads the whole documents of a policy case into what is judged, as the server would, without a server.

In ``job:`` stand the Job and, if the case needs them, its Tenant, its DataSets and the ControlPlane; in ``backend:``
the Backend and its Operator. What a case leaves out is not part of it, but for facts that the rules ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.bootstrap import catalogues
from orchestrator.domain import jobs, sites, tenants
from orchestrator.inventory import assembly, claimants, presentations, sightings, worlds
from orchestrator.policy import attributes, conversions
from orchestrator.wire import errors
from orchestrator.wire.convert import jobs as job_conversion
from orchestrator.wire.convert import places
from orchestrator.wire.documents import reading

Documents = Sequence[Mapping[str, Any]]
Reader = Callable[[Documents, Documents], tuple[attributes.JobAttributes, Sequence[attributes.SiteAttributes]]]

_ASKING = frozenset({"Job", "Tenant", "DataSet", "ControlPlane"})
_PLACES = frozenset({"Backend", "Operator"})


def reader() -> Reader:
    """Return the function that ``policy.cases.read`` takes; it raises ValueError with every problem."""
    catalogue = catalogues.ShippedCatalogue()

    def read(asking: Documents, places_: Documents) -> tuple[attributes.JobAttributes, list[attributes.SiteAttributes]]:
        found = _values(asking, "job", _ASKING)
        there = _values(places_, "backend", _PLACES)
        specs = list(found["Job"].values())
        if len(specs) != 1:
            raise ValueError(f"`job` needs exactly one Job, not {len(specs)}")
        if len(found["Tenant"]) > 1 or len(found["ControlPlane"]) > 1:
            raise ValueError("`job` takes at most one Tenant and one ControlPlane")
        # A case has no trust list: the claims of its documents are refused.
        operators, plane, proofs = claimants.prove(
            claimants.NOBODY,
            presentations.Presented(),
            there["Operator"],
            next(iter(found["ControlPlane"].values()), None),
        )
        job = conversions.of_job(
            specs[0],
            tenant=next(iter(found["Tenant"].values()), None),
            datasets=found["DataSet"],
            control_plane=plane,
        )
        rows = [
            conversions.of_site(site)
            for backend in there["Backend"].values()
            for site in _sites(backend, operators, catalogue, proofs)
        ]
        return job, rows

    return read


def _sites(
    backend: sites.Backend,
    operators: Mapping[str, sites.Operator],
    catalogue: catalogues.ShippedCatalogue,
    proofs: claimants.Proofs,
) -> tuple[sites.Site, ...]:
    """Return the sites of the declared pools; one that stands for any where no pool is declared."""
    seen = sightings.Facts(capabilities=None, pools=(sites.Pool("any"),), isolation_none=frozenset())
    return assembly.sites_of(
        backend,
        operators=operators,
        seen=seen,
        catalogue=catalogue,
        owner_tenant=worlds.DEFAULT_TENANT,
        proofs=proofs,
    )


def _values(documents: Documents, where: str, kinds: frozenset[str]) -> dict[str, dict[str, Any]]:
    """Return domain values by kind and name."""
    found: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    problems: list[str] = []
    for number, document in enumerate(documents):
        try:
            one = reading.read(dict(document))
        except errors.InvalidDocumentError as error:
            problems += [f"{where}[{number}]: {each.render()}" for each in error.errors]
            continue
        if one.kind not in kinds:
            problems.append(f"{where}[{number}]: {one.kind} does not belong here, only {', '.join(sorted(kinds))}")
        elif one.name in found[one.kind]:
            problems.append(f"{where}[{number}]: {one.kind} {one.name} stands here twice")
        else:
            found[one.kind][one.name] = _value(one.kind, one.model)
    if problems:
        raise ValueError("; ".join(problems))
    return found


def _value(
    kind: str, model: Any
) -> jobs.JobSpec | tenants.Tenant | tenants.DataSet | tenants.ControlPlane | sites.Backend | sites.Operator:
    match kind:
        case "Job":
            return job_conversion.job_spec(model)
        case "Tenant":
            return places.tenant(model)
        case "DataSet":
            return places.data_set(model, tenant=worlds.DEFAULT_TENANT)
        case "ControlPlane":
            return places.control_plane(model)
        case "Backend":
            return places.backend(model)
        case _:
            return places.operator(model)
