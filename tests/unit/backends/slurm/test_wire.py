"""What a server may answer instead of what is due: each has its code, and none is a success."""

import base64
import http.server
import json
import pathlib
import threading
from collections.abc import Iterator

import pytest

from backends.slurm import adapter, client, settings, wire
from orchestrator.domain import errors, sites
from orchestrator.ports import backends
from orchestrator.testing import fakes

JSON = {"Content-Type": "application/json"}
CLEAN = json.dumps({"errors": [], "job_id": 7}).encode()
OPENAPI = json.dumps({"paths": {"/slurm/v0.0.38/jobs": {}, "/slurm/v0.0.37/jobs": {}}}).encode()
ASKED = wire.Submission("01k-1", "comity here b sha256:0", "#!/bin/bash\n", "fr", "/usr/bin")


class Liar(http.server.BaseHTTPRequestHandler):
    """Answers everything but what it speaks with what the test set."""

    answer: tuple[int, dict[str, str], bytes] = (200, JSON, CLEAN)

    def do_GET(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, headers, body = (200, JSON, OPENAPI) if self.path == "/openapi/v3" else self.answer
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET  # noqa: N815 -- the library's names

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """A server on loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def error(*rows: object) -> bytes:
    """Return a body with errors inside."""
    return json.dumps({"errors": rows, "job_id": 7}).encode()


CASES = {
    "errors in 200": (200, JSON, error({"error_number": -1, "error": "no"}), "slurm.error-inside"),
    "a verdict in 200": (200, JSON, error({"error_code": 2000, "error": "no"}), "slurm.error-inside"),
    "a verdict": (500, JSON, error({"error_code": 2000, "error": "Invalid partition name"}), "slurm.refused"),
    "500 that says why": (500, JSON, error({"error_number": -1, "error": "Unspecified"}), "slurm.failed"),
    "500 without errors": (500, JSON, CLEAN, "slurm.failed"),
    "an unknown field": (400, JSON, error({"error": "Unknown key"}), "slurm.refused"),
    "HTML": (200, {"Content-Type": "text/html"}, b"<html>hello</html>", "slurm.not-json"),
    "a list": (200, JSON, b"[]", "slurm.malformed"),
    "errors that are none": (200, JSON, b'{"errors": "all", "job_id": 7}', "slurm.malformed"),
    "no number": (200, JSON, b'{"errors": [], "job_id": "7"}', "slurm.malformed"),
    "number zero": (200, JSON, b'{"errors": [], "job_id": 0}', "slurm.malformed"),
    "cut off": (200, {**JSON, "Content-Length": "1000"}, CLEAN, "slurm.truncated"),
    "elsewhere": (307, {"Location": "http://169.254.169.254/"}, b"", "slurm.redirected"),
    "no token": (401, JSON, b"{}", "slurm.denied"),
    "no such version": (404, JSON, b"{}", "slurm.version"),
}


def place(url: str, folder: pathlib.Path) -> adapter.SlurmAdapter:
    """Return an adapter."""
    wanted = settings.SlurmSettings(url=url, user="u", token="t", folder=str(folder))
    context = backends.AdapterContext("b", [sites.Pool("fr")], str(folder), "here", lambda: fakes.START)
    return adapter.SlurmAdapter(wanted, context)


@pytest.mark.parametrize("name", CASES)
def test_an_answer_that_is_not_due_has_its_code(
    url: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """A submission so answered is no success."""
    *answer, code = CASES[name]
    monkeypatch.setattr(Liar, "answer", tuple(answer))
    with pytest.raises(errors.BackendError) as caught:
        place(url, tmp_path)._send(ASKED, ("u", "t"))
    assert caught.value.code == code


def test_a_clean_answer_is_taken(url: str, tmp_path: pathlib.Path) -> None:
    """The number comes back."""
    assert place(url, tmp_path)._send(ASKED, ("u", "t")) == 7


def test_what_slurm_would_ignore_is_taken_back(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """A job of which a part was ignored, as later versions do with a warning, is fenced and refused."""
    body = json.dumps({"errors": [], "warnings": [{"description": 'Ignoring "gres"'}], "job_id": 7}).encode()
    monkeypatch.setattr(Liar, "answer", (200, JSON, body))
    with pytest.raises(errors.PermanentError, match="gres") as caught:
        place(url, tmp_path)._send(ASKED, ("u", "t"))
    assert caught.value.code == "slurm.ignored"
    assert (tmp_path / "01k-1.stopped").exists()


def test_an_answer_without_end_is_cut(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """So many bytes are read, and no more."""
    monkeypatch.setattr(client, "ANSWER_BYTES_MAX", 1000)
    monkeypatch.setattr(Liar, "answer", (200, JSON, b" " * 2000 + CLEAN))
    with pytest.raises(errors.BackendError) as caught:
        place(url, tmp_path).list_owned()
    assert caught.value.code == "slurm.endless"


def test_no_more_calls_than_the_site_allows(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """What is over the bound is not sent, and says so."""
    monkeypatch.setattr(Liar, "answer", (200, JSON, b'{"errors": [], "jobs": []}'))
    wanted = settings.SlurmSettings(url=url, user="u", token="t", folder=str(tmp_path), calls_per_minute=6)
    rest = client.Rest(wanted, lambda: fakes.START)
    for _ in range(5):
        assert rest.get("jobs", "jobs") == []
    with pytest.raises(errors.TransientError) as caught:
        rest.get("jobs", "jobs")
    assert caught.value.code == "slurm.busy"


def test_a_version_that_nobody_speaks_here_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """Both lists are in the message."""
    monkeypatch.setattr(client, "VERSIONS", ("v0.0.99",))
    with pytest.raises(errors.BackendError, match=r"v0\.0\.37, v0\.0\.38.*v0\.0\.99") as caught:
        place(url, tmp_path).list_owned()
    assert caught.value.code == "slurm.version"


def token(user: object, **more: object) -> str:
    """Return a token that names a user; nobody checks its signature here."""
    claims = base64.urlsafe_b64encode(json.dumps({"sun": user, **more}).encode()).decode().rstrip("=")
    return f"e30.{claims}.x"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({}, "slurm.failed"),
        ({"exp": 60}, "slurm.failed"),
        ({"exp": 0}, "slurm.token-expired"),
        ({"exp": -1}, "slurm.token-expired"),
        ({"iat": 1, "exp": 60}, "slurm.clock"),
        ({"iat": True, "exp": "soon"}, "slurm.failed"),
    ],
)
def test_a_token_that_could_be_why_is_named(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, claims: dict[str, object], code: str
) -> None:
    """Where a request fails, and only there: whether a token is good Slurm knows, by a clock of its own."""
    begins = int(fakes.START.timestamp())
    at = {name: begins + one if type(one) is int else one for name, one in claims.items()}
    wanted = settings.SlurmSettings(url=url, user="u", token=token("u", **at), folder=str(tmp_path))
    rest = client.Rest(wanted, lambda: fakes.START)
    monkeypatch.setattr(Liar, "answer", (500, JSON, error({"error_number": -1, "error": "Unspecified error"})))
    with pytest.raises(errors.TransientError) as caught:
        rest.get("jobs", "jobs")
    assert caught.value.code == code
    monkeypatch.setattr(Liar, "answer", (200, JSON, b'{"errors": [], "jobs": []}'))
    assert rest.get("jobs", "jobs") == []


@pytest.mark.parametrize(
    ("user", "sun"), [("root", "u"), ("slurm", "slurm"), ("u", "root"), ("u", "slurm"), ("u", "v")]
)
def test_who_may_do_anything_is_refused(user: str, sun: str) -> None:
    """Neither as user nor in the token; nor is somebody else's token taken."""
    with pytest.raises(ValueError, match=r"may do anything" if {user, sun} & {"root", "slurm"} else r"of another user"):
        settings.SlurmSettings(url="http://h", user=user, token=token(sun), folder="/f")


@pytest.mark.parametrize("url", ["ftp://h", "http://u:p@h", "http://169.254.169.254", "http://h/?x", "http://h\\x"])
def test_a_url_that_no_site_has_is_refused(url: str) -> None:
    """Clouds keep credentials at link-local addresses."""
    with pytest.raises(ValueError, match="url"):
        settings.SlurmSettings(url=url, user="u", token="t", folder="/f")
