"""Lies of an insider who writes to the database. The journal's key is not theirs, and a restart is."""

from __future__ import annotations

import functools
import hashlib
import json
import pathlib
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any

from orchestrator.bootstrap import audits, tables
from orchestrator.evidence import canonical, chain
from orchestrator.evidence import tables as accounts
from orchestrator.telemetry import clocks
from tests.attack import about_data, about_policies, lies, stage
from tests.e2e import servers

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
    differences: tuple[str, ...] = ()
    """What an auditor sees in it."""


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


BY = "tables are held against the journal: what differs stops new placements (TablesDiffer), and is named"


@lies.caught(WHO, "deletes a tally, so that a threshold begins anew", by=BY)
def tally(found: stage.Stage) -> lies.Seen:
    """Read the second half of a data set where the first was forgotten."""
    made = doctored(found)
    return _kept_away(made, "document Tally/", data=_reads(made.half), sovereignty=_only("GR"))


@lies.caught(WHO, "deletes a lineage, so that washed data is clean", by=BY)
def lineage(found: stage.Stage) -> lies.Seen:
    """Take washed data abroad."""
    made = doctored(found)
    return _kept_away(made, "document Lineage/", data=_reads(made.clean), sovereignty=_only("SG"))


@lies.caught(WHO, "moves a backend to another country, in the table of documents", by=BY)
def document(found: stage.Stage) -> lies.Seen:
    """Let a Russian backend be Swiss."""
    return _kept_away(doctored(found), "document Backend//moscow", sovereignty=_only("CH"))


@lies.caught(WHO, "deletes a rule of the house, in the table of documents", by=BY)
def rule(found: stage.Stage) -> lies.Seen:
    """Place what the rule forbade."""
    return _kept_away(doctored(found), "document Policy//not-there", sovereignty=_only("GE"))


@lies.caught(WHO, "changes the command of a job that waits", by=BY)
def command(found: stage.Stage) -> lies.Seen:
    """Let a job run something else than was submitted."""
    return _kept_away(doctored(found), "spec sha256:", sovereignty=_only("FR"))


@lies.caught(
    WHO,
    "writes a token of an administrator into the table of tokens",
    by="a token whose row no entry of the journal explains opens nothing",
)
def token(found: stage.Stage) -> lies.Seen:
    """Use a token that nobody made."""
    made = doctored(found)
    return _refused(made.at, made.token)


@lies.caught(
    WHO,
    "the same while the server runs",
    by="a write by another process is noticed before the next refresh of tokens, and before the next placement",
)
def token_at_run_time(found: stage.Stage) -> lies.Seen:
    """Write it into the database that a server has open."""
    folder, (text, row) = found.copy(), _token()
    at = found.over(folder)
    assert at.call("GET", "/v1/tokens").status == 200
    with stage.database(folder) as rows:
        rows.execute(INSERT_TOKEN, row)
    return _refused(at, text)


@lies.caught(
    WHO,
    "the same, and appends an entry to the journal that states it",
    by="the digest of the row and the head of the journal need a key that is not in the database",
)
def token_with_entry(found: stage.Stage) -> lies.Seen:
    """Make the entry that is missing."""
    folder, (text, row) = found.copy(), _token()
    with stage.database(folder) as rows:
        rows.execute(INSERT_TOKEN, row)
        _state(rows, accounts.Digests(), row)
    at = found.over(folder)
    assert at.number("comity_tables_differ") > 1
    return _refused(at, text)


@lies.caught(
    WHO,
    "puts an older copy of the database back, alone",
    by="the head signed last and the memo of the tables lie beside the database: placements stop",
)
def older(found: stage.Stage) -> lies.Seen:
    """Let what was forbidden since be allowed again."""
    old = found.copy()
    found.must("Queue", found.new("later"), {})
    newer = found.copy()
    with stage.database(old) as rows, stage.database(newer) as place:
        rows.backup(place)
    at = found.over(newer)
    placed = at.waits(sovereignty=_only("FR"))
    told = "the journal is not the one that was" in "".join(at.server.lines)
    return lies.Seen(told and not placed, "not placed: TablesDiffer" if not placed else f"placed at {placed}")


