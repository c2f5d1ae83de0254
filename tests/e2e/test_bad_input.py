"""What strangers send, to the real command line and to the real server.

Every input is answered in bounded time and memory, with what is wrong and where; never with a traceback, a 5xx or a
dead server.
"""

import gzip
import hashlib
import io
import json
import pathlib
import re
import socket
import tarfile
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.sources import countries
from tests.e2e._planes import Answer, Plane, document, job, wait_until

SECONDS_MAX = 20.0
"""For one input; far above what it takes, so that a slow machine is not a failure."""
GROWTH_KIB_MAX = 192 * 1024
"""What all inputs of this module together may leave behind in the server's memory."""
HEAD = "apiVersion: comity.dev/v1\nkind: Job\nmetadata: {name: bad}\nspec:\n  command: ['true']\n  data: none\n"
SPEC = "apiVersion: comity.dev/v1\nkind: Job\nmetadata: {name: bad}\nspec: "


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Give a control plane that must be alive, small and silent about bugs when all is over."""
    found = Plane(tmp_path_factory.mktemp("bad"))
    found.init()
    found.start()
    assert found.submit(job("warm")).status == 202
    before = found.rss_kib()
    yield found
    assert found.alive(), found.log[-3000:]
    assert found.call("GET", "/readyz", token=None).status == 200
    assert (grown := found.rss_kib() - before) < GROWTH_KIB_MAX, f"{grown} KiB more"
    assert "Traceback" not in found.log, found.log[-5000:]
    assert '"request.failed"' not in found.log
    found.close()


def _made(plane: Plane) -> float:
    """Return how many jobs this server has accepted."""
    text = plane.call("GET", "/metrics", headers={"Accept": "*/*"}).body.decode()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith("comity_jobs_submitted_total")))


def _refused(answer: Answer, *statuses: int) -> None:
    """Assert that an answer is a problem with a code, of the client's making."""
    assert answer.status in (statuses or (400, 413, 422)), answer
    assert answer.code, answer
    assert b"Traceback" not in answer.body


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
    assert time.monotonic() - begun < SECONDS_MAX
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


