"""``run``: a command somewhere it may run, without YAML."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import click

from orchestrator.cli import documents, failures, follow, options, output, style

_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


@click.command(
    short_help="Run a command without YAML: submit, follow, show its output.",
    context_settings={"allow_interspersed_args": False},
)
@click.option("--name", help="Name of the job; default is the command's.")
@click.option("--gpu", metavar="NAME[:COUNT]", help="Accelerators per node, e.g. h100:8.")
@click.option("--cpus", metavar="N", help="CPUs per node.")
@click.option("--memory", metavar="SIZE", help="Memory per node, e.g. 64Gi.")
@click.option("--data", "data", multiple=True, metavar="NAME", help="A data set to read; `none` says there is none.")
@click.option("--in", "places", multiple=True, metavar="COUNTRY", help="Only there: a country or a set, e.g. EEA.")
@click.option("--workdir", metavar="DIR", help="Send this folder; .gitignore says what stays.")
@click.option("--out", "outputs", multiple=True, metavar="PATH", help="Keep this file or folder.")
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable.")
@click.option("--image", help="Run in this image.")
@click.option("--detach", is_flag=True, help="Submit and print the id; do not follow.")
@follow.exit_code_option
@options.output
@options.server
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND...")
def run(command: tuple[str, ...], detach: bool, exit_code: str, format: str, server: str | None, **given: Any) -> int:
    """Run a command where it may run: submit, follow, show its output. Ctrl-C detaches. ``-o yaml`` prints the
    document instead of submitting it.

    \b
    Example:
      comity run -- python -c "print('hello')"
      comity run --in EEA --workdir . --out model.pt -- python train.py
      comity run --gpu h100:8 -o yaml -- python train.py
    """
    document = build(command, **given)
    if format in ("json", "yaml"):
        output.show(document, format)
        return failures.DONE
    here = documents.SourceDocument("Job", document["metadata"]["name"], document, pathlib.Path.cwd(), "run", 0)
    with options.connect(server) as client:
        job = client.submit(documents.prepare(client, here))
        for text in job.warnings:
            style.note(f"note: {text}")
        if detach:
            click.echo(job.id)
            return failures.DONE
        style.note(f"{job.id}  {job.name}")
        return follow.follow_one(client, job.id, own_code=exit_code == "job", stop_if_unplaceable=True)


def build(
    command: tuple[str, ...],
    *,
    name: str | None = None,
    gpu: str | None = None,
    cpus: str | None = None,
    memory: str | None = None,
    data: tuple[str, ...] = (),
    places: tuple[str, ...] = (),
    workdir: str | None = None,
    outputs: tuple[str, ...] = (),
    variables: tuple[str, ...] = (),
    image: str | None = None,
) -> dict[str, Any]:
    """Return the Job that the options describe."""
    spec: dict[str, Any] = {"command": list(command)}
    if image:
        spec["image"] = image
    if variables:
        spec["env"] = dict(_variable(text) for text in variables)
    if workdir:
        spec["workdir"] = {"fromDir": workdir, "ignore": ".gitignore"}
    if outputs:
        spec["outputs"] = [{"path": path} for path in outputs]
    if data == ("none",):
        spec["data"] = "none"
    elif data:
        if "none" in data:
            raise click.UsageError("--data none stands alone")
        spec["data"] = {"reads": [{"name": one} for one in data]}
    resources: dict[str, Any] = {key: value for key, value in (("cpus", cpus), ("memory", memory)) if value}
    if gpu:
        resources["accelerators"] = _accelerators(gpu)
    if resources:
        spec["resources"] = resources
    if places:
        spec["sovereignty"] = {"countries": {"allow": list(places)}}
    label = name or _NAME.sub("-", pathlib.PurePath(command[0]).name).strip("-_.")[:63] or "run"
    return {"apiVersion": "comity.dev/v1", "kind": "Job", "metadata": {"name": label}, "spec": spec}


def _accelerators(text: str) -> dict[str, Any]:
    model, colon, count = text.rpartition(":")
    if not colon:
        return {"anyOf": [text], "count": 1}
    if not count.isdecimal() or not int(count):
        raise click.UsageError(f"--gpu {text}: say NAME:COUNT, e.g. h100:8")
    return {"anyOf": [model], "count": int(count)}


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--env {text}: say NAME=VALUE")
    return name, value
