"""Working folders from archives that may be hostile."""

import collections.abc
import io
import pathlib
import tarfile
from collections.abc import Callable, Sequence

import pytest

from backends.local import workspaces
from orchestrator.domain import errors
from tests.unit.backends.local import desk as desks


def _tar(*members: tuple[str, bytes | None, str, int], **options: object) -> bytes:
    """Members are (name, content, link target, type)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content, target, kind in members:
            info = tarfile.TarInfo(name)
            info.type = bytes([kind])
            info.linkname = target
            info.size = len(content or b"")
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


def _make(
    root: pathlib.Path,
    ranks: int,
    *,
    files: Sequence[tuple[str, bytes]],
    archive: Callable[[], bytes] | None,
) -> None:
    """Make the folders and fill them, as an attempt does."""
    workspaces.make(str(root), ranks, owner=None)
    workspaces.fill(str(root), ranks, files=files, archive=archive, owner=None)


FILE, HARD, LINK, CHAR, BLOCK, FOLDER, PIPE = b"0123456"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("../x", b"", "", FILE)], "not the path of something inside"),
        ([("/etc/x", b"", "", FILE)], "not the path of something inside"),
        ([("a/../../x", b"", "", FILE)], "not the path of something inside"),
        ([("a", None, "/etc", LINK)], "leads outside"),
        ([("a", None, "..", LINK)], "leads outside"),
        ([("a", None, "/etc", LINK), ("a/x", b"", "", FILE)], "is there twice"),
        ([("p/q/r", None, "../..", LINK), ("z", None, "p/q/r/../etc", LINK)], "leads outside"),
        ([("a", b"", "", FILE), ("a/x", b"", "", FILE)], "is there twice"),
        ([("a", b"", "", FILE), ("b", None, "a", HARD)], "neither a plain file"),
        ([("a", None, "", CHAR)], "neither a plain file"),
        ([("a", None, "", BLOCK)], "neither a plain file"),
        ([("a", None, "", PIPE)], "neither a plain file"),
        ([("/".join("a" * 70), b"", "", FILE)], "not the path of something inside"),
    ],
)
def test_hostile_archives(
    tmp_path: pathlib.Path, members: list[tuple[str, bytes | None, str, int]], words: str
) -> None:
    """An archive that reaches outside, or holds more than plain files, is refused whole."""
    with pytest.raises(errors.PermanentError, match=words) as refused:
        _make(tmp_path / "w", 1, files=(), archive=lambda: _tar(*members))
    assert refused.value.code == "local.workdir-refused"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w"]


@pytest.mark.parametrize(
    "content", [b"", b"x" * 1000, b"\x1f\x8b\x08compressed", _tar(("a", b"x" * 5000, "", 48))[:2000]]
)
def test_damaged_archives(tmp_path: pathlib.Path, content: bytes) -> None:
    """What is not a whole, plain tar archive is refused."""
    with pytest.raises(errors.PermanentError, match=r"plain tar|middle of a file"):
        _make(tmp_path / "w", 1, files=(), archive=lambda: content)


def test_bombs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of too many entries, or too large ones, is refused before it is unpacked."""
    monkeypatch.setattr(workspaces, "ENTRIES_MAX", 3)
    many = _tar(*((f"f{number}", b"", "", FILE) for number in range(4)))
    with pytest.raises(errors.PermanentError, match="more than 3 entries"):
        _make(tmp_path / "w", 1, files=(), archive=lambda: many)
    monkeypatch.setattr(workspaces, "BYTES_MAX", 10)
    with pytest.raises(errors.PermanentError, match="more than"):
        _make(tmp_path / "v", 1, files=(), archive=lambda: _tar(("a", b"x" * 11, "", FILE)))


def test_good_archive(tmp_path: pathlib.Path) -> None:
    """Files, folders, inner links and modes arrive; a file of the job replaces one of the archive."""
    archive = _tar(
        ("src", None, "", FOLDER),
        ("src/run.sh", b"#!/bin/sh\n", "", FILE),
        ("config", b"old", "", FILE),
        ("link", None, "src/run.sh", LINK),
    )
    _make(tmp_path / "w", 2, files=(("config", b"new"), ("deep/er/x", b"x")), archive=lambda: archive)
    for rank in ("0", "1"):
        work = tmp_path / "w" / rank
        assert (work / "config").read_bytes() == b"new"
        assert (work / "deep/er/x").read_bytes() == b"x"
        assert (work / "link").read_bytes() == b"#!/bin/sh\n"
        assert (work / "src/run.sh").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("path", ["../x", "/x", "a/../x", "", ".", "a\\b"])
def test_bad_file_names(tmp_path: pathlib.Path, path: str) -> None:
    """A file of the job outside of its working folder is refused."""
    with pytest.raises(errors.PermanentError, match="inside the working folder"):
        _make(tmp_path / "w", 1, files=((path, b""),), archive=None)


@pytest.fixture
def desk(runner_binary: pathlib.Path) -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk."""
    with desks.desk() as made:
        yield made


def test_job_uses_its_archive(desk: desks.Desk) -> None:
    """A job runs what it brought, as its own."""
    archive = _tar(("bin/run", b"#!/bin/sh\ncat config; touch bin/new\n", "", FILE))
    placement = desk.place("bin/run", workdir=lambda: archive, files=(("config", b"brought"),))
    assert desk.run(placement).succeeded, desk.log(placement)
    assert desk.log(placement) == "brought"


def test_refused_archive_leaves_nothing(desk: desks.Desk) -> None:
    """A refused archive is no attempt."""
    placement = desk.place("true", workdir=lambda: b"nonsense")
    with pytest.raises(errors.PermanentError):
        desk.adapter.submit(placement)
    assert list((desk.folder / "attempts").iterdir()) == []
