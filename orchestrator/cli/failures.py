"""What is said when a command fails: what, where, and what to do; then the exit code."""

from __future__ import annotations

import click

from orchestrator.cli import style
from orchestrator.client import errors
from orchestrator.wire import errors as wire_errors

DONE, FAILED, USAGE, REFUSED, UNREACHABLE = 0, 1, 2, 3, 4

_REFUSALS = frozenset({"policy.refused", "outputs.refused"})
_HINTS = {
    "auth.required": "set COMITY_TOKEN, or run as the account that runs the server",
    "auth.role": "`comity token create --role ...` makes a token that has it",
    "log.inconsistent": "nothing more is signed until somebody has looked; docs/evidence.md says how",
    "api.unsupported": "it is part of the specification and not built yet",
}


def report(error: Exception) -> int:
    """Print an error to stderr and return the exit code."""
    match error:
        case wire_errors.InvalidDocumentError():
            for entry in error.errors:
                say(f"{entry.render()}  [{entry.code}]")
            return FAILED
        case errors.ResolutionError():
            for path, what in error.problems:
                say(f"{path}: {what}")
            return FAILED
        case errors.UnreachableError():
            say(str(error))
            hint(
                "start one with `comity serve`, or name it with --server or COMITY_SERVER"
                if not error.sent
                else "the request may have been received; look with `comity get` before you repeat it"
            )
            return UNREACHABLE
        case errors.ProblemError():
            return _problem(error)
        case errors.ClientError():
            say(str(error))
            return FAILED
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            say(f"{where}{error.strerror.lower() if error.strerror else error}")
            return FAILED
    say(f"a defect of comity: {type(error).__name__}: {error}")
    hint("COMITY_DEBUG=1 shows where; please report it with that output, see SECURITY.md if it looks like an attack")
    return FAILED


def say(text: str) -> None:
    """Print one error to stderr."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {text}", err=True, color=style.enabled(err=True))


def hint(text: str) -> None:
    """Print what to do, below an error."""
    click.echo(f"  {text}", err=True)


def _problem(error: errors.ProblemError) -> int:
    if not error.errors:
        say(f"{error.detail or error.title}  [{error.code}]")
    for entry in error.errors:
        place = f"{entry['path']}: " if entry.get("path") else ""
        what = entry.get("problem") or entry.get("message") or ""
        remedy = f" ({entry['remedy']})" if isinstance(entry.get("remedy"), str) else ""
        say(f"{place}{what}{remedy}  [{entry.get('code', error.code)}]")
    for id_ in error.document.get("ids") or []:
        hint(str(id_))
    for name in error.document.get("referrers") or []:
        if str(name) not in error.detail:
            hint(f"referred to by {name}")
    for reason in error.document.get("reasons") or []:
        hint(f"{reason.get('code')}  {reason.get('message')}")
    if advice := error.document.get("remedy"):
        hint(str(advice))
    if known := _HINTS.get(error.code):
        hint(known)
    return REFUSED if error.code in _REFUSALS else FAILED
