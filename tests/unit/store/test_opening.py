"""Opening: fresh, again, migrated, alone; and what is refused with which advice."""

import datetime as dt
import json
import os
import pathlib
import sqlite3
import stat
import subprocess
import sys

import pytest
import sqlalchemy as sa
import store_samples as samples

from orchestrator.ports import stores
from orchestrator.store import opening
from orchestrator.store.migrations import runner
from orchestrator.store.sql import dialects, openings, schema, statements


def dump(path: pathlib.Path) -> list[tuple[str, ...]]:
    """Return the whole schema, to the letter."""
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master").fetchall()
        rows = [
            (table, *map(repr, connection.execute(f"SELECT * FROM {table}")))
            for table in ("state", "lease", "alembic_version")
        ]
    connection.close()
    return sorted(found) + rows


def test_both_roads_give_one_schema(tmp_path: pathlib.Path) -> None:
    """Migrating from nothing and creating at once give the same schema and rows, to the letter."""
    for road in ("create", "migrate"):
        dialect = dialects.SqliteDialect(tmp_path / road, busy_s=1)
        engine = dialect.writer_engine()
        with engine.connect() as connection:
            dialect.begin_write(connection)
            if road == "create":
                openings.create(connection)
            else:
                runner.upgrade(connection, "head")
            connection.commit()
        engine.dispose()
    assert dump(tmp_path / "create") == dump(tmp_path / "migrate")


def test_documents_of_the_first_schema_come_over(path: pathlib.Path, clock: samples.Clock) -> None:
    """A store of revision 0001 opens with every document; queues are then their tenant's."""
    path.parent.mkdir()
    dialect = dialects.SqliteDialect(path, busy_s=1)
    engine = dialect.writer_engine()
    with engine.connect() as connection:
        dialect.begin_write(connection)
        runner.upgrade(connection, "0001")
        declared = [("Queue", "", {"tenant": "acme"}), ("Queue", "", {"weight": 2}), ("DataSet", "acme", {})]
        for number, (kind, tenant, spec) in enumerate([*declared, ("Operator", "", {})]):
            body, moments = json.dumps({"spec": spec}), {"created_at": 5, "updated_at": 6}
            row = {"name": f"n{number}", "kind": kind, "tenant": tenant, "body": body, "version": 1, "status": "{}"}
            connection.execute(sa.insert(schema.documents).values(**row, **moments))
        connection.commit()
    engine.dispose()
    store = opening.open_store(path, clock)
    assert [(one.kind, one.tenant, json.loads(one.body)["spec"]) for one in store.documents()] == [
        ("DataSet", "acme", {}),
        ("Operator", "", {}),
        ("Queue", "acme", {"tenant": "acme"}),
        ("Queue", "", {"weight": 2}),
    ]
    store.close()
    assert dump(path)[-1] == ("alembic_version", "('0004',)")


def test_revisions_are_known() -> None:
    """The list that is used without Alembic is Alembic's."""
    assert runner.revisions() == list(schema.KNOWN)
    assert schema.KNOWN[-1] == schema.HEAD


def test_alembic_is_not_loaded(path: pathlib.Path) -> None:
    """Neither importing the store nor opening a database of this version loads Alembic; the package loads no SQL."""
    code = f"""if True:
        import sys
        import orchestrator.store.memory
        assert not {{"sqlalchemy", "alembic"}} & set(sys.modules), "the package loads SQL"
        from orchestrator.store import opening
        import datetime, time
        class Clock:
            monotonic = staticmethod(time.monotonic)
            now = staticmethod(lambda: datetime.datetime.now(datetime.UTC))
        for _ in range(2):
            opening.open_store({str(path)!r}, Clock()).close()
        assert "alembic" not in sys.modules, "alembic"
    """
    root = pathlib.Path(opening.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, timeout=180, env={**os.environ, "PYTHONPATH": str(root)})


def test_postgresql_can_be_written() -> None:
    """Every statement of the writer also compiles for PostgreSQL: nothing of SQLite's leaks out of its dialect."""
    from sqlalchemy.dialects import postgresql

    class Other(dialects.SqliteDialect):
        def __init__(self) -> None:
            self.engine_dialect = postgresql.dialect(paramstyle="format")

        def insert_or_ignore(self, table):
            return postgresql.insert(table).on_conflict_do_nothing()

        def insert_or_add(self, table, counter):
            insert = postgresql.insert(table)
            return insert.on_conflict_do_update(
                index_elements=list(table.primary_key.columns),
                set_={counter.name: counter + insert.excluded[counter.name]},
            )

    texts = statements.Statements(Other())
    assert "FOR UPDATE" in texts.read_state
    assert "%s" in texts.insert_live


def test_reopened_store_has_everything(path: pathlib.Path, clock: samples.Clock) -> None:
    """What was committed is there after closing and opening, and counting goes on."""
    url = f"sqlite:///{path}"
    store = opening.open_store(url, clock)
    first = store.commit(samples.submission(1)).jobs[0]
    head = store.head()
    store.close()
    store = opening.open_store(url, clock)
    assert store.live_jobs() == [first]
    assert store.head() == head
    assert store.commit(samples.submission(2)).jobs[0].queue_seq == 2
    assert store.verify_journal() is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.close()


