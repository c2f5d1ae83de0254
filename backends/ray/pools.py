"""From what a cluster says of its nodes, our jobs and others' use to pools, and from pools to offers. Pure.

A pool is the nodes that meet its conditions, and each node is in the first pool whose conditions it meets. What a
document declares counts where it is less than what is found.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backends.ray import accelerators, settings
from orchestrator.domain import ids, offers, sites

REGION = "ray.io/availability-region"
CPU_POOL = "cpu"
SLACK_MS = 15_000
"""Ray's report of use is at most so much older than its date: what ended since is not taken for others' use."""
SELECTORS_SINCE = (2, 54)
"""The Jobs API has ``entrypoint_label_selector`` since then (ray-project/ray#59735); read in the wheels."""
_VERSION = re.compile(r"([0-9]{1,6})\.([0-9]{1,6})", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_CONDITION = re.compile(r"(?P<no>!?)(?:in\((?P<many>[^)]*)\)|(?P<one>.*))")


@dataclass(frozen=True, slots=True)
class Node:
    """One node that is up."""

    id: str
    labels: Mapping[str, str]
    resources: Mapping[str, float]

    @property
    def accelerator(self) -> str | None:
        """Return what Ray calls its accelerators; None where it has none."""
        if self.resource is None:
            return None
        if named := self.labels.get(accelerators.TYPE_LABEL):
            return named
        prefix = accelerators.TYPE_RESOURCE
        return min((name[len(prefix) :] for name in self.resources if name.startswith(prefix)), default="unknown")

    @property
    def resource(self) -> str | None:
        """Return the name of the resource that counts its accelerators; None where it has none."""
        return next((name for name in accelerators.RESOURCES if self.resources.get(name, 0) >= 1), None)

    @property
    def room(self) -> offers.Room:
        """Return all it has."""
        return offers.Room(
            cpu_milli=int(self.resources.get("CPU", 0) * 1000),
            memory_bytes=int(self.resources.get("memory", 0)),
            accelerators=int(self.resources.get(self.resource or "", 0)),
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions that every node of a pool meets; ``resources`` is also what a job takes of them."""

    labels: Mapping[str, str]
    resources: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Held:
    """What one of our jobs asked for. ``node`` is where it runs; ``live`` False: it ended a moment ago."""

    key: ids.AttemptKey
    pool: str
    cpu_milli: int
    memory_bytes: int
    accelerators: int
    node: str | None
    live: bool
    ended_ms: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What Ray says is used: node -> resource -> amount, as of ``at_ms``."""

    at_ms: int
    nodes: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Share:
    """One pool as it is here: its nodes, and what a job must say to run on one of them."""

    pool: sites.Pool
    nodes: tuple[Node, ...]
    selector: Mapping[str, str]
    custom: Mapping[str, float]
    resource: str | None
    found: sites.Pool
    notes: tuple[str, ...] = ()


def meets(node: Node, wanted: Rule) -> bool:
    """Say whether a node meets every condition, read as Ray reads them: a label that is missing equals nothing."""
    if any(node.resources.get(name, 0) < amount for name, amount in wanted.resources.items()):
        return False
    return all(_holds(node.labels.get(label), condition) for label, condition in wanted.labels.items())


def _holds(value: str | None, condition: str) -> bool:
    found = _CONDITION.fullmatch(condition)
    if found is None:
        return False
    named = [part.strip() for part in found["many"].split(",")] if found["many"] is not None else [found["one"]]
    return (value in named) is not bool(found["no"])


def shares(declared: Sequence[sites.Pool], nodes: Sequence[Node], wanted: settings.RaySettings) -> tuple[Share, ...]:
    """Return the pools of a backend."""
    if not declared and wanted.pools:
        declared = [sites.Pool(name) for name in wanted.pools]
    rules = {pool.name: _rule(pool, nodes, wanted, len(declared)) for pool in declared}
    if not declared:
        declared, rules = _discovered(nodes, wanted)
    made, left = [], list(nodes)
    for pool in declared:
        rule = rules[pool.name]
        own = tuple(node for node in left if meets(node, rule) and _suits(pool, node, wanted))
        left = [node for node in left if node not in own]
        made.append(_share(pool, own, rule, wanted))
    return tuple(made)


def reachable(share: Share, ray_version: str) -> Share:
    """Return a pool as jobs can be sent to it: without nodes where it is told by labels, and this Ray takes none."""
    told = _VERSION.match(ray_version)
    if not share.selector or told is None or (int(told[1]), int(told[2])) >= SELECTORS_SINCE:
        return share
    since = ".".join(map(str, SELECTORS_SINCE))
    text = (
        f"Ray {ray_version} takes no label selector with a job (Ray {since} does), and no job can be sent to these "
        f"nodes alone by {', '.join(sorted(share.selector))}: say them by a custom resource (settings.pools)"
    )
    nothing = dataclasses.replace(share.found, count=0 if share.found.count else None, cpu_milli=0, memory_bytes=0)
    return dataclasses.replace(share, nodes=(), found=nothing, notes=(*share.notes, text))


def _rule(pool: sites.Pool, nodes: Sequence[Node], wanted: settings.RaySettings, count: int) -> Rule:
    """Return the conditions of a declared pool: those of the settings, else by its accelerator."""
    given = wanted.pools.get(pool.name)
    if given is not None:
        return Rule(given.labels, given.resources)
    if pool.accelerator is None and count == 1 and pool.count is None:
        # The only pool, and nothing is said of it: all nodes of one kind.
        kinds = sorted({node.accelerator for node in nodes if node.accelerator})
        return _by_accelerator(nodes, kinds[0] if len(kinds) == 1 and all(n.accelerator for n in nodes) else None)
    if pool.accelerator is None:
        return _by_accelerator(nodes, None)
    fitting = [name for name in sorted({n.accelerator for n in nodes if n.accelerator}) if _means(pool, name, wanted)]
    return _by_accelerator(nodes, fitting[0] if fitting else pool.accelerator)


def _by_accelerator(nodes: Sequence[Node], name: str | None) -> Rule:
    """Return conditions that hold for the nodes with this accelerator, or for those with none, and for no other."""
    if name is None:
        others = sorted({node.accelerator for node in nodes if node.accelerator})
        return Rule({accelerators.TYPE_LABEL: f"!in({','.join(others)})"} if others else {}, {})
    own = [node for node in nodes if node.accelerator == name]
    if all(node.labels.get(accelerators.TYPE_LABEL) == name for node in own):
        return Rule({accelerators.TYPE_LABEL: name}, {})
    return Rule({}, {f"{accelerators.TYPE_RESOURCE}{name}": 0.001})


def _means(pool: sites.Pool, name: str, wanted: settings.RaySettings) -> bool:
    slug = accelerators.slug_of(name, wanted.accelerators)
    return accelerators.same_model(pool.accelerator or "", name, slug)


def _suits(pool: sites.Pool, node: Node, wanted: settings.RaySettings) -> bool:
    """Say whether a node has the accelerator that its pool says; where it says none, by its conditions alone."""
    if pool.accelerator is None:
        return True
    return node.accelerator is not None and _means(pool, node.accelerator, wanted)


def _discovered(nodes: Sequence[Node], wanted: settings.RaySettings) -> tuple[list[sites.Pool], dict[str, Rule]]:
    """Return a pool for each accelerator in each region; nodes with none are the pool ``cpu``."""
    pools: dict[str, sites.Pool] = {}
    rules: dict[str, Rule] = {}
    for node in sorted(nodes, key=lambda each: each.id):
        region, kind = node.labels.get(REGION), node.accelerator
        slug = None if kind is None else accelerators.slug_of(kind, wanted.accelerators)
        name = "-".join(part for part in (region, slug or CPU_POOL) if part)[:63].rstrip("-._")
        if name in pools or not ids.is_name(name):
            continue
        rule = _by_accelerator(nodes, kind)
        elsewhere = sorted({n.labels[REGION] for n in nodes if n.labels.get(REGION)})
        where = {REGION: region} if region else {REGION: f"!in({','.join(elsewhere)})"} if elsewhere else {}
        pools[name] = sites.Pool(name)
        rules[name] = Rule({**rule.labels, **where}, rule.resources)
    names = sorted(pools)
    return [pools[name] for name in names], rules


def _share(pool: sites.Pool, own: tuple[Node, ...], rule: Rule, wanted: settings.RaySettings) -> Share:
    notes = []
    kinds = sorted({node.accelerator for node in own if node.accelerator})
    if len(kinds) > 1:
        own = tuple(node for node in own if node.accelerator in (None, kinds[0]))
        notes.append(f"also found: {', '.join(kinds[1:])}; declare a pool for each model")
    regions = sorted({node.labels[REGION] for node in own if node.labels.get(REGION)})
    if len(regions) > 1:
        notes.append(
            f"its nodes are in several regions: {', '.join(regions)}; declare a pool for each (settings.pools)"
        )
    if not own:
        notes.append("no node is up that meets its conditions")
    count = sum(node.room.accelerators for node in own)
    if pool.accelerator is not None and pool.count is not None and pool.count != count:
        notes.append(f"{pool.count} {pool.accelerator} declared, {count} found: the smaller figure counts")
    found = sites.Pool(
        pool.name,
        accelerator=accelerators.slug_of(kinds[0], wanted.accelerators) if kinds else None,
        count=count if kinds else None,
        cpu_milli=sum(node.room.cpu_milli for node in own),
        memory_bytes=sum(node.room.memory_bytes for node in own),
    )
    resource = next((node.resource for node in own if node.resource), None)
    return Share(pool, own, rule.labels, rule.resources, resource, found, tuple(notes))


def offer(
    share: Share,
    backend: str,
    held: Iterable[Held],
    usage: Usage | None,
    now: dt.datetime,
    *,
    isolated: bool,
    note: str,
) -> offers.Offer:
    """Return what one pool could take, after our live jobs and what Ray says others use of its nodes."""
    pool, mine = share.pool, [each for each in held if each.pool == share.pool.name]
    live = [each for each in mine if each.live]
    total = offers.Room(
        cpu_milli=_lesser(pool.cpu_milli, share.found.cpu_milli or 0),
        memory_bytes=_lesser(pool.memory_bytes, share.found.memory_bytes or 0),
        accelerators=_lesser(pool.count, share.found.count or 0) if share.found.accelerator else 0,
        slots=pool.count if pool.accelerator is None else None,
    )
    cpu, memory, count = others(share, mine, usage)
    free = offers.Room(
        cpu_milli=max(total.cpu_milli - cpu - sum(each.cpu_milli for each in live), 0),
        memory_bytes=max(total.memory_bytes - memory - sum(each.memory_bytes for each in live), 0),
        accelerators=max(total.accelerators - count - sum(each.accelerators for each in live), 0),
        slots=None if total.slots is None else max(total.slots - len(live), 0),
    )
    rooms = [node.room for node in share.nodes]
    largest = offers.Room(
        cpu_milli=max((room.cpu_milli for room in rooms), default=0),
        memory_bytes=max((room.memory_bytes for room in rooms), default=0),
        accelerators=max((room.accelerators for room in rooms), default=0),
        slots=total.slots,
    )
    notes = [*([note] if note else []), *share.notes]
    if usage is None:
        notes.append("the cluster does not say what others use: counted as nothing")
    return offers.Offer(
        site=ids.SiteName(f"{backend}/{pool.name}"),
        free=free,
        total=total,
        observed_at=now,
        counted=frozenset(each.key for each in live),
        largest_node=largest,
        pool=share.found,
        isolation_none=not isolated,
        detail="; ".join(notes),
    )


def others(share: Share, mine: Sequence[Held], usage: Usage | None) -> tuple[int, int, int]:
    """Return (thousandths of CPUs, bytes of memory, accelerators) of a pool that somebody else uses.

    What is ours in Ray's figure is what runs, or ended after the figure was made. It is seconds old: what began since
    is not in it, and makes others' use look smaller for that long.
    """
    if usage is None:
        return 0, 0, 0
    used = [usage.nodes.get(node.id, {}) for node in share.nodes]
    ours = [each for each in mine if each.node is not None and (each.live or each.ended_ms >= usage.at_ms - SLACK_MS)]
    cpu = int(sum(node.get("CPU", 0) for node in used) * 1000) - sum(each.cpu_milli for each in ours)
    memory = int(sum(node.get("memory", 0) for node in used)) - sum(each.memory_bytes for each in ours)
    count = int(sum(node.get(share.resource or "", 0) for node in used)) - sum(each.accelerators for each in ours)
    return max(cpu, 0), max(memory, 0), max(count, 0)


def _lesser(declared: int | None, found: int) -> int:
    return found if declared is None else min(declared, found)


@dataclass(frozen=True, slots=True)
class Places:
    """How the country of a node is read: a label that holds it, else a table of regions. Both are declared."""

    label: str
    regions: Mapping[str, str]

    def country_of(self, node: Node) -> tuple[str | None, str]:
        """Return (country, where it was read); (None, "") where nothing says it."""
        named = node.labels.get(self.label)
        if named is not None and _COUNTRY.fullmatch(named):
            return named, f"label {self.label} of the node"
        region = node.labels.get(REGION, "")
        if region in self.regions:
            return self.regions[region], f"label {REGION}={region} of the node, settings.countries"
        return None, ""
