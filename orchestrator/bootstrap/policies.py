"""Policies and packs in files, checked and tested without a server: what ``comity policy check`` and ``test`` ask."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import policies
from orchestrator.policy import cases, rulebook, usercases
from orchestrator.policy.cedar import checking, texts
from orchestrator.sources import packs
from orchestrator.wire import bounds, errors, yaml_loader
from orchestrator.wire.convert import policies as convert
from orchestrator.wire.documents import policies as policy_documents
from orchestrator.wire.documents import reading

RULES, FACTS = "rules.yaml", "facts.yaml"


@dataclass(frozen=True, slots=True)
class Written:
    """A policy as it stands in a file. ``text_at`` is the place of its text: line, column, whether it is a block."""

    policy: policies.CedarPolicy | policies.Directive
    tests: Sequence[Any]
    file: str
    loaded: yaml_loader.LoadedDocument
    text_at: tuple[int, int, bool]


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and every problem as ``file:line: ...``."""

    policies: int
    packs: int
    problems: tuple[str, ...]


def check(paths: Sequence[pathlib.Path], book: rulebook.RuleBook) -> Report:
    """Check policies, and packs (a folder with ``rules.yaml``, or a file of one), against schema and grammar."""
    problems: list[str] = []
    count, folders = 0, dict[pathlib.Path, None]()
    for path in _files(paths):
        if path.name in (RULES, FACTS):
            folders[path.parent] = None
            continue
        try:
            for written in read(path):
                count += 1
                problems += wrong(written, book)
        except errors.InvalidDocumentError as error:
            problems += [one.render() for one in error.errors]
    for folder in folders:
        found = packs.problem_of(folder.absolute())
        problems += [] if found is None else [found]
    return Report(count, len(folders), tuple(problems))


def _files(paths: Sequence[pathlib.Path]) -> Iterator[pathlib.Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.suffix in (".yaml", ".yml", ".json"))
        else:
            yield path


def has_documents(path: pathlib.Path) -> bool:
    """Say whether a file holds documents (they have a ``kind``), not cases or a pack. False for what is no YAML."""
    try:
        loaded = yaml_loader.load(path.read_bytes(), file=str(path), limits=bounds.DEFAULT)
    except errors.InvalidDocumentError:
        return False
    return any(isinstance(one.data, dict) and "kind" in one.data for one in loaded)


def read(path: pathlib.Path) -> list[Written]:
    """Return the policies of a file; other kinds are left out. Raises InvalidDocumentError with every error."""
    source = path.read_bytes()
    reading.read_text(source, file=str(path))
    lines = source.decode("utf-8", "replace").split("\n")
    found = []
    for loaded in yaml_loader.load(source, file=str(path), limits=bounds.DEFAULT):
        if not isinstance(loaded.data, dict) or loaded.data.get("kind") != "Policy":
            continue
        model = reading.read(loaded.data).model
        assert isinstance(model, policy_documents.Policy)  # noqa: S101 - its kind says so
        at = _text_at(lines, loaded.locate(("spec", "text")))
        found.append(Written(convert.policy(model), model.spec.tests, str(path), loaded, at))
    return found


def _text_at(lines: Sequence[str], place: tuple[int, int]) -> tuple[int, int, bool]:
    """Return line and column (from 1) of the first character of a text, and whether its lines are those of the file."""
    line, column = place
    written = lines[line - 1][column - 1 :] if 0 < line <= len(lines) else ""
    if not written.startswith("|"):
        return line, column, False
    first = next((one for one in lines[line:] if one.strip()), "")
    return line + 1, len(first) - len(first.lstrip(" ")) + 1, True


def wrong(written: Written, book: rulebook.RuleBook) -> list[str]:
    """Return what is wrong with a policy's text or with the shape of its tests; a directive has nothing to check."""
    if isinstance(written.policy, policies.Directive):
        return []
    try:
        checking.check(written.policy.text, book.public_sets)
        usercases.read(written.tests)
    except texts.TextError as error:
        return [_placed(written, one) for one in error.problems]
    except cases.CaseError as error:
        return [_case_problem(written, path, text) for path, text in error.problems]
    return []


def _placed(written: Written, one: texts.Problem) -> str:
    line, column, is_block = written.text_at
    hint = f" ({one.hint})" if one.hint else ""
    if is_block:
        return f"{written.file}:{line + one.line - 1}:{column + one.column - 1}: spec.text: {one.text}{hint}"
    return f"{written.file}:{line}: spec.text, line {one.line}, column {one.column}: {one.text}{hint}"


def _case_problem(written: Written, path: tuple[str | int, ...], text: str) -> str:
    inside = ("spec", "tests", *path[1:])
    return f"{written.file}:{written.loaded.locate(inside)[0]}: {errors.render_path(inside)}: {text}"


def with_policies(book: rulebook.RuleBook, paths: Sequence[pathlib.Path]) -> rulebook.RuleBook:
    """Return a rule book with the Cedar policies of some files. Raises OSError, InvalidDocumentError, ValueError."""
    found = [written for path in paths for written in read(path)]
    if problems := [problem for written in found for problem in wrong(written, book)]:
        raise ValueError("\n".join(problems))
    own = []
    for written in found:
        if isinstance(written.policy, policies.Directive):
            # What was recorded of a job has the directives of its time in it; another one is not put in its place.
            raise ValueError(f"{written.file}: a directive is not tried on cases or recorded placements: apply it")
        own.append(written.policy)
    return rulebook.with_policies(book, own)


def test(path: pathlib.Path, book: rulebook.RuleBook) -> tuple[int, tuple[cases.Disagreement, ...]]:
    """Run the tests that the policies of a file bring: how many, and which got another answer.

    Raises InvalidDocumentError, and ValueError with every problem of texts and tests.
    """
    count, disagreements = 0, list[cases.Disagreement]()
    for written in read(path):
        if problems := wrong(written, book):
            raise ValueError("\n".join(problems))
        if isinstance(written.policy, policies.CedarPolicy):
            found = usercases.read(written.tests)
            count += len(found)
            disagreements += usercases.run(written.policy, found, book)
    return count, tuple(disagreements)
