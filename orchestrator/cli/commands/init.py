"""``init``: the documents of this machine, so that a first job runs."""

from __future__ import annotations

import os
import pathlib
import re

import click

from orchestrator.cli import documents, failures, options, style
from orchestrator.cli.commands import declare
from orchestrator.client import access, errors
from orchestrator.domain import ids

FOLDER = "comity.d"

_CONTROL_PLANE = """\
apiVersion: comity.dev/v1
kind: ControlPlane            # it is a place too: specs, logs and records lie here
metadata: {{name: self}}
spec:
  operator: {operator}
  location: {{country: "{country}"}}
  adminFrom: ["{country}"]
  logStore: {{country: "{country}"}}
"""
_OPERATOR = """\
apiVersion: comity.dev/v1
kind: Operator                # who runs this machine, and which laws reach it
metadata: {{name: {operator}}}
spec:
  legalCountry: "{country}"
  ultimateParentHq: "{country}"
  facts: {{source: "declared with comity init", assurance: declared}}
"""
_BACKEND = """\
apiVersion: comity.dev/v1
kind: Backend                 # this machine as a place for jobs
metadata: {{name: local}}
spec:
  adapter: local
  operator: {operator}
  location: {{country: "{country}"}}
  adminFrom: ["{country}"]
  logStore: {{country: "{country}"}}
  pools:
  - {{name: host}}
  facts: {{source: "declared with comity init", assurance: declared}}
"""
FILES = {"1-control-plane.yaml": _CONTROL_PLANE, "2-operator.yaml": _OPERATOR, "3-backend-local.yaml": _BACKEND}


@click.command(short_help="Write and apply the documents of this machine, so that a job runs.")
@click.option("--country", required=True, metavar="FR", help="Where this machine stands, ISO 3166-1.")
@click.option("--operator", required=True, metavar="NAME", help="Who runs it.")
@click.option("--force", is_flag=True, help="Write over documents that differ.")
@options.server
def init(country: str, operator: str, force: bool, server: str | None) -> int:
    """Write ``comity.d/`` with the ControlPlane, the Operator and a `local` Backend of this machine, and apply it
    where a server runs; else the next ``comity serve`` here applies it.

    \b
    Example:
      comity init --country FR --operator hospital
    """
    if not re.fullmatch("[A-Z]{2}", country):
        raise click.BadParameter("two capital letters of ISO 3166-1, e.g. FR", param_hint="--country")
    if not ids.is_name(operator):
        raise click.BadParameter("1 to 63 letters, digits, - _ . with alphanumeric ends", param_hint="--operator")
    folder = pathlib.Path(FOLDER)
    folder.mkdir(exist_ok=True)
    for name, template in FILES.items():
        path, text = folder / name, template.format(country=country, operator=operator)
        if path.exists() and path.read_text(encoding="utf-8") != text and not force:
            failures.say(f"{path} exists and says something else")
            failures.hint("--force writes over it")
            return failures.FAILED
        path.write_text(text, encoding="utf-8")
        click.echo(str(path))
    try:
        with options.connect(server, timeout_s=5.0) as client:
            for one in documents.read([FOLDER]):
                answer = declare.apply_one(client, one, dry_run=False)
                style.note(f"{one.kind} {one.name}: {answer.get('change', 'applied')}")
    except errors.UnreachableError:
        where = server or access.server(os.environ)
        style.note(f"no server at {where}: the next `comity serve` in this folder applies {FOLDER}/")
    return failures.DONE
