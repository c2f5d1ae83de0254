"""From a rule that fired to the reason a person reads: message, cited facts, remedy. No decision is made here.

Whatever goes wrong while a sentence is made, the reason itself stays: its code and effect never depend on a template.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable
from typing import Any

from orchestrator.domain import claims, facts, reasons
from orchestrator.policy import attributes, dated, operands, rulebook, rules

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_TEXT_MAX = 400
_WHOLE_MAX = 1e15
"""Larger numbers are written with an exponent."""

_VIA = {
    "backend.location.country": "the site lies in {code}",
    "backend.adminFrom": "it is administered from {code}",
    "backend.logStore.country": "its logs lie in {code}",
    "backend.stores": "a store of the job lies in {code}",
    "operator.legalCountry": "the operator is established in {code}",
    "operator.ultimateParentHq": "the operator's ultimate parent has its headquarters in {code}",
    "operator.owners.list": "an owner of {percent} % of the operator is in {code}",
    "operator.exposureExtra": "the operator declares a reach from {code}",
    "controlPlane.location.country": "the control plane lies in {code}",
    "controlPlane.adminFrom": "the control plane is administered from {code}",
    "controlPlane.logStore.country": "the control plane's log lies in {code}",
    "controlPlane.backupStore.country": "the control plane's backups lie in {code}",
    "dataSet.location.country": "what the job writes is kept in {code}",
}


def reason(rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts, book: rulebook.RuleBook) -> reasons.Reason:
    """Return the reason of a rule that fired for one binding."""
    try:
        return reasons.Reason(
            code=fill(rule.code, rule, binding, day),
            effect=rule.effect,
            basis=rule.basis,
            message=message_of(rule, binding, day),
            facts=_citations(rule, binding, day),
            remedy=remedy_of(rule, binding, day, book),
        )
    except Exception as error:  # noqa: BLE001 - a broken sentence must not lose the reason
        message = f"{rule.id} fires, and its sentence could not be made ({type(error).__name__})"
        return reasons.Reason(rule.id, rule.effect, rule.basis, message)


def message_of(rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts) -> str:
    """Return the sentence of a rule that fired; bounded."""
    return fill(rule.message, rule, binding, day)[:_TEXT_MAX]


def code(rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts) -> str:
    """Return the code of a reason without making it; its form (``a.<x>``) where it depends on the site."""
    try:
        return fill(rule.code, rule, binding, day)
    except Exception:  # noqa: BLE001 - an attribute of the site, which is not bound here
        return _PLACEHOLDER.sub("<x>", rule.code)


def refusal(code: str, sentence: str) -> reasons.Reason:
    """Return the refusal of something that nobody can judge."""
    remedy = reasons.Remedy(reasons.RemedyKind.CHANGE_POLICY, "install, mend or switch on what would judge it")
    return reasons.Reason(code, reasons.Effect.DENY, reasons.Basis.DILIGENCE, sentence, (), remedy)


def broken(rule: rules.Rule, problem: str) -> reasons.Reason:
    """Return the refusal for a rule that raised."""
    code = f"{rulebook.UNSUPPORTED}:rules.{rule.id}"
    return refusal(code, f"the rule {rule.id} could not be evaluated, so it refuses: {problem}")


def united(found: Iterable[reasons.Reason]) -> tuple[reasons.Reason, ...]:
    """Return one reason a code, sorted; facts of several (one a data set) are put together."""
    by_code: dict[tuple[str, str], reasons.Reason] = {}
    for one in found:
        key = (one.code, one.effect.value)
        known = by_code.get(key)
        if known is None:
            by_code[key] = one
        elif one.facts != known.facts:
            extra = tuple(fact for fact in one.facts if fact not in known.facts)
            by_code[key] = reasons.Reason(
                known.code, known.effect, known.basis, known.message, known.facts + extra, known.remedy
            )
    return tuple(by_code[key] for key in sorted(by_code))


def caveats(book: rulebook.RuleBook, day: dated.DayFacts, weak: Iterable[tuple[str, str]]) -> list[reasons.Reason]:
    """Return what every answer of this book rests on: packs that do not judge, and facts known only weakly."""
    found = [_caveat(f"caveat.pack-off:{name}", f"the pack {name} is switched off") for name in book.off]
    if book.absent:
        names = ", ".join(book.absent)
        found.append(_caveat("caveat.packs-absent", f"these packs are not installed and judged nothing: {names}"))
    for set_name, value in sorted(weak):
        member = day.sets[set_name].members[value]
        mark = member.mark.value if member.mark else ""
        text = f"that {value} is in {set_name} is marked {mark}: {_MARKS[mark]}"
        cited = _citation(f"facts.{set_name}", value, member.stamp)
        found.append(_caveat(f"caveat.{mark}:{set_name}.{value}", text, (cited,)))
    return found


_MARKS = {
    "memory": "a single reading, not confirmed against its source",
    "unverified": "looked for, not confirmed",
    "": "",
}


def _caveat(code: str, message: str, cited: tuple[reasons.FactCitation, ...] = ()) -> reasons.Reason:
    return reasons.Reason(code, reasons.Effect.CAVEAT, reasons.Basis.DILIGENCE, message, cited)


def fill(template: str, rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts) -> str:
    """Fill a template from the bound values; ``{via}`` says through what a place or country comes in."""
    return "".join(_text(part, rule, binding, day) for part in _segments(template))


@functools.lru_cache(maxsize=4096)
def _segments(template: str) -> tuple[str | operands.Operand | None, ...]:
    """Split a template into text, operands, ``None`` for ``{via}``; ``{day}`` stays as written."""
    found: list[str | operands.Operand | None] = []
    for index, part in enumerate(_PLACEHOLDER.split(template)):
        if index % 2 == 0:
            found.append(part)
        else:
            found.append(None if part == "via" else "{day}" if part == "day" else operands.OPERANDS[part])
    return tuple(found)


def _text(part: str | operands.Operand | None, rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts) -> str:
    match part:
        case None:
            return _via(rule, binding, day)
        case "{day}":
            return day.day.isoformat()
        case str():
            return part
        case _:
            return text_of(part.read(binding[part.scope]))


def text_of(value: Any) -> str:
    """Return a value as a person reads it."""
    match value:
        case None:
            return "not stated"
        case bool():
            return "true" if value else "false"
        case facts.Assurance():
            return value.word
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < _WHOLE_MAX else str(value)
        case dt.date():
            return value.isoformat()
        case attributes.Place() | attributes.Reach():
            return value.code or attributes.UNKNOWN
        case attributes.Paper():
            return _paper(value)
        case claims.Claim():
            return f"{value.kind or 'a claim'} of {value.issuer or 'nobody known'}"
        case attributes.Licence():
            end = f" valid to {value.valid_to.isoformat()}" if value.valid_to is not None else ""
            return f"{value.ref or 'a licence'} for {', '.join(sorted(value.destinations)) or 'no place'}{end}"
        case attributes.Attested():
            state = "verified" if value.verified else "not verified"
            return f"{value.tee}, {state}" + (f", {value.at.isoformat()}" if value.at is not None else "")
        case (str() as name, int() as level):
            return f"{name} {level}"
        case frozenset():
            return ", ".join(sorted(value)) or "none"
        case tuple():
            return ", ".join(text_of(item) for item in value) or "none"
        case _:
            return str(value)


def _paper(paper: attributes.Paper) -> str:
    text = paper.kind
    if paper.valid_to is not None:
        text += f" valid to {paper.valid_to.isoformat()}"
    text = text if paper.in_scope else f"{text} (for another service or region)"
    return text if paper.assured else f"{text} (only {paper.assurance.word})"


def _via(rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts) -> str:
    phrases: dict[str, None] = {}
    for cite in rule.cite:
        for item in _picked(cite, rule, binding, day):
            if isinstance(item, attributes.Place | attributes.Reach):
                percent = f"{getattr(item, 'percent', 100.0):g}"
                phrase = _VIA.get(item.path, f"{item.path} is {{code}}")
                phrases[phrase.format(code=item.code or "an unknown country", percent=percent)] = None
    return "; ".join(phrases)


def _picked(cite: rules.Cite, rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts) -> tuple[Any, ...]:
    value = cite.operand.read(binding[cite.operand.scope])
    if cite.key is None:
        return (value,)
    return picked(value, fill(cite.key, rule, binding, day))


def picked(value: Any, key: str) -> tuple[Any, ...]:
    """Return the items that a keyed citation takes out of an attribute; one that holds no items, whole."""
    return tuple(item for item in value if _matches(item, key)) if isinstance(value, tuple) else (value,)


def _matches(item: Any, key: str) -> bool:
    match item:
        case attributes.Reach(code, _path, _percent):
            return code is None or code == key
        case attributes.Place(code, _path):
            return code == key
        case attributes.Paper():
            return item.kind == key
        case claims.Claim():
            return any(flaw.fault.value == key for flaw in item.flaws)
        case (str() as name, int()):
            return name == key
        case _:
            return bool(item == key)


def _citations(rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts) -> tuple[reasons.FactCitation, ...]:
    found: dict[reasons.FactCitation, None] = {}
    for cite in rule.cite:
        found.update(dict.fromkeys(citations_of(cite, rule, binding, day)))
    found.update(dict.fromkeys(looked_up(rule, binding, day)))
    return tuple(found)


def citations_of(
    cite: rules.Cite, rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts
) -> tuple[reasons.FactCitation, ...]:
    """Return what one citation of a rule comes to."""
    picked = _picked(cite, rule, binding, day)
    if cite.operand.name == "site.claims":
        return tuple(_flaw_citations(picked, cite.key, day))
    items = [item for item in picked if isinstance(item, attributes.Place | attributes.Reach | attributes.Paper)]
    if items or cite.operand.name in ("site.places", "job.places"):
        return tuple(_item_citation(cite, item, binding) for item in items)
    key = "" if cite.key is None else f"[{fill(cite.key, rule, binding, day)}]"
    value = ", ".join(map(text_of, picked)) or "none"
    return (_citation(f"{cite.operand.path}{key}", value, _stamp(cite.operand.path, binding)),)


def looked_up(rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts) -> tuple[reasons.FactCitation, ...]:
    """Return what every reason of a rule cites, whatever the site: the sets that its place was looked up in, itself."""
    own = reasons.FactCitation(f"rules.{rule.id}", rule.effect.value, rule.source)
    return (*_set_citations(rule, binding, day), own)


def _flaw_citations(
    picked: Iterable[claims.Claim], fault: str | None, day: dated.DayFacts
) -> Iterable[reasons.FactCitation]:
    """Cite what is wrong with claims on the day, and of a contradiction both sides: the claim's, and the document's."""
    for claim in picked:
        for flaw in claim.flaws:
            if flaw.fault.value != fault or not flaw.on(day.day):
                continue
            source = (claim.label + (f", key {claim.key}" if claim.key else ""))[:_TEXT_MAX]
            path, text = flaw.path or claim.path, f"{claim.kind or 'a claim'}: {flaw.detail}"
            if flaw.said is not None:
                text = flaw.said
                yield reasons.FactCitation(path, flaw.stated or "not stated", f"the {path.partition('.')[0]} document")
            yield reasons.FactCitation(path, text[:_TEXT_MAX], source, claim.issued, claim.valid_to)


def _item_citation(cite: rules.Cite, item: Any, binding: operands.Binding) -> reasons.FactCitation:
    if isinstance(item, attributes.Paper):
        stamp = _stamp(cite.operand.path, binding)
        path = f"{cite.operand.path}[{item.kind}]"
        return reasons.FactCitation(
            path, _paper(item), item.source or stamp.source, stamp.as_of, item.valid_to, stamp.assurance
        )
    percent = f" ({item.percent:g} %)" if isinstance(item, attributes.Reach) and item.percent < 100 else ""
    return _citation(item.path, (item.code or attributes.UNKNOWN) + percent, _stamp(item.path, binding))


def _set_citations(rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts) -> Iterable[reasons.FactCitation]:
    """Cite the dated sets that the place of a rule over locations was looked up in."""
    if not rule.per_location:
        return
    place = binding[operands.LOCATION]
    for leaf in rule.leaves():
        for arg in leaf.args if leaf.location else ():
            if isinstance(arg, rules.SetRef):
                live = day.sets[arg.name]
                member = live.members.get(place)
                if member is None:
                    yield _citation(f"facts.{arg.name}", f"{place} is not a member", live.stamp)
                else:
                    needs = f" for recipients in {member.condition}" if member.condition else ""
                    yield _citation(f"facts.{arg.name}", f"{place} is a member{needs}", member.stamp)


def cited(path: str, value: str, binding: operands.Binding) -> reasons.FactCitation:
    """Return the citation of a value at a document path, with the stamp of that document."""
    return _citation(path, value, _stamp(path, binding))


def _citation(path: str, value: str, stamp: facts.FactStamp) -> reasons.FactCitation:
    return reasons.FactCitation(path, value[:_TEXT_MAX], stamp.source, stamp.as_of, stamp.valid_to, stamp.assurance)


def _stamp(path: str, binding: operands.Binding) -> facts.FactStamp:
    site, job = binding.get(operands.SITE), binding[operands.JOB]
    document = path.partition(".")[0]
    if document == "operator" and site is not None:
        return site.operator_stamp  # type: ignore[no-any-return]
    if document == "backend" and site is not None:
        return site.backend_stamp  # type: ignore[no-any-return]
    if document == "dataSet" and "data" in binding:
        return binding["data"].stamp  # type: ignore[no-any-return]
    return job.control_plane_stamp if document == "controlPlane" else facts.FactStamp()


def remedy_of(
    rule: rules.Rule, binding: operands.Binding, day: dated.DayFacts, book: rulebook.RuleBook
) -> reasons.Remedy | None:
    """Return the first remedy of a rule that can be had; None: there is none."""
    for template in rule.remedies:
        until = None
        if template.wait_for is not None:
            operand, set_name = operands.OPERANDS[template.wait_for[0]], template.wait_for[1]
            start = book.facts.starts(set_name, operand.read(binding[operand.scope]), day.day)
            if start is None:
                continue
            until = rulebook.midnight(start)
        return reasons.Remedy(
            template.kind, fill(template.change, rule, binding, day), until, template.drops_constraint
        )
    return None
