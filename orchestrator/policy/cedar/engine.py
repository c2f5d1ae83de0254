"""The one door to the library (cedarpy): parse, validate, ask. Everything that is odd in an answer is an error here,
never an allow: Cedar itself skips a ``forbid`` whose condition fails, and says Allow.

The library is loaded when the first rule is met: a house without rules of its own does not wait for it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NewType

ACTION = 'Action::"place"'
PERMIT = "permit(principal, action, resource);\n"
"""Stands before all rules, so that Cedar's own word is an allow unless one of them fires."""
CHUNK = 500
"""Requests asked at once: bounds what is held in memory."""

_POLICY = re.compile(r"`policy(\d+)`")

PolicySet = NewType("PolicySet", object)
"""Rules made ready by the library."""
Entities = NewType("Entities", object)
"""Entities made ready by the library."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request: the numbers of the rules that fired and of those that failed.

    ``broken``: something failed that names no rule, so nobody knows what the others would have said.
    """

    fired: tuple[int, ...]
    failed: tuple[int, ...]
    broken: str = ""


def _cedar() -> Any:
    return importlib.import_module("cedarpy")


@functools.lru_cache(maxsize=1)
def version() -> str:
    """Return the library and its version, as ``cedarpy 4.12.2``: what gave the answers of a house's own rules."""
    return f"cedarpy {importlib.metadata.version('cedarpy')}"


@functools.lru_cache(maxsize=8)
def _schema(text: str) -> Any:
    return _cedar().Schema.from_str(text)


def parse_problem(text: str) -> str | None:
    """Return why a text cannot be parsed; None where it can."""
    try:
        _cedar().PolicySet.from_str(text)
    except ValueError as error:
        return str(error)
    return None


def tree(text: str) -> Mapping[str, Any]:
    """Return the rules of a text as Cedar's JSON form, by ``policy0``, ``policy1`` ... Raises ValueError."""
    parsed: dict[str, dict[str, Any]] = json.loads(_cedar().policies_to_json_str(text))
    return parsed["staticPolicies"]


def validate(text: str, schema: str) -> list[tuple[int | None, str]]:
    """Return what the schema has against a text: (number of the rule, sentence)."""
    result = _cedar().validate_policies(text, _schema(schema))
    found = []
    for error in result.errors:
        number = _POLICY.search(f"`{error.policy_id}` {error.error}")
        found.append((int(number[1]) if number else None, str(error.error)))
    if not result.validation_passed and not found:
        found.append((None, "the schema refuses it, and does not say why"))
    return found


def policies(texts: Sequence[str]) -> PolicySet:
    """Return rules made ready to be asked, after the permit: rule n of ``texts`` (one each) is ``policy<n + 1>``."""
    return PolicySet(_cedar().PolicySet.from_str(PERMIT + "\n".join(texts)))


def entities(rows: Sequence[Mapping[str, Any]], base: Entities | None = None) -> Entities:
    """Return entities made ready, beside those of ``base``. Raises ValueError."""
    if base is not None:
        known: Any = base
        return Entities(known.with_added_json_str(json.dumps(rows)))
    return Entities(_cedar().Entities.from_json_str(json.dumps(rows)))


def ask(requests: Sequence[Mapping[str, Any]], rules: PolicySet, facts: Entities) -> list[Answer]:
    """Return an answer for each request, in their order. Raises whatever the library does when it is not well."""
    found: list[Answer] = []
    for start in range(0, len(requests), CHUNK):
        asked = [dict(one) for one in requests[start : start + CHUNK]]
        results = _cedar().is_authorized_batch(asked, rules, facts)
        if len(results) != len(asked):
            raise RuntimeError("Cedar answered another number of requests")
        found += map(_answer, results)
    return found


def _answer(result: Any) -> Answer:
    diagnostics = result.diagnostics
    failed: list[int] = []
    broken = ""
    for error in diagnostics.errors:
        number = _POLICY.search(str(error))
        if number is None or int(number[1]) == 0:
            broken = str(error)[:200]
        else:
            failed.append(int(number[1]) - 1)
    fired: tuple[int, ...] = ()
    decision = result.decision.value
    if decision == "Deny":
        fired = tuple(int(name.removeprefix("policy")) - 1 for name in diagnostics.reasons)
        if not fired:
            broken = broken or "Cedar denies, and names no rule"
    elif decision != "Allow":
        broken = broken or "Cedar comes to no decision"
    return Answer(fired, tuple(failed), broken)
