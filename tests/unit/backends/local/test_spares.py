"""Folders made in advance: used once, made again, missed by nobody, and left by no process that has died."""

import collections.abc
import pathlib
import shutil
import subprocess
import sys

import pytest

from backends.local import attempts
from orchestrator.domain import jobs
from tests.unit.backends.local import desk as desks


@pytest.fixture
def desk(runner_binary: pathlib.Path) -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk."""
    with desks.desk() as made:
        yield made


def kept(desk: desks.Desk) -> set[pathlib.Path]:
    """The spares that lie there."""
    return set((desk.folder / "attempts").glob(f".new-{attempts.SPARE}-*"))


def test_used_once_and_made_again(desk: desks.Desk) -> None:
    """An attempt takes a spare, whose place is filled; each job finds a folder of its own, empty but for its files."""
    seen: set[int] = set()
    for number in range(6):
        placement = desk.place("sh", "-c", "ls -A . $TMPDIR $COMITY_OUTPUT_DIR; touch left", files=(("mine", b""),))
        spares = {path.stat().st_ino for path in kept(desk)}
        assert desk.run(placement).succeeded
        made = desk.attempt(placement).stat().st_ino
        assert (made in spares) == (number > 0)
        assert made not in seen
        seen.add(made)
        assert "left" not in desk.log(placement)
        assert "mine" in desk.log(placement)
    assert kept(desk)
    desk.adapter.close()
    assert not kept(desk)


def test_missing_ones_are_not_missed(desk: desks.Desk) -> None:
    """Where somebody removed the spares the next attempt makes its own folder."""
    assert desk.run(desk.place("true")).succeeded
    for path in kept(desk):
        shutil.rmtree(path)
    assert desk.run(desk.place("true")).succeeded


def test_only_for_one_rank(desk: desks.Desk) -> None:
    """A gang takes none, and has all of its folders."""
    assert desk.run(desk.place("true")).succeeded
    before = kept(desk)
    assert desk.run(desk.place("touch", "x", nodes=2, outputs=(jobs.Output("x"),))).succeeded
    assert kept(desk) == before


def test_refused_leaves_none_behind(desk: desks.Desk) -> None:
    """A spare whose attempt is refused is removed, not used again."""
    assert desk.run(desk.place("true")).succeeded
    before = kept(desk)
    with pytest.raises(Exception, match=r"local\.file-refused"):
        desk.adapter.submit(desk.place("true", files=(("ok", b""), ("../x", b""))))
    assert len(kept(desk)) == len(before) - 1
    assert desk.run(desk.place("true")).succeeded
    assert len(kept(desk)) == len(before)


def test_of_a_dead_process(desk: desks.Desk) -> None:
    """What a killed server leaves goes when the next one opens; spares of one that lives stay."""
    assert desk.run(desk.place("true")).succeeded
    mine = kept(desk)
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        dead = desk.folder / "attempts" / f".new-{attempts.SPARE}-{process.pid}-1-1"
    dead.mkdir()
    desk.fresh().offers()
    assert kept(desk) == mine
