"""What strangers send as documents, to the real server: refused with a code, or run as it stands."""

import json
import time
import urllib.parse
from collections.abc import Iterator

import pytest

from tests.e2e import _strangers as strangers
from tests.e2e._planes import Plane, document, job


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Give a control plane that must be alive, small and silent about bugs when all is over."""
    with strangers.guarded(tmp_path_factory.mktemp("bad")) as found:
        yield found


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
        strangers.refused(plane.call("POST", route, JSONS[name]))
        assert time.monotonic() - begun < strangers.SECONDS_MAX


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
    before = strangers.made(plane)
    strangers.refused(plane.call("POST", "/v1/jobs:batch", body))
    assert strangers.made(plane) == before


def test_documents_of_other_kinds_are_as_strict(plane: Plane) -> None:
    """Operators, backends, data sets, tenants and queues refuse what jobs refuse."""
    for kind in ("operators", "backends", "datasets", "tenants", "queues", "controlplanes", "policies"):
        for name in ("deep", "nan", "duplicate key", "lone surrogate", "a million values", "list", "9 MB name"):
            strangers.refused(plane.call("PUT", f"/v1/{kind}/x", JSONS[name]))
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
