"""``backend new``: an adapter package outside this repository, complete enough that its tests pass at once."""

from __future__ import annotations

import pathlib
import re

import click

from orchestrator.cli import failures, style

TEMPLATE = pathlib.Path(__file__).resolve().parents[1] / "template"
SUFFIX = ".txt"
"""Templates carry it so that nothing here is taken for a module or a test."""


@click.command(short_help="Write a ready adapter package with passing conformance tests.")
@click.argument("name", metavar="NAME")
@click.option("--into", default=".", metavar="DIR", help="Where to make the folder.  [.]")
def new(name: str, into: str) -> int:
    """Write ``comity-NAME/``: a package with an entry point, six small files and the conformance tests, which pass as
    it stands. Replace its inside, which is a plain dictionary, by calls of your backend.

    \b
    Example:
      comity backend new my-cloud
    """
    if not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > 40:
        raise click.BadParameter(
            "lower-case words with hyphens, at most 40 characters, e.g. my-cloud", param_hint="NAME"
        )
    words = {"NAME": name, "MODULE": name.replace("-", "_"), "CLASS": "".join(map(str.capitalize, name.split("-")))}
    folder = pathlib.Path(into) / f"comity-{name}"
    if folder.exists():
        failures.say(f"{folder} exists")
        failures.hint("choose another name, or remove it first")
        return failures.FAILED
    for source in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
        relative = _filled(str(source.relative_to(TEMPLATE)).removesuffix(SUFFIX), words)
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_filled(source.read_text(encoding="utf-8"), words), encoding="utf-8")
        click.echo(str(target))
    style.note(f"next: pip install -e {folder} pytest, then pytest {folder}")
    return failures.DONE


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
