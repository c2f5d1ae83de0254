"""Jobs on a real Ray cluster, through a real server: a head with token, and a node in another region with one GPU."""

import base64
import http.client
import http.server
import json
import os
import pathlib
import re
import shlex
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import rays
from tests.e2e._planes import Plane, backend, job, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0
SECRET = {"fromEnv": "COMITY_SECRET_RAY"}
POOLS = [{"name": "west"}, {"name": "south", "accelerator": "H100", "location": {"country": "IT"}}]
SELECTORS = {
    "west": {"labels": {"ray.io/availability-region": "eu-west"}},
    "south": {"labels": {"ray.io/availability-region": "eu-south"}},
}


@pytest.fixture(scope="module")
def ray() -> rays.Cluster:
    """Give the cluster of this process."""
    return rays.shared()


@pytest.fixture
def shared(tmp_path: pathlib.Path) -> pathlib.Path:
    """Give the folder that nodes and server share."""
    made = tmp_path / "shared"
    made.mkdir()
    return made


def declared(url: str, shared: pathlib.Path | None = None, **more: Any) -> dict[str, Any]:
    """Return the document of the cluster."""
    settings = {"url": url, "token": SECRET, "pools": SELECTORS, **more}
    if shared is not None:
        settings["sharedFolder"] = str(shared)
    return backend("ray", adapter="ray", settings=settings, pools=POOLS)


