"""A policy's text is refused with its place, what is wrong and what was meant, before it may hold."""

from __future__ import annotations

import pytest

from orchestrator.domain import reasons
from orchestrator.policy import operands
from orchestrator.policy.cedar import checking, schemas, texts

SETS = ("EEA", "EU")
OK = '@id("a") forbid(principal, action, resource);'


def problems(text: str) -> list[str]:
    with pytest.raises(texts.TextError) as caught:
        checking.check(text, SETS)
    return [str(one) for one in caught.value.problems]


def rule(condition: str, notes: str = '@id("a")') -> str:
    return f"{notes}\nforbid(principal, action, resource)\n  when {{ {condition} }};"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (rule('resource has country && resource.cuntry == "FR"'), (3, 43), ("cuntry", "did you mean country?")),
        (rule('resource.country == "FR"'), (3, 19), ("optional attribute", "has country")),
        (rule("resource.is_informed == 1 && foo bar"), (3, 43), ("bar",)),
        (rule('context.sets.EAE.contains("FR")'), (3, 23), ("EAE", "did you mean EEA?")),
        (rule('resource.certs.contans("c5")'), (3, 25), ("contans",)),
        (rule('context.data.classes.contains("health")'), (3, 18), ("data", "has data")),
        ('// one\n@id("a") forbid(principal, acton, resource);', (2, 28), ("acton",)),
        ('@id("a")\nforbid(principal is Jop, action, resource);', (2, 21), ("Jop", "did you mean Job?")),
        ('@id("a")\nforbid(principal, action == Action::"plac", resource);', (2, 37), ("plac", 'Action::"place"')),
        ("forbid(principal, action, resource);", (1, 1), ("@id",)),
        ('@id("a.b") forbid(principal, action, resource);', (1, 1), ("a.b",)),
        (OK + "\n" + OK, (2, 1), ("already", "line 1")),
        ('@id("a") @resaon("x") forbid(principal, action, resource);', (1, 10), ("did you mean @reason?",)),
        ('@id("a") @basis("whim") forbid(principal, action, resource);', (1, 10), ("whim", "house")),
        ('@id("a") @effect("permit") forbid(principal, action, resource);', (1, 10), ("oblige",)),
        ('@id("a") @remedy_kind("WAIT") forbid(principal, action, resource);', (1, 10), ("@remedy",)),
        ('@id("a") permit(principal, action, resource);', (1, 1), ("permit has no effect",)),
        ('@id("a") forbid(principal == ?principal, action, resource);', (1, 30), ("templates",)),
        ('@id("a") forbid(principal, action, resource)', (1, 1), ("does not end",)),
        ('@id("a) forbid(principal, action, resource);', (1, 5), ("quote",)),
        ("", (1, 1), ("no rule",)),
    ],
)
def test_a_wrong_text_is_told_with_its_place(text: str, place: tuple[int, int], words: tuple[str, ...]) -> None:
    """Line and column, the name as written, and the nearest known one or what to write."""
    found = problems(text)
    here = [one for one in found if one.startswith(f"line {place[0]}, column {place[1]}: ")]
    assert len(here) >= 1, found
    assert all(any(word in one for one in here) for word in words), found


def test_every_problem_is_told_at_once() -> None:
    """Two rules with an error each give two problems, in the order of the text."""
    text = rule('resource.cuntry == "FR"') + "\n" + rule("context.our > 3", '@id("b")')
    assert [one.partition(":")[0] for one in problems(text)] == ["line 3, column 19", "line 6, column 18"]


@pytest.mark.parametrize(
    "text",
    [
        OK + "/" * 2 + "x" * texts.BYTES_MAX,
        "".join(OK.replace('"a"', f'"a{number}"') for number in range(texts.RULES_MAX + 1)),
        rule("(" * 40 + "true" + ")" * 40),
        rule(" || ".join(["true"] * texts.TOKENS_MAX)),
        rule("[" * 2_000 + "1" + "]" * 2_000 + " == 1"),
        rule("!" * 30_000 + "true"),
        rule('resource.name like "' + "*a" * 33_000 + '"'),
        "}" * 60_000,
        '@id("a") ' * 6_000,
        "\x00\ud800é" * 100,
    ],
)
def test_a_text_beyond_its_bounds_is_refused(text: str) -> None:
    """Long, deep, endless or broken texts are refused by a sentence; no parser is asked to survive them."""
    assert problems(text)


def test_what_a_rule_says_and_reads_is_known() -> None:
    """Annotations become what a reason says; what is read decides what is remembered and cited."""
    text = rule(
        'context has data && context.data.classes.contains("health") && resource has country '
        "&& !context.sets.EEA.contains(resource.country) && principal has tenant.sector && context.hour < 6",
        '@id("a") @reason("why") @remedy("how") @remedy_kind("FIX_BACKEND") @basis("contract") @effect("oblige")',
    )
    (found,) = checking.check(text, SETS)
    assert (found.id, found.message, found.remedy) == ("a", "why", "how")
    assert (found.effect, found.basis) == (reasons.Effect.OBLIGE, reasons.Basis.CONTRACT)
    assert found.remedy_kind is reasons.RemedyKind.FIX_BACKEND
    assert {"data.classes", "site.country", "tenant.sector"} <= found.operands
    assert "site.parent_hq" not in found.operands
    assert found.context == {"data", "sets", "hour"}


@pytest.mark.parametrize(
    ("condition", "all_of"),
    [
        ('resource == Site::"a/b"', "site."),
        ("[context.data].isEmpty()", "data."),
        ("principal == principal", "job."),
        ("context == context", "data."),
    ],
)
def test_a_thing_used_whole_is_read_whole(condition: str, all_of: str) -> None:
    """Where a rule compares or hands on a whole thing, every attribute of it counts as read."""
    text = rule(f"context has data && {condition}")
    (found,) = checking.check(text, SETS)
    scope = {form.operand.name for forms in schemas.forms().values() for form in forms}
    assert {name for name in scope if name.startswith(all_of)} <= found.operands


def test_every_operand_has_a_form_or_a_reason_why_not() -> None:
    """The schema comes from the closed list of operands; what is left out says why, and exists."""
    assert schemas.formless() == ()
    assert set(schemas.LEFT_OUT) <= set(operands.OPERANDS)


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ('@id("a") @effect("oblige") @due("two weeks")', "@due: expected days"),
        ('@id("a") @due("3d")', '@due belongs to @effect("oblige")'),
        ('@id("a") @effect("deny") @due("3d")', '@due belongs to @effect("oblige")'),
    ],
)
def test_a_due_day_is_checked(notes: str, said: str) -> None:
    """Only a duty has a day, and it has to be one."""
    assert [said in problem for problem in problems(rule("true", notes))] == [True]
    (taken,) = checking.check(rule("true", '@id("a") @effect("oblige") @due("3d")'), ())
    assert taken.due_days == 3