DEEP = b"[" * 50_000
JSONS: dict[str, bytes] = {
    "nothing": b"",
    "text": b"hello",
    "null": b"null",
    "list": b"[]",
    "number": b"1",
    "two values": b"{} {}",
    "nan": json.dumps(job("x", objective={"cost": float("nan")})).encode(),
    "infinity": json.dumps(job("x", objective={"cost": float("inf")})).encode(),
    "1e400": json.dumps(job("x", objective={"cost": 7})).encode().replace(b"7", b"1e400"),
    "-1e400": json.dumps(job("x", nodes=7)).encode().replace(b"7", b"-1e400"),
    "2^70": json.dumps(job("x", nodes=2**70)).encode(),
    "a million digits": json.dumps(job("x", nodes=7)).encode().replace(b"7", b"7" * 1_000_000),
    "an exponent of digits": json.dumps(job("x", nodes=7)).encode().replace(b"7", b"1e" + b"9" * 1_000_000),
    "huge array": json.dumps(job("x", array={"size": 10**9})).encode(),
    "huge parallel": json.dumps(job("x", array={"size": 5, "parallel": 10**9})).encode(),
    "a million nodes": json.dumps(job("x", nodes=10**6)).encode(),
    "negative nodes": json.dumps(job("x", nodes=-1)).encode(),
    "no nodes": json.dumps(job("x", nodes=0)).encode(),
    "true nodes": json.dumps(job("x", nodes=True)).encode(),
    "text nodes": json.dumps(job("x", nodes="2")).encode(),
    "float nodes": json.dumps(job("x", nodes=1.5)).encode(),
    "negative array": json.dumps(job("x", array={"size": -1})).encode(),
    "array and gang": json.dumps(job("x", array={"size": 2}, nodes=2)).encode(),
    "negative cpus": json.dumps(job("x", resources={"cpus": -1})).encode(),
    "many cpus": json.dumps(job("x", resources={"cpus": 10**18})).encode(),
    "many bytes": json.dumps(job("x", resources={"memory": "9" * 30 + "Gi"})).encode(),
    "negative price": json.dumps(job("x", limits={"pricePerHour": "-1 EUR"})).encode(),
    "long price": json.dumps(job("x", limits={"pricePerHour": "9" * 5000 + " EUR"})).encode(),
    "long deadline": json.dumps(job("x", limits={"deadline": "9" * 20 + "h"})).encode(),
    "no deadline": json.dumps(job("x", limits={"deadline": "0s"})).encode(),
    "no attempts": json.dumps(job("x", retry={"attempts": 0})).encode(),
    "many attempts": json.dumps(job("x", retry={"attempts": 10**9})).encode(),
    "duplicate key": b'{"apiVersion": "comity.dev/v1", "kind": "Job", "kind": "Job"}',
    "lone surrogate": json.dumps(job("x", "echo", "\ud800")).encode(),
    "lone surrogate in a key": json.dumps(job("x", env={"\udfff": "1"})).encode(),
    "nul": json.dumps(job("x", "echo", "\0")).encode(),
    "raw surrogate": b'{"a": "\xed\xa0\x80"}',
    "not utf-8": b"\xff\xfe{}",
    "deep": DEEP,
    "deep objects": b'{"a":' * 50_000,
    "deep in a field": json.dumps(job("x", env={"A": 7})).encode().replace(b"7", DEEP + b"]" * 50_000),
    "a million values": b"[" + b"1," * 1_000_000 + b"1]",
    "a million keys": b"{" + b",".join(b'"k%d":1' % n for n in range(300_000)) + b"}",
    "7 MB name": json.dumps(job("n" * 7_000_000)).encode(),
    "9 MB name": json.dumps(job("n" * 9_000_000)).encode(),
    "empty name": json.dumps(job("")).encode(),
    "path name": json.dumps(job("../../etc/passwd")).encode(),
    "line name": json.dumps(job("a\nb")).encode(),
    "line at the end of a name": json.dumps(job("a\n")).encode(),
    "unicode name": json.dumps(job("café")).encode(),
    "digits that are no ascii": json.dumps(job("a\u0663")).encode(),
    "64 name": json.dumps(job("a" * 64)).encode(),
    "no name": b'{"apiVersion":"comity.dev/v1","kind":"Job","metadata":{},"spec":{"command":["a"]}}',
    "no spec": b'{"apiVersion":"comity.dev/v1","kind":"Job","metadata":{"name":"x"}}',
    "no command": json.dumps(document("Job", "x", {"data": "none"})).encode(),
    "empty command": json.dumps(document("Job", "x", {"command": [], "data": "none"})).encode(),
    "command is text": json.dumps(document("Job", "x", {"command": "true", "data": "none"})).encode(),
    "another kind": json.dumps(document("Backend", "x", {"adapter": "local"})).encode(),
    "unknown field": json.dumps(job("x", comand=["a"])).encode(),
    "bad label": json.dumps(job("x") | {"metadata": {"name": "x", "labels": {"a b": "c"}}}).encode(),
    "label of a line": json.dumps(job("x") | {"metadata": {"name": "x", "labels": {"a": "c\n"}}}).encode(),
    "status given": json.dumps(job("x") | {"status": {"phase": "SUCCEEDED"}}).encode(),
    "env with equals": json.dumps(job("x", env={"A=B": "1"})).encode(),
    "env of a line": json.dumps(job("x", env={"A\n": "1"})).encode(),
    "env is ours": json.dumps(job("x", env={"COMITY_JOB_ID": "1"})).encode(),
    "env is a number": json.dumps(job("x", env={"A": 1})).encode(),
    "env from env": json.dumps(job("x", env={"A": {"fromEnv": "HOME"}})).encode(),
    "file from file": json.dumps(job("x", files={"a": {"fromFile": "/etc/passwd"}})).encode(),
    "workdir from folder": json.dumps(job("x", workdir={"fromDir": "/etc"})).encode(),
    "workdir nobody sent": json.dumps(job("x", workdir={"digest": "sha256:" + "0" * 64})).encode(),
    "file is no base64": json.dumps(job("x", files={"a": {"content": "!"}})).encode(),
    "file below a file": json.dumps(job("x", files={"a": {"content": ""}, "a/b": {"content": ""}})).encode(),
    "unknown data set": json.dumps(job("x", data={"reads": [{"name": "nobody"}]})).encode(),
    "unknown queue": json.dumps(job("x", queue="nobody")).encode(),
    "lower case country": json.dumps(job("x", latencyFrom="fr")).encode(),
}
ON_SUBMIT = frozenset({"workdir nobody sent"})
"""What may be planned, because nothing of it is needed for that."""
PATHS = (
    "../x",
    "a/../../x",
    "/etc/passwd",
    "",
    ".",
    "..",
    "a//b",
    "a/./b",
    "a/",
    "a\0b",
    "a\nb",
    "a\\..\\..\\b",
    "..\\x",
    "x" * 2000,
    "/".join(["d"] * 1000),
)
JSONS |= {f"file at {path[:20]!a}": json.dumps(job("x", files={path: {"content": ""}})).encode() for path in PATHS}
JSONS |= {f"output at {path[:20]!a}": json.dumps(job("x", outputs=[{"path": path}])).encode() for path in PATHS}


