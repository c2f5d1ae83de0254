"""Which providers are sites, and what each is hoped to take. Pure.

What a provider says of its place is worth ``declared``, also where an auditor signed it: the signature is under the
name of a region, and nobody vouches for who the operator is. What is free there nobody tells before a bid.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from backends.akash import settings, wire
from orchestrator.domain import facts, ids, offers, sites

GB = 10**9
SOURCE = "the provider's record at the Console: its address by IP, its attributes"


def discovered(known: Mapping[str, wire.Provider], wanted: settings.AkashSettings) -> list[sites.Pool]:
    """Return a pool a provider: those that the settings name, else all that may be used now."""
    named = {address: pool for pool, address in wanted.providers.items()}
    found = []
    for address in sorted(known):
        one = known[address]
        if (named and address not in named) or (not named and problem(one, wanted)):
            continue
        found.append(
            sites.Pool(
                named.get(address, address),
                operator=one.organization if ids.is_name(one.organization or "") else None,
                location=sites.Location(country=one.country, region=one.region),
                accelerator=None,
                facts=facts.FactStamp(source=SOURCE),
            )
        )
    return found


def problem(one: wire.Provider | None, wanted: settings.AkashSettings) -> str:
    """Return why nothing is deployed at a provider; "": nothing is against it."""
    if one is None:
        return "the network lists no such provider"
    if not one.online:
        return "it is not online"
    if not one.version_fits:
        return "its version is not one of those that the network takes"
    if one.uptime is None or one.uptime < wanted.uptime:
        told = "not told" if one.uptime is None else f"{one.uptime:.1%}"
        return f"it was up {told} of the last seven days, and settings.uptime wants {wanted.uptime:.1%}"
    if wanted.audited and not one.signed_by & frozenset(wanted.auditors):
        return "no auditor of settings.auditors signed its region"
    return ""


def offer(
    backend: str,
    pool: sites.Pool,
    wanted: settings.AkashSettings,
    here: Iterable[str],
    in_flight: int,
    now: dt.datetime,
    told: str,
) -> offers.Offer:
    """Return the offer of a provider.

    :param here: keys of our attempts there that are not over.
    :param in_flight: attempts of ours that are not over, at all providers.
    :param told: why nothing can be had there, or "".
    """
    site = ids.SiteName(f"{backend}/{pool.name}")
    if told:
        none = offers.Room(slots=0)
        return offers.Offer(site, none, none, now, queue=offers.QueueOffer(accepts=False), detail=told)
    cpu, memory = wanted.node_cpus * 1000, wanted.node_memory_gb * GB
    chips = (pool.count or 1) if pool.accelerator is not None else 0
    places, keys = wanted.jobs_max, frozenset(map(ids.AttemptKey, here))
    left = max(0, places - in_flight)
    return offers.Offer(
        site=site,
        free=offers.Room(cpu * left, memory * left, chips * left, left),
        total=offers.Room(cpu * places, memory * places, chips * places, places),
        observed_at=now,
        counted=keys,
        largest_node=offers.Room(cpu, memory, chips),
        queue=offers.QueueOffer(accepts=left > 0),
        detail="" if left else f"{in_flight} deployments of this backend are live, which is all that it may have",
    )


def here(found: Sequence[tuple[str, wire.Deployment]], address: str) -> list[str]:
    """Return the keys of attempts whose lease is with a provider."""
    return [key for key, one in found if one.lease is not None and one.lease.provider == address]
