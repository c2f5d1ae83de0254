"""``logs``, ``wait``, ``cancel``, ``retry``, ``cp``: verbs on jobs that exist."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys

import click

from orchestrator.cli import failures, follow, options, output, style
from orchestrator.client import clients, results


@click.command(short_help="Show a job's output.")
@click.argument("job")
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on until the job has ended; Ctrl-C detaches.")
@click.option("--node", type=click.IntRange(0), help="One rank of a gang.")
@click.option("--attempt", type=click.IntRange(1), help="One attempt; default is the last.")
@options.server
def logs(job: str, follows: bool, node: int | None, attempt: int | None, server: str | None) -> int:
    """Show what a job wrote, on stdout.

    \b
    Example:
      comity logs hello
      comity logs hello -f
    """
    with options.connect(server) as client:
        found = client.find(job)
        if follows and attempt is None:
            try:
                follow.Follower(client, found.id, node=node).until_ended()
            except KeyboardInterrupt:
                return follow.detached(found.id)
            return failures.DONE
        status = found.document.get("status", {})
        holds = found.document.get("spec", {}).get("verification") and status.get("phase") == "SUCCEEDED"
        if status.get("elements") and not holds:
            style.note(f"{found.name} has elements, each with output of its own: comity logs '{found.id}[0]'")
            return failures.DONE
        if not found.attempts and not holds:
            style.note(f"{found.name} has not been placed yet: {follow.headline(found.document)}")
            return failures.DONE
        ranked = node is None and int(found.document.get("spec", {}).get("nodes") or 1) > 1
        cursor = None
        while True:
            page = client.log_page(found.id, cursor=cursor, node=node, attempt=attempt)
            for rank, data in page.chunks:
                follow.write_output(data, rank if ranked else None)
            cursor = page.cursor
            if not page.chunks:
                return failures.DONE


@click.command(short_help="Wait until a job has ended.")
@click.argument("job")
@follow.exit_code_option
@options.server
def wait(job: str, exit_code: str, server: str | None) -> int:
    """Wait until a job has ended; exit 0 if it succeeded, 1 if not. Ctrl-C detaches.

    \b
    Example:
      comity wait hello
      comity wait hello --exit-code job
    """
    with options.connect(server) as client:
        found = client.find(job)
        return follow.follow_one(client, found.id, own_code=exit_code == "job", show_output=False)


@click.command(short_help="Ask a job to end.")
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@options.server
def cancel(jobs: tuple[str, ...], server: str | None) -> None:
    """Ask jobs to end. An ambiguous name is refused, with the ids it stands for.

    \b
    Example:
      comity cancel 01JD8Z3M
      comity cancel sweep[17]
    """
    with options.connect(server) as client:
        for found in [client.find(job, changes=True) for job in jobs]:
            after = client.cancel(found.id)
            click.echo(after.id)
            style.note(f"{after.name}: {after.phase}")


@click.command(short_help="Submit an ended job again, as a new job.")
@click.argument("job")
@options.server
def retry(job: str, server: str | None) -> None:
    """Submit the spec of an ended job again; the record of the first one stays as it is.

    \b
    Example:
      comity retry hello
    """
    with options.connect(server) as client:
        made = client.retry(client.find(job, changes=True).id)
        _warn(made)
        click.echo(made.id)


def _warn(job: results.JobView) -> None:
    for text in job.warnings:
        style.note(f"note: {text}")


@click.command(short_help="Copy a file that a job left.")
@click.argument("source", metavar="JOB:[PATH]")
@click.argument("destination", metavar="DEST", required=False)
@options.output
@options.server
def cp(source: str, destination: str | None, format: str, server: str | None) -> None:
    """Copy an output of a job to this machine; without PATH and DEST list them. ``-`` writes to stdout.

    Copying is a movement of data, and judged like one.

    \b
    Example:
      comity cp hello:
      comity cp digits:metrics.json .
    """
    word, colon, path = source.partition(":")
    if not colon:
        raise click.UsageError("say JOB:PATH, e.g. digits:metrics.json, or JOB: to list")
    with options.connect(server) as client:
        job = client.find(word)
        if not path:
            listed = [{"path": one.path, "size": one.size_bytes} for one in client.outputs(job.id)]
            if format in ("json", "yaml"):
                output.show({"items": listed}, format)
            else:
                for one in listed:
                    click.echo(f"{one['path']}" if format == "name" else f"{one['size']:>12}  {one['path']}")
            return
        if destination is None:
            raise click.UsageError("say where to: comity cp JOB:PATH DEST")
        if destination == "-":
            for piece in client.read_output(job.id, path):
                sys.stdout.buffer.write(piece)
            return
        target = pathlib.Path(destination)
        if target.is_dir():
            target = target / pathlib.PurePosixPath(path).name
        _download(client, job, path, target)
        style.note(f"{target}  {target.stat().st_size} bytes")


def _download(client: clients.Client, job: results.JobView, path: str, target: pathlib.Path) -> None:
    """Write next to the target and rename: half a file never carries its name."""
    partial = target.with_name(f".{target.name}.{os.urandom(4).hex()}.partial")
    try:
        with partial.open("xb") as file:
            for piece in client.read_output(job.id, path):
                file.write(piece)
        os.replace(partial, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