@pytest.mark.parametrize("name", sorted(JSONS))
def test_a_bad_body_is_refused(plane: Plane, name: str) -> None:
    """Submitting and planning answer 400, 413 or 422 with a code, and soon."""
    for route in ("/v1/jobs",) if name in ON_SUBMIT else ("/v1/jobs", "/v1/plans"):
        begun = time.monotonic()
        _refused(plane.call("POST", route, JSONS[name]))
        assert time.monotonic() - begun < SECONDS_MAX


def test_what_only_looks_hostile_runs(plane: Plane) -> None:
    """Names and texts that are odd and allowed reach the job as they are: nothing expands, decodes or splits them."""
    odd = {
        "A": "$(touch /tmp/x) `id` ; \\ \" ' %00 \x1b[31m\r\n\t\u202e",
        "B": "x" * 100_000,
        "C": "",
    }
    code = (
        "import os,sys,json;print(json.dumps([{k:os.environ[k] for k in 'ABC'},sys.argv[1:],sorted(os.listdir('.'))]))"
    )
    arguments = ["--help", "-", "", "a b", "$HOME", "*", "\u2028", "é"]
    files = {"%2e%2e": {"content": ""}, "...": {"content": ""}, "-rf": {"content": ""}, "a b;c": {"content": ""}}
    made = plane.submit(job("odd", "python", "-c", code, *arguments, env=odd, files=files))
    assert made.status == 202, made
    found = plane.ended(made.json["id"])
    log = plane.call("GET", f"/v1/jobs/{made.json['id']}/logs", headers={"Accept": "*/*"})
    assert found["status"]["phase"] == "SUCCEEDED", (found["status"], log)
    assert json.loads(log.body) == [odd, arguments, sorted(files)]


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"") -> tuple[Any, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, 0o6755
    return member, content


def _sparse() -> bytes:
    """Return an archive whose one file claims to be of a tebibyte."""
    member = tarfile.TarInfo("big")
    member.size = 2**40
    return member.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024


ARCHIVES = {
    "traversal": _tar(_entry("../../../../../../tmp/comity-evil", content=b"x")),
    "absolute": _tar(_entry("/tmp/comity-evil", content=b"x")),
    "through a link": _tar(_entry("d", tarfile.SYMTYPE, "/tmp"), _entry("d/comity-evil", content=b"x")),
    "link outside": _tar(_entry("l", tarfile.SYMTYPE, "../../../../../../../etc/shadow")),
    "absolute link": _tar(_entry("l", tarfile.SYMTYPE, "/etc/shadow")),
    "link over links": _tar(_entry("a", tarfile.SYMTYPE, "b"), _entry("b", tarfile.SYMTYPE, "../..")),
    "hard link": _tar(_entry("h", tarfile.LNKTYPE, "/etc/shadow")),
    "device": _tar(_entry("d", tarfile.BLKTYPE)),
    "character device": _tar(_entry("d", tarfile.CHRTYPE)),
    "pipe": _tar(_entry("p", tarfile.FIFOTYPE)),
    "backslash": _tar(_entry("..\\..\\evil", content=b"x")),
    "file and folder": _tar(_entry("a", content=b"x"), _entry("a/b", content=b"x")),
    "too many": _tar(*(_entry(f"f{number}", tarfile.DIRTYPE) for number in range(100_100)))[: 63 * 2**20],
    "terabyte": _sparse(),
    "garbage": b"\xff" * 4096,
    "cut": _tar(_entry("f", content=b"x" * 100_000))[:50_000],
    "gzip bomb": gzip.compress(b"\0" * (64 * 2**20)),
}


@pytest.mark.parametrize("name", sorted(ARCHIVES))
def test_a_hostile_archive_harms_its_own_job_only(plane: Plane, name: str) -> None:
    """An archive that reaches outside, or is none, ends its job or its upload with a reason, and writes nothing."""
    content = ARCHIVES[name]
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    headers = {"Content-Type": "application/octet-stream"}
    kept = plane.call("POST", f"/v1/blobs?digest={digest}", content, headers=headers)
    evil = pathlib.Path("/tmp/comity-evil")
    if kept.status >= 400:
        _refused(kept)
        return
    assert kept.status == 201, kept
    made = plane.submit(job("archive", "ls", "-lR", workdir={"digest": digest}))
    assert made.status == 202, made
    status = plane.ended(made.json["id"])["status"]
    assert status["phase"] == "FAILED", status
    assert "local.workdir-refused" in json.dumps(status) or "refused" in json.dumps(status), status
    assert not evil.exists()


def test_an_archive_under_another_name_is_refused(plane: Plane) -> None:
    """The name of an archive is its content; another digest, a path or too much of it is refused."""
    for digest in (f"sha256:{'0' * 64}", "sha256:../../x", "sha512:00", f"sha256:{'0' * 64}%0a", "", "%2e%2e"):
        _refused(plane.call("POST", f"/v1/blobs?digest={digest}", b"x"))
    wanted = f"/v1/blobs?digest=sha256:{'0' * 64}"
    _refused(plane.call("POST", wanted, b"\0" * (65 * 2**20)), 413)


QUERIES = (
    "limit=0",
    "limit=-1",
    "limit=99999999999999999999",
    "limit=1e3",
    "limit=%00",
    "cursor=%00",
    "cursor=x",
    "cursor=" + "A" * 200,
    "cursor=" + "A" * 5000,
    "cursor=..%2f..%2f",
    "cursor=%F0%28%8C%28",
    "filter=x",
    "filter=phase=NOWHERE",
    "filter=%00",
    "filter=phase",
    "filter=parent=x",
    "filter=sql=1;drop",
    "filter=" + "a" * 5000,
    "filter=%ff",
)
HARMLESS = (
    "filter=name=%27%20or%201=1--",
    "filter=name=%25",
    "filter=id=%25",
    "filter=id=_",
    "filter=label=a:%27;label=b",
    "filter=site=%2e%2e%2f",
    "filter=name=%00",
    "filter=queue=%ed%a0%80",
)


@pytest.mark.parametrize("query", QUERIES)
def test_a_bad_query_is_malformed(plane: Plane, query: str) -> None:
    """Limits, cursors and filters that are none are refused as such."""
    _refused(plane.call("GET", f"/v1/jobs?{query}"), 400, 404)


@pytest.mark.parametrize("query", HARMLESS)
def test_a_filter_matches_what_it_says_and_no_more(plane: Plane, query: str) -> None:
    """Quotes, wildcards and broken text in a filter find nothing, or are malformed."""
    answer = plane.call("GET", f"/v1/jobs?{query}")
    assert answer.status in (200, 400), answer
    assert answer.status == 400 or answer.json["items"] == []


@pytest.mark.parametrize("path", ["events", "tokens", "backends", "operators", "sites"])
@pytest.mark.parametrize("query", ["limit=0", "limit=x", "cursor=%00", "cursor=%27", "after=-1", "after=9e99", "x=y"])
def test_other_lists_bear_bad_queries(plane: Plane, path: str, query: str) -> None:
    """No list answers a bad query with a 5xx."""
    answer = plane.call("GET", f"/v1/{path}?{query}", headers={"Last-Event-ID": "9" * 40})
    assert answer.status in (200, 400, 404, 422), answer


IDS = (
    "x",
    "%00",
    "..",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "..%5c..%5c",
    "a;b",
    "%0d%0aX:%20y",
    "0" * 26,
    "0" * 26 + "[0]",
    "0" * 26 + "[99999999999999999999]",
    "0" * 26 + "[-1]",
    "*",
    "%25",
    "'%20or%201=1",
    "x" * 3000,
    "%ed%a0%80",
    "%F0%9F%92%A9",
)


@pytest.mark.parametrize("name", IDS)
def test_a_strange_id_is_unknown_everywhere(plane: Plane, name: str) -> None:
    """An id that cannot be one is 400 or 404 on every route that takes one."""
    routes = [
        ("GET", f"/v1/jobs/{name}{rest}") for rest in ("", "/logs", "/decisions", "/outputs", "/evidence", ":wait")
    ]
    routes += [("POST", f"/v1/jobs/{name}:{verb}") for verb in ("cancel", "retry", "explain", "nothing")]
    routes += [(verb, f"/v1/operators/{name}") for verb in ("GET", "DELETE")]
    routes += [("DELETE", f"/v1/tokens/{name}"), ("POST", f"/v1/backends/{name}:check")]
    routes += [("GET", f"/v1/{name}/x"), ("GET", f"/v1/{name}"), ("GET", f"/v1/jobs:find?job={name}")]
    for method, path in routes:
        answer = plane.call(method, path)
        assert answer.status in (204, 400, 404, 405, 422) or (
            (method, answer.status) == ("GET", 200) and name == ".."
        ), (
            method,
            path[:100],
            answer,
        )


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd",
        "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "%252e%252e/x",
        "..%2f..%2f..%2fstate%2fadmin.token",
        "..%5c..%5cx",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "a%00b",
        "link",
        "folder/../link",
        "kept/../../attempt.json",
        "%c0%ae%c0%ae/x",
        "kept;x=y",
        "",
    ],
)
def test_an_output_path_never_leaves(plane: Plane, output_job: str, path: str) -> None:
    """No spelling of a path reaches what the job did not name as an output, a link's target included."""
    answer = plane.call("GET", f"/v1/jobs/{output_job}/outputs/{path}", headers={"Accept": "*/*"})
    assert answer.status in (400, 404, 409, 422) or (answer.status == 200 and path == ""), answer
    assert b"root:" not in answer.body
    assert plane.token.encode() not in answer.body