@lies.caught(
    WHO,
    "writes a placement for a job that never had one, in the table of placements",
    by="only what the journal placed can be proven",
)
def placement(found: stage.Stage) -> lies.Seen:
    """Ask for proof of it."""
    made = doctored(found)
    return made.at.bundle(_never(found)).refused("evidence.nothing")


@lies.caught(WHO, "does all of this, and an auditor runs `log verify`", by="it names each row that differs")
def verified(found: stage.Stage) -> lies.Seen:
    """Check the doctored database."""
    made = doctored(found)
    named = "\n".join(made.differences)
    wanted = ("Tally/", "Lineage/", "moscow", "not-there", "token t", "spec ", "placement ")
    missing = [word for word in wanted if word not in named]
    assert not missing, (missing, named)
    return stage.checked(made.folder)


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
    found.backend("abroad", "SG")
    found.call("POST", "/v1/jobs", servers.job(found.new("job"), sovereignty=_only("AQ")))
    folder, (secret, row) = found.copy(), _token()
    with stage.database(folder) as rows:
        rows.execute("delete from documents where kind in ('Tally', 'Lineage')")
        rows.execute("delete from documents where kind = 'Policy' and name = 'not-there'")
        rows.execute("update documents set body = replace(body, '\"RU\"', '\"CH\"') where name = 'moscow'")
        rows.execute(INSERT_TOKEN, row)
        live = "select spec_digest from live_jobs where phase = 'QUEUED'"
        rows.execute(f"update specs set body = replace(body, '\"true\"', '\"evil\"') where digest in ({live})")
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
    seen = audits.verify(str(folder)).differences
    return Doctored(found.over(folder), folder, first.job, halves[1], clean, secret, covered, seen)


def _kept_away(made: Doctored, named: str, **spec: Any) -> lies.Seen:
    """Submit what the edit was meant to let through, and see that it waits and that the row is named."""
    placed = made.at.waits(**spec)
    if placed:
        return lies.Seen(False, f"placed at {placed}")
    told = any(one.startswith(named) for one in made.differences) and made.at.number("comity_tables_differ") > 0
    return lies.Seen(told, "not placed: TablesDiffer; `log verify` names the row")


INSERT_TOKEN = (
    "insert into tokens (id, hash, tenant, roles, created_at, note, version) values (?, ?, 'default', ?, 0, '', 1)"
)


def _token() -> tuple[str, tuple[str, str, str]]:
    """Return the text of a token that nobody made, and its row."""
    text = f"comity_t{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
    return text, (text.split("_")[1], hashlib.sha256(text.encode()).hexdigest(), json.dumps(["admin"]))


def told_as_the_server_would(folder: pathlib.Path) -> str:
    """Write a token into a copied state folder, with the entry, the link and the proof that belong to it."""
    key = tables.known_key(folder)
    assert key is not None
    text, row = _token()
    with stage.database(folder) as rows:
        rows.execute(INSERT_TOKEN, row)
        _state(rows, accounts.Digests(key), row)
        stage.proven_again(folder, rows)
    return text


def _refused(at: stage.Stage, token: str) -> lies.Seen:
    answer = at.call("GET", "/v1/tokens", token=token)
    return lies.Seen(answer.status == 401, f"refused: {answer.status}" if answer.status >= 400 else "accepted: 200")


def _state(rows: sqlite3.Connection, digests: accounts.Digests, row: tuple[str, str, str]) -> None:
    """Append the entry that states a token, with its link."""
    id_, digest, roles = row
    values = (digest, "default", roles, 0, None, None, "")
    body = canonical.text(accounts.statement([(accounts.TOKEN, id_, digests.row(accounts.TOKEN, id_, values))]))
    seq, previous = rows.execute("select head_seq, head_hash from state").fetchone()
    at = chain.time_text(clocks.SystemClock().now())
    entry = (accounts.STATED, accounts.SUBJECT, None, at, "system", body)
    link = chain.link(previous, chain.record_bytes(*entry))
    rows.execute("insert into journal values (?, ?, ?, ?, ?, ?, ?, ?, ?)", (seq + 1, *entry, previous, link))
    rows.execute("update state set head_seq = ?, head_hash = ?", (seq + 1, link))


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
