"""The atlas on a real control plane: all documents apply, tenants get the golden answers, and the page prints them."""

import json
import re

import pytest

from tests.e2e.conftest import ROOT, Shell
from tests.oracle.atlas import atlas

GOLDENS = {golden.job: golden for golden in atlas.goldens()}
JOBS = ("bank-dora", "gulf-training", "open-batch")
FOLDER = f"{ROOT}/examples/atlas"
PAGE = (ROOT / "docs" / "atlas.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def world(plane: Shell) -> Shell:
    """Give a control plane that has applied the atlas: everything is new, nothing is warned of."""
    applied = plane.run(f"comity apply -f {FOLDER}")
    assert applied.returncode == 0, applied.stderr
    assert applied.stderr == ""
    lines = applied.stdout.splitlines()
    assert len(lines) == len(atlas.declared())
    assert {line.split()[-1] for line in lines if not line.startswith("controlplanes/")} == {"created"}
    return plane


@pytest.mark.parametrize("name", JOBS)
def test_a_server_gives_the_golden_answer(world: Shell, name: str) -> None:
    """With the token of the tenant and its own data sets: site, ranking and every code of every refused site."""
    golden = GOLDENS[name]
    token = world.run(f"comity token create --tenant {golden.tenant} --role submit --role steward").stdout.strip()
    asked = world.run(
        f"export COMITY_TOKEN={token}; comity apply -f {FOLDER}/data.yaml >&2"
        f" && comity plan -f {FOLDER}/jobs/{name}.yaml --at {atlas.day().date()} -o json"
    )
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    sites = [site for site in answer["sites"] if site["backend"] in atlas.of_kind("Backend")]
    assert (answer["chosen"], answer["ranking"]) == (golden.chosen, golden.placeable)
    assert {site["site"]: atlas.codes(site, "deny") for site in sites if not site["allowed"]} == golden.refused


def test_the_administrator_may_ask_too(world: Shell) -> None:
    """The last command of the page, with the token of the state folder."""
    asked = world.run(f"comity plan -f {FOLDER}/jobs/open-batch.yaml --at 2026-11-22 -o name")
    assert (asked.returncode, asked.stdout.strip()) == (0, GOLDENS["open-batch"].chosen)


def test_the_page_prints_what_is_printed(plane: Shell) -> None:
    """Each line of output on the page is one of the command above it."""
    (plane.folder / "examples").symlink_to(ROOT / "examples")
    printed: list[str] = []
    compared = 0
    for language, body in re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        if language == "console" and "--with" in body:
            printed = plane.run(body.removeprefix("$ ").strip()).stdout.splitlines()
        elif language == "text":
            assert [line for line in body.splitlines() if line not in printed] == []
            compared += len(body.splitlines())
    assert compared > 10
