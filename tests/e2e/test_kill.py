"""A real server is killed with SIGKILL, again and again, while people submit and cancel: nothing lost, nothing doubled.

Every job appends a line to a file of its own outside the state folder, so what ran is counted without asking the
server. ``COMITY_TEST_SEED`` repeats the choices of a run; ``COMITY_TEST_SIZE=full`` kills a thousand times.
"""

import collections
import contextlib
import dataclasses
import os
import pathlib
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e._planes import Answer, Plane, backend, job, processes_with, wait_until

KILLS = int(os.environ.get("COMITY_TEST_KILLS") or (1000 if os.environ.get("COMITY_TEST_SIZE") == "full" else 200))
SUBMITTERS = 3
PER_KILL = 3
"""New jobs between two kills, so that the queue does not outgrow what two cores can run."""
COLD_EVERY = 20
"""Every so many starts are of the whole command line; the others fork an interpreter that has imported it."""
DRAIN_S = 900.0
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")
APPEND = 'echo "$COMITY_JOB_ID $COMITY_ATTEMPT" >> "$0"'


@dataclasses.dataclass
class Sent:
    """A job that was acknowledged, and what must become of it."""

    key: str
    id: str
    phase: str
    lines: dict[str, int]
    """File of the ledger -> how many lines."""
    reason: str | None = None
    output: str | None = None
    cancelled: bool = False
    size: int = 0


@pytest.fixture
def ledger() -> Iterator[pathlib.Path]:
    """Give a folder that a job's user may write in: where jobs are isolated, not below a temporary folder."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="comity-ledger-", dir="/run" if os.geteuid() == 0 else None))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def plane(tmp_path: pathlib.Path) -> Iterator[Plane]:
    """Give a control plane with two places on this machine, not started."""
    found = Plane(tmp_path)
    found.init()
    folder = found.shell.folder / "comity.d"
    (folder / "3-backend-local.yaml").unlink()
    for name, price in (("one", "1.00 EUR"), ("two", "1.10 EUR")):
        pools = [{"name": "p", "cpus": 6, "pricePerHour": price}]
        text = repr(backend(name, settings={"overcommit": True}, pools=pools))
        (folder / f"4-{name}.yaml").write_text(text.replace("True", "true"))
    yield found
    found.close()


@pytest.fixture
def seed() -> int:
    """Give the seed of this run, and print it when the test fails (output of what passes is not shown)."""
    found = int(os.environ.get("COMITY_TEST_SEED") or random.SystemRandom().randrange(10**9))
    print(f"COMITY_TEST_SEED={found}")
    return found


class Crowd:
    """People who submit and cancel, and try again with the same key until they are answered."""

    def __init__(self, plane: Plane, ledger: pathlib.Path, seed: int) -> None:
        self.plane = plane
        self.ledger = ledger
        self.sent: list[Sent] = []
        self.wrong: list[str] = []
        self.done = threading.Event()
        self.permits = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed}-{number}"), number), daemon=True)
            for number in range(SUBMITTERS)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Let everybody get the answer to what was begun; a server must run."""
        self.done.set()
        self.permits.release(SUBMITTERS)
        for thread in self._threads:
            thread.join(180)
            assert not thread.is_alive(), "somebody never got an answer"

    def _run(self, choice: random.Random, number: int) -> None:
        try:
            for count in range(10**6):
                self.permits.acquire()
                if self.done.is_set():
                    return
                self._one(choice, f"{number}-{count}")
        except Exception as error:  # noqa: BLE001 -- told by the main thread
            self.wrong.append(f"{type(error).__name__}: {error}")

    def _one(self, choice: random.Random, key: str) -> None:
        path = str(self.ledger / key)
        kind = choice.choices(
            ("plain", "slow", "fails", "again", "output", "missing", "cancel", "array", "gang"),
            (8, 3, 1, 1, 2, 1, 3, 2, 1),
        )[0]
        more: dict[str, Any] = {}
        text, phase, lines, reason, output, size = APPEND, "SUCCEEDED", {key: 1}, None, None, 0
        match kind:
            case "slow":
                text += f"; sleep 0.{choice.randrange(1, 9)}"
            case "fails":
                text, phase = f"{text}; exit 3", "FAILED"
            case "again":
                text, phase, lines = f"{text}; exit 3", "FAILED", {key: 2}
                more = {"retry": {"attempts": 2, "on": ["exitCode"]}}
            case "output":
                text, output = f"{text}; echo {key} > out.txt", "out.txt"
                more = {"outputs": [{"path": "out.txt"}]}
            case "missing":
                phase, reason = "FAILED", "OutputMissing"
                more = {"outputs": [{"path": "none.txt"}]}
            case "cancel":
                text, phase, lines = f"{text}; exec sleep 600", "CANCELLED", {}
            case "array":
                size = 4
                text = text.replace('"$0"', '"$0-$COMITY_ARRAY_INDEX"')
                more, lines = {"array": {"size": 4, "parallel": 2}}, {f"{key}-{index}": 1 for index in range(4)}
            case "gang":
                text = text.replace('"$0"', '"$0-$COMITY_NODE_RANK"')
                more, lines = {"nodes": 2}, {f"{key}-{rank}": 1 for rank in range(2)}
        given = job(kind, "sh", "-c", text, path, resources={"cpus": "500m"}, **more)
        answer = self._until_answered(lambda: self.plane.submit(given, key))
        assert answer.status == 202, (kind, answer)
        found = Sent(key, answer.json["id"], phase, lines, reason, output, kind == "cancel", size)
        self.sent.append(found)
        if choice.random() < 0.2:
            again = self._until_answered(lambda: self.plane.submit(given, key))
            assert again.json["id"] == found.id, f"key {key}: {found.id}, then {again.json['id']}"
        if found.cancelled:
            self.done.wait(choice.random() * 0.5)
            answer = self._until_answered(lambda: self.plane.call("POST", f"/v1/jobs/{found.id}:cancel"))
            assert answer.status in (200, 202), answer

    def _until_answered(self, send: Any) -> Answer:
        """Repeat until there is an answer that is not about the server's health."""

        def tried() -> Answer | None:
            with contextlib.suppress(OSError):
                found: Answer = send()
                return found if found.status and found.status < 500 else None
            return None

        return wait_until(tried, every=0.02, what="an answer")


