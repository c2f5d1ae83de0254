"""Tables held against the journal: what each row must say, told from the journal alone, and where a table differs.

Two kinds of rows. Documents, tokens and obligations are *stated*: the store itself adds to each commit that touches
one an entry ``tables.stated`` with the digest of each row that it leaves behind (null: the row is gone). Jobs, their
attempts and placements are told by entries that the journal has anyway: who submitted which spec, each change of
phase, each placement.

Digests are keyed, for two reasons: who reads the journal learns nothing from them (a guess of a backend's settings
cannot be confirmed), and who writes to the database alone cannot make one. For the same reason the head of the journal
is authenticated with each transaction. This module is pure; the key and the rows come from above.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain import decisions, ids, journal
from orchestrator.evidence import canonical, chain

SUBJECT = "tables"
STATED, ADOPTED, ACCEPTED = "tables.stated", "tables.adopted", "tables.accepted"
"""A commit left these rows; these rows were there before rows were stated; a person took these rows as they are."""
KINDS = frozenset({STATED, ADOPTED, ACCEPTED})

DOCUMENT, TOKEN, OBLIGATION = "document", "token", "obligation"
JOB, ATTEMPT, PLACEMENT, SPEC = "job", "attempt", "placement", "spec"
STATED_TABLES = (DOCUMENT, TOKEN, OBLIGATION)

UNREADABLE = "unreadable"
"""Stands for a row whose columns hold what nobody wrote there."""
QUEUED = "QUEUED"
_TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
_ROW, _HEAD, _MEMO = b"comity/row/v1\n", b"comity/head/v1\n", b"comity/tables-memo/v1\n"
_RECORD = b"comity/placement/v1\n"
_DIGITS = 32
_VERSION = 1

Row = tuple[str, str, str]
"""A row as it stands: its table, its key, what it says."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests under one installation's key (any number of bytes; none: anybody can make them)."""

    key: bytes = b""

    def row(self, table: str, key: str, values: Sequence[object]) -> str:
        """Return 128 bits over a stated row, in hexadecimal; ``UNREADABLE`` for what JSON cannot hold."""
        try:
            said = canonical.dumps([table, key, *values])
        except (canonical.CanonicalError, TypeError):
            return UNREADABLE
        return hmac.digest(self.key, _ROW + said, "sha256").hex()[:_DIGITS]

    def head(self, seq: int, link: bytes) -> bytes:
        """Return what proves that who has the key wrote this head."""
        return hmac.digest(self.key, _HEAD + seq.to_bytes(8, "big") + link, "sha256")

    def proves(self, proof: object, seq: int, link: bytes) -> bool:
        """Say whether ``proof`` is what ``head`` makes of this head; a journal without entries needs none."""
        if proof is None:
            return seq == 0
        return isinstance(proof, bytes) and hmac.compare_digest(proof, self.head(seq, link))

    def memo(self, text: bytes) -> str:
        """Return what proves that who has the key wrote this memo."""
        return hmac.digest(self.key, _MEMO + text, "sha256").hex()


def job_row(job: str, tenant: object, spec: object, at: object, by: object, phase: object) -> Row:
    """Return a job's row: who submitted what and when, and its phase. ``at`` as the chain writes it."""
    return (JOB, job, f"{tenant} {spec} {at} {by} {phase}")


def attempt_row(job: str, number: object, site: object, decision: object) -> Row:
    """Return the row of an attempt: where it was placed, by which decision."""
    return (ATTEMPT, f"{job}#{number}", f"{site} {decision}")


def placement_row(job: str, number: object, site: object, decision: object, record: str) -> Row:
    """Return the row of a placement; ``record`` is the digest of the rest of it."""
    return (PLACEMENT, f"{job}#{number}", f"{site} {decision} {record}")


