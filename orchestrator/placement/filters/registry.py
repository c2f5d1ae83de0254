"""Every filter, in a fixed order: the position of a filter is its bit in stored decisions.

A new filter is added at the end; one that goes leaves its place empty. ``VERSION`` stands in decisions.
"""

from __future__ import annotations

from orchestrator.domain import offers
from orchestrator.placement.filters import (
    accelerator,
    accelerator_count,
    base,
    capability,
    cordoned,
    countries,
    cpus,
    frozen,
    full,
    host_memory,
    identity,
    interconnect,
    isolation,
    memory,
    price,
    reachable,
    rtt,
    sanctions,
    start_within,
)

VERSION = "place 1"
"""Grows when a bit changes its meaning."""

FILTERS: tuple[base.Filter, ...] = (
    accelerator.Accelerator(),
    accelerator_count.AcceleratorCount(),
    memory.AcceleratorMemory(),
    interconnect.Interconnect(),
    cpus.Cpus(),
    host_memory.HostMemory(),
    isolation.Isolation(),
    cordoned.Cordoned(),
    countries.Countries(),
    price.Price(),
    rtt.RoundTripTime(),
    capability.GangSize(),
    reachable.Reachable(),
    reachable.Offered(),
    full.Full(),
    start_within.StartWithin(),
    *(capability.Capability(power) for power in offers.Capability if power in capability.WORDS),
    sanctions.ListsStale(),
    sanctions.Review(),
    identity.IdentityChanged(),
    identity.IdentityShared(),
    identity.SeenElsewhere(),
    capability.Capability(offers.Capability.ATTESTS),
    identity.Unattested(),
    capability.Capability(offers.Capability.EGRESS),
    capability.Capability(offers.Capability.EGRESS_RULES),
    capability.Capability(offers.Capability.SECRETS),
    capability.Capability(offers.Capability.IMAGE_TAGS),
    capability.Capability(offers.Capability.MODULES),
    frozen.Frozen(),
)
"""At most 64."""

UNREACHABLE_BIT = next(bit for bit, item in enumerate(FILTERS) if isinstance(item, reachable.Reachable))
FULL_BIT = next(bit for bit, item in enumerate(FILTERS) if isinstance(item, full.Full))
MOMENTARY = sum(1 << bit for bit, item in enumerate(FILTERS) if item.momentary)
"""Bits of the filters whose answer changes with offers."""
PRICED = tuple((bit, item) for bit, item in enumerate(FILTERS) if item.priced)
UNPRICED = tuple((bit, item) for bit, item in enumerate(FILTERS) if not item.momentary and not item.priced)
PASSING = tuple((bit, item) for bit, item in enumerate(FILTERS) if item.momentary)
