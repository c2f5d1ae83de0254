"""``verify``: check a bundle offline. No server, no network, nothing of the bundle is run."""

from __future__ import annotations

import os
import pathlib
import sys

import click

from orchestrator.cli import failures, keyfiles, output, style
from orchestrator.cli.rendering import tables
from orchestrator.client import access, logbooks
from orchestrator.evidence import bundles, checkpoints, comparisons, verification
from orchestrator.plugins.lazy import lazy

_FORMATS = ("table", "json", "yaml")


@click.command(short_help="Check a bundle offline.")
@click.argument("file")
@click.option("--trust", multiple=True, metavar="KEY", help="The log's public key, as its operator published it.")
@click.option("--against", multiple=True, metavar="NOTE", help="A checkpoint you kept: must be of the same history.")
@click.option("--witness", multiple=True, metavar="KEY", help="A witness whose cosignature counts for you.")
@click.option("--report", is_flag=True, help="One page for people: who decided, on what, and what is not proved.")
@click.option("-o", "--output", "format", type=click.Choice(_FORMATS), default="table", show_default=True)
def verify(
    file: str,
    trust: tuple[str, ...],
    against: tuple[str, ...],
    witness: tuple[str, ...],
    report: bool,
    format: str,
) -> int:
    """Check a bundle of `comity evidence`, question by question: the signature, whether you trust the signer, whether
    the log includes it, whether the log is the one you know, and whether the rules still give the same answer.
    Exit 0 verified, 1 something is wrong, 3 consistent but the signer is unknown to you.

    \b
    Example:
      comity verify hello.evidence.json --trust log.pub
      comity verify hello.evidence.json --trust log.pub --against kept.note --report
    """
    believed = keyfiles.trust(trust, witness)
    given = [keyfiles.kept(path)[0] for path in against]
    try:
        data = _read(file)
        compare = given + _remembered(data)
        found: verification.Report = lazy("orchestrator.bootstrap").verify_bundle(data, believed, against=compare)
    except bundles.BundleError as error:
        failures.say(f"{file}: {error}")
        return failures.FAILED
    rendering = lazy("orchestrator.cli.rendering.evidence")
    if format != "table":
        output.show(rendering.document(found), format)
    elif report:
        click.echo(rendering.page(found, file), color=style.enabled())
    else:
        click.echo(rendering.answers(found, file), color=style.enabled())
    if found.wrong:
        for problem in found.problems[:20]:
            failures.say(tables.clean(problem))
        return failures.FAILED
    return failures.DONE if found.verified else failures.REFUSED


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(bundles.BYTES_MAX + 1)
    with pathlib.Path(file).open("rb") as source:
        return source.read(bundles.BYTES_MAX + 1)


def _remembered(data: bytes) -> list[comparisons.Kept]:
    """Return what this account remembers of the log, where the bundle can be compared with it offline."""
    bundle = bundles.loads(data)
    try:
        point = checkpoints.read(bundle.note)[1]
    except checkpoints.CheckpointError:
        return []
    book = logbooks.Logbook(access.state_folder(os.environ))
    older = {one.old for one in bundle.consistency}
    found = []
    for one in book.of_origin(point.origin):
        # The head of this very bundle was remembered when it was fetched: comparing it with itself says nothing.
        other = one.point.size == point.size and one.point.root != point.root
        if one.point.size in older or other:
            found.append(comparisons.Kept(one.note))
    return found
