"""What a change of documents allows that was refused before: found from the two documents alone, to be journaled.

Not a judgement of who it hits (``policy diff`` judges), and on the cautious side: a text of rules that changed may
loosen, and a country named beside a set may have been in it. Documents are in their normal form (``spec`` as JSON).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import listings
from orchestrator.policy import rulebook

WORD = "change.loosened"
"""What the journal calls it."""
_ASSURANCE = ("declared", "documented", "certified", "attested")

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Loosening:
    """One thing that is refused no longer, or may not be. ``path`` is that of the document."""

    code: str
    path: str
    text: str

    def as_json(self) -> dict[str, str]:
        """Return it as the journal and answers say it."""
        return {"code": self.code, "path": self.path, "text": self.text}


def found(kind: str, old: Spec | None, new: Spec | None) -> tuple[Loosening, ...]:
    """Return what loosens from one spec of a document to the next. None: there was no such document, or is none now."""
    finder = _FINDERS.get(kind)
    if finder is None or old is None:
        return ()
    return tuple(finder(old, new))


def of_packs(old: Collection[str] | None, new: Collection[str] | None) -> tuple[Loosening, ...]:
    """Return the packs that were in force and are not any more; nothing where either is not known."""
    if old is None or new is None:
        return ()
    gone = sorted(set(old) - set(new))
    return tuple(Loosening("pack.off", f"packs.{name}", f"the pack {name} is not in force any more") for name in gone)


def of_books(old: rulebook.RuleBook, new: rulebook.RuleBook) -> tuple[Loosening, ...]:
    """Return what packs that were read again may refuse less: packs and rules gone, rules and dated sets changed.

    Rules that only say something (caveats) are left out, and so is what a pack that is gone took with it.
    """
    found = [*of_packs([name for name, _ in old.versions], [name for name, _ in new.versions])]
    still = {pack.name for pack in new.packs}
    rules = {rule.id: rule for rule in new.rules}
    for rule in old.rules:
        now = rules.get(rule.id)
        if rule.pack not in still:
            continue
        if now is None:
            found.append(Loosening("rule.gone", f"packs.{rule.pack}.{rule.id}", "the rule is not in force any more"))
        elif now.text != rule.text:
            found.append(Loosening("rule.text", f"packs.{rule.pack}.{rule.id}", "the rule changed, may refuse less"))
    for name, members in sorted(old.facts.sets.items()):
        if old.origins.get(name) in still and new.facts.sets.get(name) != members:
            path = f"packs.{old.origins[name]}.{name}"
            found.append(Loosening("set.changed", path, "the dated set changed, and may refuse less"))
    return tuple(found)


def _tenant(old: Spec, new: Spec | None) -> Iterator[Loosening]:
    new = new or {}
    yield from _sovereignty("spec.floor", old.get("floor") or {}, new.get("floor") or {})
    before, after = old.get("tiers") or {}, new.get("tiers") or {}
    for name in sorted(set(before) & set(after)):
        yield from _sovereignty(f"spec.tiers.{name}", before[name] or {}, after[name] or {})
    yield from _not_any_more("spec.usPerson", old.get("usPerson"), new.get("usPerson"))
    yield from _regimes(old, new)
    default, now = old.get("defaultData") or {}, new.get("defaultData") or {}
    for member in ("classes", "subjects"):
        yield from _fewer(f"spec.defaultData.{member}", default.get(member), now.get(member), "is not assumed any more")
    path = "spec.mayDeclareNoData"
    yield from _wider(path, old.get("mayDeclareNoData"), new.get("mayDeclareNoData"), "may say `data: none`")


def _sovereignty(path: str, old: Spec, new: Spec) -> Iterator[Loosening]:
    countries, now = old.get("countries") or {}, new.get("countries") or {}
    yield from _wider(f"{path}.countries.allow", countries.get("allow"), now.get("allow"), "is allowed")
    yield from _fewer(f"{path}.countries.deny", countries.get("deny"), now.get("deny"), "is not denied any more")
    exposure, now = old.get("exposure") or {}, new.get("exposure") or {}
    yield from _fewer(f"{path}.exposure.deny", exposure.get("deny"), now.get("deny"), "is not denied any more")
    more = set(now.get("acceptImmunity") or ()) - set(exposure.get("acceptImmunity") or ())
    for name in sorted(more) if exposure.get("deny") else ():
        yield Loosening("constraint.wider", f"{path}.exposure.acceptImmunity", f"{name} is accepted")
    yield from _fewer(f"{path}.certifications", old.get("certifications"), new.get("certifications"), "is not needed")
    yield from _wider(f"{path}.tee", old.get("tee") or None, new.get("tee") or None, "is accepted")
    levels, now = old.get("seal") or {}, new.get("seal") or {}
    for name in sorted(levels):
        yield from _lower(f"{path}.seal.{name}", levels[name], now.get(name))
    yield from _lower(f"{path}.sovereigntyScore", old.get("sovereigntyScore"), new.get("sovereigntyScore"))
    ranks = [_rank(one.get("minAssurance")) for one in (old, new)]
    yield from _lower(f"{path}.minAssurance", *ranks, words=_ASSURANCE)


def _policy(old: Spec, new: Spec | None) -> Iterator[Loosening]:
    if new is None:
        yield Loosening("policy.withdrawn", "spec", "the policy is withdrawn")
        return
    if old.get("engine") != new.get("engine") or old.get("text") != new.get("text"):
        yield Loosening("policy.text", "spec.text", "the text changed, and may refuse less")
    yield from _window("spec.effective", old.get("effective") or {}, new.get("effective") or {})
    directive, now = old.get("directive") or {}, new.get("directive") or {}
    for member in ("models", "parties"):
        path = f"spec.directive.{member}"
        yield from _fewer(path, directive.get(member), now.get(member), "is not named any more")
    if directive and now:
        yield from _window("spec.directive", directive, now)


def _data_set(old: Spec, new: Spec | None) -> Iterator[Loosening]:
    new = new or {}
    for member in ("classes", "subjects"):
        yield from _fewer(f"spec.{member}", old.get(member), new.get(member), "is not said of the data any more")
    before, after = (
        [f"{one.get('regime')}:{one.get('item')}" for one in spec.get("exportControl") or ()] for spec in (old, new)
    )
    yield from _fewer("spec.exportControl", before, after, "is not said of the data any more")
    for member in ("ciio", "sdfLocalised"):
        yield from _not_any_more(f"spec.{member}", old.get(member), new.get(member))
    counts, now = old.get("counts") or {}, new.get("counts") or {}
    for member in ("persons", "sensitive"):
        yield from _lower(f"spec.counts.{member}", counts.get(member), now.get(member))


def _backend(old: Spec, new: Spec | None) -> Iterator[Loosening]:
    if new is None:
        return
    terms, now = old.get("accepts") or {}, new.get("accepts") or {}
    for member in ("tenantCountries", "types"):
        yield from _wider(f"spec.accepts.{member}", terms.get(member), now.get(member), "is taken")
    yield from _fewer("spec.accepts.denyClasses", terms.get("denyClasses"), now.get("denyClasses"), "is taken again")


def _party(old: Spec, new: Spec | None) -> Iterator[Loosening]:
    if new is not None:
        yield from _regimes(old, new)


def _regimes(old: Spec, new: Spec) -> Iterator[Loosening]:
    """Whoever states none is bound by every regime; one that is stated no more binds no more."""
    before = old.get("sanctionsRegimes") or listings.REGIMES
    after = new.get("sanctionsRegimes") or listings.REGIMES
    yield from _fewer("spec.sanctionsRegimes", before, after, "is not said to bind any more")


_FINDERS = {
    "Backend": _backend,
    "ControlPlane": _party,
    "DataSet": _data_set,
    "Operator": _party,
    "Policy": _policy,
    "Tenant": _tenant,
}


def _fewer(path: str, old: Sequence[str] | None, new: Sequence[str] | None, text: str) -> Iterator[Loosening]:
    for name in sorted(set(old or ()) - set(new or ())):
        yield Loosening("constraint.removed", path, f"{name} {text}")


def _wider(path: str, old: Sequence[str] | None, new: Sequence[str] | None, text: str) -> Iterator[Loosening]:
    """Compare lists of what is allowed; None: everything is."""
    if old is None:
        return
    if new is None:
        yield Loosening("constraint.removed", path, f"everything {text}")
        return
    for name in sorted(set(new) - set(old)):
        yield Loosening("constraint.wider", path, f"{name} {text}")


def _lower(path: str, old: int | None, new: int | None, *, words: Sequence[str] = ()) -> Iterator[Loosening]:
    if old is None or (new is not None and new >= old):
        return
    before, after = (None if level is None else words[level] if words else level for level in (old, new))
    text = f"{before} is not said any more" if after is None else f"lowered from {before} to {after}"
    yield Loosening("constraint.lower", path, text)


def _not_any_more(path: str, old: bool | None, new: bool | None) -> Iterator[Loosening]:
    if old and not new:
        yield Loosening("constraint.removed", path, "is not said any more")


def _window(path: str, old: Spec, new: Spec) -> Iterator[Loosening]:
    """Compare from when to when something holds. Days in ISO form order as text."""
    if (new.get("from") or "") > (old.get("from") or ""):
        yield Loosening("policy.later", f"{path}.from", f"holds from {new['from']} only")
    if new.get("to") and (not old.get("to") or new["to"] < old["to"]):
        yield Loosening("policy.shorter", f"{path}.to", f"holds to {new['to']} only")


def _rank(word: str | None) -> int | None:
    return None if word is None else _ASSURANCE.index(word)