@pytest.fixture(scope="module")
def output_job(plane: Plane) -> str:
    """Give a job whose outputs are a file and a link to what it may not have."""
    code = "echo x > kept; ln -s /etc/passwd link; ln -s . folder"
    made = plane.submit(job("out", "sh", "-c", code, outputs=[{"path": "kept"}, {"path": "link"}])).json["id"]
    plane.ended(made)
    return str(made)


@pytest.mark.parametrize(
    "key", ["", " ", "x" * 256, "x" * 60_000, "\t", "é", "\u0080", "a\tb"], ids=lambda text: ascii(text[:8])
)
def test_a_key_that_is_none_is_refused(plane: Plane, key: str) -> None:
    """Keys are 1 to 255 printable characters; what a header may not carry is no key either."""
    content, before = json.dumps(job("x")).encode(), _made(plane)
    for route in ("/v1/jobs", "/v1/jobs:batch"):
        body = content if route == "/v1/jobs" else json.dumps({"documents": [job("x")]}).encode()
        head = (
            f"POST {route} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {plane.token}\r\nConnection: close\r\n"
        )
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nIdempotency-Key: "
        answer = plane.raw(head.encode() + key.encode("utf-8") + b"\r\n\r\n" + body)
        assert re.match(rb"HTTP/1.1 4[0-9][0-9]", answer), (route, answer[:300])
    assert _made(plane) == before


