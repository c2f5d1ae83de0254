"""The keeper of tables: adopts what was there before, remembers, sees what others wrote, and says what to do."""

import pathlib
import shutil
import sqlite3
from collections.abc import Iterator

import pytest

from orchestrator.bootstrap import audits, states, tables
from orchestrator.domain import journal
from orchestrator.ports import stores
from orchestrator.service import problems
from orchestrator.store import opening
from orchestrator.telemetry import clocks

CLOCK = clocks.SystemClock()


class Silent:
    """Logs to nobody."""

    def info(self, event: str, **more: object) -> None:
        """Say nothing."""

    error = warning = info


class Running:
    """A state folder whose server runs, as far as tables go."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.path = folder / states.DATABASE
        self.sealing: Exception | None = None
        key = tables.key_of(folder)
        self.store = opening.open_store(self.path, CLOCK, alone=True, key=key.raw)
        self.keeper = tables.TableKeeper(folder, key, store=self.store, clock=CLOCK, seal=self._seal, log=Silent())
        self.keeper.check()

    def _seal(self) -> None:
        if self.sealing is not None:
            raise self.sealing

    def put(self, name: str, body: str = "{}") -> None:
        """Declare a document."""
        old = self.store.document("Policy", name)
        version = old.version if old is not None else 0
        self.store.commit(stores.Changes(documents=[stores.Document("Policy", name, "", body, version)]))

    def stop(self) -> None:
        """End."""
        self.keeper.stop()
        self.store.close()

    def again(self) -> "Running":
        """End, and start again."""
        self.stop()
        return Running(self.folder)


@pytest.fixture
def running(tmp_path: pathlib.Path) -> Iterator[Running]:
    """Return a fresh state folder with two documents."""
    made = Running(tmp_path)
    made.put("a")
    made.put("b")
    yield made
    made.store.close()


def edit(path: pathlib.Path, statement: str) -> None:
    """Write to a database as an insider does."""
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def test_a_fresh_folder_has_nothing_to_say(running: Running) -> None:
    """Nothing differs at the first start, nor after commits, nor at the next start, which goes on from the memo."""
    assert running.keeper.sentences == ()
    assert running.keeper.halted() == ""
    again = running.again()
    assert (again.keeper.sentences, again.keeper.count) == ((), 0)
    assert (running.folder / tables.MEMO).stat().st_mode & 0o077 == 0
    assert audits.verify(str(running.folder)) == audits.Report(2)
    again.store.close()


def test_a_database_from_before_is_adopted_once(tmp_path: pathlib.Path) -> None:
    """Rows that nothing states are stated at the first start with a key, and never again."""
    path = tmp_path / states.DATABASE
    store = opening.open_store(path, CLOCK)
    store.commit(stores.Changes(entries=[journal.Entry("server.started", "server", CLOCK.now(), "system")]))
    store.close()
    edit(path, "insert into documents values ('old', 'Policy', '', '{}', 1, '{}', 0, 0)")
    edit(path, "update state set head_mac = null, documents_version = 1")
    assert audits.verify(str(tmp_path)) == audits.Report(None)
    first = Running(tmp_path)
    assert first.keeper.sentences == ()
    assert [link.entry.kind for link in first.store.entries()] == ["server.started", "tables.adopted"]
    first.stop()
    edit(path, "insert into documents values ('new', 'Policy', '', '{}', 1, '{}', 0, 0)")
    again = Running(tmp_path)
    assert [one.split(":")[0] for one in again.keeper.sentences] == ["document Policy//new"]
    again.store.close()


def test_an_edit_between_two_runs_halts_the_next(running: Running) -> None:
    """The row is named with its entry, tokens that nobody made open nothing, and an auditor sees the same."""
    running.stop()
    edit(running.path, "update documents set body = '[]' where name = 'a'")
    columns = "id, hash, tenant, roles, created_at, note, version"
    edit(running.path, f"insert into tokens ({columns}) values ('t1', 'h', 'default', '[\"admin\"]', 0, '', 1)")
    again = Running(running.folder)
    wanted = ("document Policy//a: the table does not say what entry 1 of the journal left there",)
    wanted += ("token t1: it stands in the table, and no entry of the journal put it there",)
    assert again.keeper.sentences == wanted
    assert again.keeper.halted() == wanted[0]
    assert again.keeper.distrusted() == {"t1"}
    again.stop()
    assert audits.verify(str(running.folder)).differences == wanted


def test_an_edit_while_it_runs_is_seen(running: Running) -> None:
    """A foreign write is noticed at the next look, halts, and no longer once the row is right again."""
    edit(running.path, "update documents set body = '[]' where name = 'a'")
    assert running.keeper.look()
    assert running.keeper.halted().startswith("document Policy//a")
    assert not running.keeper.look()
    edit(running.path, "update documents set body = '{}' where name = 'a'")
    assert running.keeper.look()
    assert running.keeper.halted() == ""


def test_an_older_database_under_a_newer_folder_is_told(running: Running, tmp_path: pathlib.Path) -> None:
    """A backup put back alone does not go on from what was read; accepting it with a reason ends that, for good."""
    running.stop()
    backup = tmp_path / "backup.db"
    shutil.copy(running.path, backup)
    later = Running(running.folder)
    later.put("c")
    later.stop()
    for name in ("comity.db-wal", "comity.db-shm"):
        (running.folder / name).unlink(missing_ok=True)
    shutil.copy(backup, running.path)
    again = Running(running.folder)
    assert "An older copy of the database was put in its place" in again.keeper.sentences[0]
    assert again.keeper.count == 1
    again.stop()
    taken = audits.accept(str(running.folder), by="Ada", reason="disk failure")
    assert len(taken) == 1
    last = Running(running.folder)
    assert last.keeper.sentences == ()
    said = last.store.entries(subject="tables")[-1].entry
    assert (said.kind, said.body["by"], said.body["reason"]) == ("tables.accepted", "Ada", "disk failure")
    last.store.close()
    assert audits.accept(str(running.folder), by="Ada", reason="again") == ()


def test_rows_are_accepted_as_they_are(running: Running) -> None:
    """Changed, gone and new rows are stated as they stand; what holds nonsense is not accepted."""
    running.stop()
    edit(running.path, "update documents set body = '[]' where name = 'a'")
    edit(running.path, "delete from documents where name = 'b'")
    assert len(audits.accept(str(running.folder), by="Ada", reason="repaired")) == 2
    assert audits.verify(str(running.folder)).ok
    edit(running.path, "update documents set status = x'ff' where name = 'a'")
    with pytest.raises(ValueError, match="cannot be accepted"):
        audits.accept(str(running.folder), by="Ada", reason="no")


def test_an_entry_written_without_the_key_is_told(running: Running) -> None:
    """Somebody who appends to the journal with a row to match is not believed; nor is the journal without its key."""
    running.stop()
    other = opening.open_store(running.path, CLOCK)
    other.commit(stores.Changes(documents=[stores.Document("Policy", "mine", "", "{}")]))
    other.close()
    again = Running(running.folder)
    assert "written without this installation's key" in again.keeper.sentences[0]
    assert again.keeper.sentences[1].startswith("document Policy//mine: the table does not say")
    again.stop()
    (running.folder / tables.KEY).unlink()
    assert "needs tables.key" in audits.verify(str(running.folder)).problems[0]
    lost = Running(running.folder)
    assert "or the key is another one" in lost.keeper.sentences[0]
    lost.store.close()


def test_a_changed_entry_is_no_account(running: Running) -> None:
    """Where the journal does not hold nothing is told from it, and everything is halted."""
    running.keeper.stop()
    running.put("c")
    edit(running.path, "update journal set actor = 'nobody' where seq = 3")
    running.keeper.look()
    assert running.keeper.halted().startswith("the journal cannot be relied on: entry 3 does not go on")


def test_what_cannot_be_signed_halts(running: Running) -> None:
    """A journal that is not the one that was signed tells nothing; a disk that refuses a signature is another."""
    text = "the journal is not the one that was signed"
    running.sealing = problems.ServiceError(problems.Kind.UNAVAILABLE, "log.inconsistent", text)
    running.keeper.check()
    assert running.keeper.halted() == text
    running.sealing = problems.ServiceError(problems.Kind.UNAVAILABLE, "log.not-kept", "no space")
    running.keeper.check()
    assert running.keeper.halted() == ""


def test_a_memo_of_somebody_else_is_only_slower(running: Running) -> None:
    """A memo that is changed, or gone, is not believed; the journal is read from its start."""
    again = running.again()
    again.stop()
    memo = running.folder / tables.MEMO
    memo.write_bytes(memo.read_bytes().replace(b"Policy", b"Police"))
    third = Running(running.folder)
    assert third.keeper.sentences == ()
    assert b"Police" not in memo.read_bytes()
    third.store.close()
