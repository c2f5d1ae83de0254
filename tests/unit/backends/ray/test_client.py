"""HTTP with whatever stands at the url: a small server that lies on purpose."""

import http.server
import json
import threading

import pytest

from backends import addresses
from backends.ray import client, errors, lineages, logs, parsing, settings
from orchestrator.domain import errors as port_errors

VERSION = {"session_name": "s1", "ray_version": "2.60.0"}


class Server(http.server.ThreadingHTTPServer):
    """Answers from ``says``: path -> (status, body) or a function of the request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.token, self.seen = "right", []
        self.says = {
            "/api/version": (200, json.dumps(VERSION).encode()),
            "/cluster_id": (200, json.dumps({"data": {"clusterId": "a" * 56}}).encode()),
        }
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.server.seen.append((self.path, given))
        if self.server.token is not None and given != self.server.token:
            return self.answer(403 if given else 401, b"")
        status, body = self.server.says.get(self.path, (404, b""))
        return self.answer(status, body)

    def answer(self, status, body):
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_address[1]}/cluster_id")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.server.says.get("close"):
            self.close_connection = True

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server():
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


OPEN = []


@pytest.fixture(autouse=True)
def closed():
    """Close every client that a test made."""
    yield
    while OPEN:
        OPEN.pop().close()


def head(server, clock=None, **more):
    url = f"http://127.0.0.1:{server.server_address[1]}"
    wanted = settings.RaySettings.read({"url": url, "token": "right", "timeoutSeconds": 2, **more})
    OPEN.append(client.Head(wanted, **({"clock_s": clock} if clock else {})))
    return OPEN[-1]


def fails(call, *arguments, **more):
    with pytest.raises(port_errors.BackendError) as caught:
        call(*arguments, **more)
    return caught.value


def test_a_greeting_asks_first_with_a_token_that_is_made_up(server):
    """The right token is sent only to one that refused another, and a greeting holds for a while."""
    clock = Clock()
    one = head(server, clock)
    greeting = one.greet()
    assert (greeting.session, greeting.cluster, greeting.checks_token, greeting.alone) == ("s1", "a" * 56, True, True)
    tokens = [given for _, given in server.seen]
    assert tokens[0] not in ("", "right")
    assert tokens[1:] == ["right", "right"]
    one.greet()
    assert len(server.seen) == 3
    clock.now_s += client.GREETING_S + 1
    one.greet()
    assert [given for _, given in server.seen[3:]] == ["right", "right"]


def test_another_session_is_asked_again_whether_it_checks_tokens(server):
    """The head was started again, perhaps without."""
    clock = Clock()
    one = head(server, clock)
    one.greet()
    server.says["/api/version"] = (200, json.dumps({**VERSION, "session_name": "s2"}).encode())
    server.token = None
    clock.now_s += client.GREETING_S + 1
    assert not one.greet().checks_token


@pytest.mark.parametrize(("token", "code"), [("wrong", "ray.token-refused"), (None, "ray.token-missing")])
def test_a_token_that_is_wrong_or_missing_has_its_code(server, token, code):
    """And nothing is known to have happened."""
    error = fails(head(server, token=token).greet)
    assert (error.code, error.effects, error.retry) == (
        code,
        port_errors.SideEffects.NONE,
        port_errors.RetryWhere.ELSEWHERE,
    )
    assert "wrong" not in error.message.replace("wrong, or", "")


def test_a_redirect_is_not_followed(server):
    """It could lead anywhere."""
    server.says["/x"] = (302, b"")
    assert fails(head(server).get, "/x").code == "ray.redirected"
    assert [path for path, _ in server.seen] == ["/x"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "ray.malformed"),
        (b"[" * 100_000, "ray.malformed"),
        (b"\xff", "ray.malformed"),
        (b" " * 5000 + b"1", "ray.malformed"),
    ],
)
def test_what_is_no_json_is_malformed(server, body, code):
    """Also what is nested or longer than anything of Ray's."""
    server.says["/x"] = (200, body)
    assert fails(head(server).get, "/x", limit=4096).code == code


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/api/version", []), ("/api/version", {**VERSION, "session_name": 3}),
        ("/api/version", {**VERSION, "session_name": "a\nb"}),
        ("/cluster_id", None), ("/cluster_id", {"data": {"clusterId": "../x"}}), ("/cluster_id", {"data": []}),
    ],
)  # fmt: skip
def test_a_greeting_that_is_none_is_malformed(server, path, found):
    """Whoever says it is no head."""
    server.says[path] = (200, json.dumps(found).encode())
    assert fails(head(server).greet).code == "ray.malformed"


