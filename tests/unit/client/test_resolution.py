"""What a job names on the user's machine, and what must never travel with it."""

import base64
import io
import os
import pathlib
import tarfile

import pytest

from orchestrator.client import archives, errors, ignores, resolution


def _job(**spec: object) -> dict[str, object]:
    return {"kind": "Job", "metadata": {"name": "x"}, "spec": {"command": ["true"], **spec}}


def _names(content: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return tar.getnames()


def _patterns(*lines: str) -> tuple[ignores.Pattern, ...]:
    return ignores.parse(lines)


def test_file_becomes_content(tmp_path: pathlib.Path) -> None:
    """``fromFile`` becomes base64, relative to the folder of the document; the original stays as it was."""
    (tmp_path / "a.json").write_bytes(b"\x00{}")
    document = _job(files={"b.json": {"fromFile": "a.json"}})
    made = resolution.resolve(document, folder=tmp_path, environ={}).document
    assert base64.b64decode(made["spec"]["files"]["b.json"]["content"]) == b"\x00{}"
    assert document["spec"]["files"] == {"b.json": {"fromFile": "a.json"}}  # type: ignore[index]


def test_variable_becomes_text(tmp_path: pathlib.Path) -> None:
    """``fromEnv`` becomes the value of the variable of whoever submits."""
    made = resolution.resolve(_job(env={"A": {"fromEnv": "B"}, "C": "c"}), folder=tmp_path, environ={"B": "b"})
    assert made.document["spec"]["env"] == {"A": "b", "C": "c"}


def test_every_problem_is_told_at_once(tmp_path: pathlib.Path) -> None:
    """Missing file, folder and variable are all named, with their paths."""
    document = _job(
        files={"x": {"fromFile": "nowhere"}}, env={"A": {"fromEnv": "UNSET"}}, workdir={"fromDir": "missing"}
    )
    with pytest.raises(errors.ResolutionError) as caught:
        resolution.resolve(document, folder=tmp_path, environ={})
    assert [path for path, _ in caught.value.problems] == [
        "spec.workdir.fromDir",
        "spec.files['x'].fromFile",
        "spec.env.A.fromEnv",
    ]


def test_folder_becomes_a_digest(tmp_path: pathlib.Path) -> None:
    """``fromDir`` becomes the digest of an archive, which comes along."""
    (tmp_path / "train.py").write_text("pass")
    made = resolution.resolve(_job(workdir={"fromDir": "."}), folder=tmp_path, environ={})
    assert made.document["spec"]["workdir"] == {"digest": made.archives[0].digest}
    assert _names(made.archives[0].content) == ["train.py"]


def test_same_files_give_the_same_bytes(tmp_path: pathlib.Path) -> None:
    """The archive depends on names, contents and the executable bit, not on times, order or owner."""
    digests = []
    for name, order in (("one", ("b", "a")), ("two", ("a", "b"))):
        folder = tmp_path / name
        (folder / "sub").mkdir(parents=True)
        for file in order:
            (folder / "sub" / file).write_text(file)
        os.utime(folder / "sub" / "a", (len(digests), len(digests)))
        digests.append(archives.pack(folder, ()).digest)
    assert digests[0] == digests[1]
    (tmp_path / "two" / "sub" / "a").chmod(0o755)
    assert archives.pack(tmp_path / "two", ()).digest != digests[0]


def test_ignored_files_stay_home(tmp_path: pathlib.Path) -> None:
    """The ignore file's patterns and what never travels are left out, folders with all that they hold."""
    for name in (".git/config", ".venv/x", "data/big.bin", "src/a.py", "src/a.pyc", "keep.log", "other.log"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    (tmp_path / ".gitignore").write_text("*.pyc\n/data/\n*.log\n!keep.log\n# comment\n")
    made = resolution.resolve(_job(workdir={"fromDir": ".", "ignore": ".gitignore"}), folder=tmp_path, environ={})
    assert _names(made.archives[0].content) == [".gitignore", "keep.log", "src", "src/a.py"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside"])
def test_link_that_leaves_the_folder_is_refused(tmp_path: pathlib.Path, target: str) -> None:
    """Nothing outside the folder travels by way of a symbolic link."""
    folder = tmp_path / "work"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside").write_text("secret")
    (folder / "link").symlink_to(target)
    with pytest.raises(archives.ArchiveError, match="link"):
        archives.pack(folder, ())


def test_link_through_a_link_that_leaves_is_refused(tmp_path: pathlib.Path) -> None:
    """A link that looks harmless and leads outside by another one is refused too."""
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "outside").mkdir()
    (folder / "a").symlink_to("../outside")
    (folder / "b").symlink_to("a/x")
    with pytest.raises(archives.ArchiveError, match="link"):
        archives.pack(folder, _patterns("/a"))


def test_link_inside_stays_a_link(tmp_path: pathlib.Path) -> None:
    """A link within the folder travels as a link."""
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to("a")
    with tarfile.open(fileobj=io.BytesIO(archives.pack(tmp_path, ()).content)) as tar:
        assert tar.getmember("b").linkname == "a"


def test_pipe_is_refused(tmp_path: pathlib.Path) -> None:
    """A named pipe would be read for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(archives.ArchiveError, match="neither"):
        archives.pack(tmp_path, ())


def test_too_much_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder above the bound is refused with what to do."""
    monkeypatch.setattr(archives, "ARCHIVE_BYTES_MAX", 4096)
    (tmp_path / "big").write_bytes(b"x" * 5000)
    with pytest.raises(archives.ArchiveError, match="DataSet"):
        archives.pack(tmp_path, ())


@pytest.mark.parametrize(
    ("pattern", "path", "folder", "hit"),
    [
        ("*.pyc", "a/b/c.pyc", False, True),
        ("*.pyc", "a/b/c.py", False, False),
        ("build/", "build", True, True),
        ("build/", "build", False, False),
        ("build/", "a/build", True, True),
        ("/build", "a/build", True, False),
        ("a/*.txt", "a/x.txt", False, True),
        ("a/*.txt", "a/b/x.txt", False, False),
        ("a/**/x", "a/x", False, True),
        ("a/**/x", "a/b/c/x", False, True),
        ("**/logs", "x/y/logs", True, True),
        ("a/**", "a/b/c", False, True),
        ("?.txt", "ab.txt", False, False),
        ("[!a].txt", "b.txt", False, True),
        ("[!a].txt", "a.txt", False, False),
        ("\\#x", "#x", False, True),
        ("\\!x", "!x", False, True),
        ("a.b", "aXb", False, False),
        ("x ", "x", False, True),
    ],
)
def test_patterns_match_as_in_git(pattern: str, path: str, folder: bool, hit: bool) -> None:
    """Patterns mean what they mean in Git's ignore files."""
    assert ignores.ignored(path, _patterns(pattern), folder=folder) is hit
