"""Servers, networks and heads of Ray that fail, hang, lie or are somebody else's: beside a real head with token."""

import asyncio
import contextlib
import datetime as dt
import http.client
import http.server
import os
import pathlib
import re
import shlex
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from backends.ray import plugin
from orchestrator.domain import errors, ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e import rays
from tests.e2e._planes import Plane, wait_until
from tests.e2e._ray_planes import PATIENCE_S, declared, ended, make_plane, submissions, submit, until_phase
from tests.e2e.kube import certificates


@pytest.fixture(scope="module")
def ray() -> rays.Cluster:
    """Give the cluster of this process."""
    return rays.shared()


class Between(http.server.ThreadingHTTPServer):
    """Passes requests on to a head; ``hook`` is told of each before it is sent and before it is answered."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.port = port
        self.hook: Any = lambda moment, method, path: True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: connections end here on purpose."""


class Passing(http.server.BaseHTTPRequestHandler):
    """One connection of :class:`Between`."""

    protocol_version = "HTTP/1.1"
    server: Between

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        if not self.server.hook("before", self.command, self.path):
            self.close_connection = True
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=90)
        connection.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k != "Host"})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if not self.server.hook("after", self.command, self.path):
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _pass  # noqa: N815 -- as the library calls them

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("moment", "method", "path"),
    [("before", "PUT", "/api/packages"), ("before", "POST", "/api/jobs/$"), ("after", "POST", "/api/jobs/$")],
)
def test_a_server_killed_at_a_submit_adopts_what_it_began(
    moment: str, method: str, path: str, ray: rays.Cluster, tmp_path: pathlib.Path
) -> None:
    """kill -9 before the package, before the submission, and after it before its answer: the job runs once."""
    between, plane = Between(ray.dashboard), make_plane(tmp_path, ray.token, warm=True)
    reached, over = threading.Event(), threading.Event()

    def hook(now: str, verb: str, where: str) -> bool:
        if (now, verb) == (moment, method) and re.match(path, where) and not reached.is_set():
            reached.set()
            plane.end()
            over.set()
            return False
        return True

    try:
        between.hook = hook
        assert plane.put(declared(f"http://127.0.0.1:{between.server_address[1]}")).status in (200, 201)
        marker = tmp_path / "ran"
        more = {"files": {"own.txt": {"content": ""}}} if method == "PUT" else {}
        if more:
            more["files"]["own.txt"]["content"] = os.urandom(12).hex()[:16]
        id = submit(plane, "once", f"echo x >> {shlex.quote(str(marker))}", **more)
        assert over.wait(PATIENCE_S)
        plane.start(warm=True)
        done = ended(plane, id)
        assert (done["status"]["phase"], len(done["status"]["attempts"])) == ("SUCCEEDED", 1), done
        assert [one["submission_id"] for one in submissions(ray, id)] == [f"{id.lower()}-1"]
        assert marker.read_text() == "x\n"
    finally:
        plane.close()
        between.shutdown()
        between.server_close()


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, ray: rays.Cluster) -> Iterator[Plane]:
    """Give a server that has this machine as a place, and knows the cluster's token and a wrong one."""
    found = make_plane(tmp_path_factory.mktemp("beside"), ray.token, local=True)
    yield found
    found.close()


@contextlib.contextmanager
def place(plane: Plane, name: str, url: str, **settings: Any) -> Iterator[None]:
    """Declare a backend for a while."""
    assert plane.put(declared(url, name=name, **settings)).status in (200, 201)
    try:
        yield
    finally:
        wait_until(lambda: plane.call("DELETE", f"/v1/backends/{name}").status in (200, 204, 404), seconds=PATIENCE_S)


def checked(plane: Plane, name: str) -> str:
    """Return what the live probe of a backend says."""
    return plane.call("POST", f"/v1/backends/{name}:check").body.decode()


def cancelled(plane: Plane, id: str) -> None:
    """End a job."""
    assert plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
    ended(plane, id)


