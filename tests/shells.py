"""Strings that want to become shell, and two ways to see whether one did: by a parser, and by running it.

A script that reads its parameters as data has one shape, whatever the parameters are: ``shape`` is the syntax tree of
tree-sitter's bash grammar, with the text of every leaf that is not data. ``run`` executes a script with a search path
on which every program is a stub that writes down how it was called; the strings name a program, ``CANARY``, that
nobody calls unless a string was taken for a command, and a file that nobody makes unless one was taken for a redirect.
"""

import dataclasses
import os
import pathlib
import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence

import tree_sitter
import tree_sitter_bash

CANARY = "comity-canary"
FRAGMENTS = (
    *(f"\n#SBATCH --partition={CANARY}\n", f"#SBATCH --wrap={CANARY}", "\n#!/bin/sh\n", "\n#SBATCH\thetjob\n"),
    *(f"$({CANARY})", f"`{CANARY}`", f"${{x:-$({CANARY})}}", f"$(({CANARY}))", f"<({CANARY})", f">({CANARY})"),
    *(f"'; {CANARY}; '", f'"; {CANARY}; "', f"'\"; {CANARY}; \"'", f"$'\\x27; {CANARY}; '", f"\\'; {CANARY}; \\'"),
    *(
        f"; {CANARY};",
        f"| {CANARY}",
        f"&& {CANARY}",
        f"|| {CANARY}",
        f"& {CANARY} &",
        f"\n{CANARY}\n",
        f"\r\n{CANARY}\r\n",
    ),
    *(
        f"> {CANARY}.file",
        f"2>{CANARY}.file",
        f"<<< {CANARY}",
        "<< EOF",
        "\nEOF\n",
        f"\nEOF\n{CANARY}\n",
        "EOF",
        "\nCOMITY\n",
    ),
    *(f"x[$({CANARY})]", f"() {{ {CANARY}; }}; f", f"a=(b); {CANARY}", f"PATH=/ {CANARY}", "exit 0;", "trap - EXIT;"),
    *(
        "${IFS}",
        "$@",
        "$*",
        "$0",
        "$$",
        "$?",
        "$!",
        "${HOME}",
        "$HOME",
        "~",
        "~root",
        "*",
        "?",
        "[a-z]*",
        "{a,b}",
        "{1..9}",
    ),
    *(
        "'",
        '"',
        "\\",
        "\\\\",
        "`",
        "$",
        "#",
        " # ",
        "!",
        "!!",
        "%",
        "%j",
        "%N/%x",
        "-n",
        "--",
        "-",
        "-e",
        "=",
        "a=b",
        ";",
        "&",
    ),
    *(
        "\n",
        "\r",
        "\t",
        " ",
        "",
        "\x1b[0m",
        "\x01",
        "\x7f",
        "\u2028",
        "\u202e",
        "\ufeff",
        "é",
        "日本",
        "😀",
        "\\n",
        "\\0",
        "\\x00",
    ),
    *("fr-1,de-1", "node[1-9]", "fr:de", "gpu:h100:4;", "../../etc/passwd", "/dev/tcp/127.0.0.1/1", "a" * 300),
)
NUL = "\x00"
_LANGUAGE = tree_sitter.Language(tree_sitter_bash.language())


def hostile(count: int, seed: int, *, nul: bool = True) -> Iterator[str]:
    """Give strings: each fragment alone, then random chains of them.

    :param nul: whether some hold a NUL, which no argument, variable or file name can.
    """
    choice = random.Random(seed)
    fragments = (*FRAGMENTS, *((NUL, f"a{NUL}; {CANARY}", f"{NUL}\n{CANARY}\n") if nul else ()))
    for number in range(count):
        if number < len(fragments):
            yield fragments[number]
        else:
            yield "".join(choice.choices(fragments, k=choice.randint(1, 6)))


