"""``policy trust``: whom this installation trusts to certify facts, read from the file; needs no server."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import click

from orchestrator.cli import failures, options, output, style
from orchestrator.cli.rendering import tables
from orchestrator.client import access
from orchestrator.plugins import lazy as lazy_import


@click.command(short_help="Whom this installation trusts to certify facts.")
@click.option("--state", "state_dir", metavar="DIR", help="State folder.  [$COMITY_STATE_DIR or ~/.local/state/comity]")
@click.option("--file", "file", metavar="FILE", help="Another file than trust.yaml of the state folder.")
@options.output
def trust(state_dir: str | None, file: str | None, format: str) -> int:
    """Whom this installation trusts to certify which kinds of facts, by which keys, by whose word, and what is taken
    back. Reads and checks the file as the server does; exit 1 if it cannot be used.

    \b
    Example:
      comity policy trust
      comity policy trust --file trust.yaml -o json
    """
    folder = pathlib.Path(state_dir).absolute() if state_dir else access.state_folder(os.environ)
    source = lazy_import.lazy("orchestrator.sources.trust")
    path = pathlib.Path(file) if file else folder / source.FILE
    if file and not path.exists():
        raise click.UsageError(f"{file} does not exist")
    loaded = source.load(path)
    if loaded.problem is not None:
        failures.say(loaded.problem)
        return failures.FAILED
    today = lazy_import.lazy("orchestrator.telemetry.clocks").SystemClock().now().date()
    found = loaded.trusted
    if format in ("json", "yaml"):
        output.show(_document(found), format)
    elif format == "name":
        click.echo("\n".join(each.id for each in found.issuers))
    elif not found.issuers:
        style.note("nobody is trusted: every signed claim is refused (claim.untrusted-issuer)")
    else:
        click.echo(
            "\n".join(tables.aligned([["ISSUER", "KEY", "ALG", "MAY CERTIFY", "STATE", "BY"], *_rows(found, today)]))
        )
    for each in found.revocations if format not in ("json", "yaml", "name") else ():
        what = f"claim {each.claim}" if each.claim else f"key {each.key}" if each.key else "everything"
        style.note(f"revoked from {each.on}: {what} of {each.issuer} ({each.why}; {each.by})")
    return failures.DONE


def _rows(found: Any, today: Any) -> list[list[str]]:
    return [
        [issuer.id, key.id, key.algorithm, ", ".join(issuer.kinds), _state(found, issuer, key, today), issuer.by]
        for issuer in found.issuers
        for key in issuer.keys
    ]


def _state(found: Any, issuer: Any, key: Any, today: Any) -> str:
    revoked = found.revoked(issuer.id, key.id, None)
    if revoked is not None and revoked.on <= today:
        return "REVOKED"
    if any(day is not None and day > today for day in (issuer.first, key.first)):
        return "not yet"
    if any(day is not None and day < today for day in (issuer.last, key.last)):
        return "OVER"
    return "trusted"


def _document(found: Any) -> dict[str, Any]:
    def day(value: Any) -> str | None:
        return None if value is None else value.isoformat()

    return {
        "asOf": day(found.as_of),
        "digest": found.digest,
        "issuers": [
            {
                "id": each.id,
                "kinds": list(each.kinds),
                "by": each.by,
                "why": each.why,
                "validFrom": day(each.first),
                "validTo": day(each.last),
                "keys": [
                    {"id": k.id, "alg": k.algorithm, "validFrom": day(k.first), "validTo": day(k.last)}
                    for k in each.keys
                ],
            }
            for each in found.issuers
        ],
        "revoked": [
            {"issuer": r.issuer, "key": r.key, "claim": r.claim, "from": day(r.on), "by": r.by, "why": r.why}
            for r in found.revocations
        ],
        "subjects": [{"id": theirs, "is": ours} for theirs, ours in found.subjects],
    }
