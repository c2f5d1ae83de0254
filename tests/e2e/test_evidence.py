"""From a real job to a bundle that a machine without a network checks; journals that somebody rewrote; witnesses."""

import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import pytest

from orchestrator.evidence import chain
from tests.e2e import servers
from tests.golden.bundles import samples


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Process]:
    """Give a control plane on which one job ran."""
    made = servers.Process(tmp_path_factory.mktemp("evidence") / "state").wait_until_it_listens()
    try:
        servers.here(made, runTime="10ms")
        _, job = made.request("POST", "/v1/jobs", servers.job("proof", command=["secret-word"]))
        made.until(f"/v1/jobs/{job['id']}", servers.ended)
        yield made
    finally:
        made.stop()


class Desk:
    """Somebody's folder, from which ``comity`` is run."""

    def __init__(self, folder: pathlib.Path, server: servers.Process | None = None) -> None:
        self.folder = folder
        kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_COLOR": "1", "COMITY_STATE_DIR": str(folder / "s")}
        if server is not None:
            kept |= {"COMITY_SERVER": f"http://{server.host}", "COMITY_TOKEN": server.token}
        self.environment = kept

    def run(
        self, *arguments: str, before: tuple[str, ...] = (), isolated: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line."""
        command = [*before, sys.executable, *(["-I"] if isolated else []), "-m", "orchestrator.cli", *arguments]
        environment = self.environment if isolated else self.environment | {"PYTHONPATH": str(pathlib.Path.cwd())}
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    def ok(self, *arguments: str) -> str:
        """Run a command line that must succeed; return its stdout."""
        ran = self.run(*arguments)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
def files(server: servers.Process, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Give a folder with the bundle, the log's key and a kept head."""
    made = Desk(tmp_path_factory.mktemp("desk"), server)
    (made.folder / "kept.note").write_text(made.ok("log", "checkpoint", "--note"))
    made.ok("evidence", "proof", "-o", "proof.json", "--against", "kept.note")
    (made.folder / "head.json").write_text(made.ok("log", "checkpoint", "-o", "json"))
    (made.folder / "log.pub").write_text(json.loads((made.folder / "head.json").read_text())["key"])
    return made.folder


@pytest.fixture
def desk(server: servers.Process, files: pathlib.Path, tmp_path: pathlib.Path) -> Desk:
    """Give a copy of that folder."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    return Desk(tmp_path, server)


def test_a_bundle_is_checked_without_a_network(desk: Desk, tmp_path: pathlib.Path) -> None:
    """In a network namespace without interfaces, from an isolated interpreter with an empty environment."""
    unshare = shutil.which("unshare")
    offline = (unshare, "-rn") if unshare else ()
    if not unshare or subprocess.run([*offline, "true"], capture_output=True, check=False).returncode:
        if os.environ.get("COMITY_E2E") == "required":
            pytest.fail("network namespaces are not permitted here")
        pytest.skip("network namespaces are not permitted here: the check ran with a network elsewhere")
    there = Desk(tmp_path / "elsewhere")
    there.folder.mkdir()
    for name in ("proof.json", "log.pub", "kept.note"):
        shutil.copy(tmp_path / name, there.folder / name)
    alone = subprocess.run(
        [*offline, sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 1))"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "unreachable" in alone.stderr.lower(), alone.stderr
    arguments = ("verify", "proof.json", "--trust", "log.pub", "--against", "kept.note")
    ran = there.run(*arguments, before=offline, isolated=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.rstrip().endswith("verified")
    page = there.run(*arguments, "--report", before=offline, isolated=True)
    assert "What is NOT proved" in page.stdout


def test_the_exit_code_is_the_answer(desk: Desk, tmp_path: pathlib.Path) -> None:
    """0 verified, 3 signer unknown, 1 wrong and named, 2 usage; as data too."""
    assert desk.run("verify", "proof.json", "--trust", "log.pub").returncode == 0
    unknown = desk.run("verify", "proof.json")
    assert (unknown.returncode, unknown.stdout.splitlines()[-1][:26]) == (3, "consistent, signer unknown")
    assert desk.run("verify", "proof.json", "--trust", "nonsense").returncode == 2
    assert desk.run("verify", "nowhere.json").returncode == 1
    value = json.loads((tmp_path / "proof.json").read_text())
    value["statements"][0]["disclosures"][0]["value"][0]["allowed"] = False
    (tmp_path / "forged.json").write_text(json.dumps(value))
    forged = desk.run("verify", "forged.json", "--trust", "log.pub", "-o", "json")
    assert forged.returncode == 1
    assert json.loads(forged.stdout)["answers"]["signature"]["answer"] == "bad"
    assert "candidates is not what was committed to" in forged.stderr
    (tmp_path / "torn.json").write_bytes((tmp_path / "proof.json").read_bytes()[:1000])
    torn = desk.run("verify", "torn.json")
    assert (torn.returncode, "not JSON" in torn.stderr, "Traceback" in torn.stderr) == (1, True, False)


def test_another_log_does_not_pass_for_this_one(desk: Desk, tmp_path: pathlib.Path) -> None:
    """A kept head of another log is not consistent with this bundle."""
    (tmp_path / "other.note").write_text(samples.sample().kept)
    ran = desk.run("verify", "proof.json", "--trust", "log.pub", "--against", "other.note")
    assert ran.returncode == 1
    assert "the checkpoint kept is of" in ran.stderr


def test_a_server_that_forgets_is_shouted_about(desk: Desk, server: servers.Process, tmp_path: pathlib.Path) -> None:
    """A client that remembers another history of this server exits 1 and keeps both heads."""
    (known,) = (tmp_path / "s" / "known-logs").glob("*.json")
    body = json.loads(known.read_text())
    log = samples.sample()
    known.write_text(json.dumps({**body, "note": log.kept, "key": log.first}))
    ran = desk.run("log", "checkpoint")
    assert ran.returncode == 1
    assert "FORKED LOG" in ran.stderr
    (fork,) = (tmp_path / "s" / "forks").iterdir()
    assert log.kept in fork.read_text()


def test_a_witness_elsewhere_cosigns(desk: Desk, tmp_path: pathlib.Path) -> None:
    """From a file, on a machine without a server; the verifier shows it, and counts only a witness that was named."""
    made = ("witness", "w", "--trust", "log.pub", "--head", "head.json", "-o", "c.note")
    first = desk.run(*made, "--name", "witness.example/1")
    assert first.returncode == 0, first.stderr
    desk.ok("evidence", "proof", "-o", "again.json", "--against", "c.note")
    shown = desk.ok("verify", "again.json", "--trust", "log.pub", "--against", "c.note", "--witness", "w/witness.pub")
    assert "witness.example/1" in shown
    (tmp_path / "c.note").write_text((tmp_path / "c.note").read_text().replace("\n\n", "\n", 1))
    assert desk.run("verify", "again.json", "--trust", "log.pub", "--against", "c.note").returncode == 2
    forged = json.loads((tmp_path / "head.json").read_text())
    forged["note"] = samples.sample().kept
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    refused = desk.run("witness", "w", "--trust", "log.pub", "--head", "forged.json")
    assert (refused.returncode, refused.stdout) == (1, "")


def test_a_rewritten_database_is_named_by_what_was_kept(
    server: servers.Process, desk: Desk, tmp_path: pathlib.Path
) -> None:
    """An insider changes an entry, and then makes every link after it again: the chain names the first, the kept
    heads the second, between which entries it lies."""
    state = tmp_path / "copy"
    state.mkdir()
    source = sqlite3.connect(server.state / "comity.db")
    copy = sqlite3.connect(state / "comity.db")
    source.backup(copy)
    source.close()
    shutil.copy(server.state / "tables.key", state)
    assert "every link holds" in desk.ok("log", "verify", "--state", str(state), "--against", "kept.note")
    copy.execute("update journal set actor = 'nobody' where seq = 3")
    copy.commit()
    broken = desk.run("log", "verify", "--state", str(state))
    assert (broken.returncode, "entry 3 of" in broken.stderr) == (1, True)
    _links_again(copy)
    copy.close()
    unproven = desk.run("log", "verify", "--state", str(state))
    assert (unproven.returncode, "every link holds" in unproven.stdout) == (1, False), unproven.stderr
    assert "without this installation's key" in unproven.stderr
    caught = desk.run("log", "verify", "--state", str(state), "--against", "kept.note")
    assert caught.returncode == 1
    assert "are not those that were signed" in caught.stderr


def _links_again(database: sqlite3.Connection) -> None:
    """Make the chain whole again, as somebody with the database can."""
    link = chain.GENESIS
    query = "select seq, kind, subject, tenant, at, actor, body from journal order by seq"
    for seq, kind, subject, tenant, at, actor, body in database.execute(query).fetchall():
        previous, link = link, chain.link(link, chain.record_bytes(kind, subject, tenant, at, actor, body))
        database.execute("update journal set prev = ?, hash = ? where seq = ?", (previous, link, seq))
    database.execute("update state set head_hash = ?", (link,))
    database.commit()


def test_a_rotation_survives_a_restart(tmp_path: pathlib.Path) -> None:
    """After a rotation the server signs with the new key, before and after a restart; the log keeps its name."""
    first = servers.Process(tmp_path / "state").wait_until_it_listens()
    desk = Desk(tmp_path, first)
    before = json.loads(desk.ok("log", "checkpoint", "-o", "json"))
    key = desk.ok("log", "rotate-key").strip()
    assert key != before["key"]
    assert first.stop() == 0
    again = servers.Process(tmp_path / "state").wait_until_it_listens()
    try:
        desk = Desk(tmp_path, again)
        after = json.loads(desk.ok("log", "checkpoint", "-o", "json"))
        assert (after["key"], after["firstKey"], after["origin"]) == (key, before["key"], before["origin"])
        assert "signed heads agree" in desk.ok("log", "verify", "--state", str(tmp_path / "state"))
    finally:
        again.stop()