def test_two_keys_are_none(plane: Plane) -> None:
    """A request with two keys says two things."""
    body = json.dumps(job("x")).encode()
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {plane.token}\r\nConnection: close\r\n"
    head += f"Content-Length: {len(body)}\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n"
    assert plane.raw(head.encode() + body).startswith(b"HTTP/1.1 400")


def _head(
    plane: Plane, *lines: str, method: str = "GET", path: str = "/v1/jobs", host: str | None = "127.0.0.1"
) -> bytes:
    fields = [f"{method} {path} HTTP/1.1", f"Authorization: Bearer {plane.token}", "Connection: close", *lines]
    if host is not None:
        fields.insert(1, f"Host: {host}")
    return "\r\n".join([*fields, "", ""]).encode("latin-1")


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.mark.parametrize("method", METHODS)
def test_host_and_origin_are_checked_for_every_method(plane: Plane, method: str) -> None:
    """A missing, doubled or foreign Host is 400 and a foreign Origin 403, before anything else."""
    for host in (
        None,
        "evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "",
        "[::1].evil",
        "0",
        "2130706433",
    ):
        for path in ("/v1/jobs", "/healthz", "/nowhere"):
            answer = plane.raw(_head(plane, method=method, path=path, host=host))
            assert answer.startswith(b"HTTP/1.1 400"), (host, path, answer[:200])
    assert plane.raw(_head(plane, "Host: 127.0.0.1", method=method)).startswith(b"HTTP/1.1 400")
    for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example", "file://", "http://localhost:1"):
        answer = plane.raw(_head(plane, f"Origin: {origin}", method=method))
        assert answer.startswith(b"HTTP/1.1 403"), (origin, answer[:200])


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X" * 300])
def test_another_method_is_refused(plane: Plane, method: str) -> None:
    """A method that a route has not is 400 or 405."""
    answer = plane.raw(_head(plane, method=method))
    assert re.match(rb"HTTP/1.1 (400|405)", answer), answer[:300]


