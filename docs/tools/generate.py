"""Write the reference pages that the code knows better than anybody: ``python -m docs.tools.generate [--check]``.

Pages: commands, documents, reason codes, metrics. ``--check`` writes nothing and fails where a page is out of date.
"""

from __future__ import annotations

import pathlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from orchestrator.cli import lazy, main
from orchestrator.placement import exchanges, identities, screenings
from orchestrator.plugins.lazy import lazy as load
from orchestrator.policy.cedar import judging
from orchestrator.service import halts
from orchestrator.sources import packs
from orchestrator.telemetry import metrics
from orchestrator.wire import unsupported
from orchestrator.wire.documents import schemas

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "reference"
MADE = "<!-- Made by `python -m docs.tools.generate`; do not edit. -->\n"


def commands() -> str:
    """Return the page of all commands: what ``--help`` says."""
    lines = ["# Commands", "", "What `comity COMMAND --help` says, in one place.", ""]
    for path, command in _walk(main.root(), ()):
        lines += [f"## `comity {' '.join(path)}`", "", "```text", _help(path, command), "```", ""]
    return "\n".join(lines)


def _walk(group: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(group, lazy.LazyGroup):
        yield path, group
        return
    for name in group.entries:
        command = group.get_command(click.Context(group), name)
        if command is not None:
            yield from _walk(command, (*path, name))


def _help(path: tuple[str, ...], command: click.Command) -> str:
    # The settings of the real program: click keeps the first help option that it made, so another one would differ.
    context = click.Context(command, info_name=f"comity {' '.join(path)}", terminal_width=100, **lazy.SETTINGS)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def documents() -> str:
    """Return the page of all kinds and fields."""
    lines = ["# Documents", "", "Every field of every kind. *Not built* fields are refused by name.", ""]
    for kind, schema in schemas.all_schemas().items():
        lines += [f"## {kind}", "", _sentence(schema), "", "| field | type | meaning |", "|---|---|---|"]
        lines += [f"| `{path}` | {type_} | {text} |" for path, type_, text in _fields(kind, schema, schema, ())]
        lines.append("")
    return "\n".join(lines)


Row = tuple[str, str, str]


def _fields(kind: str, root: Mapping[str, Any], node: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Row]:
    for name, child in node.get("properties", {}).items():
        if not path and name in ("apiVersion", "kind"):
            continue
        here = (*path, name)
        for option, where in _options(root, child, here):
            if "properties" in option:
                yield from _fields(kind, root, option, where)
            else:
                refused = unsupported.is_unsupported(
                    kind, tuple("*" if part in ("[]", "NAME") else part for part in where)
                )
                text = "**not built**" if refused else _limits(child, option)
                yield _dotted(where), _type(option), text


def _options(
    root: Mapping[str, Any], node: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...]]]:
    """Yield what may stand at ``path``, references, lists and mappings followed."""
    if "$ref" in node:
        yield from _options(root, root["$defs"][node["$ref"].rpartition("/")[2]], path)
    elif "anyOf" in node or "oneOf" in node:
        for option in node.get("anyOf") or node["oneOf"]:
            if option.get("type") != "null":
                yield from _options(root, option, path)
    elif node.get("type") == "array" and isinstance(node.get("items"), dict) and node["items"]:
        yield from _options(root, node["items"], (*path, "[]"))
    elif isinstance(node.get("additionalProperties"), dict):
        yield from _options(root, node["additionalProperties"], (*path, "NAME"))
    elif isinstance(node.get("patternProperties"), dict):
        for child in node["patternProperties"].values():
            yield from _options(root, child, (*path, "NAME"))
    else:
        yield node, path


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[]", "[]")


def _type(node: Mapping[str, Any]) -> str:
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    return str(node.get("format") or node.get("type") or "any")


