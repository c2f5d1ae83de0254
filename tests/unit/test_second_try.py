"""`make test` tries once more, alone, what failed among the tests of real components; everything else holds at once."""

import pathlib
import subprocess
import sys

import pytest

MAIN = pathlib.Path(__file__).parents[1] / "__main__.py"
FINE = "def test_fine(): pass\n"
WRONG = "def test_wrong(): assert 1 == 2\n"
ONCE = """
import pathlib
def test_once():
    mark = pathlib.Path(__file__).with_suffix(".mark")
    seen = mark.exists()
    mark.touch()
    assert seen
"""
MANY = "import pytest\n@pytest.mark.parametrize('n', range(17))\ndef test_wrong(n): assert n < 0\n"


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        ({"tests/e2e/test_a.py": FINE}, 0, ()),
        (
            {"tests/e2e/test_a.py": ONCE + FINE, "tests/unit/test_b.py": FINE},
            0,
            ("passed alone", "test_a.py::test_once"),
        ),
        ({"tests/attack/test_a.py": ONCE}, 0, ("passed alone", "tests/attack/test_a.py::test_once")),
        ({"tests/e2e/test_a.py": WRONG + ONCE}, 1, ("failed alone too", "test_a.py::test_wrong")),
        ({"tests/unit/test_a.py": ONCE}, 1, ("not tried again", "the first time", "tests/unit/test_a.py::test_once")),
        ({"tests/e2e/test_a.py": ONCE, "tests/sim/test_b.py": WRONG}, 1, ("not tried again", "tests/sim/test_b.py")),
        ({"tests/e2e/test_a.py": MANY}, 1, ("not tried again", "17 failures are no accident")),
        ({"tests/e2e/test_a.py": "import nothing_of_this_name\n"}, 2, ()),
        ({"tests/e2e/test_a.py": "def test_a(gone): pass\n" + FINE}, 1, ("failed alone too", "test_a.py::test_a")),
    ],
    ids=["fine", "once", "attack", "wrong", "unit", "sim", "many", "unreadable", "setup"],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_only_what_passes_alone_is_forgiven(
    tmp_path: pathlib.Path, files: dict[str, str], status: int, words: tuple[str, ...], workers: int
) -> None:
    """The exit status, and what is said of it."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [sys.executable, str(MAIN), "-q", "-p", "no:cacheprovider", "-n", str(workers), "tests"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == (status == 0), said
    assert all(word in said for word in words), said
    assert words or "passed alone" not in said, said