@pytest.mark.parametrize(
    "type_",
    ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/yaml", "x" * 1000, "\x00"],
)
def test_another_type_of_body_is_refused(plane: Plane, type_: str) -> None:
    """A body that says it is something else is not read as JSON."""
    body, before = json.dumps(job("x")).encode(), _made(plane)
    head = _head(plane, f"Content-Type: {type_}", f"Content-Length: {len(body)}", method="POST")
    assert re.match(rb"HTTP/1.1 4[0-9][0-9]", plane.raw(head + body))
    assert _made(plane) == before


def _chunked(content: bytes, size: int) -> bytes:
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_bodies_in_pieces_are_read_and_bounded(plane: Plane) -> None:
    """A chunked body is a body; one without end is cut at the bound; broken ones are 400."""
    line = "Transfer-Encoding: chunked"
    good = json.dumps(job("chunked")).encode()
    assert plane.raw(_head(plane, line, method="POST") + _chunked(good, 7)).startswith(b"HTTP/1.1 202")
    big = _head(plane, line, method="POST") + _chunked(b" " * (9 * 2**20), 65536)
    answer = plane.raw(big)
    assert answer.startswith(b"HTTP/1.1 413") or answer == b"", answer[:200]
    for broken in (
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n",
        b"ffffffffffffffffff\r\n",
        b"5;x=" + b"y" * 100_000,
    ):
        answer = plane.raw(_head(plane, line, method="POST") + broken, shut=True)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    both = _head(plane, line, "Content-Length: 5", method="POST") + _chunked(good, 100)
    answer = plane.raw(both, shut=True)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]


@pytest.mark.parametrize(
    "length", ["-1", "1e3", "99999999999999999999999", "9000000", "\u0663", "5, 6", "+5", "0x5", ""]
)
def test_a_length_that_is_none_is_refused(plane: Plane, length: str) -> None:
    """A Content-Length that is no number, or too much of one, is 4xx before a body is read."""
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
    head = head % plane.token.encode() + b"Content-Length: " + length.encode() + b"\r\n\r\nhello"
    answer = plane.raw(head, shut=True)
    assert answer == b"" or re.match(rb"HTTP/1.1 4[0-9][0-9]", answer), answer[:200]


