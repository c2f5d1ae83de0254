"""Random small worlds for policy: jobs and sites that hit the edges of every rule that ships."""

from __future__ import annotations

import dataclasses
import datetime as dt

from hypothesis import strategies as st

from orchestrator.domain import jobs
from orchestrator.policy import attributes, constraints, predicates

COUNTRIES = ("FR", "DE", "NO", "IS", "CH", "US", "CA", "JP", "BR", "GB", "SG", "IN", "KR")
SCHEMES = ("hds-v2", "secnumcloud-3.2", "c5")
DAYS = tuple(
    dt.date.fromisoformat(day)
    for day in ("2019-01-22", "2023-07-10", "2026-01-25", "2026-01-26", "2026-11-22", "2031-12-27", "2031-12-28")
)

countries = st.sampled_from(COUNTRIES)
days = st.sampled_from(DAYS)
ends = st.one_of(st.none(), days)
names = st.tuples(st.sampled_from(sorted(predicates.PREDICATES)), countries)
"""A predicate, and a country for which it is to raise."""
maybe_country = st.one_of(st.none(), countries)


def tuples(items: st.SearchStrategy, size: int) -> st.SearchStrategy:
    """Return tuples of different items."""
    return st.lists(items, max_size=size, unique=True).map(tuple)


def frozen(items: st.SearchStrategy, size: int) -> st.SearchStrategy:
    """Return frozen sets of items."""
    return st.frozensets(items, max_size=size)


papers = st.builds(
    attributes.Paper, kind=st.sampled_from(SCHEMES), valid_to=ends, in_scope=st.sampled_from((True, True, True, False))
)
data_sets = st.builds(
    attributes.DataAttributes,
    name=st.sampled_from(("d", "e")),
    classes=frozen(st.sampled_from(("personal", "health", "industrial", "open", "x-own")), 2),
    subjects=frozen(st.sampled_from(("EU", "FR", "IN", "NO")), 2),
    safeguards=tuples(st.builds(attributes.Paper, kind=st.sampled_from(("scc-eu", "bcr-eu", "tia")), valid_to=ends), 3),
    controller_country=maybe_country,
    controller_operator=st.sampled_from((None, "op")),
)
places = st.builds(
    attributes.Place,
    st.sampled_from((*COUNTRIES, attributes.UNKNOWN)),
    st.sampled_from(("controlPlane.location.country", "dataSet.location.country")),
)


@st.composite
def job_attributes(draw: st.DrawFn) -> attributes.JobAttributes:
    """Draw a job."""
    asked = constraints.merge(
        (
            jobs.Sovereignty(
                exposure=jobs.Exposure(draw(tuples(countries, 2)), draw(tuples(st.sampled_from(SCHEMES), 2))),
                certifications=draw(tuples(st.sampled_from(SCHEMES), 2)),
            ),
        )
    )
    seal = draw(st.sampled_from(((), (), (), (constraints.SEAL,))))
    return attributes.JobAttributes(
        workload=draw(st.sampled_from((None, "train", "infer"))),
        tenant=draw(st.one_of(st.none(), st.builds(attributes.TenantAttributes, st.just("t"), maybe_country))),
        data=draw(st.lists(data_sets, max_size=2).map(tuple)),
        places=draw(tuples(places, 2)),
        constraints=asked,
        asks=tuple(sorted({*asked.asks(), *seal})),
    )


@st.composite
def site_attributes(draw: st.DrawFn, name: str = "s") -> attributes.SiteAttributes:
    """Draw a site."""
    country, legal, parent = draw(maybe_country), draw(maybe_country), draw(maybe_country)
    admins = draw(tuples(countries, 2))
    own = (attributes.Place(country, "backend.location.country"),) if country else ()
    reach = [attributes.Reach(code, "backend.adminFrom") for code in admins]
    reach += [attributes.Reach(code, "operator.legalCountry") for code in (legal, parent) if code]
    owner = draw(st.sampled_from((None, 10.0, 24.99, 25.0, 60.0)))
    if owner is not None:
        reach.append(attributes.Reach(draw(maybe_country), "operator.owners.list", owner))
    return attributes.SiteAttributes(
        name=name,
        country=country,
        places=(*own, *(attributes.Place(code, "backend.adminFrom") for code in admins)),
        operator=draw(st.sampled_from((None, "op"))),
        legal_country=legal,
        parent_hq=parent,
        frameworks=draw(frozen(st.sampled_from(("dpf", "pipeda", "appi")), 2)),
        reach=tuple(reach),
        certs=draw(tuples(papers, 3)),
        accepts_countries=draw(st.one_of(st.none(), tuples(st.sampled_from(("EEA", "EU", "CH", "US")), 2))),
        accepts_deny_classes=draw(frozen(st.sampled_from(("health", "open")), 1)),
        accepts_types=draw(st.one_of(st.none(), frozen(st.sampled_from(("train", "infer")), 1))),
        facts_valid_to=draw(ends),
    )


def sites(most: int = 6) -> st.SearchStrategy:
    """Return lists of sites with different names."""

    def named(items: list[attributes.SiteAttributes]) -> tuple[attributes.SiteAttributes, ...]:
        return tuple(dataclasses.replace(site, name=f"s{number}") for number, site in enumerate(items))

    return st.lists(site_attributes(), min_size=1, max_size=most).map(named)
