"""A whole answer or none: what breaks off, never ends or comes too late is no answer, and the connection is closed."""

import contextlib
import pathlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from backends import addresses, answers
from backends.bacalhau import client as bacalhau
from backends.bacalhau import settings as of_bacalhau
from backends.slurm import client as slurm
from backends.slurm import settings as of_slurm
from orchestrator.domain import errors
from orchestrator.testing import fakes
from tests.e2e.kube import certificates

REQUEST = b"GET /x?y=1 HTTP/1.1\r\n"


class Server:
    """The other end of a connection: it reads a request and says what it was told to."""

    def __init__(self, said: Sequence[bytes], *, hangs: bool) -> None:
        self.ours, self._theirs = socket.socketpair()
        self._said, self._hangs = said, hangs
        self.asked = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._theirs:
            self._theirs.settimeout(60)
            while b"\r\n\r\n" not in self.asked:
                self.asked += self._theirs.recv(65536)
            for piece in self._said:
                self._theirs.sendall(piece)
            while self._hangs and self._theirs.recv(65536):
                pass

    def ask(self, *, patience_s: float = 60.0, bytes_max: int = 1000) -> answers.Answer:
        """Ask it once."""
        until_s = time.monotonic() + patience_s
        head = {"X-A": "b"}
        return answers.ask(self.ours, ("h", 1), "GET", "/x?y=1", None, head, until_s=until_s, bytes_max=bytes_max)

    def close(self) -> None:
        """Wait for its end."""
        self._thread.join()


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Give a server that says what the test's parameter has; a hanging one waits until our end is closed."""
    said, hangs = request.param
    server = Server(said, hangs=hangs)
    yield server
    server.close()


WHOLE = [b"HTTP/1.1 404 No\r\nX-Some: t\r\nContent-Length: 3\r\n\r\n", b"abc"]
CHUNKED = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"]
UNTIL_CLOSED = [b"HTTP/1.1 200 OK\r\n\r\n", b"abc"]


@pytest.mark.parametrize(
    ("served", "status"),
    [((WHOLE, True), 404), ((CHUNKED, True), 200), ((UNTIL_CLOSED, False), 200)],
    indirect=["served"],
)
def test_a_whole_answer_is_given_whatever_its_status(served: Server, status: int) -> None:
    """By length, in chunks, or until the other side closes; a redirect is an answer as any other."""
    found = served.ask()
    assert (found.status, found.body) == (status, b"abc")
    assert served.asked.startswith(REQUEST)
    assert b"\r\nConnection: close\r\n" in served.asked
    assert b"\r\nX-A: b\r\n" in served.asked
    if status == 404:
        assert found.head["x-some"] == "t"


@pytest.mark.parametrize(
    "served",
    [
        ([WHOLE[0], b"ab"], False),
        ([CHUNKED[0], b"3\r\nabc\r\n"], False),
        ([CHUNKED[0], b"ff\r\nabc\r\n"], False),
    ],
    indirect=True,
)
def test_what_breaks_off_is_no_answer(served: Server) -> None:
    """The half of a list is not the list."""
    with pytest.raises(answers.TruncatedError):
        served.ask()


@pytest.mark.parametrize("served", [([b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1001], True)], indirect=True)
def test_what_never_ends_is_given_up(served: Server) -> None:
    """At the bound, and the other side sees that the connection is closed."""
    with pytest.raises(answers.EndlessError):
        served.ask()


@pytest.mark.parametrize("served", [([], True), (WHOLE[:1], True), ([b"nonsense\r\n\r\n"], True)], indirect=True)
def test_what_does_not_come_is_no_answer(served: Server) -> None:
    """Nothing, half, and what is not HTTP; the other side sees that the connection is closed."""
    with pytest.raises(answers.NoAnswerError):
        served.ask(patience_s=0.2)


def test_what_is_no_certificate_is_said() -> None:
    """A setting that holds something else is the operator's to mend."""
    with pytest.raises(ValueError, match="PEM"):
        answers.context("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")


@pytest.fixture
def strange(tmp_path: pathlib.Path) -> Iterator[tuple[int, list[bytes]]]:
    """Give the port of a server whose certificate nobody here trusts, and what was sent to it."""
    pair = certificates.Authority(tmp_path / "strange", "strange").issue("s", user="s", addresses=["127.0.0.1"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    told: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as ours:
                told.append(tls.wrap_socket(ours, server_side=True).recv(65536))

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], told
        thread.join(60)


def ask_slurm(url: str, folder: pathlib.Path) -> object:
    """Ask a Slurm site for its jobs."""
    wanted = of_slurm.SlurmSettings(url=url, user="u", token="t", folder=str(folder))
    return slurm.Rest(wanted, lambda: fakes.START).get("jobs", "jobs")


def ask_bacalhau(url: str, folder: pathlib.Path) -> object:
    """Ask an orchestrator for its nodes; it needs no folder."""
    assert folder.exists()
    return bacalhau.Rest(of_bacalhau.BacalhauSettings(url=url)).get("orchestrator/nodes", {}, "Nodes")


@pytest.mark.parametrize(("ask", "code"), [(ask_slurm, "slurm"), (ask_bacalhau, "bacalhau")])
def test_a_certificate_of_somebody_else_is_said(
    strange: tuple[int, list[bytes]], tmp_path: pathlib.Path, ask: Callable[[str, pathlib.Path], object], code: str
) -> None:
    """With a code of its own, before a byte of a request is sent."""
    port, told = strange
    with pytest.raises(errors.TransientError) as caught:
        ask(f"https://127.0.0.1:{port}", tmp_path)
    assert (caught.value.code, caught.value.effects) == (f"{code}.certificate", errors.SideEffects.NONE)
    assert told == []


def test_the_reason_of_a_connection_that_fails_is_kept_apart() -> None:
    """Nobody there is not somebody with another certificate."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(addresses.UnreachableError) as caught:
        addresses.connect("127.0.0.1", port, 60.0, answers.context(None))
    assert not isinstance(caught.value, addresses.CertificateError)
