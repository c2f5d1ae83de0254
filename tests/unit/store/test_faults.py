"""What the world does to a database: kills, full disks, failing disks, locks held outside, edited rows."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
import store_samples as samples

from orchestrator.domain import ids, jobs
from orchestrator.ports import stores
from orchestrator.store import failpoints, opening

KILLS = 20


def write_and_tell(path: pathlib.Path, pipe: int, start: int) -> None:
    """Commit from four threads for ever; write each acknowledged number to the pipe."""
    store = opening.open_store(path, samples.Clock())

    def work(number: int) -> None:
        while True:
            store.commit(samples.submission(number))
            os.write(pipe, f"{number}\n".encode())
            number += 4

    for index in range(4):
        threading.Thread(target=work, args=(start + index,), daemon=True).start()
    threading.Event().wait()


def test_kill_loses_nothing_acknowledged(path: pathlib.Path, clock: samples.Clock) -> None:
    """Killed twenty times at any moment, the store has every job that was acknowledged, and its chain holds."""
    rng = random.Random(20261122)
    told: set[int] = set()
    for kill in range(KILLS):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                os.close(reading)
                write_and_tell(path, writing, 1_000_000 * (kill + 1))
            os._exit(1)
        os.close(writing)
        with open(reading, "rb") as acknowledged:
            for _ in range(rng.randrange(1, 200)):
                told.add(int(acknowledged.readline()))
            os.kill(child, signal.SIGKILL)
            told.update(int(line) for line in acknowledged if line.endswith(b"\n"))
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        store = opening.open_store(path, clock)
        stored = {int(job.id) for job in store.live_jobs()}
        assert told <= stored
        assert store.count_jobs() == {jobs.Phase.QUEUED: len(stored)}
        assert store.head().seq == len(stored)
        assert store.verify_journal() is None
        store.close()
    assert len(told) > KILLS


def _impossible(why: str) -> None:
    if os.environ.get("COMITY_E2E") == "required":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Return a folder on a disk of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        _impossible("a small disk can be mounted by root only")
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        _impossible("tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: pathlib.Path) -> pathlib.Path:
    """Fill the disk to the last byte."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    return ballast


def test_full_disk(small_disk: pathlib.Path, clock: samples.Clock) -> None:
    """On a full disk submissions are refused, reads and cancels work, nothing is lost, and room heals it."""
    store = opening.open_store(small_disk / "db", clock, reserve_bytes=1 << 20)
    told = [store.commit(samples.submission(number)).jobs[0] for number in range(20)]
    ballast = fill(small_disk)
    number, refused = 100, None
    while refused is None and number < 5_000:
        try:
            told += store.commit(samples.submission(number)).jobs
        except stores.StoreFullError as error:
            refused = error
        number += 1
    assert "free some space" in str(refused)
    assert "disk is full" in store.health().read_only_reason
    assert store.live_jobs() == told
    with pytest.raises(stores.StoreFullError):
        store.commit(samples.submission(7_000))
    for job in told[:10]:
        store.commit(stores.Changes(jobs=[replace(job, phase=jobs.Phase.CANCELLED)], entries=[samples.entry()]))
    lease = store.acquire_lease("a", samples.dt.timedelta(seconds=5))
    assert lease is not None
    ballast.unlink()
    clock.advance(1)
    told += store.commit(samples.submission(8_000)).jobs
    assert store.health().read_only_reason == ""
    assert store.live_jobs() == told[10:]
    assert store.verify_journal() is None
    store.close()
    store = opening.open_store(small_disk / "db", clock)
    assert store.live_jobs() == told[10:]
    store.close()


def test_full_disk_refuses_archives(small_disk: pathlib.Path, clock: samples.Clock) -> None:
    """An archive that does not fit is refused and leaves nothing behind."""
    store = opening.open_store(small_disk / "db", clock, reserve_bytes=1 << 20)
    before = shutil.disk_usage(small_disk).free
    with pytest.raises(stores.StoreFullError):
        store.put_blob(samples.DIGEST, (b"\0" * 65_536 for _ in range(1_000)))
    assert shutil.disk_usage(small_disk).free > before - 65_536
    store.close()


