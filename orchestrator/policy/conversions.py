"""From documents to what rules read: the attributes of a job and of a site.

``of_job`` merges the tenant's floor and tier (a job may only tighten them), adds what the data was derived from, and
turns the control plane into places. ``of_site`` applies the scope of certificates, derives the class of accelerators
and collects every country that reaches the operator. Nothing is judged here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.domain import facts, jobs, policies, sites, tenants
from orchestrator.policy import accelerators, attributes, constraints, screening, tallies


def of_site(site: sites.Site) -> attributes.SiteAttributes:
    """Return what rules read of a site. A log store nobody stated lies at the site itself (and is a caveat)."""
    operator = site.operator
    merged = screening.merged(operator, site.screening) if operator and site.screening else operator
    made = attributes.SiteAttributes(
        name=str(site.name),
        country=site.location.country,
        subdivision=site.location.subdivision,
        region=site.location.region,
        region_pinned=site.location.region_pinned_by_contract,
        service=site.service,
        places=_site_places(site),
        admin_from=site.admin_from,
        operator=site.operator_name,
        legal_country=operator.legal_country if operator else None,
        parent_hq=operator.ultimate_parent_hq if operator else None,
        frameworks=frozenset(operator.transfer_frameworks) if operator else frozenset(),
        reach=_reach(operator, site.admin_from),
        owners_coverage=operator.owners.coverage if operator else None,
        # In one order, so that sites which say the same in another order share a value of the column.
        certs=tuple(sorted((_certificate(cert, site) for cert in site.certifications), key=repr)),
        evidence=tuple(_evidence(each) for each in site.evidence),
        accepts_countries=site.accepts.tenant_countries,
        accepts_deny_classes=frozenset(site.accepts.deny_classes),
        accepts_types=None if site.accepts.types is None else frozenset(t.value for t in site.accepts.types),
        facts_valid_to=site.facts_valid_to,
        log_store_country=site.log_store.country,
        log_retention_days=site.log_retention_days,
        assurance=min(earned(site.facts).assurance, earned(operator.facts).assurance if operator else DECLARED),
        backend_stamp=earned(site.facts),
        operator_stamp=earned(operator.facts) if operator else facts.FactStamp(),
        listed=merged.listed if merged else None,
        listed_percent=merged.listed_ownership_percent if merged else None,
        stated_listed=operator.listed if operator else None,
        stated_listed_percent=operator.listed_ownership_percent if operator else None,
        listed_by=screening.listed_by(site.screening) if site.screening else frozenset(),
        bound_by=_bound_by(operator),
        barred=_barred(operator),
        seats=seats(
            site.location.country,
            *((operator.legal_country, operator.ultimate_parent_hq) if operator else ()),
            *site.admin_from,
            us_person=operator.us_person if operator else None,
        ),
        affiliates_percent=site.screening.affiliates_percent if site.screening is not None else None,
        us_person=operator.us_person if operator else None,
        covered_person=operator.covered_person if operator else None,
        supp8=operator.ear_supplement8 if operator else None,
        in_service_since=site.in_service_since,
        state_funded=site.china_state_funded,
        seal=tuple(sorted(site.seal)),
        attested=_attested(site.attested),
        claims=site.claims,
        blames=len(site.blames),
        blamed_on=site.blames[-1].at.date() if site.blames else None,
    )
    return made if site.accelerator is None else _with_accelerator(made, site.accelerator, site.accelerator_model)


def _with_accelerator(
    made: attributes.SiteAttributes, name: str, model: sites.Accelerator | None
) -> attributes.SiteAttributes:
    if model is None:
        # Nobody knows the model: it is subject to the EAR until somebody says otherwise, and its TPP is unknown.
        return dataclasses.replace(made, accelerator=name)
    tpp = accelerators.tpp((each.tops, each.bits) for each in model.performances)
    density = accelerators.density(tpp, model.die_area_mm2)
    return dataclasses.replace(
        made,
        accelerator=name,
        vendor_hq=model.vendor_hq,
        tpp=tpp,
        ear_class=accelerators.ear_class(tpp, density, datacenter=model.datacenter),
        is_informed=model.is_informed,
        us_subject=model.us_subject,
        accelerator_mark=model.mark,
    )


def _attested(found: sites.Attested | None) -> attributes.Attested | None:
    if found is None:
        return None
    return attributes.Attested(found.tee, found.verified, found.at, until=found.until, covers=frozenset(found.covers))


def _site_places(site: sites.Site) -> tuple[attributes.Place, ...]:
    places = [attributes.Place(code, "backend.adminFrom") for code in site.admin_from]
    if site.location.country is not None:
        places.insert(0, attributes.Place(site.location.country, "backend.location.country"))
    if site.log_store.country is not None:
        places.append(attributes.Place(site.log_store.country, "backend.logStore.country"))
    return tuple(places)


def _reach(operator: sites.Operator | None, admin_from: Iterable[str]) -> tuple[attributes.Reach, ...]:
    reach = [attributes.Reach(code, "backend.adminFrom") for code in admin_from]
    if operator is not None:
        reach += [attributes.Reach(operator.legal_country, "operator.legalCountry")] if operator.legal_country else []
        reach += (
            [attributes.Reach(operator.ultimate_parent_hq, "operator.ultimateParentHq")]
            if operator.ultimate_parent_hq
            else []
        )
        reach += [
            attributes.Reach(owner.country, "operator.owners.list", owner.percent) for owner in operator.owners.list
        ]
        reach += [attributes.Reach(code, "operator.exposureExtra") for code in operator.exposure_extra]
    return tuple(sorted(set(reach), key=repr))


def _certificate(cert: sites.Certification, site: sites.Site) -> attributes.Paper:
    # Certificates hold for a service in a region: one that states no scope proves nothing about this site.
    in_scope = cert.service is not None and cert.service == site.service and site.location.region in cert.regions
    level = CERTIFIED if cert.certified else DOCUMENTED if cert.evidence and cert.digest else DECLARED
    return attributes.Paper(cert.scheme, cert.valid_from, cert.valid_to, in_scope, cert.evidence, level)


def _evidence(each: sites.Evidence) -> attributes.Paper:
    level = CERTIFIED if each.certified else DOCUMENTED if each.ref and each.digest else DECLARED
    return attributes.Paper(each.type, each.valid_from, each.valid_to, source=each.ref, assurance=level)


def earned(stamp: facts.FactStamp) -> facts.FactStamp:
    """Return the stamp with the assurance that what it names can carry: a document alone never certifies anything.

    ``documented`` needs a source and the day on which somebody read it; more than that is earned by signed claims,
    which raise the stamp by themselves. On days on which such a claim does not count, its flaw refuses the site.
    """
    if stamp.proven > DOCUMENTED:
        return dataclasses.replace(stamp, assurance=stamp.proven)
    most = DOCUMENTED if stamp.source and stamp.as_of else DECLARED
    return stamp if stamp.assurance <= most else dataclasses.replace(stamp, assurance=most)


DECLARED, DOCUMENTED, CERTIFIED = facts.Assurance.DECLARED, facts.Assurance.DOCUMENTED, facts.Assurance.CERTIFIED


def of_job(
    spec: jobs.JobSpec,
    *,
    tenant: tenants.Tenant | None,
    datasets: Mapping[str, tenants.DataSet],
    control_plane: tenants.ControlPlane | None,
    directives: Iterable[policies.Directive] = (),
    owner: str = "",
    ledger: tallies.View | None = tallies.NOTHING,
) -> attributes.JobAttributes:
    """Return what rules read of a job. ``datasets`` maps names to what is registered and visible to the tenant.

    ``control_plane`` None means that nobody registered one: its place is then unknown, and judged so. Of the
    ``directives`` those that could name this job are kept, whatever the day: rules look at their dates. ``owner`` is
    the name of the tenant, under which the ``ledger`` counts its data sets and models; None: it cannot be read.
    """
    merged = constraints.merge_floor(spec.sovereignty, tenant=tenant, tier=spec.tier)
    unjudgeable = [] if merged.tier_known else [("spec.tier", f"tier {spec.tier!r} is not defined by the tenant")]
    if tenant is not None and tenant.problem is not None:
        unjudgeable.append(("tenant", f"the document of tenant {tenant.name!r} cannot be read: {tenant.problem}"))
    data, stated = _data(spec, tenant, datasets, unjudgeable)
    places = [*_control_plane_places(control_plane), *_written_places(spec, datasets, unjudgeable)]
    model = spec.model or jobs.ModelClause()
    concern = [each for each in directives if each.parties or (model.id is not None and model.id in each.models)]
    overlays = tuple(_directive(each) for each in sorted(concern, key=lambda each: each.name))
    if ledger is None and (data or model.id is not None):
        unjudgeable.append(("ledger", "a tally of the ledger cannot be read, so nobody knows what adds up"))
    ledger = ledger or tallies.NOTHING
    data = tuple(_with_ledger(each, data, owner, ledger) for each in data)
    read = [datasets[each.name] for each in data if each.name in datasets]
    exports = [item for each in read for item in _exports(each.name, each.export_control, each.controller.country)]
    exports += _exports("model", model.export_control, model.controller_country)
    return attributes.JobAttributes(
        workload=spec.type.value if spec.type else None,
        tenant=_tenant(tenant) if tenant else None,
        data=data,
        data_stated=stated,
        places=tuple(places),
        constraints=merged.constraints,
        asks=asks(merged.constraints, overlays),
        unjudgeable=tuple(unjudgeable),
        control_plane_stamp=earned(control_plane.facts) if control_plane else facts.FactStamp(),
        control_plane_gaps=_control_plane_gaps(control_plane),
        model=model.id,
        train_flop=_train_flop(model, spec.type, owner, ledger),
        operations=model.train_flop if _trains(spec.type) else None,
        ai_act=model.ai_act,
        exports=tuple(exports),
        directives=overlays,
        bound_by=_bound_by(tenant) | _bound_by(control_plane),
        barred=_barred(tenant) | _barred(control_plane),
        seats=seats(
            tenant.hq if tenant else None, *_plane_seats(control_plane), us_person=tenant.us_person if tenant else None
        ),
        listed_parties=_listed(tenant, control_plane, *read),
    )


Party = sites.Operator | tenants.Tenant | tenants.ControlPlane
"""Whoever may state by which sanctions regimes it is bound."""


def _bound_by(party: Party | None) -> frozenset[str]:
    """Return the regimes that bind a party as it states; who states none, and who is not known, by all of them."""
    stated = party.sanctions_regimes if party is not None else None
    return attributes.EVERY_REGIME if stated is None else frozenset(stated)


def _barred(party: Party | None) -> frozenset[str]:
    """Return the regimes that a blocking law of this party forbids to obey."""
    return frozenset(law.forbids for law in party.blocking_laws) if party is not None else frozenset()


def _listed(*named: tenants.Tenant | tenants.ControlPlane | tenants.DataSet | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for one in named if one is not None for each in one.listed))


def _plane_seats(plane: tenants.ControlPlane | None) -> tuple[str | None, ...]:
    return (plane.location.country, *plane.admin_from, *plane.seats) if plane is not None else ()


def seats(*codes: str | None, us_person: bool | None) -> tuple[str, ...]:
    """Return where whoever a sanctions regime may bind sits: a person of the US is in the US wherever it is."""
    return tuple(sorted({*(code for code in codes if code is not None), *(["US"] if us_person else [])}))


def _with_ledger(
    data: attributes.DataAttributes, all_: Sequence[attributes.DataAttributes], owner: str, ledger: tallies.View
) -> attributes.DataAttributes:
    beside = [other for other in all_ if other is not data]
    already = ledger.persons(data, owner, beside)
    return dataclasses.replace(data, already=already) if already else data


def _train_flop(model: jobs.ModelClause, type_: jobs.JobType | None, owner: str, ledger: tallies.View) -> float | None:
    """Return the operations of a model's training with this job; a job that does not train adds none to it."""
    if model.id is None or not _trains(type_):
        return model.train_flop
    already = ledger.operations(owner, model.id)
    return already + (model.train_flop or 0.0) if already or model.train_flop is not None else None


