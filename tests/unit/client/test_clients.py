"""The client: what it sends, what it makes of answers, and when it asks again."""

import base64

import pytest

from orchestrator.client import clients, connections, errors
from tests.unit.client import stubs

JOB = {"apiVersion": "comity.dev/v1", "kind": "Job", "metadata": {"name": "hello"}, "spec": {"command": ["true"]}}


def test_submit_sends_document_token_and_key(server: stubs.Server, client: clients.Client) -> None:
    """A submission carries the document, the bearer token and an idempotency key."""
    server.routes["POST", "/v1/jobs"] = stubs.Reply(stubs.job(), 202)
    assert client.submit(JOB).id == "01JD8Z3M5N6P7Q8R9STVWXYZ01"
    asked = server.asked[0]
    assert asked.json() == JOB
    assert asked.headers["Authorization"] == "Bearer secret"
    assert len(asked.headers["Idempotency-Key"]) == 32


def test_lost_reply_is_repeated_with_the_same_key(server: stubs.Server, client: clients.Client) -> None:
    """A submission whose reply was lost is sent again with the same key, so that it stays one job."""
    server.routes["POST", "/v1/jobs"] = [stubs.DROP, stubs.DROP, stubs.Reply(stubs.job(), 202)]
    client.submit(JOB)
    keys = [asked.headers["Idempotency-Key"] for asked in server.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_two_submissions_have_two_keys(server: stubs.Server, client: clients.Client) -> None:
    """Each call makes a key of its own."""
    server.routes["POST", "/v1/jobs"] = stubs.Reply(stubs.job(), 202)
    client.submit(JOB)
    client.submit(JOB)
    assert len({asked.headers["Idempotency-Key"] for asked in server.asked}) == 2


def test_tries_are_bounded(server: stubs.Server, client: clients.Client) -> None:
    """A server that never replies is asked a bounded number of times, then called unreachable."""
    server.routes["POST", "/v1/jobs"] = stubs.DROP
    with pytest.raises(errors.UnreachableError) as caught:
        client.submit(JOB)
    assert caught.value.sent
    assert len(server.asked) <= 2 * (len(connections.BACKOFF_S) + 1)


def test_token_is_made_once(server: stubs.Server, client: clients.Client) -> None:
    """Making a token is not repeated after a lost reply: a token nobody saw would stay valid."""
    server.routes["POST", "/v1/tokens"] = stubs.DROP
    with pytest.raises(errors.UnreachableError):
        client.create_token(tenant=None, roles=["submit"])
    assert len(server.asked) == 1


def test_closed_port_is_unreachable_at_once() -> None:
    """A refused connection is told at once, and nothing was sent."""
    with clients.Client("http://127.0.0.1:9", None) as client, pytest.raises(errors.UnreachableError) as caught:
        client.job("x")
    assert not caught.value.sent


def test_problem_becomes_an_error(server: stubs.Server, client: clients.Client) -> None:
    """A problem document becomes an error with its code and every entry."""
    entries = [{"code": "document.unknown-field", "path": "spec.comand", "problem": "is unknown"}]
    server.routes["POST", "/v1/jobs"] = stubs.problem(422, "document.invalid", detail="1 error", errors=entries)
    with pytest.raises(errors.ProblemError) as caught:
        client.submit(JOB)
    assert (caught.value.status, caught.value.code, caught.value.errors) == (422, "document.invalid", tuple(entries))


def test_another_server_is_not_ours(server: stubs.Server, client: clients.Client) -> None:
    """An error page of something else is named as what it is."""
    server.routes["GET", "/v1/jobs/x"] = stubs.Reply(b"<html>Bad gateway</html>", 404, {"Content-Type": "text/html"})
    with pytest.raises(errors.ProtocolError, match="404"):
        client.job("x")


def test_busy_server_is_asked_again_when_it_says_so(server: stubs.Server, client: clients.Client) -> None:
    """A 503 with Retry-After is asked again; the pause it wants is bounded."""
    busy = stubs.problem(503, "store.busy")
    waits: list[float] = []
    client.connection._wait = waits.append
    server.routes["GET", "/v1/jobs/x"] = [stubs.Reply(busy.body, 503, {"Retry-After": "60"}), stubs.job()]
    assert client.job("x").name == "hello"
    assert waits == [connections.RETRY_AFTER_S_MAX]


def test_dead_backend_is_not_asked_again(server: stubs.Server, client: clients.Client) -> None:
    """A 503 without Retry-After is an answer: the backend is dead, and asking again would double its deadline."""
    server.routes["POST", "/v1/backends/gra:check"] = stubs.problem(503, "backend.timeout")
    with pytest.raises(errors.ProblemError):
        client.check_backend("gra")
    assert len(server.asked) == 1


def test_connection_is_kept(server: stubs.Server, client: clients.Client) -> None:
    """Many calls use one connection."""
    server.routes["GET", "/v1/jobs/x"] = stubs.job()
    client.job("x")
    first = client.connection._connection
    client.job("x")
    assert client.connection._connection is first


def test_words_in_paths_cannot_escape(server: stubs.Server, client: clients.Client) -> None:
    """A name with slashes or question marks stays one segment of the path."""
    server.routes["GET", "/v1/backends/..%2Ftokens%3Fx"] = {"metadata": {"name": "x"}}
    assert client.get("backends", "../tokens?x")["metadata"] == {"name": "x"}


def test_all_pages_are_read(server: stubs.Server, client: clients.Client) -> None:
    """A list is read page by page until there is no cursor."""
    server.routes["GET", "/v1/jobs"] = [{"items": [1, 2], "cursor": "c"}, {"items": [3], "cursor": None}]
    assert list(client.list_all("jobs")) == [1, 2, 3]
    assert "cursor=c" in server.asked[1].query


def test_log_page_decodes_chunks(server: stubs.Server, client: clients.Client) -> None:
    """A page of a log comes back as bytes with the rank, and the cursor to go on from."""
    data = base64.b64encode(b"\xffhello\n").decode()
    server.routes["GET", "/v1/jobs/x/logs"] = {"chunks": [{"node": 1, "data": data}], "cursor": "9", "ended": True}
    page = client.log_page("x")
    assert (list(page.chunks), page.cursor, page.ended) == ([(1, b"\xffhello\n")], "9", True)


def test_events_are_read_and_resumed(server: stubs.Server, client: clients.Client) -> None:
    """Server-sent events are read with id and kind; comments are skipped; the last id is sent along."""
    stream = b': hi\n\nid: 4\nevent: job.submitted\ndata: {"seq": 4}\n\nid: 5\ndata: {"seq":\ndata:  5}\n\n'
    server.routes["GET", "/v1/events"] = stubs.Reply(stream, 200, {"Content-Type": "text/event-stream"})
    found = list(client.events(last_id="3"))
    assert [(one.id, one.kind, one.body) for one in found] == [
        ("4", "job.submitted", {"seq": 4}),
        ("5", "message", {"seq": 5}),
    ]
    assert server.asked[0].headers["Last-Event-ID"] == "3"


def test_credentials_in_an_address_are_refused() -> None:
    """A token in the server's address would end up in histories and logs."""
    with pytest.raises(errors.ProtocolError, match="COMITY_TOKEN"):
        clients.Client("http://user:secret@127.0.0.1:7070", None)


def test_secret_of_a_token_is_not_sent_without_one(server: stubs.Server) -> None:
    """Without a token there is no Authorization header."""
    server.routes["GET", "/v1/jobs/x"] = stubs.job()
    with clients.Client(server.url, None) as client:
        client.job("x")
    assert "Authorization" not in server.asked[0].headers
