"""From the JSON of a head to values; what is malformed is left out, and never stops the rest. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backends.ray import pools

MESSAGE_MAX = 32 * 1024
_TEXT_MAX = 512
_MAPPING_MAX = 1024


@dataclass(frozen=True, slots=True)
class Job:
    """One submission, as Ray tells it. Times are milliseconds since the epoch, by the head's clock; 0: none."""

    id: str
    status: str
    message: str = ""
    error_type: str = ""
    end_ms: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    node: str | None = None
    exit_code: int | None = None


def job(found: object) -> Job | None:
    """Return one submission; None for what is none, a driver that nobody submitted among them."""
    if not isinstance(found, dict):
        return None
    id, status = found.get("submission_id"), found.get("status")
    if not isinstance(id, str) or not 0 < len(id) <= _TEXT_MAX or not isinstance(status, str):
        return None
    metadata = found.get("metadata")
    code = found.get("driver_exit_code")
    node = found.get("driver_node_id")
    return Job(
        id=id,
        status=status[:_TEXT_MAX],
        message=_text(found.get("message"))[-MESSAGE_MAX:],
        error_type=_text(found.get("error_type"))[:_TEXT_MAX],
        end_ms=_whole(found.get("end_time")),
        metadata=_texts(metadata),
        node=node[:_TEXT_MAX] if isinstance(node, str) and node else None,
        exit_code=code if type(code) is int else None,
    )


def jobs(found: object) -> Mapping[str, Job]:
    """Return submissions by their id."""
    listed = (job(each) for each in found) if isinstance(found, list) else ()
    return {each.id: each for each in listed if each is not None}


def nodes(found: object) -> Sequence[pools.Node] | None:
    """Return the nodes that are up, in order of id; None where the answer is no list of nodes."""
    rows = _at(found, "data", "result", "result")
    if not isinstance(rows, list):
        return None
    made = {}
    for row in rows:
        if not isinstance(row, dict) or row.get("state") != "ALIVE":
            continue
        id = row.get("node_id")
        if isinstance(id, str) and 0 < len(id) <= _TEXT_MAX:
            made[id] = pools.Node(id, _texts(row.get("labels")), _amounts(row.get("resources_total")))
    return [made[id] for id in sorted(made)]


def usage(found: object) -> pools.Usage | None:
    """Return what is used; None where the cluster does not say. Its keys come in camel case, CPU and GPU unchanged."""
    status = _at(found, "data", "clusterStatus")
    by_node = _at(status, "loadMetricsReport", "usageByNode")
    if not isinstance(status, dict) or not isinstance(by_node, dict):
        return None
    at = status.get("time")
    used: dict[str, dict[str, float]] = {}
    for id, amounts in list(by_node.items())[: 64 * _MAPPING_MAX]:
        if isinstance(amounts, dict):
            pairs = {name: pair[0] for name, pair in amounts.items() if isinstance(pair, list) and pair}
            used[str(id)] = dict(_amounts(pairs))
    seconds = at if isinstance(at, int | float) and math.isfinite(at) else 0
    return pools.Usage(int(seconds * 1000), used)


def _at(found: object, *path: str) -> Any:
    for name in path:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def _texts(found: object) -> Mapping[str, str]:
    if not isinstance(found, dict):
        return {}
    pairs = list(found.items())[:_MAPPING_MAX]
    return {name: text for name, text in pairs if isinstance(text, str) and len(name) + len(text) <= 8192}


def _amounts(found: object) -> Mapping[str, float]:
    if not isinstance(found, dict):
        return {}
    pairs = list(found.items())[:_MAPPING_MAX]
    return {
        str(name): float(amount)
        for name, amount in pairs
        if isinstance(amount, int | float) and not isinstance(amount, bool) and 0 <= amount < 2**63
    }


def _whole(found: object) -> int:
    return int(found) if isinstance(found, int | float) and math.isfinite(found) and 0 <= found < 2**53 else 0


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""
