"""Runs the lies and shows what came of them: a table for people, JSON for programs, Markdown for the threat model."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence

from tests.attack import (
    about_backends,
    about_bundles,
    about_data,
    about_insiders,
    about_keys,
    about_lists,
    about_policies,
    about_users,
    lies,
    stage,
)

MODULES = (
    about_backends,
    about_data,
    about_users,
    about_policies,
    about_lists,
    about_insiders,
    about_keys,
    about_bundles,
)
"""Importing them registers their lies."""
_NUMBER = re.compile(r"(?<=[a-z])-\d+\b(?!\.)")
"""Of names that are handed out."""
HEADS = ("ATTACKER", "LIE", "WHAT HAPPENED", "CAUGHT BY")


def everything() -> list[lies.Lie]:
    """Return every lie, in the order of the table."""
    return sorted(lies.ALL, key=lambda lie: lie.attacker.place)


def tell(found: stage.Stage, all_: Sequence[lies.Lie]) -> Iterator[lies.Told]:
    """Tell each lie and yield what came of it; one that cannot be told is an error, never caught."""
    for lie in all_:
        try:
            seen = lie.tell(found)
            found.clear()
            yield lies.Told(lie, lies.Seen(seen.caught, _NUMBER.sub("", seen.text)))
        except Exception as error:  # noqa: BLE001 -- the table goes on, and says so
            yield lies.Told(lie, lies.Seen(False, ""), f"{type(error).__name__}: {error}"[:400])


def text(told: Sequence[lies.Told]) -> str:
    """Return the table as a person reads it in a terminal."""
    width = max(shutil.get_terminal_size((150, 24)).columns, 100)
    widths = (16, *[(width - 16 - 6) // 3] * 3)
    rows = [HEADS, *((one.lie.attacker.value, one.lie.text, one.seen.text, one.verdict) for one in told)]
    lines: list[str] = []
    before = ""
    for row in rows:
        cells = [
            textwrap.wrap(cell, w) or [""]
            for cell, w in zip((row[0] if row[0] != before else "", *row[1:]), widths, strict=True)
        ]
        before = row[0]
        for number in range(max(map(len, cells))):
            parts = [
                (cell[number] if number < len(cell) else "").ljust(w) for cell, w in zip(cells, widths, strict=True)
            ]
            lines.append("  ".join(parts).rstrip())
        lines.append("")
    return "\n".join([*lines, summary(told)])


def summary(told: Sequence[lies.Told]) -> str:
    """Return the last line."""
    caught = sum(one.seen.caught for one in told)
    wrong = [one for one in told if not one.as_meant]
    line = f"{len(told)} lies: {caught} caught, {len(told) - caught} not caught"
    return line + (f"; {len(wrong)} NOT AS THE TABLE SAYS" if wrong else ", each as the table says")


def as_json(told: Sequence[lies.Told]) -> str:
    """Return the table as JSON."""
    rows = [
        {
            "attacker": one.lie.attacker.name.lower(),
            "lie": one.lie.text,
            "happened": one.seen.text,
            "caught": one.seen.caught,
            "asMeant": one.as_meant,
            **({"by": one.lie.by} if one.lie.by else {"why": one.lie.why, "would": one.lie.would}),
            **({"error": one.error} if one.error else {}),
        }
        for one in told
    ]
    return json.dumps({"lies": rows, "ok": all(one.as_meant for one in told)}, indent=2)


def markdown(told: Sequence[lies.Told]) -> str:
    """Return the table as it stands in the threat model."""
    lines = [
        "<!-- attack: begin; `python -m tests.attack --write docs/threat-model.md` writes this table -->",
        "",
        "| who lies | the lie | what happened | caught by |",
        "|---|---|---|---|",
    ]
    before = ""
    for one in told:
        who = one.lie.attacker.value
        verdict = one.lie.by if one.seen.caught else f"**not caught**: {one.lie.why}. Would: {one.lie.would}"
        cells = (who if who != before else "", one.lie.text, one.seen.text, verdict)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        before = who
    return "\n".join([*lines, "", f"{summary(told)}.", "", "<!-- attack: end -->"])


def placed(page: str, table: str) -> str:
    """Return a page with the table in its place."""
    first, last = page.index("<!-- attack: begin"), page.index("<!-- attack: end -->") + len("<!-- attack: end -->")
    return page[:first] + table + page[last:]
