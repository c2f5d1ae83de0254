"""Reading documents: every error at once, each with its place and what to do."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from orchestrator.wire import errors, yaml_loader
from orchestrator.wire.convert import jobs as job_conversion
from orchestrator.wire.documents import reading

HELLO = "apiVersion: comity.dev/v1\nkind: Job\nmetadata: {name: hello}\nspec: {command: [python], data: none}\n"


def job(spec: str) -> str:
    return "apiVersion: comity.dev/v1\nkind: Job\nmetadata: {name: a}\nspec:\n" + textwrap.indent(spec, "  ")


def problems(text: str, flavour: reading.Flavour = reading.Flavour.FILE) -> list[errors.DocumentError]:
    with pytest.raises(errors.InvalidDocumentError) as caught:
        reading.read_text(text, file="a.yaml", flavour=flavour)
    return list(caught.value.errors)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"command": ["sh", "é" * 65_536]}, "spec.command[1]"),
        ({"command": ["sh", "x" * 131_072]}, "spec.command[1]"),
        ({"env": {"A": "x" * 131_070}}, "spec.env.A"),
        ({"command": ["x" * 100_000 for _ in range(8)], "env": {"A": "x" * 100_000}}, "spec.command"),
        ({"command": ["sh", "x" * 131_071], "env": {"A": "x" * 131_069}}, None),
    ],
)
def test_what_no_program_can_be_started_with_is_refused_by_path(spec: dict[str, object], path: str | None) -> None:
    """Bytes count, not characters, each and together; one less is taken."""
    document = {"apiVersion": "comity.dev/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {"command": ["sh"]}}
    document["spec"] = {"command": ["sh"], **spec}
    if path is None:
        reading.read(document)
        return
    with pytest.raises(errors.InvalidDocumentError) as caught:
        reading.read(document)
    (found,) = caught.value.errors
    assert found.path == path
    assert "put what is long into a file" in str(found.remedy)


def test_the_smallest_job() -> None:
    """The hello document reads, and declares no data by the explicit word."""
    (read,) = reading.read_text(HELLO)
    spec = job_conversion.job_spec(read.model)  # type: ignore[arg-type]
    assert (read.kind, read.name, spec.command) == ("Job", "hello", ("python",))
    assert spec.data is not None
    assert spec.data.declared_none


def test_all_errors_of_all_documents() -> None:
    """One wrong document hides nothing of the next; errors come in the order of the text."""
    text = job("comand: [x]\nnodes: two\nresources: {cpus: 8 cores}") + "\n---\nkind: Jop\n---\n[1]\n---\n" + HELLO
    found = [(error.path, error.line) for error in problems(text)]
    assert found == [
        ("spec.comand", 5),
        ("spec.command", 5),
        ("spec.nodes", 6),
        ("spec.resources.cpus", 7),
        ("apiVersion", 9),
        ("kind", 9),
        ("", 11),
    ]


@pytest.mark.parametrize(
    ("spec", "path", "place", "words"),
    [
        ("comand: [x]\nimage: y", "spec.comand", (5, 3), "unknown field (did you mean command?)"),
        ("image: y\ncpus: 8", "spec.cpus", (6, 3), "it stands at spec.resources.cpus"),
        ("image: y\ntype: trian", "spec.type", (6, 9), "did you mean train?"),
        ("image: y\nnodes: 1.5", "spec.nodes", (6, 10), "must be a whole number"),
        ("image: y\nnodes: 99999999999999999999", "spec.nodes", (6, 10), "outside 64 bits"),
        ("image: y\nnodes: .nan", "spec.nodes", (6, 10), "not a finite number"),
        ("image: y\nnodes: true", "spec.nodes", (6, 10), "must be a whole number, not true"),
        ("image: y\nnodes: 0", "spec.nodes", (6, 10), "must be at least 1"),
        ("image: [y]", "spec.image", (5, 10), "must be text, not a list"),
        ("command: [a, null]", "spec.command[1]", (5, 16), "must be text, not null (quote it)"),
        ("command: []", "spec.command", (5, 12), "at least 1 entries"),
        ("data: {reads: x}\nimage: y", "spec.data.reads", (5, 17), "must be a list"),
        ("data: nothing\nimage: y", "spec.data", (5, 9), "must be none"),
        ("data: {}\nimage: y", "spec.data", (5, 9), "write `data: none`"),
        ("image: y\nresources: {accelerators: {anyOf: [h100], memory: 80Gi}}", "", (6, 53), "write 80G"),
        ("image: y\nresources: {accelerators: {anyOf: [h100:8], count: 4}}", "", (6, 38), "say the count once"),
        ("image: y\nsovereignty: {countries: {allow: [EEA, '']}}", "", (6, 42), "the name of a set"),
        ("image: y\nsovereignty: {seal: {SOV-9: 1}}", "spec.sovereignty.seal.SOV-9", (6, 24), "SOV-1 to SOV-8"),
        ("image: y\nlatencyFrom: fr", "spec.latencyFrom", (6, 16), "two capital letters"),
        ("image: y\noutputs: [{path: ../x}]", "spec.outputs[0].path", (6, 20), "below the working folder"),
        ("image: y\noutputs: [{path: a}, {path: a}]", "spec.outputs[1].path", (6, 31), "two outputs"),
        ("image: y\nnodes: 2\narray: {size: 3}", "spec.array", (7, 10), "together with nodes"),
        ("image: y\nfiles: {a: {content: '!'}}", "spec.files.a.content", (6, 24), "base64"),
        ("image: y\nfiles: {/etc/x: {content: ''}}", "", (6, 11), "below the working folder"),
        ("image: y\nfiles: {a: {content: ''}, a/b: {content: ''}}", "", (6, 34), "below another file"),
        ("image: y\nworkdir: {}", "spec.workdir", (6, 12), "exactly one of digest, fromDir"),
        ("image: y\nlimits: {deadline: 5}", "spec.limits.deadline", (6, 22), "with the unit"),
        ("type: train", "spec.command", (5, 3), "add a command or an image"),
        ("image: y\ndata: {what: c}", "spec.data.what", (6, 10), "known here: reads, writes"),
    ],
)
def test_one_mistake(spec: str, path: str, place: tuple[int, int], words: str) -> None:
    """A mistake is named with path, exact place, and what to write instead."""
    error = problems(job(spec))[0]
    assert words in error.render()
    assert error.path == path or not path
    assert (error.line, error.column) == place
    assert error.render().startswith(f"a.yaml:{error.line}: ")


def test_what_the_server_sets_is_refused() -> None:
    """A document read from the server is not a document to apply: id and status say so."""
    text = HELLO.replace("{name: hello}", "{name: hello, id: X}") + "status: {phase: QUEUED}\n"
    assert [(error.path, error.problem) for error in problems(text)] == [
        ("metadata.id", "is set by the server"),
        ("status", "is set by the server"),
    ]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("{engine: cedar}", "spec.text"),
        ("{engine: cedar, text: x, directive: {models: [m]}}", "spec.directive"),
        ("{engine: directive}", "spec.directive"),
        ("{engine: directive, directive: {from: 2026-01-01}}", "spec.directive.models"),
        ("{engine: directive, directive: {models: [m]}, text: x}", "spec.text"),
        ("{engine: directive, directive: {models: [m]}, tests: [{id: a}]}", "spec.tests"),
        ("{engine: directive, directive: {models: [m]}, effective: {from: 2026-01-01}}", "spec.effective"),
        ("{engine: cedar, text: x, effective: {from: 2026-01-02, to: 2026-01-01}}", "spec.effective.to"),
        ("{engine: directive, directive: {models: [m], from: 2026-01-02, to: 2026-01-01}}", "spec.directive.to"),
    ],
)
def test_a_policy_says_what_its_engine_reads(spec: str, path: str) -> None:
    """What another engine would read, a window that ends before it begins, a directive for nobody: refused by path."""
    text = f"apiVersion: comity.dev/v1\nkind: Policy\nmetadata: {{name: a}}\nspec: {spec}\n"
    assert [error.path for error in problems(text)] == [path]


def test_text_fields_keep_their_spelling() -> None:
    """Where the schema wants text, a document's letters arrive unchanged; numbers are numbers all the same."""
    text = job(
        "command: [run, 3E001, 1.10, 0123, true, 2026-01-01, NO]\n"
        "env: {A: 1.10, B: 0x1F, C: no, D: 12345678901234567890}\nnodes: 0x2\nsovereignty: {countries: {allow: [NO]}}\n"
        "limits: {pricePerHour: 2.20 EUR}\nresources: {cpus: 1.50}"
    ).replace("{name: a}", "{name: 1.10, labels: {v: 0123}}")
    spec = job_conversion.job_spec(reading.read_text(text)[0].model)  # type: ignore[arg-type]
    assert spec.command == ("run", "3E001", "1.10", "0123", "true", "2026-01-01", "NO")
    assert dict(spec.env) == {"A": "1.10", "B": "0x1F", "C": "no", "D": "12345678901234567890"}
    assert (spec.name, dict(spec.labels), spec.nodes) == ("1.10", {"v": "0123"}, 2)
    assert spec.sovereignty.countries_allow == ("NO",)
    assert (spec.resources.cpu_milli, str(spec.limits.price_per_hour)) == (1500, "2.20 EUR")
    assert all(type(word) is str for word in (*spec.command, spec.name))


