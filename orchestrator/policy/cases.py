"""Policy cases: one job against one place at one date, and what the policy must answer. Cases in, disagreements out.

``job:`` and ``backend:`` are compact (attribute names of the policy table) or whole documents (a mapping with
``kind``, or a list of them); documents are read by a function that the caller passes in. The answer of a case is
DENY with every denial, else ALLOW_WITH_OBLIGATIONS with every duty, else ALLOW; caveats are not rules.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import reasons
from orchestrator.policy import attributes, compact, evaluator, rulebook, shapes

ALLOW = "ALLOW"
OBLIGED = "ALLOW_WITH_OBLIGATIONS"
DENY = "DENY"

Documents = Sequence[Mapping[str, Any]]
DocumentReader = Callable[[Documents, Documents], tuple[attributes.JobAttributes, Sequence[attributes.SiteAttributes]]]
"""Turns (documents of ``job:``, documents of ``backend:``) into what is judged; raises ``ValueError`` with a text."""

_KEYS = {"id", "title", "at", "job", "backend", "decision", "rules"}


class CaseError(ValueError):
    """A file of cases is not what it should be. ``problems`` pairs the path inside the file with the sentence."""

    def __init__(self, problems: Sequence[tuple[shapes.Path, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{shapes.render_path(path)}: {text}" for path, text in self.problems))


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision as cases state it."""

    decision: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One case, read. More than one site only where a document has several pools: each must get the answer."""

    id: str
    title: str
    at: dt.datetime
    job: attributes.JobAttributes
    sites: tuple[attributes.SiteAttributes, ...]
    expected: Answer


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A case whose answer was another one."""

    case: str
    title: str
    site: str
    expected: Answer
    got: Answer

    def __str__(self) -> str:
        where = "" if self.site in ("", "backend") else f" at {self.site}"
        lines = [f"{self.case}{where}: {self.title}"]
        for word, answer in (("expected", self.expected), ("got", self.got)):
            lines.append(f"  {word:8} {answer.decision} {', '.join(answer.rules) or '-'}")
        return "\n".join(lines)


def read(data: Any, *, documents: DocumentReader | None = None) -> tuple[Case, ...]:
    """Read the content of a file of cases. Raises ``CaseError`` with every problem."""
    problems: list[tuple[shapes.Path, str]] = []
    try:
        listed = shapes.items(shapes.mapping(data, (), {"cases"}).get("cases"), ("cases",))
    except shapes.BadShapeError as bad:
        raise CaseError([(bad.path, bad.text)]) from None
    found: list[Case] = []
    seen: dict[str, int] = {}
    for index, raw in enumerate(listed):
        path = ("cases", index)
        try:
            case = _case(raw, path, documents)
        except shapes.BadShapeError as bad:
            problems.append((bad.path, bad.text))
            continue
        if case.id in seen:
            problems.append(((*path, "id"), f"{case.id!r} is already the id of cases[{seen[case.id]}]"))
        seen.setdefault(case.id, index)
        found.append(case)
    if problems:
        raise CaseError(problems)
    return tuple(found)


def _case(raw: Any, path: shapes.Path, documents: DocumentReader | None) -> Case:
    row = shapes.mapping(raw, path, _KEYS)
    for key in ("job", "backend", "at", "rules"):
        if key not in row:
            raise shapes.BadShapeError(path, f"a case needs `{key}`")
    id_ = shapes.text(row, "id", path)
    day = shapes.day_or_none(row["at"], (*path, "at"))
    if day is None:
        raise shapes.BadShapeError((*path, "at"), "expected a date (YYYY-MM-DD)")
    decision = row.get("decision")
    if decision not in (ALLOW, OBLIGED, DENY):
        raise shapes.BadShapeError((*path, "decision"), f"expected {ALLOW}, {OBLIGED} or {DENY}, not {decision!r}")
    rules = shapes.items(row["rules"], (*path, "rules"))
    if not all(isinstance(rule, str) for rule in rules) or rules != sorted(set(rules)):
        raise shapes.BadShapeError((*path, "rules"), "expected rule codes, sorted and unique")
    if (decision == ALLOW) == bool(rules):
        raise shapes.BadShapeError((*path, "rules"), f"{decision} does not go with {len(rules)} rules")
    job, sites = _judged(row, path, documents)
    title = str(row.get("title", ""))
    return Case(id_, title, rulebook.midnight(day), job, tuple(sites), Answer(decision, tuple(rules)))


def _judged(
    row: Mapping[str, Any], path: shapes.Path, documents: DocumentReader | None
) -> tuple[attributes.JobAttributes, Sequence[attributes.SiteAttributes]]:
    are_documents = [_is_documents(row[key]) for key in ("job", "backend")]
    if not any(are_documents):
        return compact.read_job(row["job"], (*path, "job")), (compact.read_site(row["backend"], (*path, "backend")),)
    if not all(are_documents):
        raise shapes.BadShapeError(path, "`job` and `backend` are both compact, or both documents")
    if documents is None:
        raise shapes.BadShapeError(path, "documents cannot be read here")
    try:
        job, sites = documents(_as_list(row["job"]), _as_list(row["backend"]))
    except ValueError as error:
        raise shapes.BadShapeError(path, str(error)) from error
    if not sites:
        raise shapes.BadShapeError((*path, "backend"), "the documents describe no site")
    return job, sites


def _is_documents(raw: Any) -> bool:
    return isinstance(raw, list) or (isinstance(raw, Mapping) and "kind" in raw)


def _as_list(raw: Any) -> Documents:
    return raw if isinstance(raw, list) else [raw]


def answer(found: Sequence[reasons.Reason]) -> Answer:
    """Return the decision that reasons amount to."""
    for effect, decision in ((reasons.Effect.DENY, DENY), (reasons.Effect.OBLIGE, OBLIGED)):
        codes = sorted({reason.code for reason in found if reason.effect is effect})
        if codes:
            return Answer(decision, tuple(codes))
    return Answer(ALLOW, ())


def answers(case: Case, book: rulebook.RuleBook) -> str:
    """Return what a book answers a case, in one line; the answers of several sites side by side."""
    found = [answer(evaluator.explain(case.job, site, book, case.at)) for site in case.sites]
    return "; ".join(f"{one.decision} {', '.join(one.rules) or '-'}" for one in found)


def run(cases: Sequence[Case], book: rulebook.RuleBook) -> tuple[Disagreement, ...]:
    """Judge every case and return those whose answer is another one, in their order."""
    found = []
    for case in cases:
        for site in case.sites:
            got = answer(evaluator.explain(case.job, site, book, case.at))
            if got != case.expected:
                found.append(Disagreement(case.id, case.title, site.name, case.expected, got))
    return tuple(found)


def summary(count: int, disagreements: Sequence[Disagreement]) -> str:
    """Return the last line of a run; a case that disagrees at several sites counts once."""
    return f"{count} cases, {len({item.case for item in disagreements})} disagree"
