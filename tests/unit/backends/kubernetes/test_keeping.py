"""What the container that keeps outputs is given, and what its last words are taken for."""

import hashlib

import pytest

from backends.kubernetes import keeping
from backends.kubernetes import settings as schema
from orchestrator.domain import jobs

DIGEST = "a" * 64
IMAGE = f"busybox@sha256:{DIGEST}"


def said(listed: str, *lacking: str) -> str:
    """Return last words."""
    sum_ = hashlib.sha256(listed.encode()).hexdigest()
    return f"kept {sum_} {len(listed.encode())}\n" + "".join(f"lacking {path}\n" for path in lacking) + listed


def test_last_words_are_understood() -> None:
    """A manifest that is whole is taken, one that was cut is not, and what lacks is told."""
    listed = f"{DIGEST} 3 a/b c\n"
    found = keeping.words(said(listed, "x", "y z"))
    assert found is not None
    assert (found.lacking, found.manifest) == (("x", "y z"), listed.encode())
    assert keeping.lacking(said(listed, "x", "y z")) == "it ended well and left no x, y z"
    assert keeping.lacking(said(listed)) == ""
    cut = keeping.words(said(listed)[:-1])
    assert cut is not None
    assert (cut.manifest, cut.digest) == (None, hashlib.sha256(listed.encode()).hexdigest())


@pytest.mark.parametrize("text", ["", "kept", "kept x 1\n", f"kept {DIGEST} -1", f"kept {DIGEST}", "hello\n", "\0"])
def test_words_that_are_no_words_mean_that_nobody_knows(text: str) -> None:
    """Nothing is taken for kept that was not said to be."""
    assert keeping.words(text) is None
    assert "nothing says" in keeping.lacking(text)


def test_a_failure_is_told() -> None:
    """What could not be kept is told in the words of who tried."""
    assert keeping.lacking("failed cp: No space left on device\n").endswith("kept: cp: No space left on device")


def test_a_manifest_is_read_with_distrust() -> None:
    """Lines of another form, paths too long and bytes that are no text are left out; the rest is in order."""
    good = [f"{DIGEST} 0 b", f"{DIGEST} 12 a b/ü"]
    bad = [f"{DIGEST} 1 {'x' * 2000}", f"{DIGEST} -1 c", "x 1 c", f"{DIGEST} {'9' * 30} c", ""]
    found = keeping.manifest("\n".join(good + bad).encode() + b"\n" + f"{DIGEST} 1 ".encode() + b"\xff\xfe\n")
    assert [(one.path, one.size_bytes) for one in found] == [("a b/ü", 12), ("b", 0)]


def test_paths_are_words_and_never_shell() -> None:
    """A declared path reaches the script as an argument, as it was written."""
    wanted = schema.Outputs(claim="c", image=IMAGE)
    where = keeping.where(wanted, "Gra_Kube", "01abc-1")
    assert where == "c/comity/gra_kube/01abc-1"
    path = "$(HOME)/`id`; 'x'"
    made = keeping.container(wanted, where, (jobs.Output(path),), 1, {})
    assert made["args"] == [path.replace("$", "$$")]
    assert path not in made["command"][2]
    (mount,) = [one for one in made["volumeMounts"] if one["name"] == "kept"]
    assert mount["subPath"] == "comity/gra_kube/01abc-1"


def test_a_path_at_the_api_server_cannot_lead_elsewhere() -> None:
    """Whatever stands in a name stays one part of the address."""
    found = keeping.url("space", "pod-x", "t0", "data/a b?c#d/%2e")
    assert found == "/api/v1/namespaces/space/pods/pod-x:8080/proxy/t0/data/a%20b%3Fc%23d/%252e"
