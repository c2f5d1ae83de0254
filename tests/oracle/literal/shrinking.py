"""Makes a case that two evaluators answer differently small: drops keys and items one by one while they still do."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

Case = tuple[dict[str, Any], dict[str, Any], str]
Path = tuple[Any, ...]

STEPS = 500
TODAY = "2026-11-22"


def shrink(case: Case, persists: Callable[[Case], bool]) -> Case:
    """Return a case that ``persists`` holds for, and for none of those with one key, item or odd day less."""
    for _ in range(STEPS):
        smaller = next((item for item in _smaller(case) if persists(item)), None)
        if smaller is None:
            break
        case = smaller
    return case


def _smaller(case: Case) -> Iterator[Case]:
    job, backend, at = case
    if at != TODAY:
        yield job, backend, TODAY
    whole = {"job": job, "backend": backend}
    for path in _paths(whole):
        if len(path) > 1:
            without = copy.deepcopy(whole)
            holder: Any = without
            for step in path[:-1]:
                holder = holder[step]
            del holder[path[-1]]
            yield without["job"], without["backend"], at


def _paths(value: Any, before: Path = ()) -> Iterator[Path]:
    """Yield the path of every key and item, outer ones first: what goes early takes much along."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*before, key)
    for key in keys:
        yield from _paths(value[key], (*before, key))


def written(case: Case, expected: tuple[str, tuple[str, ...]], got: str) -> str:
    """Return a case as an item of a file of golden cases, and as a comment what the other one said."""
    job, backend, at = case
    decision, rules = expected
    return "\n".join(
        (
            "- id: X01",
            '  title: "..."',
            f"  at: {at}",
            f"  job: {_flow(job)}",
            f"  backend: {_flow(backend)}",
            f"  decision: {decision}",
            f"  rules: {json.dumps(list(rules))}",
            f"  # the other one: {got}",
        )
    )


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return json.dumps(value)