ON_RAY = {"resources": {"accelerators": {"anyOf": ["H100"]}}}
"""Of a job that only the cluster can run."""
HERE = {"sovereignty": {"countries": {"allow": ["FR"]}}}
"""Of a job that pool ``south`` cannot run."""


def test_a_wrong_token_and_none_are_told_in_one_line(ray: rays.Cluster, beside: Plane) -> None:
    """The operator reads what is wrong and what to do, never the token, and nothing is placed there."""
    id = submit(beside, "nowhere", "true", **ON_RAY)
    wrong = {"fromEnv": "COMITY_SECRET_WRONG"}
    for name, token, code in (("wrong", wrong, "ray.token-refused"), ("none", None, "ray.token-missing")):
        with place(beside, name, ray.url, token=token):
            said = beside.shell.run(f"comity backend check {name}")
            text = said.stdout + said.stderr
            assert code in text, text
            assert "settings.token" in text
            assert "no-such-token" not in text
            assert "Traceback" not in text
            assert beside.job(id)["status"]["phase"] == "QUEUED"
    assert submissions(ray, id) == []
    cancelled(beside, id)


def test_a_head_that_hangs_hurts_only_its_own_jobs(ray: rays.Cluster, beside: Plane, tmp_path: pathlib.Path) -> None:
    """A dashboard that takes connections and never answers: nothing is concluded, and the machine beside it works."""
    go = shlex.quote(str(tmp_path / "go"))
    with place(beside, "hangs", ray.url, offered=("south",), timeoutSeconds=2):
        id = submit(beside, "there", f"until test -e {go}; do sleep 0.1; done", **ON_RAY)
        until_phase(beside, id, "RUNNING")
        with ray.frozen("/dashboard/dashboard.py", "ray-dashboard-"):
            for done in [ended(beside, submit(beside, f"l{number}", "true", **HERE)) for number in range(3)]:
                assert done["status"]["phase"] == "SUCCEEDED"
                assert done["status"]["attempts"][0]["site"].startswith("local/")
            wait_until(lambda: "Unreachable" in conditions(beside, id), seconds=PATIENCE_S)
            assert beside.job(id)["status"]["phase"] == "RUNNING"
        (tmp_path / "go").touch()
        found = ended(beside, id)
    assert (found["status"]["phase"], len(found["status"]["attempts"])) == ("SUCCEEDED", 1), found


def conditions(plane: Plane, id: str) -> set[str]:
    """Return the types of a job's conditions that hold."""
    return {one["type"] for one in plane.job(id)["status"]["conditions"] if one["status"]}


def test_answers_that_make_no_sense_stop_nothing(beside: Plane) -> None:
    """Whatever stands at the url, the loop goes on, and the place is said not to answer as a head does."""

    class Nonsense(http.server.BaseHTTPRequestHandler):
        turn = 0

        def do_GET(self) -> None:
            Nonsense.turn += 1
            status, body = [(401, b""), (200, b"{" * 3000), (200, b"[1,2]"), (500, b"\xff\x00"), (302, b"")][
                Nonsense.turn % 5
            ]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "http://169.254.169.254/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    head = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nonsense)
    threading.Thread(target=head.serve_forever, daemon=True).start()
    try:
        with place(beside, "nonsense", f"http://127.0.0.1:{head.server_address[1]}"):
            said: set[str] = set()

            def all_of_them() -> bool:
                # Whose turn it is with which answer depends on how often the loop has looked meanwhile.
                said.update(re.findall(r"ray\.[a-z-]+", checked(beside, "nonsense")))
                return {"ray.malformed", "ray.failed", "ray.redirected"} <= said

            wait_until(all_of_them, seconds=PATIENCE_S, what=f"each of them: {said}")
            assert ended(beside, submit(beside, "own", "true"))["status"]["phase"] == "SUCCEEDED"
            assert "Traceback" not in beside.log
    finally:
        head.shutdown()
        head.server_close()