def _trains(type_: jobs.JobType | None) -> bool:
    return type_ in (jobs.JobType.TRAIN, jobs.JobType.FINETUNE)


def asks(asked: constraints.Constraints, directives: Sequence[attributes.Directive]) -> tuple[str, ...]:
    """Return the document paths that a pack has to judge: the constraints, and directives where there are any."""
    return tuple(sorted((*asked.asks(), *([DIRECTIVE] if directives else []))))


DIRECTIVE = "policy.directive"


def _directive(each: policies.Directive) -> attributes.Directive:
    named = frozenset(each.models), frozenset(each.parties)
    return attributes.Directive(each.name, *named, each.start, each.end, each.source)


def _exports(owner: str, items: Iterable[jobs.ExportItem], territory: str | None) -> Iterator[attributes.ExportItem]:
    for item in items:
        licences = tuple(
            attributes.Licence(frozenset(each.destinations), frozenset(each.end_users), each.valid_to, each.ref)
            for each in item.licences
        )
        yield attributes.ExportItem(owner, item.regime, item.item, territory, licences)


def _tenant(tenant: tenants.Tenant) -> attributes.TenantAttributes:
    return attributes.TenantAttributes(tenant.name, tenant.hq, tenant.sector, tenant.us_person, tenant.us_only_users)


