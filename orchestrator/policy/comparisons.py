"""Two rule books side by side: which rules and dated facts differ, before anybody's job meets the difference."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.policy import dated, rulebook


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed. ``kind`` is ``pack``, ``rule``, ``set`` or ``member``; ``before`` or ``after`` None: not there."""

    kind: str
    name: str
    before: str | None
    after: str | None


def differences(before: rulebook.RuleBook, after: rulebook.RuleBook) -> tuple[Difference, ...]:
    """Return every difference of packs in force, rules and dated sets, sorted by kind and name."""
    found = _pairs("pack", dict(before.versions), dict(after.versions))
    found += _pairs("rule", _rules(before), _rules(after))
    found += _pairs("set", _sets(before), _sets(after))
    found += _pairs("member", _members(before), _members(after))
    return tuple(sorted(found, key=lambda each: (_ORDER[each.kind], each.name)))


_ORDER = {"pack": 0, "rule": 1, "set": 2, "member": 3}


def _pairs(kind: str, before: dict[str, str], after: dict[str, str]) -> list[Difference]:
    names = sorted({*before, *after})
    return [
        Difference(kind, name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _rules(book: rulebook.RuleBook) -> dict[str, str]:
    return {rule.id: rule.text for rule in (*book.rules, *book.caveats)}


def _sets(book: rulebook.RuleBook) -> dict[str, str]:
    return {
        name: f"includes {', '.join(found.includes) or 'none'}; excludes {', '.join(found.excludes) or 'none'}"
        for name, found in book.facts.sets.items()
    }


def _members(book: rulebook.RuleBook) -> dict[str, str]:
    return {
        f"{name}.{member.value}": _said(member) for name, found in book.facts.sets.items() for member in found.members
    }


def _said(member: dated.Member) -> str:
    stamp = member.stamp
    parts = [f"from {stamp.valid_from or 'ever'} to {stamp.valid_to or 'further notice'}"]
    parts += [f"only with {member.condition}"] if member.condition else []
    parts += [f"{member.amount:g}"] if member.amount is not None else []
    parts += [member.mark.value] if member.mark else []
    return ", ".join([*parts, f"source {stamp.source}"])