def test_alone(path: pathlib.Path, clock: samples.Clock) -> None:
    """Opened alone, a second is refused; the lease of a killed predecessor is free at once, with a new term."""
    store = opening.open_store(path, clock, alone=True)
    assert store.acquire_lease("first", dt.timedelta(seconds=60))
    with pytest.raises(stores.StoreBusyError, match="another process"):
        opening.open_store(path, clock, alone=True)
    store.close()
    store = opening.open_store(path, clock, alone=True)
    lease = store.acquire_lease("second", dt.timedelta(seconds=60))
    assert lease is not None
    assert lease.term == 2
    store.close()


def test_two_replicas_share_one_lease(path: pathlib.Path, clock: samples.Clock) -> None:
    """Of two openers of one file one holds the lease; the other's commits of an old term are refused."""
    first, second = opening.open_store(path, clock), opening.open_store(path, clock)
    ttl = dt.timedelta(seconds=10)
    old = first.acquire_lease("a", ttl)
    assert old is not None
    assert second.acquire_lease("b", ttl) is None
    clock.advance(6)
    assert first.acquire_lease("a", ttl) is not None
    assert second.acquire_lease("b", ttl) is None
    clock.advance(6)
    assert second.acquire_lease("b", ttl) is None
    clock.advance(4)
    new = second.acquire_lease("b", ttl)
    assert new is not None
    assert first.current_term() == new.term == 2
    with pytest.raises(stores.StaleTermError):
        first.commit(stores.Changes(term=old.term, entries=[samples.entry()]))
    second.commit(stores.Changes(term=new.term, entries=[samples.entry()]))
    first.commit(samples.submission(1))
    assert second.verify_journal() is None
    assert second.head().seq == 2
    first.close()
    second.close()


def test_newer_schema(path: pathlib.Path, clock: samples.Clock) -> None:
    """A database of a newer version is refused, with what was found and what to do, and is left as it is."""
    opening.open_store(path, clock).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(stores.StoreCorruptError, match=r"'9999'.*install the newer version"):
        opening.open_store(path, clock)


def _close_without_checkpoint(path: pathlib.Path, statement: str) -> None:
    """Leave what ``statement`` wrote in the log beside the database, as a killed process does."""
    code = f"import os, sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('PRAGMA journal_mode = WAL')\n"
    code += f"c.execute({statement!r}); c.commit(); os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=180)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_what_is_refused_is_left_to_the_byte(
    path: pathlib.Path, clock: samples.Clock, journal: str, alone: bool
) -> None:
    """Another program's database and one of a newer version are not changed by a byte, and no log is made beside."""
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    newer = path.with_name("newer.db")
    opening.open_store(newer, clock).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.close()
    for file in (path, newer):
        before = file.read_bytes()
        with pytest.raises(stores.StoreCorruptError, match=r"theirs|9999"):
            opening.open_store(file, clock, alone=alone)
        assert file.read_bytes() == before
        assert not [other.name for other in file.parent.glob(f"{file.name}-*")]


def test_what_is_refused_keeps_what_its_log_holds(path: pathlib.Path, clock: samples.Clock) -> None:
    """Another program's database whose table is only in its log is refused too; neither file changes."""
    path.parent.mkdir()
    _close_without_checkpoint(path, "CREATE TABLE theirs (x)")
    files = (path, path.with_name("comity.db-wal"))
    before = [file.read_bytes() for file in files]
    with pytest.raises(stores.StoreCorruptError, match="theirs"):
        opening.open_store(path, clock)
    assert [file.read_bytes() for file in files] == before


def test_a_store_whose_schema_is_only_in_the_log_is_opened(path: pathlib.Path, clock: samples.Clock) -> None:
    """A store that was killed before its first checkpoint is one of ours, also below a folder with an odd name."""
    path = path.parent / "a?b #%41" / "comity.db"
    code = f"""if True:
        import os, sys
        sys.path[:0] = {[str(pathlib.Path(__file__).parent)]!r}
        import store_samples as samples
        from orchestrator.store import opening
        opening.open_store({str(path)!r}, samples.Clock()).commit(samples.submission(1))
        os._exit(0)
    """
    root = pathlib.Path(opening.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, timeout=180, env={**os.environ, "PYTHONPATH": str(root)})
    assert path.with_name("comity.db-wal").stat().st_size
    store = opening.open_store(path, clock)
    assert len(store.live_jobs()) == 1
    store.close()


def test_something_else(path: pathlib.Path, clock: samples.Clock) -> None:
    """Another program's database and a file that is none are refused and left as they are."""
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(stores.StoreCorruptError, match="theirs"):
        opening.open_store(path, clock)
    path.write_bytes(b"hello, I am a text file")
    with pytest.raises(stores.StoreCorruptError, match="no SQLite database"):
        opening.open_store(path, clock)
    assert path.read_bytes().startswith(b"hello")


def test_damaged_pages(path: pathlib.Path, clock: samples.Clock) -> None:
    """Pages overwritten with noise are found when the store is opened, not when a job is lost."""
    store = opening.open_store(path, clock)
    for number in range(200):
        store.commit_async(samples.submission(number))
    store.close()
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data) - 4096, 8192):
        data[start : start + 64] = b"\xa5" * 64
    path.write_bytes(data)
    with pytest.raises(stores.StoreCorruptError, match="damaged"):
        opening.open_store(path, clock)


def test_unknown_url(clock: samples.Clock) -> None:
    """A kind of store that is not built is refused by name."""
    with pytest.raises(stores.StoreError, match="postgresql"):
        opening.open_store("postgresql://localhost/x", clock)


def test_folder_that_cannot_be_made(tmp_path: pathlib.Path, clock: samples.Clock) -> None:
    """A path below a file is refused with the reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(stores.StoreError, match="cannot be made"):
        opening.open_store(tmp_path / "file" / "db", clock)
