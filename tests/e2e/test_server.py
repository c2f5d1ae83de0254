"""A real server process: submit to outcome, power cuts, one server a folder, tokens, full disks, bad databases."""

import concurrent.futures
import json
import os
import pathlib
import socket
import stat
import sys
from collections.abc import Callable, Iterator

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import servers

Start = Callable[..., servers.Process]


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Start]:
    """Start servers that end with the test."""
    running: list[servers.Process] = []

    def go(state: str = "state", *arguments: str) -> servers.Process:
        running.append(servers.Process(tmp_path / state, *arguments, cwd=tmp_path))
        return running[-1]

    yield go
    for one in running:
        if one.process.poll() is None:
            one.kill()
        assert one.process.stderr is not None
        one.process.wait()
        one.process.stderr.close()


def test_the_whole_road_and_a_power_cut(start: Start) -> None:
    """From POST to outcome, with logs and reasons; after kill -9 all is there, and the same key is the same job."""
    server = start().wait_until_it_listens()
    servers.here(server, runTime="0s")
    status, made = server.request("POST", "/v1/jobs", servers.job(), headers={"Idempotency-Key": "k"})
    assert status == 202
    done = server.until(f"/v1/jobs/{made['id']}", servers.ended)
    assert (done["status"]["phase"], done["status"]["exitCode"]) == ("SUCCEEDED", 0)
    assert server.request("GET", f"/v1/jobs/{made['id']}/logs")[1]
    assert server.request("POST", f"/v1/jobs/{made['id']}:explain")[1]["of"] == "decision"
    token = server.token
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        acknowledged: list[str] = []

        def submit(number: int) -> None:
            try:
                status, body = server.request("POST", "/v1/jobs", servers.job(f"n{number}"))
                if status == 202:
                    acknowledged.append(body["id"])
            except OSError:
                pass

        for number in range(200):
            pool.submit(submit, number)
            if number == 100:
                server.kill()
    again = start().wait_until_it_listens()
    assert again.token == token
    assert again.request("GET", f"/v1/jobs/{made['id']}")[1]["status"]["phase"] == "SUCCEEDED"
    assert again.request("POST", "/v1/jobs", servers.job(), headers={"Idempotency-Key": "k"})[1]["id"] == made["id"]
    for id in acknowledged:
        assert again.request("GET", f"/v1/jobs/{id}")[0] == 200
    assert again.request("POST", "/v1/log:verify")[1]["ok"] is True
    for id in acknowledged[-3:]:
        again.until(f"/v1/jobs/{id}", servers.ended)
    assert again.stop() == 0


def test_distances_are_judged_and_ended_jobs_forgotten_as_told(start: Start, tmp_path: pathlib.Path) -> None:
    """A limit on the round-trip time lets near sites through and no unknown ones; a file of the house is believed."""
    (tmp_path / "d.yaml").write_text("as_of: 2026-10-01\nsource: probes\nms: {BG: {FR: 12}, DE: {FR: 80}}\n")
    server = start("state", "--distances", "d.yaml", "--forget-after", "never").wait_until_it_listens()
    servers.here(server)
    found = {}
    for origin, limit in (("IT", 26), ("IT", 25), ("BG", 12), ("DE", 79), ("FJ", 300)):
        asked = servers.job(latencyFrom=origin, limits={"rttMs": limit})
        (site,) = (
            server.until("/v1/sites", lambda body: body["items"])
            and server.request("POST", "/v1/plans", asked)[1]["sites"]
        )
        found[origin, limit] = [one["code"] for one in site["reasons"] if one["code"].startswith("limits")]
    assert found == {
        ("IT", 26): [],
        ("IT", 25): ["limits.rtt"],
        ("BG", 12): [],
        ("DE", 79): ["limits.rtt"],
        ("FJ", 300): ["limits.rtt.unknown"],
    }


