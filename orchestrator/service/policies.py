"""Policies of the house's own before they hold: checked against the schema of rules, then held to their own tests.

The same when a policy is applied and when somebody only asks. Nothing here changes anything.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import policies
from orchestrator.inventory import readings
from orchestrator.policy import cases, rulebook, usercases
from orchestrator.policy.cedar import checking, texts
from orchestrator.ports import stores
from orchestrator.service import access, contexts, problems, readers
from orchestrator.wire import errors
from orchestrator.wire.convert import policies as convert
from orchestrator.wire.documents import policies as policy_documents
from orchestrator.wire.documents import reading

POLICIES_MAX = 64
"""Policies in Cedar that an installation may hold: together with the bounds of each, a bound of what judging costs."""
CASES_MAX = 1_000
"""Cases in one request."""
INVALID_TEXT = "policy.invalid"
TEST_FAILED = "policy.test-failed"
TESTS_MISSING = "policy.tests-missing"


@dataclass(frozen=True, slots=True)
class Tested:
    """How many cases were judged, and which of them got another answer."""

    count: int
    disagreements: tuple[cases.Disagreement, ...]


def admit(context: contexts.Context, read: reading.ReadDocument) -> None:
    """Refuse a Policy that cannot be judged, fails its own tests, or is one too many. Raises ServiceError."""
    document = read.model
    assert isinstance(document, policy_documents.Policy)  # noqa: S101 - the caller asks about policies only
    value = convert.policy(document)
    if isinstance(value, policies.Directive):
        return
    book = _book(context)
    found = wrong_text(value, book)
    if not found:
        found = wrong_tests(value, document.spec.tests, book)
    if context.policy_tests_required and not document.spec.tests:
        text = "this server takes no policy without tests (--policy-tests-required)"
        found.append(
            errors.DocumentError(text, "spec.tests", "add cases: `comity policy test` runs them", TESTS_MISSING)
        )
    others = [known for known in context.store.documents("Policy") if known.name != value.name]
    if len(others) >= POLICIES_MAX:
        text = f"there are {len(others)} policies already, and at most {POLICIES_MAX} are judged"
        found.append(errors.DocumentError(text, "metadata.name", "put rules together, or delete a policy"))
    if found:
        raise problems.invalid(found)


def wrong_text(policy: policies.CedarPolicy, book: rulebook.RuleBook) -> list[errors.DocumentError]:
    """Return what is wrong with the text of a policy; line and column are those of the text."""
    try:
        checking.check(policy.text, book.public_sets)
    except texts.TextError as error:
        return [
            errors.DocumentError(
                f"line {one.line}, column {one.column} of the text: {one.text}", "spec.text", one.hint, INVALID_TEXT
            )
            for one in error.problems
        ]
    return []


def wrong_tests(
    policy: policies.CedarPolicy, tests: Sequence[Any], book: rulebook.RuleBook
) -> list[errors.DocumentError]:
    """Return what is wrong with the tests of a policy, or with the policy by its tests."""
    try:
        found = usercases.read(tests)
    except cases.CaseError as error:
        return [errors.DocumentError(text, _path(path), "") for path, text in error.problems]
    position = {case.id: number for number, case in enumerate(found)}
    return [
        errors.DocumentError(
            f"test {one.case} gets another answer: expected {_shown(one.expected)}, got {_shown(one.got)}",
            f"spec.tests[{position[one.case]}]",
            "mend the rule or the test",
            TEST_FAILED,
        )
        for one in usercases.run(policy, found, book)
    ]


def _path(path: tuple[str | int, ...]) -> str:
    return errors.render_path(("spec", "tests", *path[1:]))


def _shown(answer: cases.Answer) -> str:
    return f"{answer.decision} {', '.join(answer.rules)}".strip()


def test(context: contexts.Context, who: access.Principal, body: object) -> Tested:
    """Judge cases by the rules in force here, and run the tests of policy documents; nothing is kept.

    ``body`` is ``{cases?: [...], documents?: [...]}``. Raises ServiceError for what cannot be read.
    """
    access.require(who, (access.Role.POLICY,))
    given = body if isinstance(body, dict) else {}
    listed, documents = given.get("cases", []), given.get("documents", [])
    if (
        not given
        or set(given) - {"cases", "documents"}
        or not isinstance(listed, list)
        or not isinstance(documents, list)
    ):
        text = "send {cases: [...]}, or {documents: [...]} with policies that bring their tests"
        raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", text)
    book = _book(context)
    count, wrong = 0, list[cases.Disagreement]()
    for number, one in enumerate(documents):
        tested = _own_tests(book, readers.read(one), number)
        count, wrong = count + tested.count, wrong + list(tested.disagreements)
    if count + len(listed) > CASES_MAX:
        text = f"more than {CASES_MAX} cases: send them in parts"
        raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", text)
    try:
        found = cases.read({"cases": listed}, documents=context.documents_of_cases)
    except cases.CaseError as error:
        raise problems.invalid(
            [errors.DocumentError(text, errors.render_path(path), "") for path, text in error.problems]
        ) from error
    return Tested(count + len(found), (*wrong, *cases.run(found, book)))


def _own_tests(book: rulebook.RuleBook, read: reading.ReadDocument, number: int) -> Tested:
    where = f"documents[{number}]"
    if not isinstance(read.model, policy_documents.Policy):
        raise problems.invalid([errors.DocumentError(f"{read.kind} is no Policy", where, "send policies here")])
    value = convert.policy(read.model)
    if isinstance(value, policies.Directive):
        return Tested(0, ())
    if wrong := wrong_text(value, book):
        raise problems.invalid(wrong)
    try:
        found = usercases.read(read.model.spec.tests)
    except cases.CaseError as error:
        raise problems.invalid(
            [errors.DocumentError(text, f"{where}.{_path(path)}", "") for path, text in error.problems]
        ) from error
    return Tested(len(found), usercases.run(value, found, book))


def conditions(context: contexts.Context, document: stores.Document) -> list[dict[str, Any]]:
    """Return whether a stored policy can be used, and whether it is in force today. One that cannot be used refuses."""
    value = readings.read(document)
    today = context.clock.now().astimezone(dt.UTC).date()
    if isinstance(value, policies.CedarPolicy):
        book = context.world().book
        wrong = [one.problem for one in wrong_text(value, book)] if book is not None else []
        return [_condition("Usable", not wrong, "; ".join(wrong)), _condition("InForce", value.in_force(today))]
    if isinstance(value, policies.Directive):
        return [_condition("Usable", True), _condition("InForce", value.in_force(today))]
    text = "; ".join(value.problems) if isinstance(value, readings.BrokenDocument) else "it cannot be read"
    refuses = f"it cannot be read, so it refuses every job (cedar.error:{document.name}): {text}"
    return [_condition("Usable", False, refuses[:1000]), _condition("InForce", True)]


def _condition(type: str, status: bool, message: str = "") -> dict[str, Any]:
    return {"type": type, "status": status, "reason": type if status else f"Not{type}", "message": message}


def _book(context: contexts.Context) -> rulebook.RuleBook:
    book = context.world().book
    if book is None:
        text = "no rule book is loaded, so nothing can be judged"
        raise problems.ServiceError(problems.Kind.UNAVAILABLE, "policy.unavailable", text)
    return book
