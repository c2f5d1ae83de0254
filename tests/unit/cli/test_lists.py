"""``policy lists``: imports without a server, tells what is in force, sends a person's answer."""

import datetime as dt
import json
import pathlib

import pytest

from orchestrator.telemetry import clocks
from tests.unit.cli.conftest import Run
from tests.unit.client import stubs

SDN = pathlib.Path(__file__).parents[1] / "sources" / "lists" / "data" / "us-sdn.xml"
CSL = SDN.with_name("us-csl.csv")
ANSWER = ("policy", "lists", "answer", "us-sdn:900001", "--operator", "nordkap", "--by", "A. Martin", "--reason", "LEI")


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> list[dt.datetime]:
    """Give the day of every command, to be changed."""
    now = [dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)]
    monkeypatch.setattr(clocks.SystemClock, "now", lambda _: now[0])
    return now


def test_without_lists(run: Run) -> None:
    """Nothing on stdout, and a sentence that says what that means."""
    ran = run("policy", "lists")
    assert (ran.code, ran.out) == (0, "")
    assert "nobody looked" in ran.err


def test_import_and_show(run: Run) -> None:
    """What was imported is shown with its days; the bare group shows it too."""
    ran = run("policy", "lists", "import", "--list", "us-sdn", str(SDN))
    assert (ran.code, ran.out) == (0, "us-sdn: 4 entries as of 2026-11-20, good until 2026-11-27\n")
    assert ran.err.startswith("pinned sha256:")
    shown = run("policy", "lists", "show")
    head, row = shown.out.splitlines()
    assert head.split() == ["LIST", "REGIME", "ENTRIES", "AS", "OF", "GOOD", "UNTIL", "STATE", "DIGEST"]
    assert row.split()[:7] == ["us-sdn", "us", "4", "2026-11-20", "2026-11-27", "in", "force"]
    assert run("policy", "lists").out == shown.out
    assert run("policy", "lists", "show", "-o", "name").out == "us-sdn\n"


def test_a_stale_list_is_shown_and_ends_with_1(run: Run, today: list[dt.datetime]) -> None:
    """The last day counts; the next one does not."""
    run("policy", "lists", "import", "--list", "us-sdn", str(SDN), "--max-age", "3")
    today[0] = dt.datetime(2026, 11, 23, 9, tzinfo=dt.UTC)
    assert run("policy", "lists", "show").code == 0
    today[0] = dt.datetime(2026, 11, 24, 9, tzinfo=dt.UTC)
    ran = run("policy", "lists", "show", "-o", "json")
    (item,) = json.loads(ran.out)["items"]
    assert (ran.code, item["stale"], item["ageDays"]) == (1, True, 4)
    assert "STALE" in run("policy", "lists", "show").out


def test_a_spoiled_copy_is_missing_and_ends_with_1(run: Run, tmp_path: pathlib.Path) -> None:
    """It is named in the table, and the reason is on stderr."""
    run("policy", "lists", "import", "--list", "us-sdn", str(SDN))
    (kept,) = (tmp_path / "state" / "lists" / "us-sdn").glob("*.json")
    kept.write_bytes(b"{}")
    ran = run("policy", "lists", "show")
    assert (ran.code, ran.out.splitlines()[1].split()) == (1, ["us-sdn", "MISSING"])
    assert "it refuses every placement" in ran.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--list", "us-csl", str(CSL)), "say with --as-of"),
        (("--list", "us-sdn", str(CSL)), "is csv, and us-sdn comes as xml"),
        (("--list", "sdn", str(SDN)), "did you mean us-sdn?"),
        (("--list", "us-sdn", "nothing.xml"), "no such file"),
        (("--list", "us-sdn", str(SDN), "--as-of", "2026-11-30"), "it is dated 2026-11-30"),
    ],
)
def test_what_cannot_be_imported_says_what_to_do(run: Run, arguments: tuple[str, ...], words: str) -> None:
    """One error line, exit 1, nothing kept."""
    ran = run("policy", "lists", "import", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.err
    assert run("policy", "lists", "show", "-o", "name").out.strip() == ""


def test_the_csl_as_csv_needs_its_day(run: Run) -> None:
    """The person says when it was fetched."""
    ran = run("policy", "lists", "import", "--list", "us-csl", str(CSL), "--as-of", "2026-11-22", "-o", "json")
    assert (ran.code, json.loads(ran.out)["asOf"], json.loads(ran.out)["published"]) == (0, "2026-11-22", None)


def test_an_answer_is_sent(run: Run, server: stubs.Server) -> None:
    """What a person says goes to the server, which keeps it."""
    asked: list[stubs.Asked] = []

    def keep(one: stubs.Asked) -> object:
        asked.append(one)
        return {"status": {"screening": {"review": [{"list": "us-sdn", "entry": "900002"}]}}}

    server.routes["POST", "/v1/operators/nordkap:answer"] = keep
    ran = run(*ANSWER, "--not-the-same", "--valid-to", "2027-11-22")
    assert (ran.code, ran.out) == (0, "operators/nordkap answered: us-sdn:900001 is another party\n")
    assert ran.err == "still open: us-sdn:900002\n"
    assert json.loads(asked[0].body) == {
        "list": "us-sdn", "entry": "900001", "same": False, "by": "A. Martin", "reason": "LEI", "validTo": "2027-11-22",
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [ANSWER, (*ANSWER[:3], "900001", *ANSWER[4:], "--same")])
def test_an_answer_must_say_which(run: Run, arguments: tuple[str, ...]) -> None:
    """Neither yes nor no, or no list: usage, and nothing is sent."""
    assert run(*arguments).code == 2