def merge_floor(own: jobs.Sovereignty, *, tenant: tenants.Tenant | None, tier: str | None = None) -> constraints.Merged:
    """Return the constraints that hold for a job of this tenant and tier: each only ever tightens the others."""
    return constraints.merge_floor(own, tenant=tenant, tier=tier)


def of_dataset(data: tenants.DataSet) -> attributes.DataAttributes:
    """Return what rules read of a data set."""
    return attributes.DataAttributes(
        name=data.name,
        classes=frozenset(data.classes),
        subjects=frozenset(data.subjects),
        count=data.counts.persons,
        sensitive_count=data.counts.sensitive,
        safeguards=tuple(attributes.Paper(s.type, s.valid_from, s.valid_to, source=s.ref) for s in data.safeguards),
        controller_country=data.controller.country,
        controller_operator=data.controller.operator,
        ciio=data.ciio,
        primary_db=data.primary_db,
        sdf_localised=data.sdf_localised,
        stamp=data.facts,
    )


def _data(
    spec: jobs.JobSpec,
    tenant: tenants.Tenant | None,
    datasets: Mapping[str, tenants.DataSet],
    unjudgeable: list[tuple[str, str]],
) -> tuple[tuple[attributes.DataAttributes, ...], bool]:
    if spec.data is None:
        default = tenant.default_data if tenant else None
        if default is None:
            return (), False
        classes, subjects = frozenset(default.classes), frozenset(default.subjects)
        return (attributes.DataAttributes("tenant.defaultData", classes, subjects),), True
    found: dict[str, attributes.DataAttributes] = {}
    waiting = [(use.name, "spec.data.reads") for use in reversed(spec.data.reads)]
    while waiting:
        name, path = waiting.pop()
        if name in found:
            continue
        data = datasets.get(name)
        if data is None:
            unjudgeable.append((path, f"data set {name!r} is not registered, so nobody knows its rules"))
            continue
        found[name] = of_dataset(data)
        # Rules stick: what was derived from a data set stays under the rules of its origin.
        waiting += [(parent, "spec.derivedFrom") for parent in reversed(data.derived_from)]
    return tuple(found.values()), True


