"""Many jobs in one request: whole documents, or one template with parameters. All are accepted, or none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from orchestrator.domain import jobs
from orchestrator.service import access, contexts, problems, submissions
from orchestrator.wire import errors

JOBS_MAX = 10_000
PARAMETERS_MAX = 64
EXPANDED_BYTES_MAX = 64 * 2**20
"""What a template and its parameters may come to."""
_PLACE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,62})\}", re.ASCII)


def submit(
    context: contexts.Context, who: access.Principal, data: Any, *, key: str | None = None
) -> Future[list[jobs.Job]]:
    """Accept ``{documents: [...]}`` or ``{template, parameters: [{...}]}``; raises ServiceError with all errors."""
    access.require(who, access.SUBMITS)
    return submissions.submit_many(context, who, _documents(data), key=key)


def _documents(data: Any) -> list[Any]:
    if not isinstance(data, dict):
        raise _invalid("", "is no batch", "send {documents: [...]} or {template, parameters: [{...}]}")
    documents, template, parameters = data.get("documents"), data.get("template"), data.get("parameters")
    if set(data) == {"documents"} and isinstance(documents, list):
        return _counted(documents, "documents")
    if set(data) == {"template", "parameters"} and isinstance(template, dict) and isinstance(parameters, list):
        return _expanded(template, _counted(parameters, "parameters"))
    raise _invalid("", "is no batch", "send {documents: [...]} or {template, parameters: [{...}]}, nothing else")


def _counted(items: list[Any], path: str) -> list[Any]:
    if not 1 <= len(items) <= JOBS_MAX:
        raise _invalid(path, f"holds {len(items)} jobs", f"send 1 to {JOBS_MAX}")
    return items


def _expanded(template: dict[str, Any], parameters: list[Any]) -> list[Any]:
    wrong = [
        errors.DocumentError("is not a mapping of names to text", f"parameters[{index}]")
        for index, given in enumerate(parameters)
        if not isinstance(given, dict)
        or len(given) > PARAMETERS_MAX
        or not all(isinstance(value, str) for value in given.values())
    ]
    unknown = {
        name for name in _names(template) for given in parameters if isinstance(given, dict) and name not in given
    }
    wrong += [
        errors.DocumentError(f"${{{name}}} has no value in every set of parameters", "template", "give it one")
        for name in sorted(unknown)
    ]
    if wrong:
        raise problems.invalid(wrong[: errors.ERRORS_MAX])
    size = len(json.dumps(template))
    total = sum(size + sum(len(value) for value in given.values()) * (1 + size // 16) for given in parameters)
    if size * len(parameters) > EXPANDED_BYTES_MAX or total > 64 * EXPANDED_BYTES_MAX:
        raise _invalid("template", "comes to too much with its parameters", "send fewer at once")
    return [_filled(template, given) for given in parameters]


def _names(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(_PLACE.findall(value))
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {name for member in members for name in _names(member)}


def _filled(value: Any, given: Mapping[str, str]) -> Any:
    """Return ``value`` with ``${name}`` replaced in strings; keys and numbers stay."""
    if isinstance(value, str):
        return _PLACE.sub(lambda found: given[found[1]], value) if "${" in value else value
    if isinstance(value, dict):
        return {key: _filled(member, given) for key, member in value.items()}
    if isinstance(value, list):
        return [_filled(member, given) for member in value]
    return value


def _invalid(path: str, problem: str, remedy: str) -> problems.ServiceError:
    return problems.invalid([errors.DocumentError(problem, path, remedy)])