def test_failing_sync(path: pathlib.Path, clock: samples.Clock) -> None:
    """After a write that failed with an I/O error nobody is acknowledged, nothing more is written, reads work."""
    broken = sqlite3.OperationalError("disk I/O error")
    broken.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    fail = [False]

    def failing(name: str, /) -> None:
        if fail[0] and name == failpoints.BEFORE_COMMIT:
            fail[0] = False
            raise sa.exc.OperationalError("COMMIT", (), broken)

    store = opening.open_store(path, clock, failpoints=failing)
    store.commit(samples.submission(1))
    fail[0] = True
    for number in (2, 3):
        with pytest.raises(stores.StoreReadOnlyError, match="restart"):
            store.commit(samples.submission(number))
    with pytest.raises(stores.StoreReadOnlyError):
        store.acquire_lease("a", samples.dt.timedelta(seconds=5))
    assert "disk I/O error" in store.health().read_only_reason
    assert len(store.live_jobs()) == 1
    store.close()


EIO_CHILD = """if True:
    import sys
    sys.path[:0] = [{root!r}, {here!r}]
    import store_samples as samples
    from orchestrator.ports import stores
    from orchestrator.store import opening
    store = opening.open_store({path!r}, samples.Clock())
    told = 0
    try:
        for number in range(50):
            store.commit(samples.submission(number))
            told += 1
    except stores.StoreReadOnlyError:
        print("told", told, "then", len(store.live_jobs()), bool(store.health().read_only_reason))
"""


