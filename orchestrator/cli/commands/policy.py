"""``policy``: run cases against the packs, list the packs."""

from __future__ import annotations

import pathlib
from typing import Any

import click

from orchestrator.cli import failures, index, lazy, options, output, style
from orchestrator.cli.rendering import packs as pack_pages
from orchestrator.plugins import lazy as lazy_import

policy = lazy.LazyGroup("policy", index.POLICY, help="Rules and packs.\n\n\b\nExample:\n  comity policy packs")


@click.command(short_help="Run cases against the packs.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--off", multiple=True, metavar="PACK", help="Judge as if this pack were switched off.")
def test(files: tuple[str, ...], off: tuple[str, ...]) -> int:
    """Run cases: one job against one place at one date, and what the rules must answer. Needs no server. Prints each
    disagreement with the reasons expected and got; exit 1 if there is any. A file of Policy documents runs the tests
    that they bring.

    \b
    Example:
      comity policy test cases.yaml
      comity policy test policies.yaml
    """
    cases = lazy_import.lazy("orchestrator.policy.cases")
    yamls = lazy_import.lazy("orchestrator.sources.yamls")
    book = lazy_import.lazy("orchestrator.sources.packs").load(off=off)
    own = lazy_import.lazy("orchestrator.bootstrap.policies")
    reader = lazy_import.lazy("orchestrator.bootstrap.cases").reader()
    for name, problem in book.failed:
        failures.say(f"the pack {name} failed to load and denies everything: {problem}")
    count, disagreements = 0, list[Any]()
    for file in files:
        if not pathlib.Path(file).exists():
            raise click.UsageError(f"{file} does not exist")
        if own.has_documents(pathlib.Path(file)):
            try:
                number, wrong = own.test(pathlib.Path(file), book)
            except ValueError as error:
                failures.say(str(error))
                return failures.FAILED
            count, disagreements = count + number, disagreements + list(wrong)
            continue
        try:
            document = yamls.read(pathlib.Path(file), yamls.CASES)
            found = cases.read(document.data, documents=reader)
        except yamls.YamlError as error:
            failures.say(str(error))
            return failures.FAILED
        except cases.CaseError as error:
            for path, text in error.problems:
                failures.say(f"{document.locate(path)}: {text}")
            return failures.FAILED
        count += len(found)
        disagreements += cases.run(found, book)
    for one in disagreements:
        click.echo(str(one))
    click.echo(cases.summary(count, disagreements))
    return failures.FAILED if disagreements else failures.DONE


@click.command(short_help="The packs: what is in force, since when, on which source.")
@click.argument("names", nargs=-1, metavar="[PACK...]")
@options.output
def packs(names: tuple[str, ...], format: str) -> int:
    """The packs of this installation, those that are switched off included. With names: each pack whole, with its
    parameters, rules and their effective windows, dated sets, sources and open doubts. Needs no server.

    \b
    Example:
      comity policy packs
      comity policy packs us-ear eu-gdpr
      comity policy packs -o yaml
    """
    book = lazy_import.lazy("orchestrator.sources.packs").load()
    items = pack_pages.items(book)
    known = {str(one["name"]) for one in items}
    for name in names:
        if name not in known:
            raise click.UsageError(f"no pack is called {name!r}; there are {', '.join(sorted(known))}")
    items = [one for one in items if not names or one["name"] in names]
    failed = [{"name": name, "problem": problem} for name, problem in book.failed]
    if format in ("json", "yaml"):
        digests = {"policy": book.digest, "facts": book.facts_digest}
        output.show({"items": items, "failed": failed, "absent": list(book.absent), "digests": digests}, format)
    elif format == "name":
        click.echo("\n".join(str(one["name"]) for one in items))
    elif names:
        click.echo("\n\n".join("\n".join(pack_pages.page(one)) for one in items))
    else:
        click.echo("\n".join(pack_pages.table(items)))
        if book.absent:
            style.note(f"not installed, named in a caveat of every yes: {', '.join(book.absent)}")
    for one in failed:
        failures.say(f"{one['name']} failed to load and denies everything it should judge: {one['problem']}")
    return failures.FAILED if failed else failures.DONE
