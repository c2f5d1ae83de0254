"""The keeper of lists: what is in the folder is in force, what fails keeps what was, everything is told."""

import datetime as dt
import pathlib
import threading

from orchestrator.bootstrap import listings
from orchestrator.ports import stores
from orchestrator.sources.lists import folders
from orchestrator.testing import fakes

DATA = pathlib.Path(__file__).parents[1] / "sources" / "lists" / "data"
NOW = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)


def keeper(state, store, log, **more):
    values = {"store": store, "clock": fakes.VirtualClock(), "nudge": lambda: None, "log": log} | more
    return listings.ListKeeper(state, **values)


def take(state, change=(b"", b""), **more):
    raw = (DATA / "us-sdn.xml").read_bytes().replace(*change)
    return folders.take(state, "us-sdn", raw, "f", now=NOW, by="me", **more)


def in_force(kept):
    return [one.digest for one in kept.screener().lists.snapshots]


def test_no_list_is_no_screener(tmp_path, store, log):
    """Nothing configured, nothing journaled, nothing to tell."""
    kept = keeper(tmp_path, store, log)
    assert kept.screener() is None
    assert kept.look() is False
    assert (log.lines, list(store.entries())) == ([], [])


def test_lists_are_in_force_from_the_start_and_on_the_record(tmp_path, store, log):
    """Which copies, of which day, for how long."""
    made = take(tmp_path)
    kept = keeper(tmp_path, store, log)
    assert in_force(kept) == [made.digest]
    (entry,) = [one.entry for one in store.entries()]
    assert entry.kind == "lists.in-force"
    (said,) = entry.body["lists"]
    assert (said["digest"], said["raw"], said["freshTo"]) == (made.digest, made.raw, "2026-11-27")


def test_a_new_copy_is_taken_over_once(tmp_path, store, log):
    """The screener changes with the folder, and only with it."""
    take(tmp_path)
    kept = keeper(tmp_path, store, log)
    first = kept.screener()
    assert kept.look() is False
    made = take(tmp_path, (b"11/20/2026", b"11/21/2026"))
    assert kept.look() is True
    assert (in_force(kept), kept.screener() is first) == ([made.digest], False)
    assert len(list(store.entries())) == 2


def test_a_copy_that_fails_keeps_the_last_good_one(tmp_path, store, log):
    """It is told as an error, and taken over once it is mended."""
    first = take(tmp_path)
    kept = keeper(tmp_path, store, log)
    second = take(tmp_path, (b"11/20/2026", b"11/21/2026"))
    path = tmp_path / "lists" / "us-sdn" / f"{second.digest.removeprefix('sha256:')}.json"
    good = path.read_bytes()
    path.write_bytes(good[:-9])
    kept.look()
    assert in_force(kept) == [first.digest]
    assert [more["last_good_kept"] for level, _, more in log.lines if level == "error"] == [True]
    path.write_bytes(good)
    assert kept.look() is True
    assert in_force(kept) == [second.digest]
    assert kept.screener().lists.problems == ()


def test_a_list_that_vanishes_stays_in_force(tmp_path, store, log):
    """Losing a file opens no door: only who starts the server without a list goes on without it."""
    made = take(tmp_path)
    kept = keeper(tmp_path, store, log)
    (tmp_path / "lists" / "pins.json").unlink()
    kept.look()
    assert in_force(kept) == [made.digest]
    assert [one.kept for one in kept.screener().lists.problems] == [True]
    assert keeper(tmp_path, store, log).screener() is None


def test_a_full_store_does_not_stop_a_list(tmp_path, store, log, monkeypatch):
    """What is in force comes first, the record of it second, and loudly."""

    def full(changes):
        raise stores.StoreFullError("no room")

    take(tmp_path)
    monkeypatch.setattr(store, "commit", full)
    kept = keeper(tmp_path, store, log)
    assert kept.screener() is not None
    assert ("warning", "list.not-journaled", {"error": "StoreFullError"}) in log.lines


def test_the_thread_nudges_the_loop(tmp_path, store, log):
    """A change is seen without anybody asking."""
    nudged = threading.Event()
    kept = keeper(tmp_path, store, log, nudge=nudged.set, every_s=0.01)
    kept.watch.start()
    try:
        take(tmp_path)
        assert nudged.wait(20)
        assert kept.screener() is not None
    finally:
        kept.watch.stop()