def test_json_numbers_are_not_text() -> None:
    """JSON has types: a number where text is wanted is an error, not a guess."""
    body = {"apiVersion": "comity.dev/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {"command": ["a", 1]}}
    with pytest.raises(errors.InvalidDocumentError, match="quote it") as caught:
        reading.read(body)
    assert (caught.value.errors[0].path, caught.value.errors[0].line) == ("spec.command[1]", 0)


@pytest.mark.parametrize("body", [None, 1, "x", [], {"kind": []}, {"kind": "Job", "spec": []}, {"kind": "Job"}])
def test_wrong_shapes_are_errors(body: object) -> None:
    """Whatever JSON value a body is, the answer is a list of errors."""
    with pytest.raises(errors.InvalidDocumentError):
        reading.read(body)


def test_settings_keep_what_they_say() -> None:
    """An adapter's settings resolve numbers, but a fraction whose spelling would be lost stays text."""
    text = (
        "apiVersion: comity.dev/v1\nkind: Backend\nmetadata: {name: a}\n"
        "spec: {adapter: simulated, settings: {seed: 1, version: 1.10, delay: 0.5, on: true}}\n"
    )
    (read,) = reading.read_text(text)
    assert read.model.spec.settings == {"seed": 1, "version": "1.10", "delay": 0.5, "on": True}  # type: ignore[attr-defined]


def test_loading_yaml_loads_no_models() -> None:
    """The command line reads a file, and turns it into JSON, without the cost of the validation library."""
    program = (
        "import sys\nfrom orchestrator.wire import jsonable, json_loader, quantities, yaml_loader\n"
        "assert jsonable.to_json(yaml_loader.load('kind: Job\\nspec: {nodes: 2}')[0].data) == "
        "{'kind': 'Job', 'spec': {'nodes': 2}}\nassert not any(name.startswith('pydantic') for name in sys.modules)\n"
    )
    root = yaml_loader.__file__.rpartition("/orchestrator/")[0]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
