"""No string of a user or of the settings becomes shell: ten thousand that want to, parsed and run."""

import dataclasses
import itertools
import os
import pathlib
import re
from collections.abc import Iterator

import pytest

from backends.slurm import script, wire
from orchestrator.domain import errors, ids, jobs
from orchestrator.ports import backends
from tests import shells

COUNT = 10_000
BATCH = 200
PROGRAMS = (
    *("base64", "mkdir", "mv", "env", "printenv", "job-program", "tar", "gzip", "setsid", "stdbuf", "head", "cat"),
    *("sync", "sh", "mkfifo", "rm"),
)
CALLED = set(PROGRAMS)
DATA = re.compile(r"[A-Za-z0-9+/=\n]*")


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


def text_of(place: backends.SealedPlacement, folder: pathlib.Path) -> str:
    """Return the script of a placement."""
    return script.render(place, str(folder), dict(place.spec.env), log_bytes_max=2**20, bytes_max=2**22)


def run(place: backends.SealedPlacement, folder: pathlib.Path) -> shells.Trace:
    """Run the script as Slurm does, on a search path of stubs."""
    folder.mkdir(parents=True, exist_ok=True)
    return shells.run(text_of(place, folder), folder, programs=PROGRAMS, environment={"SLURM_JOB_ID": "7"})


def test_the_script_is_bash_and_has_no_directive(tmp_path: pathlib.Path) -> None:
    """It parses, and sbatch would find no option in it."""
    made = text_of(placement("job-program"), tmp_path)
    assert not shells.broken(made)
    assert shells.directives(made) == []


def test_ten_thousand_strings_have_one_shape(tmp_path: pathlib.Path) -> None:
    """Whatever command and variables are, the script's syntax tree is the same but for two leaves of base64."""
    shapes = set()
    for batch in batches(1):
        made = text_of(placement("job-program", *batch, V=batch[0]), tmp_path)
        assert not shells.broken(made)
        shapes.add(shells.shape(made, DATA))
        assert shells.CANARY not in made
    assert len(shapes) == 1


@pytest.mark.parametrize("version", ["v0.0.38", "v0.0.40", "v0.0.41", "v0.0.42"])
def test_no_field_but_the_script_holds_what_a_user_wrote(tmp_path: pathlib.Path, version: str) -> None:
    """Name and comment are ours; the rest is of the settings."""
    made = text_of(placement("job-program", shells.CANARY), tmp_path)
    body = wire.encode(wire.Submission("01hostile-1", "comity here b sha256:0", made, "fr", "/usr/bin"), version)
    assert body.pop("script") == made
    assert shells.CANARY not in str(body)


def test_words_arrive_as_they_were_and_nothing_else_is_called(tmp_path: pathlib.Path) -> None:
    """The command gets each of ten thousand strings unchanged; no canary sings, and no file appears."""
    for number, batch in enumerate(batches(2)):
        found = run(placement("job-program", *batch), tmp_path / str(number))
        assert found.harm == []
        assert {call[0] for call in found.called} <= CALLED
        (call,) = [call for call in found.called if call[0] == "job-program"]
        assert list(call[1:]) == batch
        home = "01hostile-1"
        assert set(found.made) == {home, f"{home}/out", f"{home}/work", f"{home}/log", f"{home}/job", f"{home}/end"}


def test_variables_arrive_as_they_were(tmp_path: pathlib.Path) -> None:
    """Each of ten thousand values is what the process finds in its environment."""
    for number, batch in enumerate(batches(3)):
        names = {f"V{index}": text for index, text in enumerate(batch)}
        found = run(placement("printenv", "-0", **names), tmp_path / str(number))
        assert found.harm == []
        log = (tmp_path / str(number) / "01hostile-1" / "log").read_bytes().decode()
        pairs = dict(line.partition("=")[::2] for line in log.split("\0") if line)
        assert {name: pairs.get(name) for name in names} == names


@pytest.mark.parametrize("text", [text for text in shells.FRAGMENTS if "/" not in text and 0 < len(text) < 200])
def test_a_folder_may_have_any_name(text: str, tmp_path: pathlib.Path) -> None:
    """The operator's folder is data too."""
    folder = tmp_path / f"x{text}"
    folder.mkdir()
    aside = tmp_path / "cwd"
    aside.mkdir()
    made = text_of(placement("printenv", "-0"), folder)
    found = shells.run(made, aside, programs=PROGRAMS, environment={"SLURM_JOB_ID": "7"})
    assert (found.harm, found.made) == ([], ())
    assert sorted(os.listdir(folder / "01hostile-1")) == ["end", "job", "log", "out", "work"]


def test_declared_outputs_are_data_too(tmp_path: pathlib.Path) -> None:
    """A name of an output is looked for, and noted where there is none: it is never run, nor a path of another."""
    texts = [text for text in shells.FRAGMENTS if text.strip("./") == text and 0 < len(text) < 200]
    place = placement("job-program")
    listed = tuple(jobs.Output(text) for text in texts)
    found = run(dataclasses.replace(place, spec=dataclasses.replace(place.spec, outputs=listed)), tmp_path)
    assert found.harm == []
    lacking = (tmp_path / "01hostile-1" / "lacking").read_bytes().decode()
    assert lacking == "".join(f"{text}\n" for text in map(script.output, texts))
    assert (tmp_path / "01hostile-1" / "end").read_text() == "lacking 0\n"


@pytest.mark.parametrize("text", ["\0", "a\0b", f"\0; {shells.CANARY}"])
def test_a_nul_is_refused_wherever_it_stands(text: str, tmp_path: pathlib.Path) -> None:
    """No argument and no variable can hold one, so none is cut at it in silence."""
    for place in (placement("job-program", text), placement(f"p{text}"), placement("job-program", V=text)):
        with pytest.raises(errors.BackendError):
            text_of(place, tmp_path)


def test_a_second_start_does_nothing(tmp_path: pathlib.Path) -> None:
    """Where the attempt's folder is there already, the command is not called."""
    (tmp_path / "01hostile-1").mkdir()
    found = run(placement("job-program"), tmp_path)
    assert found.code == 75
    assert "job-program" not in {call[0] for call in found.called}


def test_what_was_stopped_does_not_begin(tmp_path: pathlib.Path) -> None:
    """The mark that we leave is enough."""
    (tmp_path / "01hostile-1.stopped").write_text("0\n")
    assert "job-program" not in {call[0] for call in run(placement("job-program"), tmp_path).called}
    assert not (tmp_path / "01hostile-1").exists()
