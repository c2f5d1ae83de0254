"""From a backend's document to its sites: the catalogue's entry, overrides, and a digest that misses nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import typing
from typing import Any

import pytest

from orchestrator.bootstrap import catalogues
from orchestrator.domain import facts, money, sites
from orchestrator.inventory import assembly, digests, sightings

SEEN = sightings.Facts(capabilities=None, pools=(), isolation_none=frozenset())
STAMP = facts.FactStamp("report", assurance=facts.Assurance.DOCUMENTED)


def made(backend: sites.Backend, *operators: sites.Operator) -> sites.Site:
    """Return the one site of a backend."""
    known = {one.name: one for one in operators}
    shipped = catalogues.ShippedCatalogue()
    (site,) = assembly.sites_of(backend, operators=known, seen=SEEN, catalogue=shipped, owner_tenant=None)
    return site


def backend(pool: sites.Pool | None = None, **fields: Any) -> sites.Backend:
    """Return a backend of one pool."""
    return sites.Backend("b", "simulated", pools=(pool or sites.Pool("p"),), **fields)


def test_a_site_carries_the_catalogues_entry() -> None:
    """An alias leads to the slug and to what rules read; a name nobody knows stays a name without figures."""
    site = made(backend(sites.Pool("p", accelerator="H20")))
    assert site.accelerator == "nvidia-h20"
    assert site.accelerator_model is not None
    assert site.accelerator_model.is_informed
    assert site.accelerator_model.performances == (sites.Performance(148.0, 16),)
    unknown = made(backend(sites.Pool("p", accelerator="x9")))
    assert (unknown.accelerator, unknown.accelerator_model) == ("x9", None)
    assert made(backend()).accelerator_model is None


def test_a_site_has_the_facts_of_its_backend() -> None:
    """Levels and funding are the backend's; nothing is attested by being written, and a token that is none is told."""
    claim = sites.AttestationClaim("t", "v")
    site = made(backend(seal=(("SOV-1", 3),), china_state_funded=True, attestation=claim))
    assert (site.seal, site.china_state_funded, site.attested) == ((("SOV-1", 3),), True, None)
    assert [flaw.fault.value for one in site.claims for flaw in one.flaws] == ["malformed"]


@pytest.mark.parametrize("level", list(facts.Assurance))
def test_a_pool_raises_no_assurance(level: facts.Assurance) -> None:
    """However well a pool says it is known, its site is known no better than its backend."""
    pool = sites.Pool("p", facts=facts.FactStamp("pool", assurance=level))
    assert made(backend(pool, facts=STAMP)).facts.assurance is min(level, STAMP.assurance)
    assert made(backend(pool)).facts.assurance is facts.Assurance.DECLARED


def _other(kind: Any, value: Any) -> Any:
    """Return another value of a type hint."""
    arguments = [one for one in typing.get_args(kind) if one is not type(None)]
    origin = typing.get_origin(kind)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return (_other(arguments[0], None),) if not value else ()
        return tuple(_other(one, None) for one in arguments)
    if origin is frozenset:
        return frozenset({_other(arguments[0], None)})
    if origin is not None and arguments:
        return _other(arguments[0], value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        if value is None:
            return kind(**{each.name: _other(hints[each.name], None) for each in dataclasses.fields(kind)})
        first = dataclasses.fields(kind)[0].name
        return dataclasses.replace(value, **{first: _other(hints[first], getattr(value, first))})
    kind = getattr(kind, "__supertype__", kind)
    if kind is dt.date:
        return dt.date(2027, 1, 2)
    if kind is dt.datetime:
        return dt.datetime(2027, 1, 2, tzinfo=dt.UTC)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(one for one in kind if one is not value)
    return f"{value}x" if kind is str else not value if kind is bool else (value or 0) + 1


PLAIN = made(
    backend(sites.Pool("p", accelerator="h100", price_per_hour=money.Money(1, "EUR")), operator="o"),
    sites.Operator("o"),
)


@pytest.mark.parametrize("name", [each.name for each in dataclasses.fields(sites.Site) if each.name != "digest"])
def test_the_digest_of_a_site_misses_no_field(name: str) -> None:
    """Whatever else a site says, its digest is another."""
    hint = typing.get_type_hints(sites.Site)[name]
    changed = dataclasses.replace(PLAIN, **{name: _other(hint, getattr(PLAIN, name))})
    assert digests.of_site(changed) != digests.of_site(PLAIN)


@pytest.mark.parametrize("kind", [sites.Operator, sites.Accelerator])
def test_the_digest_of_a_site_misses_nothing_below(kind: type) -> None:
    """Each field of the operator and of the catalogue's entry counts too."""
    where = {sites.Operator: "operator", sites.Accelerator: "accelerator_model"}[kind]
    value = getattr(PLAIN, where)
    hints = typing.get_type_hints(kind)
    seen = {digests.of_site(PLAIN)}
    for each in dataclasses.fields(kind):
        other = dataclasses.replace(value, **{each.name: _other(hints[each.name], getattr(value, each.name))})
        seen.add(digests.of_site(dataclasses.replace(PLAIN, **{where: other})))
    assert len(seen) == 1 + len(dataclasses.fields(kind))