def record_of(placement: decisions.Placement) -> str:
    """Return the digest of what the entry of a placement does not say in words."""
    expires = "" if placement.expires is None else chain.time_text(placement.expires)
    at = chain.time_text(placement.placed_at)
    said = (placement.key, placement.policy, placement.facts, expires, at, str(placement.term))
    return hashlib.sha256(_RECORD + "\n".join(said).encode()).hexdigest()[:_DIGITS]


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not what the journal says. ``seq``: the entry that says so; 0: none says anything."""

    table: str
    key: str
    found: str | None
    wanted: str | None
    seq: int = 0

    def __str__(self) -> str:
        """Return one sentence."""
        what = f"{self.table} {self.key}"
        if self.table == SPEC:
            return f"{what}: its text is not the one of this digest"
        if self.wanted is None:
            return f"{what}: it stands in the table, and no entry of the journal put it there"
        if self.found is None:
            return f"{what}: entry {self.seq} of the journal has it, the table has not"
        if self.found == UNREADABLE:
            return f"{what}: it holds what nobody wrote; entry {self.seq} of the journal says otherwise"
        return f"{what}: the table does not say what entry {self.seq} of the journal left there"


@dataclass(slots=True)
class _Job:
    facts: str
    phase: str
    seq: int
    attempts: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    """Number -> where and why, the digest of its record ("": the entry has none), the entry."""


class Account:
    """What the tables must say after entry ``seq``. With ``whole`` jobs that ended are kept, else forgotten."""

    def __init__(self, *, whole: bool = False) -> None:
        self.head = chain.empty_head()
        self.stated_ever = False
        """Whether rows were stated at all: a journal from before that has no entry of it."""
        self.unread: list[int] = []
        """Entries that hold what no version writes."""
        self._whole = whole
        self._rows: dict[tuple[str, str], tuple[str, int]] = {}
        self._jobs: dict[str, _Job] = {}

    def __len__(self) -> int:
        return len(self._rows) + len(self._jobs)

    def read(self, records: Iterable[chain.Record]) -> int | None:
        """Go on with the entries after ``head``; return the first whose link does not hold, or None.

        After a bad entry the account is worth nothing.
        """
        last: list[chain.Record] = []
        bad = chain.verify_records(self._taken(records, last), after=self.head)
        if bad is None and last:
            self.head = journal.ChainHead(last[0][0], chain.to_digest(last[0][8]))
        return bad

    def _taken(self, records: Iterable[chain.Record], last: list[chain.Record]) -> Iterator[chain.Record]:
        record: chain.Record | None = None
        for record in records:
            kind, subject, body = record[1], record[2], record[6]
            try:
                if subject == SUBJECT:
                    if kind in KINDS:
                        self._stated(json.loads(body), record[0])
                elif subject.startswith("job/") and ('"to":' in body or '"spec":' in body):
                    self._moved(subject[4:], json.loads(body), record)
            except (TypeError, ValueError, AttributeError, KeyError):
                self.unread.append(record[0])
            yield record
        if record is not None:
            last.append(record)

    def _stated(self, body: Mapping[str, Any], seq: int) -> None:
        self.stated_ever = True
        for table, key, what in body["rows"]:
            if table not in STATED_TABLES:
                self._accepted(table, key, what, seq)
            elif what is None:
                self._rows.pop((table, key), None)
            else:
                self._rows[table, key] = (what, seq)

    def _accepted(self, table: str, key: str, what: str | None, seq: int) -> None:
        """Take a row of a job as a person took it."""
        job, _, number = key.partition("#")
        known = self._jobs.get(job)
        if table == JOB:
            if what is None:
                self._jobs.pop(job, None)
            else:
                facts, _, phase = what.rpartition(" ")
                self._jobs[job] = _Job(facts, phase, seq, known.attempts if known is not None else {})
        elif known is not None and what is None:
            known.attempts.pop(number, None)
        elif known is not None and what is not None:
            where, record, _ = known.attempts.get(number, ("", "", seq))
            if table == PLACEMENT:
                where, _, record = what.rpartition(" ")
            known.attempts[number] = (what if table == ATTEMPT else where, record, seq)

    def _moved(self, job: str, body: Mapping[str, Any], record: chain.Record) -> None:
        seq, kind, _, tenant, at, actor = record[:6]
        known = self._jobs.get(job)
        if "from" not in body or "to" not in body:  # outputs go to somewhere, too, and change no phase
            if known is None and "from" not in body and "spec" in body:
                self._jobs[job] = _Job(f"{tenant} {body['spec']} {at} {actor}", QUEUED, seq)
            return
        if known is None:  # an element of an array is submitted with it, and has its first entry when it is touched
            parent = self._jobs.get(job.partition("[")[0])
            known = self._jobs[job] = _Job(parent.facts if parent is not None else "", QUEUED, seq)
        known.phase, known.seq = body["to"], seq
        if kind == "job.placed":
            where = f"{body['site']} {body['decision']}"
            known.attempts[str(body["attempt"])] = (where, body.get("record", ""), seq)
        if known.phase in _TERMINAL and not self._whole:
            del self._jobs[job]

    def compare(self, rows: Iterable[Row]) -> Iterator[Difference]:
        """Yield where the rows differ from the account, rows that are missing last. One pass; the account stays."""
        seen: set[tuple[str, str]] = set()
        for table, key, what in rows:
            seen.add((table, key))
            if table == SPEC:
                if key != what:
                    yield Difference(table, key, what, key)
                continue
            wanted, seq = self._wanted(table, key, what)
            if wanted != what:
                yield Difference(table, key, what, wanted, seq)
        for table, key, wanted, seq in self._all():
            if (table, key) not in seen:
                yield Difference(table, key, None, wanted, seq)

    def _wanted(self, table: str, key: str, what: str) -> tuple[str | None, int]:
        if table in STATED_TABLES:
            return self._rows.get((table, key), (None, 0))
        job, _, number = key.partition("#")
        known = self._jobs.get(job)
        if known is None:
            return None, 0
        if table == JOB:
            return f"{known.facts} {known.phase}", known.seq
        where, record, seq = known.attempts.get(number, (None, "", 0))
        if where is None or table == ATTEMPT:
            return where, seq
        # An entry from before records were journaled says where and why, and no more.
        return f"{where} {record or what.rpartition(' ')[2]}", seq

    def _all(self) -> Iterator[tuple[str, str, str, int]]:
        for (table, key), (what, seq) in self._rows.items():
            yield table, key, what, seq
        for job, known in self._jobs.items():
            yield JOB, job, f"{known.facts} {known.phase}", known.seq
            newest = max(known.attempts, key=int, default="")
            for number, (where, record, seq) in known.attempts.items():
                if number == newest:  # a job forgets old attempts when it has many; their placements stay
                    yield ATTEMPT, f"{job}#{number}", where, seq
                yield PLACEMENT, f"{job}#{number}", f"{where} {record}", seq

    def write(self, digests: Digests) -> bytes:
        """Return what the next process goes on from: who has the key can tell that it is its own."""
        rows = [[*name, *said] for name, said in self._rows.items()]
        jobs = [[name, one.facts, one.phase, one.seq, one.attempts] for name, one in self._jobs.items()]
        value = {"v": _VERSION, "seq": self.head.seq, "link": self.head.hash, "rows": rows, "jobs": jobs}
        text = json.dumps(value | {"stated": self.stated_ever}, separators=(",", ":")).encode()
        return digests.memo(text).encode() + b"\n" + text

    @classmethod
    def of_memo(cls, raw: bytes, digests: Digests) -> Account | None:
        """Return the account that ``write`` wrote; None: who has the key did not write it, or another version did."""
        said, _, text = raw.partition(b"\n")
        if not hmac.compare_digest(said, digests.memo(text).encode()):
            return None
        value = json.loads(text)
        if value["v"] != _VERSION:
            return None
        made = cls()
        made.head = journal.ChainHead(value["seq"], ids.Digest(value["link"]))
        made.stated_ever = value["stated"]
        made._rows = {(table, key): (what, seq) for table, key, what, seq in value["rows"]}
        made._jobs = {
            name: _Job(facts, phase, seq, {number: (one[0], one[1], one[2]) for number, one in attempts.items()})
            for name, facts, phase, seq, attempts in value["jobs"]
        }
        return made


def statement(rows: Sequence[tuple[str, str, str | None]]) -> dict[str, object]:
    """Return the body of an entry that states rows; None instead of a digest: the row is gone."""
    return {"rows": [list(row) for row in rows]}
