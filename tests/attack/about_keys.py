"""Lies of an insider with the log's key, who writes to the whole state folder and signs what they like."""

from __future__ import annotations

import base64
import functools
import json
import pathlib
from dataclasses import dataclass
from typing import Any

from orchestrator.bootstrap import signing
from orchestrator.client import errors, logbooks, witnesses
from orchestrator.evidence import checkpoints, commitments, dsse, statements
from tests.attack import about_insiders, lies, stage

WHO = lies.Attacker.KEY


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A server that signs another past with the real key, and what others kept of the true one."""

    at: stage.Stage
    folder: pathlib.Path
    true: Any
    job: str


@lies.caught(WHO, "signs a rewritten past; an auditor kept a head", by="kept heads: `log verify --against`")
def kept(found: stage.Stage) -> lies.Seen:
    """Hold the rewritten journal to a kept head."""
    made = rewritten(found)
    return stage.checked(made.folder, made.true["note"])


@lies.caught(
    WHO,
    "signs a rewritten past; a client spoke to the server before",
    by="the client's memory: FORKED LOG, both heads kept",
)
def remembered(found: stage.Stage) -> lies.Seen:
    """Show it to somebody who remembers."""
    made = rewritten(found)
    return _shown(found, made.true, _head(made.at, made.true["size"]))


@lies.caught(
    WHO,
    "signs a rewritten past; a witness cosigned the true one",
    by="the witness refuses what does not go on from what it cosigned",
)
def witnessed(found: stage.Stage) -> lies.Seen:
    """Ask a witness to cosign both."""
    made = rewritten(found)
    witness = witnesses.Witness(found.folder / found.new("witness"), name="witness.example/1")
    trusted = bytes.fromhex(made.true["key"])
    witness.cosign(logbooks.of_answer(made.true), trusted=trusted, seconds=1_795_000_000)
    try:
        witness.cosign(logbooks.of_answer(_head(made.at, made.true["size"])), trusted=trusted, seconds=1_795_000_001)
    except witnesses.WitnessError:
        return lies.Seen(True, "not cosigned")
    return lies.Seen(False, "cosigned")


@lies.missed(
    WHO,
    "signs a rewritten past of which nobody outside ever saw a head",
    why="there is nothing to compare with",
    would="giving heads away early: clients, witnesses, `log checkpoint --note` by mail",
)
def unseen(found: stage.Stage) -> lies.Seen:
    """Verify the rewritten journal, and a bundle of it, alone."""
    made = rewritten(found)
    report = made.at.verified(made.at.bundle(made.job).body)
    seen = stage.checked(made.folder)
    return lies.Seen(seen.caught or not report.verified, f"{seen.text}; a bundle of it: verified")


@lies.missed(
    WHO,
    "writes a token into the table of tokens, and states it in the journal with the tables' key beside it",
    why="who has the whole state folder has everything that the server has",
    would="the key on another machine; a reader who misses its `token.created` in the journal, which it now is part of",
)
def stated(found: stage.Stage) -> lies.Seen:
    """Do all that the server would have done."""
    folder = found.copy()
    text = about_insiders.told_as_the_server_would(folder)
    answer = found.over(folder).call("GET", "/v1/tokens", token=text)
    return lies.Seen(answer.status >= 400, f"accepted: {answer.status}")


@lies.caught(WHO, "puts an older copy of the whole state folder back", by="the client's memory: the log became shorter")
def restored(found: stage.Stage) -> lies.Seen:
    """Serve yesterday to somebody who remembers today."""
    old = rewritten(found).true
    now = found.head()
    assert now["size"] > old["size"]
    return _shown(found, now, old)


@lies.caught(WHO, "signs two heads of one size, and shows them to one client", by="the client's memory: FORKED LOG")
def fork(found: stage.Stage) -> lies.Seen:
    """Sign another root of the same size."""
    true = found.head()
    return _shown(found, true, true | {"note": _signed(found.state, true, root=bytes(32))})


@lies.missed(
    WHO,
    "signs two heads of one size, and shows them to two clients who never speak",
    why="each sees a history that goes on from what it saw",
    would="a witness, or any two readers who compare heads",
)
def split_view(found: stage.Stage) -> lies.Seen:
    """Show the other head to somebody new."""
    true = found.head()
    book = logbooks.Logbook(found.folder / found.new("newcomer"))
    try:
        book.take(
            "http://server.example", logbooks.of_answer(true | {"note": _signed(found.state, true, root=bytes(32))})
        )
    except errors.ClientError as error:
        return lies.Seen(True, type(error).__name__)
    return lies.Seen(False, "taken by the newcomer")


@lies.caught(
    WHO,
    "signs a false decision: a site that was denied is shown as allowed",
    by="re-execution: the recorded rules give another answer",
)
def false_decision(found: stage.Stage) -> lies.Seen:
    """Turn a denial in the opened candidates, commit to it anew, and sign the statement with the log's key."""
    made = rewritten(found)
    bundle = made.at.bundle(made.job).body
    stated = bundle["statements"][0]
    opened = next(one for one in stated["disclosures"] if one["path"] == "candidates")
    denied = next(one for one in opened["value"] if not one["allowed"])
    denied["allowed"], denied["reasons"] = True, []
    payload = json.loads(base64.b64decode(stated["envelope"]["payload"]))
    payload["predicate"]["commitments"]["candidates"] = commitments.parse(opened).commitment()
    key = signing.Keyring(made.folder).current
    raw = stage.dumps(payload).strip()
    statements.parse(raw)
    stated["envelope"] = dsse.sign(raw, key.signer, key.public).as_json()
    report = made.at.verified(bundle)
    words = f"signature: {report.signature.word.value}; re-execution: {report.rejudged.word.value}"
    return lies.Seen(report.rejudged.word.value == "different", words)


