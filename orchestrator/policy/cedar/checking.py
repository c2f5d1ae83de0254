"""Checks the text of a policy before it may hold: bounds, grammar, schema, annotations. Every problem has its place.

What passes is a tuple of rules with all that a reason says, and with what each of them reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import obligations, reasons, words
from orchestrator.policy import operands
from orchestrator.policy.cedar import engine, schemas, texts

ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", re.ASCII)
_ANNOTATIONS = ("basis", "due", "effect", "id", "reason", "remedy", "remedy_kind")
_EFFECTS = {"deny": reasons.Effect.DENY, "oblige": reasons.Effect.OBLIGE}
_SENTENCE_MAX = 400
_TRIED_MAX = 100
"""Tokens of one name that are tried as the one a parser stumbled over."""

DATA, LOCATIONS, HOUR, WEEKDAY, SETS, DAY = "data", "locations", "hour", "weekday", "sets", "day"


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``forbid`` of a policy: what it says, and what it reads (names of operands, members of the context)."""

    id: str
    text: str
    effect: reasons.Effect
    basis: reasons.Basis
    message: str
    remedy: str
    remedy_kind: reasons.RemedyKind
    operands: frozenset[str]
    context: frozenset[str]
    due_days: int | None = obligations.DUE_DAYS_DEFAULT
    """Days after the placement within which what it obliges to is done; None: while the job lives."""