def _limits(child: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    words = []
    for key, text in (("minimum", "at least"), ("maximum", "at most"), ("maxLength", "at most")):
        if key in node:
            words.append(f"{text} {node[key]:g}" + (" characters" if key == "maxLength" else ""))
    if node.get("examples"):
        words.append(f"e.g. `{node['examples'][0]}`")
    return ", ".join(words) or str(child.get("description", "")).split("\n")[0]


def _sentence(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")).split("\n\n")[0].replace("\n", " ")


def reasons() -> str:
    """Return the page of reason codes: of the packs, and of placement."""
    book = packs.load()
    lines = ["# Reason codes", "", "A code is stable; `<x>` stands for what it names.", "", "## Rules", ""]
    lines += ["| code | effect | basis | says | source |", "|---|---|---|---|---|"]
    for rule in sorted((*book.rules, *book.caveats), key=lambda one: str(one.id)):
        row = (rule.id, rule.effect.value, rule.basis.value, _text(rule, "message"), _text(rule, "source"))
        lines.append("| " + " | ".join(_cell(part) for part in row) + " |")
    lines += ["", "## Rules of your own", "", "| code | effect | says |", "|---|---|---|"]
    lines += [f"| `{code}` | {effect} | {_cell(text)} |" for code, effect, text in judging.CODES]
    lines += ["", "## Does it fit", "", "| code | question |", "|---|---|"]
    for name, text in _filters():
        lines.append(f"| `{name}` | {_cell(text)} |")
    lines += ["", "## What answers say besides", "", "| code | says |", "|---|---|"]
    lines += [
        f"| `{code}` | {_cell(text)} |"
        for code, text in (screenings.CAVEATS | identities.CAVEATS | exchanges.CAVEATS | halts.CODES).items()
    ]
    return "\n".join([*lines, ""])


def _filters() -> Iterator[tuple[str, str]]:
    """Yield (code, manual page) of every filter: the class docstring is its manual page."""
    folder = pathlib.Path(load("orchestrator.placement.filters").__file__).parent
    seen: dict[str, str] = {}
    for path in sorted(folder.glob("*.py")):
        module = load(f"orchestrator.placement.filters.{path.stem}")
        for value in vars(module).values():
            name = getattr(value, "name", None)
            if isinstance(value, type) and value.__module__ == module.__name__ and isinstance(name, str) and name:
                seen[name] = " ".join((value.__doc__ or "").split())
    yield from sorted(seen.items())


def _text(rule: object, name: str) -> str:
    value = getattr(rule, name, "")
    return str(getattr(value, "text", value) or "")


def _cell(text: object) -> str:
    return re.sub(r"\s+", " ", str(text)).replace("|", "\\|").strip()


def metric_names() -> str:
    """Return the page of metrics."""
    lines = ["# Metrics", "", "`GET /metrics`, Prometheus text.", "", "| name | type | says |", "|---|---|---|"]
    types: dict[str, str] = {}
    helps: dict[str, str] = {}
    for line in metrics.Metrics().render().decode().splitlines():
        if found := re.match(r"# (HELP|TYPE) (\S+) (.*)", line):
            (helps if found[1] == "HELP" else types)[found[2]] = found[3]
    lines += [
        f"| `{name}` | {kind} | {_cell(helps.get(name, ''))} |"
        for name, kind in sorted(types.items())
        if not name.endswith("_created")
    ]
    return "\n".join([*lines, ""])


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "documents.md": documents,
    "reasons.md": reasons,
    "metrics.md": metric_names,
}


def page(name: str) -> str:
    """Return one page as it should stand in the folder."""
    return MADE + "\n" + PAGES[name]().rstrip("\n") + "\n"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a page is out of date.")
def generate(check: bool) -> None:
    """Write the reference pages."""
    stale = []
    for name in PAGES:
        path, text = FOLDER / name, page(name)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
                click.echo(f"docs/reference/{name}")
    if check and stale:
        click.echo(f"out of date: {', '.join(stale)}; run python -m docs.tools.generate", err=True)
        sys.exit(1)


if __name__ == "__main__":
    generate()