def test_nothing_is_lost_and_nothing_is_doubled(plane: Plane, ledger: pathlib.Path, seed: int) -> None:
    """Every acknowledged job ends as it must and ran as often as it must, however often the server is killed."""
    choice = random.Random(seed)
    crowd = Crowd(plane, ledger, seed)
    plane.start(warm=True)
    crowd.start()
    for number in range(KILLS):
        crowd.permits.release(PER_KILL)
        pause, early = choice.random() * 0.3, number % 8 == 7
        plane.end(signal.SIGKILL)
        plane.spawn(warm=number % COLD_EVERY != COLD_EVERY - 1)
        if not early:  # one of eight dies while it starts
            plane.wait_ready()
        crowd.done.wait(pause)
        assert not crowd.wrong, crowd.wrong
    plane.end(signal.SIGKILL)
    plane.start(warm=True)
    crowd.finish()
    assert not crowd.wrong, crowd.wrong
    jobs = _drained(plane)

    sent = {one.id: one for one in crowd.sent}
    assert len(sent) == len(crowd.sent), "one id stands for two keys"
    assert set(jobs) == set(sent), "a job was lost, or there is one that nobody sent"
    assert len(sent) >= KILLS, "too little was asked"
    wrong = [problem for one in crowd.sent for problem in _problems(plane, ledger, one, jobs[one.id])]
    assert not wrong, "\n".join(wrong[:20])
    known = {name for one in crowd.sent for name in one.lines} | {one.key for one in crowd.sent if one.cancelled}
    assert {path.name for path in ledger.iterdir()} <= known, "something ran that nobody asked for"

    wait_until(lambda: not processes_with(str(ledger)), what=f"an end of {processes_with(str(ledger))}")
    assert "Traceback" not in plane.log, plane.log[-3000:]
    plane.end(signal.SIGTERM)
    wait_until(lambda: not processes_with(str(plane.state)), what=f"an end of {processes_with(str(plane.state))}")
    ran = plane.shell.run("comity log verify")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _drained(plane: Plane) -> dict[str, dict[str, Any]]:
    """Return every job, once all have ended."""

    def idle() -> bool:
        live = plane.call("GET", "/v1/jobs?filter=phase=QUEUED,PLACED,STARTING,RUNNING,STOPPING&limit=5")
        return live.status == 200 and not live.json["items"]

    wait_until(idle, seconds=DRAIN_S, every=0.2, what="the end of every job")
    found: dict[str, dict[str, Any]] = {}
    cursor = ""
    for _ in range(1000):
        page = plane.call("GET", f"/v1/jobs?limit=500{cursor}").json
        found |= {one["metadata"]["id"]: one for one in page["items"]}
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    return found


def _problems(plane: Plane, ledger: pathlib.Path, sent: Sent, found: dict[str, Any]) -> Iterator[str]:
    """Yield what is not as it must be with one job."""
    status, name = found["status"], f"{found['metadata']['name']} {sent.key} {sent.id}"
    if status["phase"] != sent.phase:
        yield f"{name}: {status['phase']} instead of {sent.phase}: {status}"
    if sent.reason and status["reason"] != sent.reason:
        yield f"{name}: {status['reason']} instead of {sent.reason}"
    if sent.cancelled:
        lines = _lines(ledger / sent.key)
        if len(lines) > 1:
            yield f"{name}: ran {len(lines)} times"
        return
    for file, wanted in sent.lines.items():
        lines = _lines(ledger / file)
        doubled = [line for line, count in collections.Counter(lines).items() if count > 1]
        if len(lines) != wanted or doubled:
            yield f"{name}: {file} holds {lines}, not {wanted} different lines"
        if not all(line.startswith(sent.id) for line in lines):
            yield f"{name}: {file} holds lines of another job: {lines}"
    numbers = [one["number"] for one in status["attempts"]]
    if not sent.size and numbers != list(range(1, len(numbers) + 1)):
        yield f"{name}: attempts {numbers}"
    if sent.output:
        answer = plane.call("GET", f"/v1/jobs/{sent.id}/outputs/{sent.output}")
        if answer.status != 200 or answer.body != f"{sent.key}\n".encode():
            yield f"{name}: its output is {answer}"


