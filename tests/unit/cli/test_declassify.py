"""``policy declassify``: what it sends, and what it says."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client import stubs

URL = "/v1/datasets/weights-fr:declassify"
SAID = ("--from", "patients-fr", "--by", "A. Martin, DPO", "--reason", "no personal data left")


@pytest.mark.parametrize(
    ("rest", "note"),
    [([], "it inherits from nothing any more"), ([{"from": "raw-fr"}], "it still inherits from: raw-fr")],
)
def test_who_and_why_are_sent(run: Run, server: stubs.Server, rest: list[dict[str, str]], note: str) -> None:
    """Source, person and reason go into the body; what is still inherited is said on stderr."""
    server.routes["POST", URL] = {"metadata": {"name": "weights-fr"}, "status": {"inherits": rest}}
    ran = run("policy", "declassify", "weights-fr", *SAID)
    assert (ran.code, ran.out) == (0, "datasets/weights-fr declassified\n")
    assert note in ran.err
    assert server.asked[-1].json() == {"from": "patients-fr", "by": "A. Martin, DPO", "reason": "no personal data left"}


@pytest.mark.parametrize("left_out", [0, 2, 4])
def test_nothing_is_sent_without_source_person_and_reason(run: Run, server: stubs.Server, left_out: int) -> None:
    """Each of the three is needed: usage, code 2."""
    words = [*SAID[:left_out], *SAID[left_out + 2 :]]
    ran = run("policy", "declassify", "weights-fr", *words)
    assert ran.code == 2
    assert SAID[left_out] in ran.err
    assert server.asked == []


def test_a_refusal_is_told(run: Run, server: stubs.Server) -> None:
    """What the server says is what a person reads; the code is 1."""
    problem = {"title": "conflict", "status": 409, "code": "data.not-inherited", "detail": "inherits from nothing"}
    server.routes["POST", URL] = stubs.Reply(problem, 409, {"Content-Type": "application/problem+json"})
    ran = run("policy", "declassify", "weights-fr", *SAID)
    assert (ran.code, ran.out) == (1, "")
    assert "inherits from nothing" in ran.err


def test_wide_lists_say_what_data_sets_inherit(run: Run, server: stubs.Server) -> None:
    """A list of data sets shows the sources in force."""
    item = {"metadata": {"name": "weights-fr"}, "spec": {}, "status": {"inherits": [{"from": "a"}, {"from": "b"}]}}
    server.routes["GET", "/v1/datasets"] = {"items": [item], "cursor": None}
    heading, row = run("get", "datasets", "-o", "wide").out.splitlines()
    assert row[heading.index("INHERITS") :].split()[0] == "a,b"
