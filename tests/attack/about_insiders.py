"""Lies of an insider who writes to the database. The journal's key is not theirs, and a restart is."""

from __future__ import annotations

import functools
import hashlib
import json
import pathlib
import secrets
from dataclasses import dataclass
from typing import Any

from tests.attack import about_data, about_policies, lies, stage

WHO = lies.Attacker.DATABASE
OTHER = ("update journal set actor = 'nobody' where seq = ?",)


@lies.caught(WHO, "changes one entry of the journal", by="the hash chain")
def entry(found: stage.Stage) -> lies.Seen:
    """Change who did something."""
    return _changed(found, again=False)


@lies.caught(WHO, "takes the last entries away, and the head with them", by="the head signed last")
def tail(found: stage.Stage) -> lies.Seen:
    """Cut the journal short."""
    folder = found.copy()
    with stage.database(folder) as rows:
        (last,) = rows.execute("select max(seq) from journal").fetchone()
        rows.execute("delete from journal where seq > ?", (last - 3,))
        (link,) = rows.execute("select hash from journal where seq = ?", (last - 3,)).fetchone()
        rows.execute("update state set head_seq = ?, head_hash = ?", (last - 3, link))
    return stage.checked(folder)


@lies.caught(WHO, "changes one entry and makes every link again", by="the head signed last")
def chained_again(found: stage.Stage) -> lies.Seen:
    """Make the chain whole again."""
    return _changed(found, again=True)


@lies.caught(WHO, "inserts a placement into the journal and makes every link again", by="the head signed last")
def inserted(found: stage.Stage) -> lies.Seen:
    """Push an entry between two others."""
    folder = found.copy()
    with stage.database(folder) as rows:
        (last,) = rows.execute("select max(seq) from journal").fetchone()
        at = last // 2
        for seq in range(last, at, -1):
            rows.execute("update journal set seq = ? where seq = ?", (seq + 1, seq))
        copied = "kind, subject, tenant, at, actor, body, prev, hash"
        rows.execute(
            f"insert into journal (seq, {copied}) select ?, {copied} from journal where kind = 'job.placed' limit 1",
            (at + 1,),
        )
        stage.links_again(rows)
        rows.execute("update state set head_seq = ?", (last + 1,))
    return stage.checked(folder)


@lies.caught(
    WHO,
    "the same, and restarts the server on it",
    by="log.inconsistent: it signs nothing that does not go on from the head signed last",
)
def served(found: stage.Stage) -> lies.Seen:
    """Let the server go on over another past."""
    folder = found.copy()
    _change(folder, again=True)
    return found.over(folder).call("GET", "/v1/log/checkpoint").refused("log.inconsistent")


@dataclass(frozen=True, slots=True)
class Doctored:
    """A server over a database in which documents were changed, and the journal was not."""

    at: stage.Stage
    folder: pathlib.Path
    job: str
    half: str
    clean: str
    token: str
    covered: str


@lies.caught(
    WHO, "swaps the content of a decision", by="decisions are stored under their digest, which the journal holds"
)
def decision(found: stage.Stage) -> lies.Seen:
    """Say that nothing was denied."""
    made = doctored(found)
    return made.at.bundle(made.job).refused("evidence.incomplete")


@lies.caught(WHO, "changes the exit code of a job that ended", by="the bundle: the journal's entry says another")
def exit_code(found: stage.Stage) -> lies.Seen:
    """Let a job that succeeded have failed."""
    made = doctored(found)
    bundle = made.at.bundle(_exits(found)).body
    report = made.at.verified(bundle)
    return lies.Seen(
        not report.verified and "exitCode" in report.included.why, f"included: {report.included.word.value}"
    )


@lies.missed(
    WHO,
    "deletes a tally, so that a threshold begins anew",
    why="the ledger is a document of the store; nothing holds it against the journal, which records each placement",
    would="counting again from the journal's placements at start",
)
def tally(found: stage.Stage) -> lies.Seen:
    """Read the second half of a data set where the first was forgotten."""
    made = doctored(found)
    judged = made.at.judged(made.covered, data=_reads(made.half), sovereignty=_only("GR"))
    return lies.Seen(not judged.placed, "placed" if judged.placed else judged.went().text)


@lies.missed(
    WHO,
    "deletes a lineage, so that washed data is clean",
    why="lineage is a document of the store; the journal keeps `data.inherited`, and nothing compares them",
    would="reading lineage again from the journal at start",
)
def lineage(found: stage.Stage) -> lies.Seen:
    """Take washed data abroad."""
    made = doctored(found)
    name = made.at.backend(made.at.new("abroad"), "SG")
    judged = made.at.judged(name, data=_reads(made.clean), sovereignty=_only("SG"))
    return lies.Seen(not judged.placed, "placed" if judged.placed else judged.went().text)


@lies.missed(
    WHO,
    "moves a backend to another country, in the table of documents",
    why="the journal holds what was declared, whole; nothing compares it with the table",
    would="holding documents against their last entry at start and in `log verify`; an auditor can do it by hand",
)
def document(found: stage.Stage) -> lies.Seen:
    """Let a Russian backend be Swiss."""
    made = doctored(found)
    judged = made.at.judged("moscow", sovereignty=_only("CH"))
    return lies.Seen(not judged.placed, "placed" if judged.placed else judged.went().text)