def shape(script: str, data: re.Pattern[str]) -> tuple[tuple[int, str, str], ...]:
    """Return the syntax tree of a script: depth, kind, and the text of each leaf that is not all data.

    :param data: matches, whole, the text of a leaf that may differ between scripts.
    """
    raw = script.encode("utf-8", "surrogatepass")
    rows = []
    pending = [(tree_sitter.Parser(_LANGUAGE).parse(raw).root_node, 0)]
    while pending:
        node, depth = pending.pop()
        text = "" if node.child_count else raw[node.start_byte : node.end_byte].decode("utf-8", "surrogatepass")
        rows.append((depth, node.type, "DATA" if text and data.fullmatch(text) else text))
        pending += [(child, depth + 1) for child in reversed(node.children)]
    return tuple(rows)


def broken(script: str) -> bool:
    """Say whether the parser finds what is no bash."""
    return tree_sitter.Parser(_LANGUAGE).parse(script.encode()).root_node.has_error


def directives(script: str) -> list[str]:
    """Return what sbatch would take for an option: it reads them up to the first command, wherever they come from."""
    return [line for line in re.split(r"[\r\n]", script) if line.lstrip().startswith("#SBATCH")]


@dataclasses.dataclass(frozen=True)
class Trace:
    """What a script did."""

    code: int
    output: str
    called: tuple[tuple[str, ...], ...]
    """Each program that was looked for, with its arguments, in order."""
    made: tuple[str, ...]
    """Files below its folder that were not there before and are not those expected."""

    @property
    def harm(self) -> list[str]:
        """Return what only a string that became shell can have done."""
        calls = [" ".join(call) for call in self.called if call[0] == CANARY]
        return calls + [path for path in self.made if CANARY in path]


STUB = """#!/bin/bash -p
printf '%s\\0' "${{0##*/}}" "$@" > "$COMITY_TRACE/$EPOCHREALTIME.$BASHPID"
{rest}
"""
MISSING = """
command_not_found_handle() {{ printf '%s\\0' "$@" > "{trace}/$EPOCHREALTIME.$BASHPID"; return 127; }}
"""


def _calls(trace: pathlib.Path) -> Iterator[tuple[str, ...]]:
    """Read what the stubs wrote, in order of time: a file a call, for they run at once; each word ends with a NUL."""
    for path in sorted(trace.iterdir()):
        yield tuple(path.read_bytes().decode(errors="replace").split("\0")[:-1])


def run(
    script: str,
    folder: pathlib.Path,
    *,
    programs: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
) -> Trace:
    """Run a script under bash, on a search path of stubs.

    :param folder: an empty folder, its current one.
    :param programs: those that do what they are there for, after they were written down; all others do nothing.
    """
    aside = folder.with_name(f"{folder.name}.stubs")
    aside.mkdir()
    trace = aside / "trace"
    trace.mkdir()
    for program in {CANARY, *programs}:
        # By its path, so that what it looks for itself is found among the stubs.
        real = None if program == CANARY else shutil.which(program, path=f"{os.defpath}:/usr/sbin")
        rest = f'exec {real} "$@"' if real else ""
        stub = aside / program
        stub.write_text(STUB.format(rest=rest))
        stub.chmod(0o755)
    (aside / "environment").write_text(MISSING.format(trace=trace))
    given = {
        **(environment or {}),
        "PATH": str(aside),
        "BASH_ENV": str(aside / "environment"),
        "COMITY_TRACE": str(trace),
    }
    text = aside / "script"
    text.write_bytes(script.encode("utf-8", "surrogatepass"))
    before = set(folder.rglob("*"))
    done = subprocess.run(
        ["/bin/bash", str(text)],
        cwd=folder,
        env=given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    return Trace(
        code=done.returncode,
        output=(done.stdout + done.stderr).decode(errors="replace"),
        called=tuple(_calls(trace)),
        made=tuple(sorted(str(path.relative_to(folder)) for path in set(folder.rglob("*")) - before)),
    )