@lies.caught(WHO, "signs with a key that was retired", by="a retired key counts only before the entry of its end")
def retired(found: stage.Stage) -> lies.Seen:
    """Keep the key, let it be replaced, and sign the newest head with it. Told last: it ends the key."""
    made = rewritten(found)
    thief = signing.Keyring(made.folder).current
    made.at.call("POST", "/v1/log:rotateKey")
    bundle = made.at.bundle(made.job).body
    point = checkpoints.read(bundle["checkpoint"])[1]
    bundle["checkpoint"] = checkpoints.sign(point, thief.signer, thief.public)
    report = made.at.verified(bundle, made.true["key"])
    return lies.Seen(report.signer.word.value == "retired", f"signer: {report.signer.word.value}")


@functools.cache
def rewritten(found: stage.Stage) -> Rewritten:
    """Copy a state folder, change an early entry, make all links again, drop the head signed last, and serve it."""
    found.backend(found.new("elsewhere"), "US")
    placed = found.judged("paris", sovereignty={"countries": {"allow": ["FR"]}})
    found.ended(placed.job)
    true = found.head()
    folder = found.copy()
    (folder / "log.checkpoint").unlink()
    (folder / "log.tiles").unlink(missing_ok=True)
    with stage.database(folder) as rows:
        rows.execute("update journal set actor = 'nobody' where seq = 4")
        stage.links_again(rows)
        stage.proven_again(folder, rows)
    (folder / "tables.memo").unlink()
    found.judged("paris", sovereignty={"countries": {"allow": ["FR"]}})  # the true log goes on
    return Rewritten(found.over(folder), folder, true, placed.job)


def _head(at: stage.Stage, since: int) -> Any:
    answer = at.call("GET", f"/v1/log/checkpoint?since={since}")
    assert answer.status == 200, answer
    return answer.body


def _signed(state: pathlib.Path, head: Any, *, root: bytes) -> str:
    """Return a note of the same size with another root, signed with the log's real key."""
    point = checkpoints.read(head["note"])[1]
    key = signing.Keyring(state).current
    return checkpoints.sign(checkpoints.Checkpoint(point.origin, point.size, root, point.link), key.signer, key.public)


def _shown(found: stage.Stage, first: Any, second: Any) -> lies.Seen:
    """Show two heads to one client, one after the other."""
    book = logbooks.Logbook(found.folder / found.new("client"))
    book.take("http://server.example", logbooks.of_answer(first))
    try:
        book.take("http://server.example", logbooks.of_answer(second))
    except logbooks.ForkError:
        kept_files = len(list((found.folder).glob("client-*/forks/*.txt")))
        return lies.Seen(kept_files > 0, "FORKED LOG; both signed heads are kept")
    except errors.ClientError as error:
        return lies.Seen(True, type(error).__name__)
    return lies.Seen(False, "taken")
