"""Packs as a program and as a person read them: state, windows, parameters, rules with their sources, dated sets,
open doubts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.cli.rendering import tables
from orchestrator.domain import obligations, reasons

NOTE = "Engineering, not legal advice. A decision that no rule refuses says so; it never says that a thing is legal."


def items(book: Any) -> list[dict[str, Any]]:
    """Return every pack of a rule book with all that is known about it, as plain data."""
    found = [(pack, "on") for pack in book.packs]
    found += [(pack, "preview, off" if pack.preview else "off") for pack in book.resting]
    return [_item(pack, state, book) for pack, state in sorted(found, key=lambda pair: str(pair[0].name))]


def _item(pack: Any, state: str, book: Any) -> dict[str, Any]:
    return {
        "name": pack.name,
        "version": pack.version,
        "title": pack.title,
        "state": state,
        "parameters": dict(pack.parameters),
        "doubts": list(pack.doubts),
        "rules": [_rule(rule) for rule in pack.rules],
        "sets": [_set(book.facts.sets[name], book.origins.get(name)) for name in _set_names(pack, book)],
    }


def _set_names(pack: Any, book: Any) -> list[str]:
    return sorted(name for name, origin in book.origins.items() if origin == pack.name)


def _rule(rule: Any) -> dict[str, Any]:
    return {
        "id": rule.id,
        "code": rule.code,
        "effect": rule.effect.value,
        "basis": rule.basis.value,
        "from": _day(rule.start),
        "to": _day(rule.end),
        "due": _due(rule),
        "source": rule.source,
    }


def _due(rule: Any) -> str | None:
    """Return within which time the duty of a rule is done (``14d``); None for rules that oblige to nothing."""
    return obligations.due_text(rule.due_days) if rule.effect is reasons.Effect.OBLIGE else None


def _set(found: Any, origin: str | None) -> dict[str, Any]:
    marks = sorted({member.mark.value for member in found.members if member.mark is not None})
    return {
        "name": found.name,
        "pack": origin,
        "title": found.title,
        "members": len(found.members),
        "source": found.stamp.source,
        "asOf": _day(found.stamp.as_of),
        "marks": marks,
    }


def _day(day: dt.date | None) -> str | None:
    return day.isoformat() if day is not None else None


def table(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one line a pack."""
    rows = [["PACK", "VERSION", "STATE", "RULES", "DOUBTS", "WHAT"]]
    for one in found:
        doubts = str(len(one["doubts"])) if one["doubts"] else "-"
        rows.append([one["name"], one["version"], one["state"], str(len(one["rules"])), doubts, one["title"]])
    return tables.aligned(rows, right=frozenset({3, 4}))


def page(one: Mapping[str, Any]) -> list[str]:
    """Return everything about one pack."""
    lines = [f"{one['name']} {one['version']} ({one['state']}): {one['title']}", NOTE]
    if one["parameters"]:
        lines += ["", "parameters", *tables.aligned([[k, str(v)] for k, v in one["parameters"].items()], margin="  ")]
    rows = [["RULE", "EFFECT", "BASIS", "DUE", "IN FORCE", "SOURCE"]]
    rows += [
        [rule["id"], rule["effect"], rule["basis"], rule["due"] or "-", _window(rule), rule["source"]]
        for rule in one["rules"]
    ]
    lines += ["", *tables.aligned(rows)]
    if one["sets"]:
        rows = [["SET", "MEMBERS", "AS OF", "MARKS", "SOURCE"]]
        rows += [
            [
                found["name"],
                str(found["members"]),
                found["asOf"] or "-",
                ", ".join(found["marks"]) or "-",
                found["source"],
            ]
            for found in one["sets"]
        ]
        lines += ["", *tables.aligned(rows, right=frozenset({1}))]
    if one["doubts"]:
        lines += ["", "open doubts", *(f"  {doubt}" for doubt in one["doubts"])]
    return lines


def _window(rule: Mapping[str, Any]) -> str:
    match rule["from"], rule["to"]:
        case None, None:
            return "always"
        case start, None:
            return f"from {start}"
        case None, end:
            return f"to {end}"
        case start, end:
            return f"{start} to {end}"
    return "always"
