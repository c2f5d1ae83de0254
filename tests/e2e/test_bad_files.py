"""What strangers write into files, to the real command line: refused with its place, and soon."""

import re
import time
from collections.abc import Iterator

import pytest

from orchestrator.sources import countries
from tests.e2e import _strangers as strangers
from tests.e2e._planes import Plane


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Give a control plane that must be alive, small and silent about bugs when all is over."""
    with strangers.guarded(tmp_path_factory.mktemp("bad")) as found:
        yield found


HEAD = "apiVersion: comity.dev/v1\nkind: Job\nmetadata: {name: bad}\nspec:\n  command: ['true']\n  data: none\n"


SPEC = "apiVersion: comity.dev/v1\nkind: Job\nmetadata: {name: bad}\nspec: "


BOMB = "\n".join(
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)),
    ]
)


YAMLS: dict[str, tuple[str | bytes, str]] = {
    "bomb": (f"{HEAD}{BOMB}", "(expand|values|alias)"),
    "alias bomb in env": (f"{HEAD}  env: {{A: &a {'x' * 99999}, B: [{', '.join(['*a'] * 999)}]}}", "."),
    "duplicate key": (f"{HEAD}  nodes: 1\n  nodes: 2", ":8"),
    "duplicate at the top": (f"{HEAD}spec: {{}}", ":7"),
    "tag": (f"{HEAD}  env: {{A: !!python/object/apply:os.system ['true']}}", ":7"),
    "local tag": (f"{HEAD}  env: {{A: !x y}}", ":7"),
    "str tag": (f"{HEAD}  env: {{A: !!str 1}}", ":7"),
    "tag directive": (f"%TAG ! tag:x,2000:\n---\n{HEAD}", ":1"),
    "merge key": (f"{HEAD}  env: {{<<: {{A: b}}}}", ":7"),
    "not a number": (f"{HEAD}  limits: {{rttMs: .nan}}", "rttMs"),
    "bare nan": (f"{HEAD}  objective: {{cost: NaN}}", "cost"),
    "infinity": (f"{HEAD}  objective: {{cost: .inf}}", "cost"),
    "2^70": (f"{HEAD}  nodes: {2**70}", "nodes"),
    "1e400": (f"{HEAD}  objective: {{cost: 1e400}}", "cost"),
    "10^5 digits": (f"{HEAD}  nodes: {'9' * 100000}", "nodes"),
    "hex of a megabyte": (f"{HEAD}  nodes: 0x{'f' * 1000000}", "nodes"),
    "lone surrogate": (f'{HEAD}  env: {{A: "\\ud800"}}', ":7"),
    "raw surrogate": (HEAD.encode() + b"  env: {A: '\xed\xa0\x80'}", "UTF-8"),
    "nul": (f'{HEAD}  env: {{A: "\\0"}}', "."),
    "raw nul": (HEAD.encode() + b"  env: {A: '\x00'}", "U\\+0000"),
    "latin-1": (HEAD.encode() + b"  env: {A: '\xe9'}", "UTF-8"),
    "utf-16": (HEAD.encode("utf-16"), "UTF-8"),
    "10 MB name": (HEAD.replace("bad", "n" * 10_000_000), "."),
    "1 MB name": (HEAD.replace("bad", "n" * 1_000_000), "metadata.name"),
    "cyclic alias": (f"{HEAD}  env: &e {{A: *e}}", ":7"),
    "cyclic list": (f"{HEAD}  outputs: &o [*o]", ":7"),
    "undefined alias": (f"{HEAD}  env: {{A: *nobody}}", ":7"),
    "deep": (f"{HEAD}  env: {'[' * 50000}", "."),
    "deep blocks": (HEAD + "  env:\n" + "\n".join(" " * (4 + n) + "a:" for n in range(1500)), "."),
    "a million values": (f"{HEAD}  command: [{'a,' * 1_000_000}]", "."),
    "a million aliases": (f"{HEAD}  env: {{A: &a b}}\n  command: [{'*a,' * 300_000}]", "."),
    "key that is no text": (f"{HEAD}  ? [a, b]\n  : c", ":7"),
    "unclosed": (f"{HEAD}  env: {{A: b", "."),
    "tab": (f"{HEAD}\tnodes: 1", "."),
    "only a list": ("[]", "."),
    "only text": ("hello", "."),
    "other version": (HEAD.replace("comity.dev/v1", "comity.dev/v9"), "apiVersion"),
    "other kind": (HEAD.replace("kind: Job", "kind: Jbo"), "Job"),
    "norway is no truth": (f"{HEAD}  latencyFrom: no", "latencyFrom"),
    "binary memory of an accelerator": (
        f"{HEAD}  resources: {{accelerators: {{anyOf: [H100], memory: 80Gi}}}}",
        "80Gi|decimal",
    ),
    "escape codes": (f'{HEAD}  "\\e[31mred": 1', "."),
    "a thousand unknown fields": (HEAD + "\n".join(f"  f{n}: 1" for n in range(1000)), "."),
}


@pytest.mark.parametrize("name", sorted(YAMLS))
def test_a_bad_file_is_refused_with_its_place(plane: Plane, name: str) -> None:
    """``plan``, ``submit`` and ``apply`` end with 1 or 2, say file and what is wrong, and send nothing."""
    content, pattern = YAMLS[name]
    path = plane.shell.folder / "bad.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    verb = ("plan", "submit", "apply")[sum(map(ord, name)) % 3]
    begun = time.monotonic()
    ran = plane.shell.run(f"ulimit -v 1500000; comity {verb} -f bad.yaml")
    assert time.monotonic() - begun < strangers.SECONDS_MAX
    assert ran.returncode in (1, 2), ran
    assert "bad.yaml" in ran.stderr, ran.stderr[:2000]
    assert re.search(pattern, ran.stderr), ran.stderr[:2000]
    assert "Traceback" not in ran.stderr
    assert "defect" not in ran.stderr, ran.stderr[:2000]
    assert "\x1b" not in ran.stderr
    assert len(ran.stderr) < 200_000
    assert plane.call("GET", "/v1/jobs?filter=name=bad").json["items"] == []


def test_every_error_of_every_file_is_told_at_once(plane: Plane) -> None:
    """Several errors in two files come together, each with file, line, path and what to do."""
    first, second = plane.shell.folder / "one.yaml", plane.shell.folder / "two.yaml"
    first.write_text(
        "apiVersion: comity.dev/v1\n"
        "kind: Job\n"
        "metadata: {name: '-bad'}\n"
        "spec:\n"
        "  comand: ['true']\n"
        "  data: none\n"
        "  resources: {cpus: many, memory: -1}\n"
        "  limits:\n"
        "    deadline: soon\n"
        "  checkpoint: {path: /ckpt}\n"
    )
    second.write_text("apiVersion: comity.dev/v1\nkind: Queue\nmetadata: {name: q}\nspec:\n  wieght: 2\n")
    ran = plane.shell.run("comity apply -f one.yaml -f two.yaml")
    assert ran.returncode == 1
    lines = ran.stderr.splitlines()
    for wanted in (
        r"one\.yaml:3: metadata\.name: .*\(.+\)",
        r"one\.yaml:5: spec\.comand: .*command.*",
        r"one\.yaml:7: spec\.resources\.cpus: .*\(.+\)",
        r"one\.yaml:7: spec\.resources\.memory: ",
        r"one\.yaml:9: spec\.limits\.deadline: .*\(.+\)",
        r"one\.yaml:10: spec\.checkpoint: .*job\.unsupported:spec\.checkpoint",
        r"two\.yaml:5: spec\.wieght: .*weight",
    ):
        assert any(re.search(wanted, line) for line in lines), (wanted, ran.stderr)


def test_every_country_is_a_word(plane: Plane) -> None:
    """Each code of ISO 3166-1, unquoted, is a country to the command line: Norway and its friends."""
    codes = sorted(countries.names())
    assert len(codes) == 249
    documents = [f"{SPEC}{{command: ['true'], data: none, latencyFrom: {code}}}\n" for code in codes]
    listed = f"{SPEC}{{command: ['true'], data: none, sovereignty: {{countries: {{deny: [{', '.join(codes)}]}}}}}}\n"
    (plane.shell.folder / "all.yaml").write_text("---\n".join([listed, *documents]))
    ran = plane.shell.run("comity plan -f all.yaml -o name")
    assert ran.returncode == 3, ran.stderr[:2000]
    assert ran.stdout.splitlines() == ["none", *["local/host"] * 249]
    assert "Traceback" not in ran.stderr
