"""The documentation does what it says: every command of every page is run, in order, against a real control plane.

A fenced ``console`` block holds commands after ``$``; a line ends with ``# exit N`` where another code than 0 is meant.
A fenced block whose first line is ``# file: NAME`` is written to that file first. A command that this test does not
know how to run is an error, not a skip; the few that cannot run here are named in ``ELSEWHERE``, with what does.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterator

import pytest

from docs.tools import generate
from tests.e2e.conftest import ROOT, Shell

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md")),
    )
    if path.exists() and "docs/adr" not in path.as_posix() and "docs/reference" not in path.as_posix()
)
ELSEWHERE = {
    "make demo": "tests/e2e/test_demo.py runs what it calls",
    "make test": "is what runs this",
    "comity demo": "tests/e2e/test_demo.py",
    "comity apply -f examples/atlas": "tests/e2e/test_atlas.py: other pages need no places of the whole world",
    "comity token create --tenant example-bank --role submit --role steward": "tests/e2e/test_atlas.py",
    "comity plan -f examples/atlas/jobs/open-batch.yaml --at 2026-11-22": "tests/e2e/test_atlas.py",
    "comity serve": "the fixture of this test runs it, on another port",
    'comity policy lists answer us-sdn:900001 --operator nimbus --not-the-same --by "A. Martin" --reason "other LEI"': (
        "tests/unit/api/test_list_answers.py"
    ),
    "comity backend import --from clusterprofiles --kubeconfig hub.kubeconfig --namespace fleet -o drafts/": (
        "tests/e2e/test_clusterprofiles.py: it needs a hub"
    ),
    "comity serve --distances distances.yaml": "tests/e2e/test_server.py",
    "comity serve --rates rates.yaml": "tests/e2e/test_server.py",
}
KNOWN = ("comity", "python", "cat", "cd", "make", "USER=me comity", "pytest", "pip")
_FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"\A# file: (\S+)\n")
_EXIT = re.compile(r"\s+# exit (\d+)$")


@dataclasses.dataclass(frozen=True)
class Step:
    """A command to run, or a file to write."""

    text: str
    file: str = ""
    code: int = 0


def _steps(text: str) -> Iterator[Step]:
    for language, body in _FENCE.findall(text):
        if found := _FILE.match(body):
            yield Step(body, file=found[1])
        elif language in ("console", "shell"):
            for line in body.splitlines():
                if line.startswith("$ "):
                    command = line.removeprefix("$ ")
                    code = _EXIT.search(command)
                    yield Step(_EXIT.sub("", command), code=int(code[1]) if code else 0)


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_work(page: str, plane: Shell, tmp_path: pathlib.Path) -> None:
    """Each command of the page ends as the page says, in the order of the page."""
    steps = list(_steps((ROOT / page).read_text(encoding="utf-8")))
    if not any(not step.file and step.text not in ELSEWHERE for step in steps):
        return
    shell = dataclasses.replace(plane, folder=tmp_path)
    (shell.folder / "examples").symlink_to(ROOT / "examples")
    for step in steps:
        if step.file:
            (shell.folder / step.file).write_text(step.text, encoding="utf-8")
        elif step.text not in ELSEWHERE:
            assert step.text.startswith(KNOWN), f"{page}: nobody knows how to run {step.text!r}"
            ran = shell.run(step.text)
            assert ran.returncode == step.code, f"{page}: $ {step.text}\n{ran.stdout}{ran.stderr}"


@pytest.mark.parametrize("name", sorted(generate.PAGES))
def test_reference_is_what_the_code_says(name: str) -> None:
    """Generated pages are up to date; ``python -m docs.tools.generate`` writes them again."""
    assert (generate.FOLDER / name).read_text(encoding="utf-8") == generate.page(name)


def test_every_page_is_linked() -> None:
    """Every page of the documentation can be reached from the README by links that exist."""
    seen: set[pathlib.Path] = set()
    pending = [ROOT / "README.md"]
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            linked = (path.parent / target).resolve()
            assert linked.exists(), f"{path.relative_to(ROOT)} links to {target}, which is not there"
            if linked.suffix == ".md":
                pending.append(linked)
    own = {path for path in (ROOT / "docs").rglob("*.md") if "adr" not in path.parts and path.name != "benchmarks.md"}
    assert own - seen == set()


def test_blocks_of_pages_are_read() -> None:
    """The reader of pages finds files, commands and expected codes."""
    text = "```yaml\n# file: a.yaml\nx: 1\n```\n```console\n$ comity plan -f a.yaml  # exit 3\noutput\n```\n"
    assert list(_steps(text)) == [Step("# file: a.yaml\nx: 1\n", file="a.yaml"), Step("comity plan -f a.yaml", code=3)]
