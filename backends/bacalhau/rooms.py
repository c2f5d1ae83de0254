"""What a node has and has left. Pure.

What others use is what the node said last, less what of ours runs there or ended a moment ago: a node says it every
minute or so, and our own use is counted to the unit from our jobs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from backends.bacalhau import settings, wire
from orchestrator.domain import facts, ids, offers, sites


def offer(
    backend: str, pool: sites.Pool, node: wire.Node | None, jobs: Sequence[wire.Job], now: dt.datetime
) -> offers.Offer:
    """Return the offer of a node.

    :param node: None: the network knows no such node.
    :param jobs: ours that are pinned to it: all that are not over, and those that ended lately.
    """
    live = [one for one in jobs if not one.over]
    problem = _problem(pool, node)
    whole = offers.Room(node.cpu_milli, node.memory_bytes) if node is not None and not problem else offers.Room()
    cpu, memory = whole.cpu_milli, whole.memory_bytes
    if node is not None and not problem:
        cpu -= sum(one.cpu_milli for one in live)
        memory -= sum(one.memory_bytes for one in live)
        cpu -= max(0, node.used_cpu_milli - sum(one.cpu_milli for one in jobs))
        memory -= max(0, node.used_memory_bytes - sum(one.memory_bytes for one in jobs))
    return offers.Offer(
        site=ids.SiteName(f"{backend}/{pool.name}"),
        free=offers.Room(max(0, cpu), max(0, memory)),
        total=whole,
        observed_at=now,
        counted=frozenset(ids.AttemptKey(one.name) for one in live),
        largest_node=whole,
        detail=problem,
    )


def discovered(nodes: Iterable[wire.Node], wanted: settings.BacalhauSettings) -> list[sites.Pool]:
    """Return a pool a node that runs WebAssembly, with what its labels say: declared, by itself, and no more."""
    named = {node: pool for pool, node in wanted.nodes.items()}
    found = []
    for node in sorted(nodes, key=lambda one: one.name):
        if not node.wasm or (named and node.name not in named):
            continue
        country = node.country(wanted.country_label)
        found.append(
            sites.Pool(
                named.get(node.name, node.name),
                operator=node.labels.get(wanted.operator_label) or None,
                location=sites.Location(country=country),
                facts=facts.FactStamp(source="labels of the node, as it says itself"),
                cpu_milli=node.cpu_milli,
                memory_bytes=node.memory_bytes,
            )
        )
    return found


def _problem(pool: sites.Pool, node: wire.Node | None) -> str:
    if node is None:
        return f"the network knows no node for pool {pool.name}, or has not let it in"
    if not node.connected:
        return f"node {node.name} is not connected"
    return "" if node.wasm else f"node {node.name} runs no WebAssembly"