def test_half_closed_and_half_sent_requests_hurt_nobody(plane: Plane) -> None:
    """Connections that stop in the middle, hold still or say nonsense leave the server answering others."""
    body = json.dumps(job("half")).encode()
    whole = _head(plane, f"Content-Length: {len(body)}", "Content-Type: application/json", method="POST") + body
    for cut in (0, 1, 10, len(whole) - len(body), len(whole) - 1):
        plane.raw(whole[:cut], shut=True)
    assert plane.call("GET", "/v1/jobs?filter=name=half").json["items"] == []
    assert plane.raw(whole, shut=True)[:12] in (b"HTTP/1.1 202", b"")
    idle = [socket.create_connection(("127.0.0.1", plane.port)) for _ in range(100)]
    for link in idle:
        link.sendall(whole[:20])
    assert plane.call("GET", "/v1/jobs").status == 200
    for link in idle:
        link.close()
    for nonsense in (
        b"\0" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET " + b"/" * 100_000,
    ):
        answer = plane.raw(nonsense, shut=True)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]
    for line in ("X: " + "y" * 1_000_000, *["\r\n".join(f"X{n}: y" for n in range(500))]):
        answer = plane.raw(_head(plane, line), shut=True)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]


def test_pipelined_requests_are_answered_in_order(plane: Plane) -> None:
    """Requests that come before their predecessors' answers are answered one after the other."""
    one = _head(plane, path="/healthz").replace(b"Connection: close\r\n", b"")
    answer = plane.raw(one * 50 + _head(plane, path="/healthz"), shut=False)
    assert answer.count(b"HTTP/1.1 200") == 51


@pytest.mark.parametrize(
    "body",
    [
        {"template": job("a-${n}"), "parameters": [{"n": str(n)} for n in range(3)] + [{"m": "1"}]},
        {"template": job("${n}"), "parameters": [{"n": "a\nb"}]},
        {"template": job("a", nodes="${n}"), "parameters": [{"n": 2}]},
        {"template": job("${a}"), "parameters": [{"a": "${a}${a}"}] * 3},
        {"template": job("a"), "parameters": [{}] * 2_000_000},
        {"documents": [job("x"), job("x", nodes=-1), job("x", comand=1)]},
        {"documents": []},
        {"documents": {}},
        {"documents": [job("x")], "template": job("x")},
        {},
        [],
    ],
    ids=range(11),
)
def test_a_bad_batch_is_refused_whole(plane: Plane, body: object) -> None:
    """A batch with one bad member makes no job at all."""
    before = _made(plane)
    _refused(plane.call("POST", "/v1/jobs:batch", body))
    assert _made(plane) == before


def test_documents_of_other_kinds_are_as_strict(plane: Plane) -> None:
    """Operators, backends, data sets, tenants and queues refuse what jobs refuse."""
    for kind in ("operators", "backends", "datasets", "tenants", "queues", "controlplanes", "policies"):
        for name in ("deep", "nan", "duplicate key", "lone surrogate", "a million values", "list", "9 MB name"):
            _refused(plane.call("PUT", f"/v1/{kind}/x", JSONS[name]))
    assert plane.put(document("Backend", "b", {"adapter": "local", "settings": {"runAs": {"uid": 0}}})).status in (
        201,
        422,
    )
    secret = document("Backend", "b2", {"adapter": "local", "settings": {"workFolder": {"fromFile": "/etc/shadow"}}})
    answer = plane.put(secret)
    assert answer.status in (201, 422), answer
    shown = plane.call("GET", "/v1/backends/b2").body + plane.call("POST", "/v1/backends/b2:check").body
    assert b"root:" not in shown
    for name in ("b", "b2"):
        plane.call("DELETE", f"/v1/backends/{name}")


@pytest.mark.parametrize(
    "at", ["x", "2026-13-01", "9999-12-31T23:59:59+14:00", "0001-01-01T00:00:00-14:00", "9" * 39, "-1d", "%00", "1e400"]
)
def test_a_day_that_is_none_is_refused(plane: Plane, at: str) -> None:
    """``plan --at`` refuses what is no moment, and bears the ends of the calendar."""
    answer = plane.call("POST", f"/v1/plans?at={urllib.parse.quote(at, safe='%')}", job("x"))
    assert answer.status in (200, 400, 422), answer


def test_poison_stands_aside(plane: Plane) -> None:
    """After all of this a plain job still runs."""
    found = plane.submit(job("after", "echo", "alive")).json["id"]
    assert plane.ended(found)["status"]["phase"] == "SUCCEEDED"
    wait_until(lambda: plane.call("GET", "/readyz", token=None).status == 200)