def make_plane(tmp_path: pathlib.Path, secret: str | None, *, local: bool = False) -> Plane:
    """Return a server that has no place but what a test declares, or this machine too."""
    found = Plane(tmp_path, environment={"COMITY_SECRET_RAY": secret} if secret is not None else {})
    found.init()
    if not local:
        (found.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
    found.start()
    return found


@pytest.fixture
def plane(tmp_path: pathlib.Path, ray: rays.Cluster, shared: pathlib.Path) -> Iterator[Plane]:
    """Give a server whose only place is the cluster."""
    found = make_plane(tmp_path, ray.token)
    answer = found.put(declared(ray.url, shared))
    assert answer.status in (200, 201), answer
    yield found
    found.close()


def submissions(ray: rays.Cluster, id: str) -> list[dict[str, Any]]:
    """Return what the cluster has of a job, its records of stops left out."""
    status, body = ray.request("GET", "/api/jobs/")
    assert status == 200
    key = id.lower()
    return [
        one
        for one in json.loads(body)
        if (one["submission_id"] or "").startswith(f"{key}-") and "comity.dev/fence" not in (one["metadata"] or {})
    ]


def submit(plane: Plane, name: str, command: str, **spec: Any) -> str:
    """Submit a line of shell; return the job's id."""
    answer = plane.submit(job(name, "sh", "-c", command, **spec))
    assert answer.status == 202, answer
    return str(answer.json["id"])


def ended(plane: Plane, id: str) -> dict[str, Any]:
    """Return a job once it has ended; a busy machine starts the processes of Ray slowly."""
    return plane.ended(id, seconds=PATIENCE_S)


def until_phase(plane: Plane, id: str, *phases: str) -> dict[str, Any]:
    """Return a job once it is in one of these phases."""

    def check() -> dict[str, Any] | None:
        found = plane.job(id)
        return found if found["status"]["phase"] in phases else None

    return dict(wait_until(check, seconds=PATIENCE_S, what=f"{phases} of {id}: {plane.job(id)['status']}"))


def alive(mark: str) -> list[str]:
    """Return the processes whose command line has a mark, but for shells that look for it."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = pathlib.Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in line:
            found.append(f"{name} {line[:100]}")
    return found


def test_the_smallest_job(plane: Plane, ray: rays.Cluster) -> None:
    """Hello runs under its attempt's key, its log is its own, and the record names the node and its country."""
    done = plane.shell.run(f"comity submit -f {ROOT}/examples/hello.yaml --wait")
    assert done.returncode == 0, done.stderr
    assert plane.shell.run("comity logs hello").stdout == "hello\n"
    found = json.loads(plane.shell.run("comity get jobs hello -o json").stdout)
    (ran,) = submissions(ray, found["metadata"]["id"])
    assert (ran["submission_id"], ran["status"]) == (f"{found['metadata']['id'].lower()}-1", "SUCCEEDED")
    told = plane.shell.run("comity describe job hello").stdout
    country = {"ray/west": "FR", "ray/south": "IT"}[found["status"]["attempts"][0]["site"]]
    assert re.search(rf"{ran['driver_node_id']} +{country} +label comity.dev/country of the node, declared", told), told


def test_the_digits_example_trains(plane: Plane, ray: rays.Cluster) -> None:
    """A real training runs as a Ray job, and what it left comes back."""
    done = plane.shell.run(f"comity submit -f {ROOT}/examples/digits/job.yaml --wait")
    assert done.returncode == 0, done.stderr + done.stdout
    metrics = json.loads(plane.shell.run("comity cp digits:metrics.json -").stdout)
    assert metrics["accuracy"] > 0.9
    found = json.loads(plane.shell.run("comity get jobs digits -o json").stdout)
    (ran,) = submissions(ray, found["metadata"]["id"])
    assert ran["status"] == "SUCCEEDED"


def test_a_job_sees_the_accelerators_it_asked_for_and_no_other(plane: Plane) -> None:
    """On the node with a GPU a job without one sees none; one that asks gets it, in the pool that has it."""
    one = submit(plane, "with", 'echo "gpus=[$CUDA_VISIBLE_DEVICES]"', resources={"accelerators": {"anyOf": ["H100"]}})
    none = submit(plane, "without", 'echo "gpus=[$CUDA_VISIBLE_DEVICES]"', sovereignty={"countries": {"allow": ["IT"]}})
    for id, said in ((one, "gpus=[0]"), (none, "gpus=[]")):
        done = ended(plane, id)
        assert (done["status"]["phase"], done["status"]["attempts"][0]["site"]) == ("SUCCEEDED", "ray/south"), done
        assert said in plane.shell.run(f"comity logs {id}").stdout


def test_the_variables_of_every_adapter_are_there(plane: Plane) -> None:
    """A job reads the same names here as elsewhere, its own values as they are, and Ray's list shows no other."""
    id = submit(plane, "variables", "env", env={"MINE": "a ${HOME} $(b) 'c'", "PATH": "/bin:/usr/bin:/own"})
    assert ended(plane, id)["status"]["phase"] == "SUCCEEDED"
    said = dict(line.partition("=")[::2] for line in plane.shell.run(f"comity logs {id}").stdout.splitlines())
    assert (said["MINE"], said["PATH"]) == ("a ${HOME} $(b) 'c'", "/bin:/usr/bin:/own")
    assert (said["COMITY_JOB_ID"], said["COMITY_ATTEMPT"]) == (id, "1")
    assert (said["COMITY_NODES"], said["COMITY_NODE_RANK"], said["COMITY_GPUS_PER_NODE"]) == ("1", "0", "0")
    assert said["COMITY_NODE_ADDRS"] == said["MASTER_ADDR"] == "127.0.0.1"
    assert said["MASTER_PORT"].isdecimal()
    assert not pathlib.Path(said["COMITY_OUTPUT_DIR"]).exists(), "the folder of an attempt goes with it"


def test_a_working_folder_arrives_whole_and_is_nobody_elses(plane: Plane, tmp_path: pathlib.Path) -> None:
    """Files, executables, links and empty folders arrive; what one job changes, the next with the same does not see."""
    folder = tmp_path / "sent"
    (folder / "empty").mkdir(parents=True)
    (folder / "tool").write_text("#!/bin/sh\necho tool works\n")
    (folder / "tool").chmod(0o755)
    (folder / "link").symlink_to("tool")
    text = "./link && ls -d empty && cat more.txt && test ! -e left && touch left"
    document = tmp_path / "job.yaml"
    document.write_text(
        json.dumps(job("sent", "sh", "-c", text, workdir={"fromDir": str(folder)}, files={"more.txt": {"content": ""}}))
    )
    given = json.loads(document.read_text())
    given["spec"]["files"] = {"more.txt": {"fromFile": str(folder / "tool")}}
    for _ in range(2):
        given["metadata"]["name"] = f"sent{_}"
        document.write_text(json.dumps(given))
        done = plane.shell.run(f"comity submit -f {document} --wait")
        assert done.returncode == 0, done.stderr + done.stdout
    assert plane.shell.run("comity logs sent1").stdout.splitlines()[:3] == ["tool works", "empty", "#!/bin/sh"]


def test_what_cannot_run_here_is_refused_by_name(plane: Plane, ray: rays.Cluster) -> None:
    """Gangs and containers are no power of this adapter, and nothing of such a job is sent."""
    for name, more, code in (
        ("gang", {"nodes": 2}, "fit.capability:gangs"),
        ("image", {"image": f"x/y@sha256:{'0' * 64}"}, "fit.capability:containers"),
    ):
        answer = plane.submit(job(name, "true", **more))
        where = f"/v1/jobs/{answer.json['id']}:explain"
        wait_until(lambda where=where, code=code: code in plane.call("POST", where).body.decode(), seconds=PATIENCE_S)  # type: ignore[misc]
        assert submissions(ray, answer.json["id"]) == []


def test_every_descendant_ends_with_the_job(plane: Plane) -> None:
    """Also one in a session of its own, when the job ends by itself and when it is cancelled."""
    leave = "setsid sh -c 'trap \"\" TERM; exec sleep {mark}' & sleep 0.3; {then}"
    for mark, then, phase in (("86001", "exit 0", "SUCCEEDED"), ("86002", "sleep 600", "CANCELLED")):
        id = submit(plane, f"leaves{mark}", leave.format(mark=mark, then=then))
        if phase == "CANCELLED":
            until_phase(plane, id, "RUNNING")
            wait_until(lambda mark=mark: alive(f"sleep {mark}"), seconds=PATIENCE_S)  # type: ignore[misc]
            assert plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
        assert ended(plane, id)["status"]["phase"] == phase
        wait_until(lambda mark=mark: not alive(f"sleep {mark}"), seconds=PATIENCE_S)  # type: ignore[misc]


def test_one_that_waits_at_ray_is_cancelled_and_never_begins(
    plane: Plane, ray: rays.Cluster, tmp_path: pathlib.Path
) -> None:
    """Ray does not end a job that waits for room; it is over for us at once, and does not begin when there is room."""
    hog = {"entrypoint": "sleep 600", "entrypoint_num_gpus": 1, "entrypoint_num_cpus": 0.001}
    begun = tmp_path / "begun"
    status, body = ray.request("POST", "/api/jobs/", hog)
    assert status == 200
    name = json.loads(body)["submission_id"]
    try:
        id = submit(plane, "waits", f"touch {begun}", resources={"accelerators": {"anyOf": ["H100"]}})
        until_phase(plane, id, "STARTING")  # sent before Ray told that the GPU is taken
        assert plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
        assert ended(plane, id)["status"]["phase"] == "CANCELLED"
        assert [one["status"] for one in submissions(ray, id)] == ["PENDING"]
    finally:
        ray.request("POST", f"/api/jobs/{name}/stop")
    wait_until(lambda: all(one["status"] in ("STOPPED", "FAILED") for one in submissions(ray, id)), seconds=PATIENCE_S)
    assert not begun.exists()


def test_codes_signals_and_times_are_told_as_they_are(plane: Plane) -> None:
    """An exit code, a signal, a deadline and a command that is not there each have their own word."""
    cases = {
        "code": (submit(plane, "code", "exit 7"), "ExitCode", 7, None),
        "signal": (submit(plane, "signal", "kill -SEGV $$"), "Signal", None, 11),
        "output": (submit(plane, "output", "true", outputs=[{"path": "no.such"}]), "OutputMissing", 0, None),
    }
    cases["command"] = (str(plane.submit(job("command", "no-such-command")).json["id"]), "StartFailed", 127, None)
    for id, reason, code, signal in cases.values():
        done = ended(plane, id)
        attempt = done["status"]["attempts"][0]
        assert (done["status"]["phase"], attempt["reason"]) == ("FAILED", reason), done
        assert (attempt.get("exitCode"), attempt.get("signal")) == (code, signal)


def test_huge_and_binary_logs_stop_nothing(plane: Plane) -> None:
    """Bytes that are no text come as they are, and what is over the bound is cut while the job goes on."""
    id = submit(plane, "binary", r"printf 'a\377\000b\n'; head -c 30000000 /dev/zero; echo; exit 0")
    assert ended(plane, id)["status"]["phase"] == "SUCCEEDED"
    text, cursor = b"", ""
    for _ in range(200):
        found = plane.call("GET", f"/v1/jobs/{id}/logs?cursor={cursor}").json
        text += b"".join(base64.b64decode(one["data"]) for one in found["chunks"])
        cursor = found["cursor"]
        if found["ended"]:
            break
    assert text.startswith(b"a\xff\x00b\n")
    assert text.endswith(b"comity: the log is cut here, at 16777216 bytes\n")


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
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
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
    between, plane = Between(ray.dashboard), make_plane(tmp_path, ray.token)
    reached = threading.Event()

    def hook(now: str, verb: str, where: str) -> bool:
        if (now, verb) == (moment, method) and re.match(path, where) and not reached.is_set():
            reached.set()
            plane.end()
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
        assert reached.wait(60)
        wait_until(lambda: not plane.alive(), seconds=PATIENCE_S)
        plane.start()
        done = ended(plane, id)
        assert (done["status"]["phase"], len(done["status"]["attempts"])) == ("SUCCEEDED", 1), done
        assert [one["submission_id"] for one in submissions(ray, id)] == [f"{id.lower()}-1"]
        assert marker.read_text() == "x\n"
    finally:
        plane.close()
        between.shutdown()
        between.server_close()


def test_a_wrong_token_and_none_are_told_in_one_line(ray: rays.Cluster, tmp_path: pathlib.Path) -> None:
    """The operator reads what is wrong and what to do, never the token, and nothing is placed there."""
    plane = make_plane(tmp_path, "no-such-token")
    try:
        for settings, code in (({}, "ray.token-refused"), ({"token": None}, "ray.token-missing")):
            assert plane.put(declared(ray.url, **settings)).status in (200, 201)
            said = wait_until(
                lambda code=code: (
                    code in (out := plane.shell.run("comity backend check ray")).stderr + out.stdout and out
                )
            )  # type: ignore[misc]
            text = said.stdout + said.stderr
            assert "settings.token" in text
            assert "no-such-token" not in text
            assert "Traceback" not in text
        id = submit(plane, "nowhere", "true")
        until_phase(plane, id, "QUEUED")
        assert submissions(ray, id) == []
    finally:
        plane.close()


def test_a_black_hole_hurts_only_its_own_jobs(tmp_path: pathlib.Path) -> None:
    """A head that takes connections and never answers: the machine beside it runs what is its own."""
    plane = make_plane(tmp_path, "token", local=True)
    with socket.create_server(("127.0.0.1", 0)) as hole:
        try:
            url = f"http://127.0.0.1:{hole.getsockname()[1]}"
            assert plane.put(declared(url)).status in (200, 201)
            ids = [submit(plane, f"l{number}", "true") for number in range(10)]
            for id in ids:
                done = ended(plane, id)
                assert done["status"]["phase"] == "SUCCEEDED"
                assert done["status"]["attempts"][0]["site"].startswith("local/")
        finally:
            plane.close()


def test_answers_that_make_no_sense_stop_nothing(tmp_path: pathlib.Path) -> None:
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
    plane = make_plane(tmp_path, "token", local=True)
    try:
        assert plane.put(declared(f"http://127.0.0.1:{head.server_address[1]}")).status in (200, 201)
        wait_until(lambda: Nonsense.turn > 5, seconds=PATIENCE_S)
        assert ended(plane, submit(plane, "own", "true"))["status"]["phase"] == "SUCCEEDED"
        assert "Traceback" not in plane.log
    finally:
        plane.close()
        head.shutdown()
        head.server_close()