def check(text: str, sets: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules of a text. Raises ``texts.TextError`` with every problem. ``sets``: public sets of countries."""
    sets = tuple(sorted(sets))
    source = texts.Text(text)
    problems = [*_unparsed(source)]
    if problems:
        raise texts.TextError(tuple(problems))
    problems += _templates(source)
    found = []
    if not problems:
        trees = _trees(source)
        problems += _invalid(source, sets)
        seen: dict[str, int] = {}
        for number, statement in enumerate(source.statements):
            tree = trees[f"policy{number}"]
            wrong = [*_annotations(source, statement, tree, seen, number)]
            problems += wrong
            if not wrong:
                found.append(_rule(source.of(statement), tree))
    if problems:
        raise texts.TextError(tuple(sorted(problems, key=lambda one: (one.line, one.column))))
    return tuple(found)


def _trees(source: texts.Text) -> Mapping[str, Any]:
    try:
        return engine.tree(source.source)
    except ValueError as error:
        # Each statement alone was taken; nothing is known of a text that is taken only in parts.
        raise source.error(0, f"cannot be read as a whole: {error}") from error


def _unparsed(source: texts.Text) -> Iterator[texts.Problem]:
    """Yield the first problem of each statement that is no Cedar."""
    for statement in source.statements:
        said = engine.parse_problem(source.of(statement))
        if said is not None:
            yield source.problem(_where_unparsed(source, statement, said), said)


def _where_unparsed(source: texts.Text, statement: texts.Statement, said: str) -> int:
    """Return the offset of the token that the parser stumbled over.

    The library names it and does not say where. It is the first of its name with which a beginning of the statement
    is refused for another reason than that it ends too early.
    """
    found = re.fullmatch(r"unexpected token `(.*)`", said, re.DOTALL)
    alike = [token for token in statement.tokens if found and token.text == found[1]]
    for token in alike[:_TRIED_MAX]:
        problem = engine.parse_problem(source.source[statement.start : token.end])
        if problem is not None and "end of input" not in problem:
            return token.start
    return _named(statement, said)


def _named(statement: texts.Statement, said: str) -> int:
    """Return the offset of what a sentence names in quotes, else of the statement."""
    for name in (*re.findall(r"`([^`]+)`", said), *re.findall(r": (\w+)$", said)):
        last = re.split(r"::|\.", name.strip('"'))[-1].strip('"')
        for number, token in enumerate(statement.tokens):
            before = statement.tokens[number - 1].text if number else ""
            if token.content == last and (before in (".", "[", "has", "::", "@") or token.text == name):
                return token.start
        for token in statement.tokens:
            if token.content in (last, name):
                return token.start
    return statement.start


def _templates(source: texts.Text) -> Iterator[texts.Problem]:
    for statement in source.statements:
        for token in statement.tokens:
            if token.text == "?" and not token.is_string:
                yield source.problem(token.start, "templates are not taken", "name the principal, or a condition")
                break


def _invalid(source: texts.Text, sets: tuple[str, ...]) -> Iterator[texts.Problem]:
    for number, said in engine.validate(source.source, schemas.text(sets)):
        if number is None or number >= len(source.statements):
            yield source.problem(0, said)
            continue
        statement = source.statements[number]
        sentence = re.sub(r"^for policy `policy\d+`, ", "", said)
        yield source.problem(_named(statement, sentence), sentence, _hint(sentence, sets))


def _hint(sentence: str, sets: tuple[str, ...]) -> str:
    if "optional attribute" in sentence:
        found = re.search(r"optional attribute `([^`]+)`", sentence)
        name = found[1] if found else "it"
        return f"it may be missing: ask `has {name}` before reading it"
    found = re.search(r"attribute `([^`]+)`[^`]*(?:`[^`]*`)? not found|unrecognized \w+ type `([^`]+)`", sentence)
    word = next((each for each in found.groups() if each), None) if found else None
    if word is None:
        found = re.search(r"unrecognized action `([^`]+)`", sentence)
        return f"the one action is {engine.ACTION}" if found else ""
    entities = ("CountrySets", "Data", "Job", "Site", "Tenant")
    owner = re.search(r"on entity type `(\w+)`", sentence)
    of = owner[1] if owner else "context" if "in context" in sentence else None
    known = entities if sentence.startswith("unrecognized entity type") else schemas.names(sets, of)
    meant = words.nearest(word, known)
    return f"did you mean {meant}?" if meant else "`comity policy export --to cedar --schema` prints what there is"


def _annotations(
    source: texts.Text, statement: texts.Statement, tree: Mapping[str, Any], seen: dict[str, int], number: int
) -> Iterator[texts.Problem]:
    notes: Mapping[str, str | None] = tree.get("annotations", {})
    if tree["effect"] != "forbid":
        text = (
            "a permit has no effect here: what the packs do not refuse is permitted already, and nothing loosens them"
        )
        yield source.problem(statement.start, text, "leave it out; write what is forbidden")
    for name in notes:
        if name not in _ANNOTATIONS:
            meant = words.nearest(name, _ANNOTATIONS)
            hint = f"did you mean @{meant}?" if meant else f"known are {', '.join(f'@{n}' for n in _ANNOTATIONS)}"
            yield source.problem(_note(statement, name), f"unknown annotation @{name}", hint)
    if "id" not in notes:
        yield source.problem(statement.start, "every rule needs an @id", '@id("no-foreign-health-data")')
    elif ID.fullmatch(notes["id"] or "") is None:
        hint = "1 to 63 letters, digits, - and _ with a letter or digit at both ends"
        yield source.problem(_note(statement, "id"), f"{notes['id']!r} is no id of a rule", hint)
    elif (known := seen.setdefault(str(notes["id"]), number)) != number:
        first = source.problem(source.statements[known].start, "").line
        yield source.problem(_note(statement, "id"), f"{notes['id']!r} is already the id of the rule in line {first}")
    choices: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("effect", tuple(_EFFECTS)),
        ("basis", tuple(one.value for one in reasons.Basis)),
        ("remedy_kind", tuple(one.value for one in reasons.RemedyKind)),
    )
    for name, allowed in choices:
        if name in notes and notes[name] not in allowed:
            yield source.problem(_note(statement, name), f"@{name} is one of {', '.join(allowed)}, not {notes[name]!r}")
    for name in ("reason", "remedy"):
        if len(notes.get(name) or "") > _SENTENCE_MAX:
            yield source.problem(_note(statement, name), f"@{name} has more than {_SENTENCE_MAX} characters")
    if "due" in notes:
        if notes.get("effect") != reasons.Effect.OBLIGE.value:
            yield source.problem(_note(statement, "due"), '@due belongs to @effect("oblige")', "leave it out")
        try:
            obligations.parse_due(notes["due"] or "")
        except ValueError as error:
            yield source.problem(_note(statement, "due"), f"@due: {error}")
    if "remedy_kind" in notes and "remedy" not in notes:
        yield source.problem(
            _note(statement, "remedy_kind"), "@remedy_kind says what kind of remedy @remedy is", "add it"
        )


def _note(statement: texts.Statement, name: str) -> int:
    for before, token in zip(statement.tokens, statement.tokens[1:], strict=False):
        if before.text == "@" and token.text == name:
            return before.start
    return statement.start


def _rule(text: str, tree: Mapping[str, Any]) -> Rule:
    notes: Mapping[str, str | None] = tree["annotations"]
    names, context = _reads(tree)
    remedy = notes.get("remedy")
    kind = notes.get("remedy_kind")
    default = reasons.RemedyKind.CHANGE_JOB if remedy else reasons.RemedyKind.CHANGE_POLICY
    return Rule(
        id=str(notes["id"]),
        text=text,
        effect=_EFFECTS[notes.get("effect") or "deny"],
        basis=reasons.Basis(notes.get("basis") or "house"),
        message=notes.get("reason") or "",
        remedy=remedy or "",
        remedy_kind=reasons.RemedyKind(kind) if kind else default,
        operands=names,
        context=context,
        due_days=obligations.parse_due(notes["due"] or "") if "due" in notes else obligations.DUE_DAYS_DEFAULT,
    )


def _reads(tree: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the operands and the members of the context that a rule reads; all of a thing that is used whole."""
    read: set[tuple[str, str]] = set()
    _walk(tree.get("conditions", []), read)
    if tree["resource"].get("op") != "All":
        read.add(("resource", "name"))
    names: set[str] = set()
    context: set[str] = set()
    for variable, name in read:
        if variable == DATA:
            context.add(DATA)
            names |= _all("data", name)
        elif variable == "context":
            context |= {DATA, LOCATIONS, HOUR, WEEKDAY, SETS, DAY} if name == "*" else {name}
            names |= _all("data", "*") if name == "*" else set()
        else:
            names |= _operands(variable, name)
    if LOCATIONS in context:
        names |= {"site.places", "job.places"}
    return frozenset(names), frozenset(context)


def _operands(variable: str, name: str) -> set[str]:
    if variable == "resource":
        return _all("site", name)
    if name == "tenant":
        return _all("tenant", "*")
    return _all("job", name) | (_all("tenant", "*") if name == "*" else set())


def _all(prefix: str, name: str) -> set[str]:
    """Return the operands of a scope whose attribute has a name; ``*``: every one."""
    found = {
        form.operand.name
        for forms in schemas.forms().values()
        for form in forms
        if form.operand.name.partition(".")[0] == prefix and name in ("*", form.name)
    }
    return found & operands.OPERANDS.keys()


def _walk(node: Any, read: set[tuple[str, str]]) -> None:
    """Collect (variable, attribute) of every access; a variable in any other place is read whole (``*``)."""
    todo = [node]
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += one
        elif isinstance(one, dict):
            for key, value in one.items():
                accessed = _accessed(value) if key in (".", "has") else None
                if key == "Var":
                    read.add((value, "*"))
                elif accessed == ("context", DATA) and key == ".":
                    read |= {accessed, (DATA, "*")}
                elif accessed is not None:
                    read.add(accessed)
                else:
                    todo.append(value)


def _accessed(node: Any) -> tuple[str, str] | None:
    """Return (variable, attribute) of an access to one; of ``context.data.x`` it is (``data``, ``x``)."""
    left = node.get("left") if isinstance(node, dict) else None
    if not isinstance(left, dict):
        return None
    if set(left) == {"Var"}:
        return left["Var"], node["attr"]
    if set(left) == {"."} and left["."].get("left") == {"Var": "context"} and left["."].get("attr") == DATA:
        return DATA, node["attr"]
    return None
