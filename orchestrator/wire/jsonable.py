"""From a file's data to the JSON that is sent, without loading a model: what the command line needs to be quick.

Everything is text in its own spelling, but for the fields named here, whose values are numbers or truth values. The
table is held against the schemas by a test. Nothing is judged: what is wrong stays as it is, and the server says so;
:func:`orchestrator.wire.errors.parse_path` and ``LoadedDocument.locate`` then find the line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.wire import errors, spellings

ANY = "*"

_PLACE = "location.regionPinnedByContract"
_CONSTRAINTS = ("seal.*", "sovereigntyScore")


def _patterns(*paths: str) -> frozenset[tuple[str, ...]]:
    return frozenset(("spec", *path.split(".")) for path in paths)


NOT_TEXT = {
    "ControlPlane": _patterns(_PLACE),
    "Operator": _patterns(
        "owners.coverage", "owners.list.*.percent", "usPerson", "coveredPerson", "listed", "listedOwnershipPercent"
    ),
    "Backend": _patterns(
        _PLACE,
        "logRetentionDays",
        "seal.*",
        "pools.*.count",
        "pools.*.pue",
        f"pools.*.{_PLACE}",
        "carbon.gramsPerKwh",
        "chinaStateFunded",
    ),
    "DataSet": _patterns("counts.persons", "counts.sensitive", "ciio", "sdfLocalised"),
    "Tenant": _patterns(
        "usPerson",
        "usOnlyUsers",
        *(f"floor.{path}" for path in _CONSTRAINTS),
        *(f"tiers.*.{path}" for path in _CONSTRAINTS),
    ),
    "Queue": _patterns("weight", "priorities.*"),
    "Policy": _patterns("directive.immediate"),
    "Job": _patterns(
        "resources.accelerators.count",
        "network.egress.dns",
        "nodes",
        "array.size",
        "array.parallel",
        *(f"sovereignty.{path}" for path in _CONSTRAINTS),
        "model.trainFlop",
        "objective.cost",
        "objective.carbon",
        "objective.latency",
        "limits.rttMs",
        "retry.attempts",
        "verification.replicas",
        "verification.quorum",
        "verification.spotCheck",
        "verification.tolerance.absolute",
        "verification.tolerance.relative",
    ),
}
"""Kind -> patterns of the fields that hold a number or a truth value; ``*`` stands for any key or index."""

FREE_FORM = {"Backend": _patterns("settings"), "Policy": _patterns("tests")}
"""Kind -> fields whose schema is somebody else's."""


def to_json(data: Any) -> Any:
    """Return the document that ``data`` (of :mod:`orchestrator.wire.yaml_loader`) means, ready for ``json.dumps``.

    Never raises: data that is no document comes back as it would be read without a schema, numbers as text.
    """
    kind = str(data.get("kind", "")) if isinstance(data, dict) else ""
    form = spellings.pointed_form if kind == "Policy" else spellings.free_form
    return _converted(data, NOT_TEXT.get(kind, frozenset()), FREE_FORM.get(kind, frozenset()), form)


_Patterns = frozenset[tuple[str, ...]]


def _converted(value: Any, numbers: _Patterns, free: _Patterns, form: Callable[[object], object]) -> Any:
    """Convert ``value``; the patterns are those that still match, cut to what follows."""
    if () in free:
        return form(value)
    if isinstance(value, spellings.Plain):
        return _resolved(value) if () in numbers else str(value)
    if isinstance(value, dict):
        return {key: _converted(member, _below(numbers, key), _below(free, key), form) for key, member in value.items()}
    if isinstance(value, list):
        numbers, free = _below(numbers, ANY), _below(free, ANY)
        return [_converted(member, numbers, free, form) for member in value]
    return value


def _below(patterns: _Patterns, part: str) -> _Patterns:
    return frozenset(pattern[1:] for pattern in patterns if pattern and pattern[0] in (part, ANY))


def _resolved(value: spellings.Plain) -> Any:
    try:
        return spellings.resolve(value)
    except errors.ValueProblemError:
        return str(value)
