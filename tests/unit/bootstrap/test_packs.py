"""The packs in force: read again on demand; what fails keeps the last good ones, and is said."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from orchestrator.bootstrap import packs
from orchestrator.sources import packs as sources


class Log:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def error(self, event: str, **_: object) -> None:
        """Note it."""
        self.said.append(event)

    def info(self, event: str, **_: object) -> None:
        """Note it."""
        self.said.append(event)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of the packs that ship."""
    return Path(shutil.copytree(sources.BUILT_IN, tmp_path / "packs", ignore=shutil.ignore_patterns("__pycache__")))


def keeper(folder: Path, **more: tuple[str, ...]) -> packs.PackKeeper:
    """Return a keeper of a folder."""
    return packs.PackKeeper(folder, off=more.get("off", ()), on=(), log=Log())


def test_a_pack_that_fails_keeps_the_last_good_ones(folder: Path) -> None:
    """The book in force is the very one, the problem names the pack, and goes when the file is mended."""
    kept = keeper(folder)
    good, file = kept.book(), folder / "eu-gdpr" / "rules.yaml"
    text = file.read_text()
    file.write_text(text.replace("effect: deny", "effect: perhaps", 1))
    assert not kept.reload()
    assert kept.book() is good
    assert set(kept.problems()) == {"eu-gdpr"}
    file.write_text(text.replace("version: '", "version: '9", 1))
    assert kept.reload()
    assert (kept.problems(), kept.book().digest != good.digest) == ({}, True)


def test_a_folder_that_vanishes_opens_nothing(folder: Path) -> None:
    """Every pack is missing then: the last good ones stay."""
    kept = keeper(folder)
    good = kept.book()
    shutil.rmtree(folder)
    assert not kept.reload()
    assert kept.book() is good
    assert "core" in kept.problems()


def test_a_pack_that_fails_at_the_start_denies(folder: Path) -> None:
    """There is no good one to keep."""
    (folder / "core" / "rules.yaml").write_text("nonsense: [")
    kept = keeper(folder)
    assert "core" in dict(kept.book().failed)
    assert kept.problems() == dict(kept.book().failed)


def test_packs_are_switched_off_by_name(folder: Path) -> None:
    """Also after they are read again."""
    kept = keeper(folder, off=("eu-gdpr",))
    assert "eu-gdpr" in kept.book().off
    file = folder / "core" / "rules.yaml"
    file.write_text(file.read_text() + "# a line\n")
    kept.reload()
    assert "eu-gdpr" in kept.book().off


def test_who_asks_is_heard(folder: Path) -> None:
    """A look is made on the keeper's own thread, and who is to know is told."""
    kept, told = keeper(folder), threading.Event()
    good = kept.book()
    kept.start(lambda before: told.set() if before is good else None)
    file = folder / "eu-gdpr" / "rules.yaml"
    file.write_text(file.read_text().replace("version: '", "version: '9", 1))
    kept.ask()
    assert told.wait(120)
    kept.stop()