class Terminated:
    """Takes TLS connections on loopback with a certificate, and passes on what comes, as a proxy before a head does."""

    def __init__(self, certificate: certificates.Pair, port: int) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._head = port
        self._loop = asyncio.new_event_loop()
        self.taken = 0
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0, ssl=self._context)
        return int(self._server.sockets[0].getsockname()[1])

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        back = None
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):  # cancelled where the test ends
                there, back = await asyncio.open_connection("127.0.0.1", self._head)
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        finally:
            for each in (writer, back):
                if each is not None:
                    each.transport.abort()  # at once: one that only closes outlives the loop

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __enter__(self) -> str:
        """Return the url."""
        self._thread.start()
        return f"https://127.0.0.1:{asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)}"

    def __exit__(self, *_: object) -> None:
        """End it, and every connection."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()


def test_tls_is_trusted_by_the_certificates_that_were_named_and_no_others(
    ray: rays.Cluster, beside: Plane, tmp_path: pathlib.Path
) -> None:
    """Behind a proxy with an own authority a job runs; by another authority or for another name nothing is sent."""
    own = certificates.Authority(tmp_path / "own", "own")
    other = certificates.Authority(tmp_path / "other", "own")
    good = own.issue("good", user="head", addresses=["127.0.0.1"])
    forged = other.issue("forged", user="head", addresses=["127.0.0.1"])
    elsewhere = own.issue("elsewhere", user="head", names=["elsewhere.example"])
    ca = own.pair.certificate.read_text()
    id = submit(beside, "secret", "echo over TLS", **ON_RAY)
    for pair, named in ((forged, {"ca": ca}), (elsewhere, {"ca": ca}), (good, {})):
        with Terminated(pair, ray.dashboard) as url, place(beside, "tls", url, **named):
            text = checked(beside, "tls")
            assert "its certificate is not trusted" in text, text
            assert beside.job(id)["status"]["phase"] == "QUEUED"
    assert submissions(ray, id) == []
    with Terminated(good, ray.dashboard) as url, place(beside, "tls", url, ca=ca):
        done = ended(beside, id)
        assert done["status"]["phase"] == "SUCCEEDED", done
        assert beside.shell.run(f"comity logs {id}").stdout == "over TLS\n"
        assert "unencrypted" not in checked(beside, "tls")


def test_an_id_that_somebody_else_took_is_not_adopted(ray: rays.Cluster, tmp_path: pathlib.Path) -> None:
    """Ray says of it what it says of our own (HTTP 500, already exists); whose it is stands in its metadata."""
    key = f"01foreign{os.urandom(6).hex()}-1"
    body = {"entrypoint": "true", "submission_id": key, "entrypoint_resources": {"CPU": 1}}
    assert ray.request("POST", "/api/jobs/", body)[0] == 200
    status, said = ray.request("POST", "/api/jobs/", body)
    assert (status, b"already exists" in said) == (500, True), said
    context = backends.AdapterContext("b", (sites.Pool("p"),), str(tmp_path), "here", clocks.SystemClock().now)
    adapter = plugin.build({"url": ray.url, "token": ray.token}, context)
    placement = backends.SealedPlacement(
        key=ids.AttemptKey(key),
        job=ids.JobId(key[:-2].upper()),
        tenant="t",
        number=1,
        site=ids.SiteName("b/p"),
        pool="p",
        spec=jobs.JobSpec(name="t", command=("true",)),
        spec_digest=ids.Digest("sha256:" + "0" * 64),
        fence=backends.Fence(ids.Term(1), 1),
    )
    with pytest.raises(errors.TransientError) as caught:
        adapter.submit(placement)
    assert (caught.value.code, caught.value.effects) == ("ray.foreign-id", errors.SideEffects.NONE)
    adapter.stop(backends.AttemptRef(placement.key), placement.fence, dt.timedelta(0))
    assert ray.request("GET", f"/api/jobs/{key}.stopped")[0] == 404, "what is not ours is not touched"
    adapter.close()
