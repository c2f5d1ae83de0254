"""No string of a user or of the settings becomes shell: ten thousand that want to, parsed and run."""

import itertools
import os
import pathlib
import re
from collections.abc import Iterator

import pytest

from backends.slurm import render, settings
from orchestrator.domain import errors, ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.testing import fakes
from tests import shells

COUNT = 10_000
BATCH = 200
PROGRAMS = ("base64", "mkdir", "mv", "env", "printenv", "job-program")
CALLED = {"base64", "mkdir", "mv", "env", "printenv", "job-program"}


def placement(*words: str, **variables: str) -> backends.SealedPlacement:
    """Return a placement of a command with variables."""
    return backends.SealedPlacement(
        key=ids.AttemptKey("01hostile-1"),
        job=ids.JobId("01HOSTILE"),
        tenant="t",
        number=1,
        site=ids.SiteName("b/fr"),
        pool="fr",
        spec=jobs.JobSpec(name="t", command=words, env=variables),
        spec_digest=ids.Digest("sha256:" + "0" * 64),
        fence=backends.Fence(ids.Term(1), 1),
    )


def batches(seed: int) -> Iterator[list[str]]:
    """Give the strings in lots that fit into one command."""
    texts = shells.hostile(COUNT, seed, nul=False)
    while batch := list(itertools.islice(texts, BATCH)):
        yield batch


def given(place: backends.SealedPlacement, root: pathlib.Path) -> dict[str, str]:
    """Return the environment of a script."""
    return {render.GIVEN: render.given(place, str(root))}


def run(place: backends.SealedPlacement, root: pathlib.Path) -> shells.Trace:
    """Run the script as Slurm does, on a search path of stubs."""
    root.parent.mkdir(parents=True, exist_ok=True)
    return shells.run(render.SCRIPT, root.parent, programs=PROGRAMS, environment=given(place, root))


def test_the_script_is_bash_and_has_no_directive() -> None:
    """It parses, and sbatch would find no option in it."""
    assert not shells.broken(render.SCRIPT)
    assert shells.directives(render.SCRIPT) == []


def test_every_body_carries_the_same_script(tmp_path: pathlib.Path) -> None:
    """Whatever the command and the variables are, the script is the same bytes, and what it reads is base64."""
    wanted = settings.SlurmSettings(url="http://127.0.0.1:1", user="u", token="t", folder=str(tmp_path))
    context = backends.AdapterContext("b", [sites.Pool("fr")], str(tmp_path), "here", lambda: fakes.START)
    for batch in batches(1):
        body = render.submission(placement("job-program", *batch, V=batch[0]), wanted, context, None)
        assert body["script"] == render.SCRIPT
        data = body["job"]["environment"].pop(render.GIVEN)
        assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", data)
        told = {name: value for name, value in body["job"].items() if isinstance(value, str)}
        assert not any(shells.CANARY in value for value in told.values())


def test_words_arrive_as_they_were_and_nothing_else_is_called(tmp_path: pathlib.Path) -> None:
    """The command gets each of ten thousand strings unchanged; no canary sings, and no file appears."""
    for number, batch in enumerate(batches(2)):
        root = tmp_path / str(number) / "attempt"
        found = run(placement("job-program", *batch), root)
        assert found.harm == []
        assert {call[0] for call in found.called} <= CALLED
        (call,) = [call for call in found.called if call[0] == "job-program"]
        assert list(call[1:]) == batch
        assert set(found.made) == {"attempt", "attempt/work", "attempt/log", "attempt/end"}


def test_variables_arrive_as_they_were(tmp_path: pathlib.Path) -> None:
    """Each of ten thousand values is what the process finds in its environment."""
    for number, batch in enumerate(batches(3)):
        root = tmp_path / str(number) / "attempt"
        names = {f"V{index}": text for index, text in enumerate(batch)}
        found = run(placement("printenv", "-0", **names), root)
        assert found.harm == []
        pairs = dict(line.partition("=")[::2] for line in (root / "log").read_bytes().decode().split("\0") if line)
        assert {name: pairs.get(name) for name in names} == names


@pytest.mark.parametrize("text", [text for text in shells.FRAGMENTS if "/" not in text and 0 < len(text) < 200])
def test_a_folder_may_have_any_name(text: str, tmp_path: pathlib.Path) -> None:
    """The operator's folder is data too."""
    root = tmp_path / f"x{text}" / "attempt"
    root.parent.mkdir()
    aside = tmp_path / "cwd"
    aside.mkdir()
    found = shells.run(render.SCRIPT, aside, programs=PROGRAMS, environment=given(placement("printenv", "-0"), root))
    assert (found.harm, found.made) == ([], ())
    assert sorted(os.listdir(root)) == ["end", "log", "work"]


@pytest.mark.parametrize("text", ["\0", "a\0b", f"\0; {shells.CANARY}"])
def test_a_nul_is_refused_wherever_it_stands(text: str) -> None:
    """No argument and no variable can hold one, so none is cut at it in silence."""
    for place in (placement("job-program", text), placement(f"p{text}"), placement("job-program", V=text)):
        with pytest.raises(errors.BackendError):
            render.given(place, "/root")


def test_a_second_start_does_nothing(tmp_path: pathlib.Path) -> None:
    """Where the attempt's folder is there already, the command is not called."""
    (tmp_path / "a" / "attempt").mkdir(parents=True)
    found = run(placement("job-program"), tmp_path / "a" / "attempt")
    assert found.code == 75
    assert "job-program" not in {call[0] for call in found.called}