def _lines(path: pathlib.Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _runner_of(plane: Plane, id: str) -> int:
    """Return the pid of the outermost process of a job."""

    def find() -> int:
        found = processes_with(f"{id.lower()}-")
        return min(int(line.split()[0]) for line in found) if found else 0

    return int(wait_until(find, what=f"a runner of {id}"))


def test_a_lost_attempt_is_tried_again_only_if_the_job_says_so(plane: Plane, ledger: pathlib.Path) -> None:
    """A runner that dies leaves an attempt that is lost: retried for ``backendLost``, the end of the job otherwise."""
    plane.start(warm=True)
    text = f'{APPEND}; test "$COMITY_ATTEMPT" = 2 || exec sleep 600'
    retried = {"retry": {"attempts": 2, "on": ["backendLost"]}}
    ids = []
    for name, more in (("again", retried), ("never", {"retry": {"attempts": 2, "on": ["exitCode"]}}), ("once", {})):
        given = job(name, "sh", "-c", text, str(ledger / name), **more)
        ids.append(plane.submit(given).json["id"])
        wait_until(lambda name=name: _lines(ledger / name), what=f"the start of {name}")
    victims = [_runner_of(plane, id) for id in ids]
    plane.end(signal.SIGKILL)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes_with(str(ledger)), what="the death of what the runners ran")
    plane.start(warm=True)
    again, never, once = (plane.ended(id) for id in ids)
    assert again["status"]["phase"] == "SUCCEEDED", again
    assert [one["number"] for one in again["status"]["attempts"]] == [1, 2]
    assert len(_lines(ledger / "again")) == 2
    for found, name in ((never, "never"), (once, "once")):
        assert found["status"]["phase"] == "FAILED", found
        assert len(_lines(ledger / name)) == 1


def test_a_cancel_that_was_acknowledged_holds(plane: Plane, ledger: pathlib.Path) -> None:
    """A server killed at once after the answer to a cancel ends the job when it is back, and nothing of it lives."""
    plane.start(warm=True)
    path = str(ledger / "line")
    given = job("tree", "sh", "-c", f"{APPEND}; setsid sh -c 'sleep 600; true' {path} & sleep 600 & wait", path)
    found = plane.submit(given).json["id"]
    wait_until(lambda: _lines(ledger / "line"), what="the start")
    assert plane.call("POST", f"/v1/jobs/{found}:cancel").status == 202
    plane.end(signal.SIGKILL)
    plane.start(warm=True)
    assert plane.ended(found)["status"]["phase"] == "CANCELLED"
    assert len(_lines(ledger / "line")) == 1
    wait_until(lambda: not processes_with(str(ledger)), what="the end of its processes")


def test_a_job_that_ends_while_nobody_looks_is_adopted(plane: Plane, ledger: pathlib.Path) -> None:
    """What a job did while no server ran is known to the next one: its outcome, its times, its log, its output."""
    plane.start(warm=True)
    path = str(ledger / "line")
    text = f'{APPEND}; while test ! -e "$0-go"; do sleep 0.05; done; echo said; echo made > out.txt; exit 0'
    found = plane.submit(job("alone", "sh", "-c", text, path, outputs=[{"path": "out.txt"}])).json["id"]
    wait_until(lambda: _lines(ledger / "line"), what="the start")
    plane.end(signal.SIGKILL)
    (ledger / "line-go").touch()
    wait_until(lambda: not processes_with(str(ledger)), what="its end")
    plane.start(warm=True)
    status = plane.ended(found)["status"]
    assert (status["phase"], status["exitCode"], len(status["attempts"])) == ("SUCCEEDED", 0, 1)
    assert plane.call("GET", f"/v1/jobs/{found}/logs", headers={"Accept": "*/*"}).body == b"said\n"
    assert plane.call("GET", f"/v1/jobs/{found}/outputs/out.txt").body == b"made\n"
    assert len(_lines(ledger / "line")) == 1


def test_a_deadline_goes_on_while_nobody_looks(plane: Plane, ledger: pathlib.Path) -> None:
    """A job does not outlive its deadline because the server was dead."""
    plane.start(warm=True)
    path = str(ledger / "line")
    given = job("late", "sh", "-c", f"{APPEND}; exec sleep 600", path, limits={"deadline": "12s"})
    found = plane.submit(given).json["id"]
    begun = time.monotonic()
    wait_until(lambda: _lines(ledger / "line"), what="the start")
    plane.end(signal.SIGKILL)
    wait_until(lambda: time.monotonic() - begun > 12.5)
    plane.start(warm=True)
    status = plane.ended(found)["status"]
    assert (status["phase"], status["reason"]) == ("FAILED", "DeadlineExceeded"), status
    wait_until(lambda: not processes_with(str(ledger)), what="its end")
