"""The tables of a state folder, held against its journal: at the start, when others wrote, by auditors.

What the journal says is read once: an account of it is kept as a memo in the state folder, beside the database and
under a key that the database does not hold, and the next look goes on from there. So a start costs what was written
since, and the live rows. What differs stops new placements (condition ``TablesDiffer``) until the row is right again or
a person accepts it (``comity log accept``); running jobs go on.
"""

from __future__ import annotations

import hashlib
import hmac
import pathlib
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.bootstrap import states, watches
from orchestrator.domain import journal
from orchestrator.evidence import tables
from orchestrator.ports import environment, stores
from orchestrator.service import problems

KEY, MEMO = "tables.key", "tables.memo"
KEY_BYTES = 32
FAR = 50_000
"""Entries after which a running server writes its memo anew, and looks at the live rows once more."""
SHOWN_MAX = 20
ROWS_MAX = 1_000
"""Rows in one entry that adopts or accepts them."""
EVERY_S = 1.0
WHAT_TO_DO = "restore the newest backup of the database, or, if that is right as it is: comity log accept"


@dataclass(frozen=True, slots=True)
class Key:
    """The key of an installation's rows. ``fresh``: it was made just now."""

    raw: bytes
    fresh: bool


def key_of(folder: pathlib.Path) -> Key:
    """Return the key in a state folder; a new one where there is none. Raises StateError, OSError."""
    raw = known_key(folder)
    if raw is not None:
        return Key(raw, fresh=False)
    raw = secrets.token_bytes(KEY_BYTES)
    states.write_private(folder / KEY, raw)
    return Key(raw, fresh=True)


def derived(key: Key, purpose: str) -> bytes:
    """Return a key of 32 bytes for another purpose: to open it tells nothing of the key it is made of (RFC 5869)."""
    return hmac.digest(key.raw, purpose.encode(), hashlib.sha256)


def known_key(folder: pathlib.Path) -> bytes | None:
    """Return the key in a state folder, None where there is none. Raises StateError."""
    path = folder / KEY
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise states.StateError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) != KEY_BYTES:
        raise states.StateError(f"{path} is damaged: put back the copy that belongs to the database")
    return raw


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found. ``problems``: why the journal itself cannot be relied on, one sentence each."""

    problems: tuple[str, ...] = ()
    differences: tuple[tables.Difference, ...] = ()
    account: tables.Account | None = None
    """What the journal says, where it can be relied on."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return what is wrong, some of it where it is much."""
        said = [*self.problems, *map(str, self.differences[:SHOWN_MAX])]
        more = len(self.differences) - SHOWN_MAX
        return (*said, *([f"and {more} rows more"] if more > 0 else []))

    @property
    def count(self) -> int:
        """Return how many things are wrong."""
        return len(self.problems) + len(self.differences)


def look(store: stores.Store, memo: tables.Account | None, *, whole: bool = False) -> Finding:
    """Hold the tables against the journal, from a memo on if there is one. Raises StoreError."""
    wrong: list[str] = []
    with store.audit() as audit:
        account = memo
        if account is not None and not _goes_on(audit, account):
            wrong.append(
                f"the journal is not the one that was read before: it has {audit.head.seq} entries, and entry "
                f"{account.head.seq} was known by another link. An older copy of the database was put in its place, or "
                "it was changed"
            )
            account = None
        if account is None:
            account = tables.Account(whole=whole)
        bad = account.read(audit.records(after=account.head.seq))
        if bad is None and account.head != audit.head:
            bad = account.head.seq + 1
        if bad is not None:
            text = f"the journal cannot be relied on: entry {bad} does not go on from those before it"
            return Finding((*wrong, f"{text} (comity log verify)"))
        if not audit.head_holds:
            wrong.append(
                "the newest entries of the journal were written without this installation's key "
                f"({KEY} in the state folder): by somebody else, or the key is another one"
            )
        if account.unread:
            wrong.append(f"entry {account.unread[0]} of the journal says nothing that can be read")
        return Finding(tuple(wrong), tuple(account.compare(audit.rows(whole=whole))), account)


def _goes_on(audit: stores.Audit, account: tables.Account) -> bool:
    seq = account.head.seq
    if not seq:
        return True
    record = next(iter(audit.records(after=seq - 1)), None)
    return record is not None and record[0] == seq and f"sha256:{bytes(record[8]).hex()}" == account.head.hash


def adopt(store: stores.Store, clock: environment.Clock) -> int:
    """State the rows of a database from before rows were stated, as they are; return how many. Raises StoreError."""
    with store.audit() as audit:
        if not audit.head.seq:
            return 0
        found = [row for row in audit.rows(whole=True) if row[0] in tables.STATED_TABLES]
    _say(store, clock, tables.ADOPTED, "system", found, {"reason": "rows from before they were stated"})
    return len(found)


def accept(store: stores.Store, clock: environment.Clock, finding: Finding, *, by: str, reason: str) -> None:
    """State the rows that differ as they are: from now on they are right. Raises ValueError for what cannot be."""
    for one in finding.differences:
        if one.table == tables.SPEC or one.found == tables.UNREADABLE:
            raise ValueError(f"{one}: this cannot be accepted; restore the newest backup, or delete the row")
    # A job first, then what hangs on it.
    order = {tables.JOB: 0, tables.ATTEMPT: 1}
    rows = sorted(
        ((one.table, one.key, one.found) for one in finding.differences), key=lambda row: order.get(row[0], 2)
    )
    said = {"by": by, "reason": reason, "problems": list(finding.problems)}
    _say(store, clock, tables.ACCEPTED, "operator", rows, said)


