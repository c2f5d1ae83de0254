"""``comity plan --with``: files instead of a server."""

import json
import pathlib

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client import stubs

WORLD = """\
apiVersion: comity.dev/v1
kind: Operator
metadata: {name: o}
spec: {legalCountry: FR, ultimateParentHq: FR, facts: {source: test, validTo: 2027-01-31}}
---
apiVersion: comity.dev/v1
kind: Backend
metadata: {name: b}
spec: {adapter: simulated, operator: o, location: {country: FR}}
"""
JOB = """\
apiVersion: comity.dev/v1
kind: Job
metadata: {name: NAME}
spec: {command: [x], data: none, sovereignty: {countries: {allow: [COUNTRY]}}}
"""


@pytest.fixture(autouse=True)
def files(run: Run) -> None:
    """Write a world and two jobs to the folder of the command line."""
    pathlib.Path("places").mkdir()
    pathlib.Path("places/world.yaml").write_text(WORLD)
    for name, country in (("here", "FR"), ("elsewhere", "CH")):
        pathlib.Path(f"{name}.yaml").write_text(JOB.replace("NAME", name).replace("COUNTRY", country))


def test_no_server_is_asked(run: Run, server: stubs.Server) -> None:
    """A placeable job is 0, one that is not is 3, and both are one table after the other."""
    ran = run("plan", "-f", "here.yaml", "--with", "places", "--at", "2026-11-22")
    assert (ran.code, ran.err) == (0, "")
    assert "> b/default" in ran.out
    assert "comity submit" not in ran.out
    both = run("plan", "-f", "here.yaml", "-f", "elsewhere.yaml", "--with", "places", "--at", "2026-11-22")
    assert both.code == 3
    assert "countries.FR" in both.out
    assert server.asked == []


def test_the_day_counts(run: Run) -> None:
    """After the last day of its facts the place is refused."""
    ran = run("plan", "-f", "here.yaml", "--with", "places", "--at", "2027-02-01", "-o", "json")
    assert ran.code == 3
    (site,) = json.loads(ran.out)["sites"]
    assert [reason["code"] for reason in site["reasons"] if reason["effect"] == "deny"] == ["core.stale-facts"]
    assert run("plan", "-f", "here.yaml", "--with", "places", "--at", "someday").code == 2


def test_a_tenant_is_for_files_only(run: Run) -> None:
    """With a server the token says who asks."""
    ran = run("plan", "-f", "here.yaml", "--tenant", "t")
    assert ran.code == 2
    assert "--tenant goes with --with" in ran.err


def test_a_bad_world_is_told_with_its_line(run: Run) -> None:
    """As for every file."""
    pathlib.Path("places/world.yaml").write_text(WORLD.replace("legalCountry: FR", "legalCountry: XX"))
    ran = run("plan", "-f", "here.yaml", "--with", "places")
    assert ran.code == 1
    assert "world.yaml:4" in ran.err
