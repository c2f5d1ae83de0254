"""The Go project's signed notes and Merkle trees (golang.org/x/mod) agree with ours, where Go is at hand."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
from typing import Any

import pytest

from orchestrator.evidence import chain, cosignatures, merkle, notes
from tests.property.evidence import logs

SOURCE = pathlib.Path(__file__).parent / "go"
KEY, WITNESS = logs.Key(1), logs.Key(2)
SIZE, OLD = 300, 137


def _unable(why: str) -> None:
    if os.environ.get("COMITY_E2E") == "required":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Build the Go program."""
    go = shutil.which("go")
    if go is None:
        _unable("no Go here: notes and proofs are checked by our own code only")
    assert go is not None
    target = tmp_path_factory.mktemp("go") / "oracle"
    built = subprocess.run(
        [go, "build", "-o", str(target), "."], cwd=SOURCE, capture_output=True, text=True, check=False
    )
    if built.returncode:
        _unable(f"the Go module cannot be built here: {built.stderr.strip()[:200]}")
    return target


def _asked() -> dict[str, Any]:
    """Return heads and proofs of one log, as the program reads them."""
    log = logs.Log().add(*(logs.entry(number) for number in range(1, SIZE + 1)))
    note = log.note(KEY)
    witness = notes.Verifier("witness.example/1", WITNESS.public, notes.COSIGNATURE)
    cosigned = cosignatures.sign(notes.parse(note), WITNESS, witness, seconds=1_800_000_000).render()
    places = [0, 1, 100, 255, 256, SIZE - 1]
    return {
        "Key": notes.Verifier(logs.ORIGIN, KEY.public).text(),
        "Notes": [note, cosigned],
        "Inclusions": [
            {
                "Link": _text(chain.to_bytes(log.entries[index].hash)),
                "Index": index,
                "Proof": [_text(step) for step in log.tree.inclusion_proof(index)],
            }
            for index in places
        ],
        "From": OLD,
        "OldRoot": _text(log.tree.root(OLD)),
        "Proof": [_text(step) for step in log.tree.consistency_proof(OLD)],
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _run(program: pathlib.Path, asked: dict[str, Any]) -> str:
    ran = subprocess.run(
        [str(program)], input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=180
    )
    return ran.stdout.strip()


def test_go_verifies_our_heads_and_proofs(program: pathlib.Path) -> None:
    """Notes with and without a cosignature, inclusion of entries, consistency from an older head."""
    assert _run(program, _asked()) == "ok"


@pytest.mark.parametrize("what", ["key", "note", "link", "place", "proof", "old root"])
def test_go_refuses_what_is_changed(program: pathlib.Path, what: str) -> None:
    """The program is no rubber stamp."""
    asked = _asked()
    match what:
        case "key":
            asked["Key"] = notes.Verifier(logs.ORIGIN, WITNESS.public).text()
        case "note":
            asked["Notes"] = [asked["Notes"][0].replace("\n300\n", "\n301\n")]
        case "link":
            asked["Inclusions"][0]["Link"] = _text(merkle.EMPTY_ROOT)
        case "place":
            asked["Inclusions"][2]["Index"] += 1
        case "proof":
            asked["Proof"] = asked["Proof"][:-1]
        case _:
            asked["OldRoot"] = _text(merkle.EMPTY_ROOT)
    assert _run(program, asked) not in ("ok", "")
