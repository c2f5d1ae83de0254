"""Reads the content of a pack's two files: ``rules.yaml`` and ``facts.yaml``, as plain data, into values.

Every fact has a source, dates and an assurance; a set's own hold for each member that does not say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import facts
from orchestrator.policy import counters, dated, rules, shapes


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that was read without a problem."""

    name: str
    version: str
    title: str
    rules: tuple[rules.Rule, ...]
    parameters: tuple[tuple[str, Any], ...] = ()
    """Those of the pack, with what the house set in their place."""
    doubts: tuple[str, ...] = ()
    """What a maintainer still has to find out."""
    preview: bool = False
    """A law that is not in force: off unless somebody switches it on."""
    counters: tuple[counters.Counter, ...] = ()
    """What adds up towards thresholds that the rules read."""


_PACK_KEYS = {"pack", "version", "title", "note", "parameters", "rules", "counts", "doubts", "preview"}


def read_rules(name: str, raw: Any, parameters: Mapping[str, Any]) -> tuple[Pack, rules.RuleReader]:
    """Read the content of ``rules.yaml``. Raises ``PackError`` with every problem."""
    try:
        row = shapes.mapping(raw, (), _PACK_KEYS)
        if row.get("pack") != name:
            raise shapes.BadShapeError(("pack",), f"expected {name!r}, the name of the folder")
        own = shapes.mapping(row.get("parameters", {}), ("parameters",), set(row.get("parameters", {})))
        for parameter in parameters:
            if parameter not in own:
                raise shapes.BadShapeError(
                    ("parameters",), f"{parameter!r} is set by the house but not a parameter of this pack"
                )
    except shapes.BadShapeError as bad:
        raise shapes.PackError([(bad.path, bad.text)]) from None
    reader = rules.RuleReader(name, {**own, **parameters})
    found = reader.rules(row.get("rules"), ("rules",))
    counted = counters.read(reader, row.get("counts"), ("counts",))
    ids_seen: set[str] = set()
    for index, rule in enumerate(found):
        if rule.id in ids_seen:
            reader.problems.append((("rules", index, "id"), f"{rule.id!r} is used twice"))
        ids_seen.add(rule.id)
    if reader.problems:
        raise shapes.PackError(reader.problems)
    doubts = tuple(str(doubt) for doubt in row.get("doubts", ()))
    given = tuple(sorted(reader.parameters.items()))
    version, title = str(row.get("version", "")), str(row.get("title", ""))
    return Pack(name, version, title, found, given, doubts, row.get("preview") is True, counted), reader


def read_facts(pack: str, raw: Any) -> tuple[dated.DatedSet, ...]:
    """Read the content of ``facts.yaml``; None is an empty file. Raises ``PackError`` with every problem."""
    if raw is None:
        return ()
    problems: list[tuple[shapes.Path, str]] = []
    found = []
    try:
        row = shapes.mapping(raw, (), {"pack", "note", "sets"})
        if row.get("pack") != pack:
            raise shapes.BadShapeError(("pack",), f"expected {pack!r}, the name of the folder")
        listed = shapes.items(row.get("sets"), ("sets",))
    except shapes.BadShapeError as bad:
        raise shapes.PackError([(bad.path, bad.text)]) from None
    for index, item in enumerate(listed):
        try:
            found.append(_dated_set(item, ("sets", index)))
        except shapes.BadShapeError as bad:
            problems.append((bad.path, bad.text))
    if problems:
        raise shapes.PackError(problems)
    return tuple(found)


_STAMP_KEYS = {"source", "as_of", "valid_from", "valid_to", "assurance", "mark"}


def _dated_set(raw: Any, path: shapes.Path) -> dated.DatedSet:
    row = shapes.mapping(raw, path, {"name", "title", "public", "includes", "excludes", "members", *_STAMP_KEYS})
    stamp = _stamp(row, path, facts.FactStamp(assurance=facts.Assurance.DOCUMENTED))
    mark = _mark(row, path, None)
    members = []
    for index, item in enumerate(shapes.items(row.get("members", []), (*path, "members"))):
        here = (*path, "members", index)
        if isinstance(item, str):
            members.append(dated.Member(item, stamp, mark=mark))
            continue
        one = shapes.mapping(item, here, {"value", "condition", "note", "amount", *_STAMP_KEYS})
        value = shapes.text(one, "value", here)
        note, condition = str(one.get("note", "")), one.get("condition")
        own = _stamp(one, here, stamp)
        members.append(dated.Member(value, own, condition, _mark(one, here, mark), note, _amount(one, here)))
    return dated.DatedSet(
        name=shapes.text(row, "name", path),
        title=shapes.text(row, "title", path),
        stamp=stamp,
        members=tuple(members),
        includes=tuple(str(name) for name in shapes.items(row.get("includes", []), path)),
        excludes=tuple(str(name) for name in shapes.items(row.get("excludes", []), path)),
        public=row.get("public"),
    )


def _stamp(row: Mapping[str, Any], path: shapes.Path, base: facts.FactStamp) -> facts.FactStamp:
    word = row.get("assurance", base.assurance.word)
    if word not in {item.word for item in facts.Assurance}:
        raise shapes.BadShapeError((*path, "assurance"), f"{word!r} is not an assurance level")
    stamp = facts.FactStamp(
        source=row.get("source", base.source),
        as_of=shapes.day_or_none(row["as_of"], (*path, "as_of")) if "as_of" in row else base.as_of,
        valid_from=shapes.day_or_none(row["valid_from"], path) if "valid_from" in row else base.valid_from,
        valid_to=shapes.day_or_none(row["valid_to"], path) if "valid_to" in row else base.valid_to,
        assurance=facts.Assurance[word.upper()],
    )
    if stamp.source is None:
        raise shapes.BadShapeError((*path, "source"), "every fact needs a source")
    return stamp


def _amount(row: Mapping[str, Any], path: shapes.Path) -> float | None:
    amount = row.get("amount")
    if amount is not None and (isinstance(amount, bool) or not isinstance(amount, int | float)):
        raise shapes.BadShapeError((*path, "amount"), f"expected a number, not {amount!r}")
    return amount


def _mark(row: Mapping[str, Any], path: shapes.Path, base: dated.Mark | None) -> dated.Mark | None:
    chosen: dated.Mark | None = shapes.choice(dated.Mark, row, "mark", path) if "mark" in row else base
    return chosen