def _control_plane_places(plane: tenants.ControlPlane | None) -> list[attributes.Place]:
    if plane is None:
        return [attributes.Place(attributes.UNKNOWN, "controlPlane.location.country")]
    home = plane.location.country or attributes.UNKNOWN
    places = [attributes.Place(home, "controlPlane.location.country")]
    places += [attributes.Place(code, "controlPlane.adminFrom") for code in plane.admin_from]
    stores = (
        (plane.log_store, "controlPlane.logStore.country"),
        (plane.backup_store, "controlPlane.backupStore.country"),
    )
    # A store nobody stated lies where the control plane lies; one that is stated without a country is unknown.
    places += [
        attributes.Place(store.country or attributes.UNKNOWN, path) for store, path in stores if store is not None
    ]
    return places


def _control_plane_gaps(plane: tenants.ControlPlane | None) -> tuple[str, ...]:
    """Return the fields about places that a control plane leaves out. One that is not registered is judged unknown."""
    if plane is None:
        return ()
    stated = (("adminFrom", plane.admin_from), ("logStore", plane.log_store), ("backupStore", plane.backup_store))
    return tuple(name for name, value in stated if not value)


def _written_places(
    spec: jobs.JobSpec, datasets: Mapping[str, tenants.DataSet], unjudgeable: list[tuple[str, str]]
) -> list[attributes.Place]:
    names = list(spec.data.writes) if spec.data else []
    names += [output.as_name for output in spec.outputs if output.as_name and output.as_name not in names]
    places = []
    for name in names:
        data = datasets.get(name)
        if data is None:
            unjudgeable.append(("spec.data.writes", f"data set {name!r} is not registered, so its place is unknown"))
        code = data.location.country if data else None
        places.append(attributes.Place(code or attributes.UNKNOWN, "dataSet.location.country"))
    return places