def test_a_kept_connection_that_was_closed_is_replaced(server):
    """The other side may close between two requests."""
    one = head(server)
    one.get("/api/version")
    server.says["close"] = True
    for _ in range(3):
        assert one.get("/api/version") == VERSION


def test_a_long_log_is_read_in_pieces(server):
    """From a place, at most so much, and what is not asked for is not kept."""
    server.says["/log"] = (200, bytes(range(256)) * 4000)
    one = head(server)
    assert one.read("/log", skip=500_003, limit=5).body == bytes(range(35, 40))
    assert one.read("/log", skip=70_001, limit=400_000).body == (bytes(range(256)) * 4000)[70_001:470_001]
    assert one.read("/log", skip=2_000_000, limit=5).body == b""


def test_nobody_there_is_said_at_once_and_had_no_effect():
    """The launch may be made again."""
    wanted = settings.RaySettings.read({"url": "http://127.0.0.1:1"})
    error = fails(client.Head(wanted).greet)
    assert (error.code, error.effects) == ("ray.unreachable", port_errors.SideEffects.NONE)


def test_a_name_that_leads_to_a_forbidden_address_is_refused(monkeypatch):
    """A name is looked up once, and what it means is looked at before anything is sent."""
    where = [(2, 1, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *a, **k: where)
    wanted = settings.RaySettings.read({"url": "http://innocent.example", "token": "t"})
    assert fails(client.Head(wanted).greet).code == "ray.address-refused"


def test_text_of_a_head_is_shown_as_one_line():
    """Control characters and length are its own."""
    assert errors.last_line(b"Traceback\n\x1b[31mValueError: no\x07\n.\n") == " [31mValueError: no "
    assert len(errors.last_line(b"x" * 99999)) == errors.TEXT_MAX


def greeting(cluster, checks=True):
    return client.Greeting("s", cluster, "2.60.0", checks, True)


def test_a_cluster_is_the_same_after_a_restart_if_it_knows_the_token(tmp_path):
    """Also for an adapter that was made anew."""
    folder = str(tmp_path)
    assert [lineages.recognise(folder, greeting(id), "t") for id in ("one", "one", "two", "three")] == ["one"] * 4
    assert "t\n" not in (tmp_path / "cluster.json").read_text()


@pytest.mark.parametrize(("checks", "token"), [(False, "t"), (True, "other"), (True, None), (False, None)])
def test_another_cluster_is_another_where_nothing_ties_them(tmp_path, checks, token):
    """It checks no token, or another one: somebody has to look. The first one is still known."""
    folder = str(tmp_path)
    lineages.recognise(folder, greeting("one"), "t")
    assert lineages.recognise(folder, greeting("two", checks), token) == "two"
    assert lineages.recognise(folder, greeting("one"), "t") == "one"


def test_a_damaged_memory_is_a_new_beginning(tmp_path):
    """Then the core sees another identity than it pinned, and asks."""
    (tmp_path / "cluster.json").write_text('{"first": 3}')
    assert lineages.recognise(str(tmp_path), greeting("two"), "t") == "two"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, json.dumps({"logs": "one\n\u00e9\n"}).encode(), None),
        (500, b"UnicodeDecodeError: 'utf-8' codec can't decode byte", "ray.log-not-text"),
        (500, b"else", "ray.failed"),
        (200, b"[]", "ray.malformed"),
        (200, b'{"logs": 1}', "ray.malformed"),
    ],
)
def test_a_log_that_the_head_may_not_ask_for_comes_by_the_jobs_api(server, status, body, code):
    """Ray 2.52 with a token is refused by its own agent; the place in the text is the place in the file."""
    job = parsing.Job("k-1", "RUNNING", node="n")
    server.says[logs.path_of(job)] = (500, b"status = StatusCode.UNAUTHENTICATED")
    server.says["/api/jobs/k-1/logs"] = (status, body)
    read_at = logs.reader(head(server), job)
    if code is None:
        assert (read_at(0, 100), read_at(5, 1)) == ("one\n\u00e9\n".encode(), b"\xa9")
        return
    with pytest.raises(port_errors.BackendError) as caught:
        read_at(0, 100)
    assert caught.value.code == code