def test_a_foreign_price_needs_a_rate_of_these_days(start: Start, tmp_path: pathlib.Path) -> None:
    """Without a file it is refused, with one it is compared and the answer names the rate; after a week it is none."""
    (tmp_path / "r.yaml").write_text("as_of: 2030-01-01\nsource: a bank\nbase: EUR\nrates: {USD: 1.25}\n")
    found = {}
    for state, more in (("none", ()), ("new", ("--rates", "r.yaml"))):
        server = start(state, *more).wait_until_it_listens()
        servers.here(server)
        priced = server.request("GET", "/v1/backends/here")[1]
        priced = {key: priced[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "here"}}
        priced["spec"]["pools"] = [{"name": "p", "pricePerHour": "2 USD"}]
        assert server.request("PUT", "/v1/backends/here", priced)[0] == 200
        server.until("/v1/sites", lambda body: body["items"])
        asked = servers.job(limits={"pricePerHour": "1.60 EUR"})
        for day in ("2030-01-08", "2030-01-09"):
            (site,) = server.request("POST", f"/v1/plans?at={day}", asked)[1]["sites"]
            price = [one for one in site["reasons"] if "price" in one["code"]]
            found[state, day] = [(one["code"], [fact["source"] for fact in one["facts"]][-1]) for one in price]
    assert found == {
        ("none", "2030-01-08"): [("limits.price.unknown-currency", None)],
        ("none", "2030-01-09"): [("limits.price.unknown-currency", None)],
        ("new", "2030-01-08"): [("caveat.price-converted", "a bank")],
        ("new", "2030-01-09"): [("limits.price.unknown-currency", None)],
    }


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--rates", "bad.yaml"), 1, "bad.yaml:1: as_of: is not a date (write YYYY-MM-DD)"),
        (("--distances", "bad.yaml"), 1, "bad.yaml:1: as_of: is not a date (write YYYY-MM-DD)"),
        (("--distances", "none.yaml"), 2, "--distances: none.yaml is not a file"),
        (("--forget-after", "soon"), 2, "write 30d, 12h or never"),
        (("--forget-after", "1s"), 2, "--forget-after: a minute at least, or never"),
    ],
)
def test_a_setting_that_is_wrong_is_one_sentence(
    start: Start, tmp_path: pathlib.Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    """The server does not start, and says which setting and what to do."""
    (tmp_path / "bad.yaml").write_text("as_of: soon\nsource: s\nms: {}\n")
    server = start("state", *arguments)
    assert server.process.wait(servers.START_S) == code
    server._listening.wait(servers.START_S)
    said = "".join(server.lines)
    assert told in said
    assert "Traceback" not in said


def test_one_server_a_folder(start: Start, tmp_path: pathlib.Path) -> None:
    """A second server on the folder exits 1 and names the first; when that one is gone it may start."""
    first = start().wait_until_it_listens()
    second = start()
    assert second.process.wait(servers.START_S) == 1
    second._listening.wait(servers.START_S)
    said = "".join(second.lines)
    assert f"process {first.process.pid}" in said
    assert f"http://{first.host}" in said
    assert "Traceback" not in said
    mode = stat.S_IMODE((tmp_path / "state").stat().st_mode)
    token = stat.S_IMODE((tmp_path / "state" / "admin.token").stat().st_mode)
    assert (mode, token) == (0o700, 0o600)
    assert first.stop() == 0


def test_tokens_work_and_end_at_once(start: Start) -> None:
    """A new token works with its roles and tenant, and not a moment after it was revoked."""
    server = start().wait_until_it_listens()
    wish = {"tenant": "t", "roles": ["submit"]}
    made = server.request("POST", "/v1/tokens", wish)[1]
    status, job = server.request("POST", "/v1/jobs", servers.job(), token=made["token"])
    assert (status, job["metadata"]["tenant"]) == (202, "t")
    assert server.request("GET", f"/v1/jobs/{job['id']}")[0] == 404
    assert server.request("GET", "/metrics", token=made["token"])[0] == 403
    assert server.request("DELETE", f"/v1/tokens/{made['id']}")[0] == 204
    assert server.request("GET", "/v1/jobs", token=made["token"])[0] == 401


def test_documents_of_the_folder_are_applied_and_a_bad_one_stops_nothing(start: Start, tmp_path: pathlib.Path) -> None:
    """What `comity.d` declares holds after the start; what is wrong is told with file and line."""
    folder = tmp_path / "declared"
    folder.mkdir()
    good = {"apiVersion": "comity.dev/v1", "kind": "Operator", "metadata": {"name": "o"}, "spec": {}}
    (folder / "a.json").write_text(json.dumps(good))
    (folder / "b.yaml").write_text(
        "apiVersion: comity.dev/v1\nkind: Operator\nmetadata: {name: p}\nspec: {country: FR}\n"
    )
    server = start("state", "--documents", str(folder)).wait_until_it_listens()
    assert server.request("GET", "/v1/operators/o")[0] == 200
    assert server.request("GET", "/v1/operators/p")[0] == 404
    assert any("b.yaml:4" in line for line in server.lines)


@pytest.mark.parametrize(
    "content", [b"this is no database at all, but long enough" * 100, b"SQLite format 3\x00" + b"x" * 5000]
)
def test_a_damaged_database_is_one_sentence(start: Start, tmp_path: pathlib.Path, content: bytes) -> None:
    """A file that cannot be the database ends the start with exit 1, what to do, and no traceback."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "comity.db").write_bytes(content)
    server = start()
    assert server.process.wait(servers.START_S) == 1
    server._listening.wait(servers.START_S)
    said = "".join(server.lines)
    assert "comity.db" in said
    assert "Traceback" not in said
    assert (state / "comity.db").read_bytes() == content


def test_a_taken_port_is_one_sentence(start: Start, tmp_path: pathlib.Path) -> None:
    """An address in use ends the start with exit 1 and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = start("state", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        assert server.process.wait(servers.START_S) == 1
    server._listening.wait(servers.START_S)
    assert "--listen" in "".join(server.lines)


def test_another_machine_is_kept_out_by_default(start: Start) -> None:
    """An address that others reach needs TLS, or the word that a proxy ends it."""
    server = start("state", "--listen", "0.0.0.0:0")
    assert server.process.wait(servers.START_S) == 2
    server._listening.wait(servers.START_S)
    assert "--insecure-behind-proxy" in "".join(server.lines)


def test_the_head_of_a_request_is_bounded(start: Start) -> None:
    """Headers that never end are cut off, and others are served meanwhile."""
    server = start().wait_until_it_listens()
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-A: ")
        answer = b""
        try:
            for _ in range(64):
                connection.sendall(b"a" * 16_384)
            answer = connection.recv(100)
        except OSError:
            answer = b"HTTP/1.1 400 "
    assert answer == b"" or b" 400 " in answer
    assert server.request("GET", "/readyz")[0] == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a small file system")
def test_a_full_disk_refuses_submissions_and_nothing_else(start: Start, tmp_path: pathlib.Path) -> None:
    """On a full disk a submission is 507; reads and cancels work; with room again so do submissions."""
    import subprocess

    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "none", str(state)], check=False)
    if mounted.returncode != 0:
        pytest.skip("no right to mount")
    try:
        server = start().wait_until_it_listens()
        id = server.request("POST", "/v1/jobs", servers.job())[1]["id"]
        fill = state / "fill"
        try:
            with fill.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 65_536)
        except OSError:
            pass
        statuses = [server.request("POST", "/v1/jobs", servers.job(env={"A": "x" * 100_000}))[0] for _ in range(20)]
        assert 507 in statuses
        assert set(statuses) <= {202, 507}
        assert server.request("GET", f"/v1/jobs/{id}")[0] == 200
        assert server.request("POST", f"/v1/jobs/{id}:cancel")[0] == 202
        fill.unlink()
        assert server.request("POST", "/v1/jobs", servers.job())[0] in (202, 507)
        server.stop()
    finally:
        subprocess.run(["umount", "-l", str(state)], check=False)
