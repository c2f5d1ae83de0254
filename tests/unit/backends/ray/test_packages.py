"""What is sent with a job."""

import io
import json
import pathlib
import subprocess
import sys
import tarfile
import zipfile

import pytest

from backends.ray import packages
from backends.ray.runner import words
from orchestrator.domain import errors

FOLDER = (tarfile.DIRTYPE,)


def archive(*members):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, what in members:
            info = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                info.size, info.mode = len(what), 0o755 if what.startswith(b"#!") else 0o644
                tar.addfile(info, io.BytesIO(what))
                continue
            info.type, info.linkname = (tarfile.SYMTYPE, what) if isinstance(what, str) else (what[0], "")
            tar.addfile(info)
    return made.getvalue()


def package(*members, files=()):
    return packages.package(files=files, archive=lambda: archive(*members))


def refused(*members, files=()):
    with pytest.raises(errors.PermanentError) as caught:
        package(*members, files=files)
    return caught.value.code


def test_the_same_content_has_the_same_name():
    """The runner alone is one package for all jobs; another byte is another."""
    plain = packages.package(files=(), archive=None)
    assert plain == packages.package(files=(), archive=None)
    assert not plain.has_content
    assert package(("a", b"1")).name == package(("a", b"1")).name != package(("a", b"2")).name
    assert plain.uri == f"gcs://{plain.name}"


def test_files_go_over_the_archive_and_links_stand_beside():
    """A file of the job wins over one of the folder; what a zip loses stands in the manifest."""
    made = package(
        ("t", b"#!x"), ("a", b"1"), ("d", FOLDER), ("l", "t"), ("b", b"3"), files=[("a", b"2"), ("l", b"plain")]
    )
    with zipfile.ZipFile(io.BytesIO(made.content)) as zipped:
        assert {name: zipped.read(name) for name in zipped.namelist() if not name.startswith(f"{words.SELF}/")} == {
            "a": b"2", "b": b"3", "l": b"plain", "t": b"#!x",
            words.MANIFEST: json.dumps({"executable": ["t"], "folders": ["d"], "links": []}).encode(),
        }  # fmt: skip
        assert {info.date_time for info in zipped.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        sent = f"{words.SELF}/backends/ray/runner/words.py"
        assert zipped.read(sent) == pathlib.Path(words.__file__).read_bytes()


@pytest.mark.parametrize(
    "member",
    [
        ("../a", b""), ("/a", b""), ("a/../../b", b""), ("a\\b", b""), ("C:/x", b""), ("l", "/etc"), ("l", ".."),
        ("d/l", "../.."),
        ("l", "l"), ("n" * 300, b""), ("f", (tarfile.FIFOTYPE,)), ("h", (tarfile.LNKTYPE,)), ("/".join("a" * 70), b""),
        (words.SELF, b""), (f"{words.MANIFEST}/x", b""),
    ],
)  # fmt: skip
def test_what_leads_outside_is_refused(member):
    """Paths, links and kinds of files that a working folder has no use for; and the names that the runner has."""
    assert refused(member) == "ray.workdir-refused"


def test_links_that_lead_outside_together_are_refused():
    """Each alone stays inside."""
    assert refused(("d", FOLDER), ("d/up", ".."), ("out", "d/up/..")) == "ray.workdir-refused"


def test_a_name_that_is_a_file_and_a_folder_is_refused():
    """No file system holds both."""
    assert refused(("a", b""), ("a/b", b"")) == "ray.workdir-refused"
    assert refused(("l", "d"), ("d", FOLDER), ("l/b", b"")) == "ray.workdir-refused"


def test_a_damaged_archive_is_refused():
    """Whatever is sent for one."""
    for content in (b"no tar at all" * 100, archive(("a", b"x" * 2000))[:1000]):
        with pytest.raises(errors.PermanentError) as caught:
            packages.package(files=(), archive=lambda content=content: content)
        assert caught.value.code == "ray.workdir-refused"


@pytest.mark.parametrize("path", ["../x", "/x", "", "a\0b", words.SELF])
def test_a_file_outside_is_refused(path):
    """By its own code."""
    with pytest.raises(errors.PermanentError) as caught:
        packages.package(files=[(path, b"")], archive=None)
    assert caught.value.code == "ray.file-refused"


def run(folder, options, *command, timeout=180):
    """Run the runner as it is sent, without any library; return (code, what it wrote)."""
    log, sent = folder / "log", folder / "sent"
    with zipfile.ZipFile(io.BytesIO(packages.package(files=(), archive=None).content)) as zipped:
        zipped.extractall(sent)
    with log.open("wb") as file:
        given = {"key": "k-1", "grace_s": 0.5, "log_bytes_max": 4096, "preamble_s": 0, **options}
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-B", words.SELF, json.dumps(given), "--", *command],
            stdout=file, stderr=file, cwd=sent, timeout=timeout, check=False,
        )  # fmt: skip
    return ran.returncode, log.read_bytes()


def test_the_runner_ends_as_the_command_does(tmp_path):
    """Codes, signals, its own words; its log begins with its line."""
    assert run(tmp_path, {}, "sh", "-c", "echo x; exit 5") == (5, words.begins("k-1") + b"x\n")
    assert run(tmp_path, {}, "sh", "-c", "kill -TERM $$")[0] == -15
    code, text = run(tmp_path, {}, "no-such-command")
    assert (code, text.splitlines()[-1][:30]) == (127, b"comity: not-found: 'no-such-co")
    code, text = run(tmp_path, {"limit_s": 0.2}, "sleep", "60")
    assert (code, text.splitlines()[-1]) == (124, b"comity: timed-out: its time was up after 0.2 s")
    code, text = run(tmp_path, {"outputs": ["a", "b"]}, "sh", "-c", "touch a; ln -s a b")
    assert (code, text.splitlines()[-1]) == (123, b"comity: output-missing: it ended well and left no b")


def test_the_runner_keeps_what_was_declared_and_what_lies_in_its_folder(tmp_path):
    """Plain files alone: a link would be a file of somebody else."""
    line = 'mkdir d; echo 1 > d/x; ln -s /etc/passwd d/l; echo 2 > "$COMITY_OUTPUT_DIR/y"; echo 3 > other'
    keep = tmp_path / "kept"
    assert run(tmp_path, {"outputs": ["d"], "keep": str(keep)}, "sh", "-c", line)[0] == 0
    assert sorted(str(each.relative_to(keep)) for each in keep.rglob("*")) == ["d", "d/x", "y"]


def test_the_runner_bounds_the_log_and_not_the_job(tmp_path):
    """It says where it cut."""
    code, text = run(tmp_path, {}, "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; exit 4")
    assert (code, text.count(b"x"), text.splitlines()[-1]) == (4, 4096, b"comity: the log is cut here, at 4096 bytes")


def test_the_runner_leaves_nothing_behind(tmp_path):
    """What went into a session of its own and ignores signals ends with the command; so does the folder."""
    line = "setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 600' & sleep 0.5; pwd"
    code, text = run(tmp_path, {}, "sh", "-c", line)
    _, pid, folder = text.decode().splitlines()
    assert code == 0
    assert not pathlib.Path(f"/proc/{pid}").exists()
    assert not pathlib.Path(folder).exists()