def test_failing_sync_for_real(path: pathlib.Path, clock: samples.Clock) -> None:
    """The kernel's EIO on a commit's sync (injected by strace) is never acknowledged, and a restart has the rest."""
    strace = shutil.which("strace")
    if strace is None:
        _impossible("strace is not installed")
    opening.open_store(path, clock).close()
    code = EIO_CHILD.format(
        root=str(pathlib.Path(opening.__file__).parents[2]), here=str(pathlib.Path(__file__).parent), path=str(path)
    )
    inject = ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=12+"]
    done = subprocess.run(
        [strace, "-f", "-qq", "-o", "/dev/null", *inject, sys.executable, "-c", code],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    if "PTRACE" in done.stderr or "ptrace" in done.stderr:
        _impossible("strace may not trace here")
    words = done.stdout.split()
    assert words[:1] == ["told"], done.stderr
    told = int(words[1])
    assert 0 < told < 50
    assert words[3:] == [str(told), "True"]
    store = opening.open_store(path, clock)
    assert len(store.live_jobs()) in (told, told + 1)
    assert store.verify_journal() is None
    store.close()


def test_lock_held_outside(path: pathlib.Path, clock: samples.Clock) -> None:
    """While another process holds the write lock a commit fails after a bounded wait; reads go on; then all is well."""
    store = opening.open_store(path, clock, busy_s=0.05)
    store.commit(samples.submission(1))
    outside = sqlite3.connect(path, isolation_level=None)
    outside.execute("BEGIN EXCLUSIVE")
    with pytest.raises(stores.StoreBusyError, match="try again"):
        store.commit(samples.submission(2))
    with pytest.raises(stores.StoreBusyError):
        store.acquire_lease("a", samples.dt.timedelta(seconds=5))
    assert len(store.live_jobs()) == 1
    outside.execute("ROLLBACK")
    outside.close()
    store.commit(samples.submission(2))
    assert [int(job.id) for job in store.live_jobs()] == [1, 2]
    store.close()


COLUMNS = ("kind", "subject", "tenant", "at", "actor", "body", "prev", "hash", "seq")


def mutate(connection: sqlite3.Connection, rng: random.Random, count: int) -> int | None:
    """Edit one journal row at random; return the number that must be named, None when nothing changed."""
    seq = rng.randrange(1, count + 1)
    kind = rng.choice(("column", "column", "column", "delete", "swap", "insert"))
    if kind == "delete":
        connection.execute("DELETE FROM journal WHERE seq = ?", (seq,))
        return seq
    if kind == "insert":
        copied = "kind, subject, tenant, at, actor, body, prev, hash"
        connection.execute(f"INSERT INTO journal SELECT ?, {copied} FROM journal WHERE seq = ?", (count + 1, seq))
        return count + 1
    if kind == "swap":
        other = seq % count + 1
        for old, new in ((seq, -1), (other, seq), (-1, other)):
            connection.execute("UPDATE journal SET seq = ? WHERE seq = ?", (new, old))
        return min(seq, other)
    column = rng.choice(COLUMNS)
    if column == "seq":
        connection.execute("UPDATE journal SET seq = ? WHERE seq = ?", (count + 10, seq))
        return seq
    old = connection.execute(f"SELECT {column} FROM journal WHERE seq = ?", (seq,)).fetchone()[0]
    if isinstance(old, bytes):
        at = rng.randrange(len(old))
        new: object = old[:at] + bytes([old[at] ^ (1 << rng.randrange(8))]) + old[at + 1 :]
    elif old is None:
        new = "null"
    else:
        at = rng.randrange(len(old) + 1)
        new = rng.choice((old[:at] + chr(rng.randrange(32, 0x250)) + old[at:], old[:at] + old[at + 1 :], None, 7, b"x"))
    if new == old:
        return None
    try:
        connection.execute(f"UPDATE journal SET {column} = ? WHERE seq = ?", (new, seq))
    except sqlite3.IntegrityError:
        return None
    return seq


def test_every_edit_of_the_journal_is_found(path: pathlib.Path, clock: samples.Clock) -> None:
    """Of hundreds of random edits of the stored journal each is found, and the first bad entry is named."""
    store = opening.open_store(path, clock)
    for number in range(30):
        store.commit_async(
            stores.Changes(entries=[replace(samples.entry(f"job/{number}", n=number), tenant=("a", None)[number % 2])])
        )
    store.close()
    whole = path.read_bytes()
    rng, found = random.Random(36), 0
    store = opening.open_store(path, clock)
    outside = sqlite3.connect(path, isolation_level=None)
    for _ in range(400):
        outside.execute("BEGIN")
        outside.execute("SAVEPOINT clean")
        bad = mutate(outside, rng, 30)
        outside.execute("COMMIT")
        assert store.verify_journal() == bad
        found += bad is not None
        outside.execute("DELETE FROM journal")
        restore(outside, whole, path.parent / "whole.db")
    assert found > 300
    assert store.verify_journal() is None
    outside.execute("DELETE FROM journal WHERE seq > 20")
    assert store.verify_journal() == 21
    outside.close()
    store.close()


def restore(connection: sqlite3.Connection, whole: bytes, beside: pathlib.Path) -> None:
    """Put the journal back as it was."""
    if not beside.exists():
        beside.write_bytes(whole)
    connection.execute("ATTACH ? AS whole", (str(beside),))
    connection.execute("INSERT INTO journal SELECT * FROM whole.journal")
    connection.execute("DETACH whole")


def test_damaged_rows_are_named(path: pathlib.Path, clock: samples.Clock) -> None:
    """A job's row or an archive that cannot be read says so, and takes nothing else with it."""
    store = opening.open_store(path, clock)
    store.commit(samples.submission(1))
    two = store.commit(samples.submission(2)).jobs[0]
    digest = ids.Digest("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    store.put_blob(digest, iter([b"abc"]))
    with sqlite3.connect(path) as outside:
        outside.execute("UPDATE live_jobs SET state = '{' WHERE id = ?", (samples.job(1).id,))
    outside.close()
    with pytest.raises(stores.StoreCorruptError, match="state cannot be read"):
        store.job(samples.job(1).id)
    assert store.job(two.id) == two
    next(path.parent.glob("*.blobs/*/ba78*")).write_bytes(b"abd")
    with pytest.raises(stores.StoreCorruptError, match="damaged on disk"):
        store.blob(digest)
    store.close()
