"""The nearest change is proved: the changed job is judged before it is offered."""

from __future__ import annotations

import pathlib
import sys
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain import jobs, money, sites, tenants
from orchestrator.placement import requirements
from orchestrator.scheduler import answers, worlds
from orchestrator.sources import packs

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

SITE = samples.site("a/p")
TABLES = requirements.Tables(distances={"FR": requirements.Distances("FR", {"FR": 12.5})})
EUROS = money.Money(1_000_000, "EUR")


def nearest(spec: jobs.JobSpec, site: sites.Site = SITE, **world: Any) -> list[str]:
    """The nearest change for a job with one site."""
    declared = worlds.World(samples.BOOK, tables=TABLES, **world)
    snapshot = samples.snapshot([site], [samples.offer(str(site.name))], [], world=declared)
    return [remedy.change for remedy in answers.plan_one(spec, snapshot, tenant="t").answer.nearest_change]


def asked(**accelerators: Any) -> jobs.Resources:
    names = {"any_of": ("nvidia-h100-sxm",), **accelerators}
    return jobs.Resources(1000, 2**30, jobs.AcceleratorRequest(**names))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"limits": jobs.Limits(price_per_hour=EUROS)}, ["raise limits.pricePerHour to 2.00 EUR"]),
        ({"limits": jobs.Limits(rtt_ms=5), "latency_from": "FR"}, ["raise limits.rttMs to 13"]),
        ({"resources": asked(any_of=("x",))}, ["add nvidia-h100-sxm to spec.resources.accelerators.anyOf"]),
        ({"resources": asked(count=16)}, ["ask for at most 8 accelerators per node"]),
        ({"resources": asked(memory_gb=96)}, ["ask for at most 80G of accelerator memory"]),
        ({"resources": jobs.Resources(cpu_milli=10**6)}, ["ask for at most 64 CPUs"]),
        ({"sovereignty": jobs.Sovereignty(countries_deny=("FR",))}, ["stop denying FR"]),
        ({"sovereignty": jobs.Sovereignty(countries_allow=("DE",))}, ["allow FR"]),
    ],
)
def test_limits_amounts_and_lists_are_proved(changes: dict[str, Any], expected: list[str]) -> None:
    """Each change, once made, leads to a place."""
    assert nearest(replace(samples.spec(), **changes)) == expected


def test_what_the_tenant_asks_is_not_the_jobs_to_change() -> None:
    """A country that the floor denies stays denied, whatever the job says: nothing is offered."""
    floor = tenants.Tenant("t", floor=jobs.Sovereignty(countries_deny=("FR",)))
    denying = samples.spec(sovereignty=jobs.Sovereignty(countries_deny=("FR",)))
    assert nearest(denying, tenants={"t": floor}) == []


def test_what_no_program_can_change_is_offered_as_the_least() -> None:
    """A true statement about the job is a person's to make."""
    site = samples.site("a/p", accepts=sites.Accepts(types=(jobs.JobType.TRAIN,)))
    snapshot = samples.snapshot([site], [samples.offer()], [], world=worlds.World(packs.load()))
    found = answers.plan_one(samples.spec(type=jobs.JobType.INFER), snapshot, tenant="t").answer.nearest_change
    assert all(remedy.change.startswith("at least: ") for remedy in found)
    assert "state a type that the host takes" in found[-1].change


def test_dropping_a_constraint_is_proved_and_marked() -> None:
    """Exposure that the job itself denies can be accepted; the offer says that it gives up a constraint."""
    plane = tenants.ControlPlane("self", "op", sites.Location("FR"))
    world = worlds.World(packs.load(), tenants={"t": tenants.Tenant("t", "FR")}, control_plane=plane)
    snapshot = samples.snapshot([SITE], [samples.offer()], [], world=world)
    spec = samples.spec(sovereignty=jobs.Sovereignty(exposure=jobs.Exposure(("FR",))))
    (remedy,) = answers.plan_one(spec, snapshot, tenant="t").answer.nearest_change
    assert remedy.drops_constraint
    assert remedy.change.startswith("accept exposure to FR")
