"""Bugs planted in the packs, one at a time: a condition lost, an effect turned, a member missing, a day shifted.

Each mutant is the plain content of all packs with exactly one change; what changes nothing that could be seen (a
caveat, a source, a member that another set brings in as well) is not planted.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.policy import rulebook
from orchestrator.sources import countries, packs, yamls

Content = dict[str, dict[str, Any]]
"""Pack -> ``rules`` and ``facts`` as plain data."""


@dataclass(frozen=True)
class Mutant:
    """One planted bug: where, what, and the change itself."""

    pack: str
    name: str
    change: Callable[[Content], None]


def contents() -> Content:
    """Return the packs that ship, as plain data."""
    found = {}
    for path in sorted(packs.BUILT_IN.iterdir()):
        if (path / "rules.yaml").exists():
            found[path.name] = {"rules": _plain(path / "rules.yaml"), "facts": _plain(path / "facts.yaml")}
    return found


def _plain(path: Path) -> Any:
    return yamls.read(path).data if path.exists() else None


def book(content: Content) -> rulebook.RuleBook:
    """Return the rule book of these packs."""
    raw = [rulebook.RawPack(name, one["rules"], one["facts"]) for name, one in content.items()]
    return rulebook.build(raw, countries=countries.names())


def planted(mutant: Mutant, content: Content) -> rulebook.RuleBook:
    """Return the rule book with one bug."""
    own = {**content, mutant.pack: copy.deepcopy(content[mutant.pack])}
    mutant.change(own)
    return book(own)


def mutants(content: Content) -> Iterator[Mutant]:
    """Yield every bug that can be planted in packs in force."""
    for pack, one in content.items():
        if one["rules"].get("preview"):
            continue
        for index, rule in enumerate(one["rules"]["rules"]):
            if rule["effect"] != "caveat":
                yield from _of_rule(pack, index, rule)
        for number, found in enumerate((one["facts"] or {}).get("sets", ())):
            yield from _of_set(pack, number, found)


def _of_rule(pack: str, index: int, rule: dict[str, Any]) -> Iterator[Mutant]:
    def on(change: Callable[[dict[str, Any]], None]) -> Callable[[Content], None]:
        return lambda content: change(content[pack]["rules"]["rules"][index])

    turned = "oblige" if rule["effect"] == "deny" else "deny"
    yield Mutant(pack, f"{rule['id']}: effect {turned}", on(lambda one: one.update(effect=turned)))
    yield Mutant(pack, f"{rule['id']}: code", on(lambda one: one.update(code=f"{rule['id']}.x")))
    for part in ("when", "unless"):
        for at, condition in enumerate(rule.get(part, ())):
            if len(rule.get("when", ())) + len(rule.get("unless", ())) > 1:
                name = f"{rule['id']}: {part}[{at}] lost"
                yield Mutant(pack, name, on(lambda one, part=part, at=at: one[part].pop(at)))
            yield from _inside(pack, index, rule["id"], (part, at), condition)
    for key in ("from", "to"):
        if key in rule:
            later = (dt.date.fromisoformat(rule[key]) + dt.timedelta(days=1)).isoformat()
            yield Mutant(pack, f"{rule['id']}: {key} a day later", on(lambda one, k=key, d=later: one.update({k: d})))
            yield Mutant(pack, f"{rule['id']}: {key} lost", on(lambda one, k=key: one.pop(k)))


def _inside(pack: str, index: int, id_: str, path: tuple[Any, ...], condition: dict[str, Any]) -> Iterator[Mutant]:
    """Yield bugs inside a condition: one of several lost, a literal list that lacks an item, a number moved."""

    def at(content: Content) -> Any:
        found: Any = content[pack]["rules"]["rules"][index]
        for step in path:
            found = found[step]
        return found

    ((name, arguments),) = condition.items()
    if name in ("any", "all"):
        for number, inner in enumerate(arguments):
            if len(arguments) > 1:
                label = f"{id_}: {'.'.join(map(str, path))}.{name}[{number}] lost"
                yield Mutant(pack, label, lambda content, n=name, i=number: at(content)[n].pop(i))
            yield from _inside(pack, index, id_, (*path, name, number), inner)
    elif name == "not":
        yield from _inside(pack, index, id_, (*path, name), arguments)
    else:
        for number, argument in enumerate(arguments):
            label = f"{id_}: {'.'.join(map(str, path))}.{name}({number})"
            if isinstance(argument, list) and len(argument) > 1:
                for item in argument:
                    yield Mutant(
                        pack, f"{label} without {item}", lambda c, n=name, i=number, x=item: at(c)[n][i].remove(x)
                    )
            elif isinstance(argument, int) and not isinstance(argument, bool):
                yield Mutant(
                    pack, f"{label} one more", lambda c, n=name, i=number: at(c)[n].__setitem__(i, at(c)[n][i] + 1)
                )


def _of_set(pack: str, number: int, found: dict[str, Any]) -> Iterator[Mutant]:
    def on(change: Callable[[dict[str, Any]], None]) -> Callable[[Content], None]:
        return lambda content: change(content[pack]["facts"]["sets"][number])

    for key in ("includes", "excludes"):
        for at, name in enumerate(found.get(key, ())):
            yield Mutant(pack, f"{found['name']}: {key} {name} lost", on(lambda one, k=key, a=at: one[k].pop(a)))
    for at, member in enumerate(found.get("members", ())):
        value = member if isinstance(member, str) else member["value"]
        yield Mutant(pack, f"{found['name']}: without {value}", on(lambda one, a=at: one["members"].pop(a)))
        if isinstance(member, str):
            continue
        for key, days in (("valid_from", 1), ("valid_to", -1)):
            if key in member:
                day = (dt.date.fromisoformat(member[key]) + dt.timedelta(days=days)).isoformat()
                yield Mutant(
                    pack,
                    f"{found['name']}: {value} {key} {day}",
                    on(lambda one, a=at, k=key, d=day: one["members"][a].update({k: d})),
                )
        if "condition" in member:
            yield Mutant(
                pack,
                f"{found['name']}: {value} unconditional",
                on(lambda one, a=at: one["members"][a].pop("condition")),
            )
        if "amount" in member:
            yield Mutant(
                pack,
                f"{found['name']}: {value} one more",
                on(lambda one, a=at: one["members"][a].update(amount=one["members"][a]["amount"] + 1)),
            )