@lies.missed(
    WHO,
    "deletes a rule of the house, in the table of documents",
    why="as above; bundles of later placements hold the rules without it",
    would="the same; and `comity policy replay` with the house's own copy of its rules",
)
def rule(found: stage.Stage) -> lies.Seen:
    """Place what the rule forbade."""
    made = doctored(found)
    judged = made.at.judged("tbilisi", sovereignty=_only("GE"))
    return lies.Seen(not judged.placed, "placed" if judged.placed else judged.went().text)


@lies.missed(
    WHO,
    "writes a token of an administrator into the table of tokens",
    why="the journal lacks its `token.created`, and nothing compares",
    would="holding tokens against the journal; acts of the token stand in the journal under its id",
)
def token(found: stage.Stage) -> lies.Seen:
    """Use a token that nobody made."""
    made = doctored(found)
    answer = made.at.call("GET", "/v1/tokens", token=made.token)
    return lies.Seen(answer.status >= 400, f"accepted: {answer.status}")


@lies.caught(
    WHO,
    "writes a placement for a job that never had one, in the table of placements",
    by="only what the journal placed can be proven",
)
def placement(found: stage.Stage) -> lies.Seen:
    """Ask for proof of it."""
    made = doctored(found)
    return made.at.bundle(_never(found)).refused("evidence.nothing")


@lies.missed(
    WHO,
    "does all of this, and an auditor runs `log verify`",
    why="it checks the journal, which is untouched",
    would="the comparisons named above",
)
def verified(found: stage.Stage) -> lies.Seen:
    """Check the journal of the doctored database."""
    return stage.checked(doctored(found).folder)


@lies.caught(WHO, "reads the database for tokens to use", by="only hashes are stored")
def hashes(found: stage.Stage) -> lies.Seen:
    """Look for the text of a live token in every file of the database."""
    wanted = found.token("submit").encode()
    raw = b"".join(path.read_bytes() for path in found.state.glob("comity.db*"))
    return lies.Seen(wanted not in raw, "not in any file of the database")


@functools.cache
def _exits(found: stage.Stage) -> str:
    """Return a job that ended well."""
    placed = found.judged("paris", sovereignty=_only("FR"))
    found.ended(placed.job)
    return placed.job


@functools.cache
def _never(found: stage.Stage) -> str:
    """Return a job that was never placed."""
    judged = found.judged("paris", sovereignty=_only("AQ"))
    assert not judged.placed
    return judged.job


@functools.cache
def doctored(found: stage.Stage) -> Doctored:
    """Set a story up, copy its state, and change everything but the journal."""
    covered = found.backend(found.new("covered"), "GR", found.operator(found.new("owner"), "GR", coveredPerson=True))
    own = about_data.COVERED | {"controller": {"operator": "patient-lab", "country": "US"}}
    halves = [found.data(found.new("half"), "genomic", counts={"persons": 60}, **own) for _ in range(2)]
    first = found.judged(covered, data=_reads(halves[0]), sovereignty=_only("GR"))
    assert first.placed == covered, first
    second = found.judged(covered, data=_reads(halves[1]), sovereignty=_only("GR"))
    assert not second.placed, second
    clean = about_data.written(found)
    found.backend("moscow", "RU")
    found.backend("tbilisi", "GE")
    text = f'{about_policies.RULE} when {{ resource has country && resource.country == "GE" }};'
    found.must("Policy", "not-there", about_policies.cedar(text))
    assert not found.judged("tbilisi", sovereignty=_only("GE")).placed
    exits, never = _exits(found), _never(found)
    folder, secret = found.copy(), f"comity_t{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
    with stage.database(folder) as rows:
        rows.execute("delete from documents where kind in ('Tally', 'Lineage')")
        rows.execute("delete from documents where kind = 'Policy' and name = 'not-there'")
        rows.execute("update documents set body = replace(body, '\"RU\"', '\"CH\"') where name = 'moscow'")
        id_, digest = secret.split("_")[1], hashlib.sha256(secret.encode()).hexdigest()
        columns = "id, hash, tenant, roles, created_at, note, version"
        rows.execute(
            f"insert into tokens ({columns}) values (?, ?, 'default', ?, 0, '', 1)",
            (id_, digest, json.dumps(["admin"])),
        )
        rows.execute(
            "update finished_jobs set state = replace(state, '\"exited\",0', '\"exited\",7') where id = ?", (exits,)
        )
        swapped = (
            """update decisions set body = cast(replace(cast(body as text), '"order":[0', '"order":[1') as blob)"""
        )
        rows.execute(f"{swapped} where digest = (select decision from placements where job = ?)", (first.job,))
        rows.execute(
            "insert into placements select 'x-1', ?, 1, site, decision, policy, facts, expires, placed_at, term "
            "from placements limit 1",
            (never,),
        )
        rows.execute("update state set documents_version = documents_version + 1")
    return Doctored(found.over(folder), folder, first.job, halves[1], clean, secret, covered)


def _change(folder: pathlib.Path, *, again: bool) -> None:
    with stage.database(folder) as rows:
        rows.execute(OTHER[0], (4,))
        if again:
            stage.links_again(rows)


def _changed(found: stage.Stage, *, again: bool) -> lies.Seen:
    folder = found.copy()
    _change(folder, again=again)
    return stage.checked(folder)


def _only(land: str) -> dict[str, Any]:
    return {"countries": {"allow": [land]}}


def _reads(name: str) -> dict[str, Any]:
    return {"reads": [{"name": name}]}