def _say(
    store: stores.Store,
    clock: environment.Clock,
    kind: str,
    actor: str,
    rows: Iterable[tuple[str, str, str | None]],
    said: Mapping[str, object],
) -> None:
    every = list(rows)
    store.vouch()
    for start in range(0, max(len(every), 1), ROWS_MAX):
        body = {**tables.statement(every[start : start + ROWS_MAX]), **said}
        entry = journal.Entry(kind, tables.SUBJECT, clock.now(), actor, body)
        store.commit(stores.Changes(entries=(entry,)))


class Memo:
    """The account as it is kept in the state folder."""

    def __init__(self, folder: pathlib.Path, key: bytes) -> None:
        self._path = folder / MEMO
        self._digests = tables.Digests(key)

    def read(self) -> tables.Account | None:
        """Return what was kept; None: nothing, or nothing that holds. It is only a short cut."""
        try:
            return tables.Account.of_memo(self._path.read_bytes(), self._digests)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, account: tables.Account) -> None:
        """Keep an account for the next look; a disk that refuses costs time at the next start, no more."""
        try:
            states.write_private(self._path, account.write(self._digests))
        except OSError:
            pass


def watch(keeper: TableKeeper, nudge: Callable[[], None], *, log: Any) -> watches.Watch:
    """Return the thread that looks again and again while the server runs."""
    told: list[str] = []

    def failed(error: Exception) -> None:
        if told[-1:] != [str(error)]:
            told[:] = [str(error)]
            log.warning("tables.not-looked-at", error=type(error).__name__)

    return watches.Watch("tables", look=keeper.look, nudge=nudge, failed=failed, every_s=EVERY_S)


class TableKeeper:
    """Knows what differs now. ``halted`` and ``distrusted`` may be called from any thread and are cheap."""

    def __init__(
        self,
        folder: pathlib.Path,
        key: Key,
        *,
        store: stores.Store,
        clock: environment.Clock,
        seal: Callable[[], object],
        log: Any,
    ) -> None:
        self._memo = Memo(folder, key.raw)
        self._fresh = key.fresh
        self._store = store
        self._clock = clock
        self._seal = seal
        """Signs the newest head; raises where the journal is not the one that was signed."""
        self._log = log
        self._lock = threading.Lock()
        self._outside = -1
        self._at = 0
        self._sentences: tuple[str, ...] = ("the tables were not held against the journal yet",)
        self._count = 1
        self._distrusted: frozenset[str] = frozenset()

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return what differs, one sentence each; empty: nothing."""
        return self._sentences

    @property
    def count(self) -> int:
        """Return how many rows differ."""
        return self._count

    @property
    def remedy(self) -> str:
        """Return what to do."""
        return WHAT_TO_DO

    def halted(self) -> str:
        """Return why nothing new may be placed, or ""; looks again where somebody else wrote to the database."""
        outside = self._store.outside_writes()
        if outside != self._outside:
            self.check(outside)
        return self._sentences[0] if self._sentences else ""

    def distrusted(self) -> frozenset[str]:
        """Return the ids of tokens whose rows nobody's entry explains; looks again as ``halted`` does, and now."""
        try:
            outside = self._store.outside_writes(look=True)
            if outside != self._outside:
                self.check(outside)
        except stores.StoreError:
            pass  # who cannot write cannot look; what was found stays, and the store says what is wrong with it
        return self._distrusted

    def look(self) -> bool:
        """Look again where there is reason to; return whether the answer changed. Raises StoreError."""
        before = self._sentences
        outside = self._store.outside_writes(look=True)
        if outside != self._outside:
            self.check(outside)
        elif self._store.head().seq - self._at > FAR:
            self.check()
        return self._sentences != before

    def check(self, since: int | None = None) -> None:
        """Hold the tables against the journal now, unless somebody did since that many foreign writes; what cannot be
        read is a difference."""
        with self._lock:
            if since is not None and self._outside >= since:
                return
            outside = self._store.outside_writes()
            try:
                finding = self._found()
            except stores.StoreError as error:
                finding = Finding((f"the tables cannot be held against the journal: {error}",))
            self._take(finding)
            self._outside = outside
            self._store.settle(outside)

    def stop(self) -> None:
        """Write the memo for the next start."""
        with self._lock:
            try:
                if self._store.head().seq != self._at and not self._count:
                    self._found()
            except stores.StoreError:
                pass

    def _found(self) -> Finding:
        memo = self._memo.read()
        if self._fresh:
            self._fresh = False
            if not self._stated():
                self._log.info("tables.adopted", rows=adopt(self._store, self._clock))
        self._at = self._store.head().seq
        finding = look(self._store, memo)
        try:
            self._seal()
        except problems.ServiceError as error:
            if error.code == "log.inconsistent":  # all else keeps a signature from being made, and says so itself
                finding = Finding((*finding.problems, error.message), finding.differences)
        if finding.account is not None and not finding.problems:
            self._memo.keep(finding.account)
        return finding

    def _stated(self) -> bool:
        """Say whether the journal states any row: then it was written with a key, and this is not that one."""
        return bool(self._store.entries(subject=tables.SUBJECT, limit=1))

    def _take(self, finding: Finding) -> None:
        said = finding.sentences
        tokens = frozenset(one.key for one in finding.differences if one.table == tables.TOKEN)
        if said != self._sentences:
            for sentence in said:
                self._log.error("tables.differ", row=sentence)
            if said:
                self._log.error("tables.halted", rows=finding.count, remedy=WHAT_TO_DO)
        self._sentences, self._count, self._distrusted = said, finding.count, tokens
