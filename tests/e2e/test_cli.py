"""The command line against a real control plane: the ways people use it, and the codes they rely on."""

import json
import os
import pty
import re
import subprocess

import pytest

from tests.e2e.conftest import ROOT, Shell

ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


def _job(shell: Shell, name: str, spec: str) -> str:
    path = shell.folder / f"{name}.yaml"
    header = "apiVersion: comity.dev/v1\nkind: Job\n"
    path.write_text(f"{header}metadata: {{name: {name}}}\nspec: {spec}\n")
    return path.name


def test_hello_runs(plane: Shell) -> None:
    """The smallest job prints what it prints, on stdout and nothing else there."""
    ran = plane.run(f"comity submit -f {ROOT}/examples/hello.yaml --wait")
    assert ran.returncode == 0, ran.stderr
    first, second = ran.stdout.splitlines()
    assert ID.fullmatch(first)
    assert second == "hello"


def test_run_ends_like_the_job(plane: Shell) -> None:
    """``run`` ends with 1 where the job failed, and with the job's own code if asked."""
    assert plane.run("comity run --data none -- python -c 'raise SystemExit(7)'").returncode == 1
    assert plane.run("comity run --exit-code job --data none -- python -c 'raise SystemExit(7)'").returncode == 7


def test_signal_becomes_128_and_more(plane: Shell) -> None:
    """A job that a signal ended passes 128+n."""
    code = "import os; os.kill(os.getpid(), 9)"
    assert plane.run(f"comity run --exit-code job --data none -- python -c '{code}'").returncode == 137


def test_no_place_is_3(plane: Shell) -> None:
    """A job that no place may take is 3 for plan and for submit --wait, and stays queued."""
    file = _job(plane, "nowhere", "{command: ['true'], data: none, sovereignty: {countries: {allow: [CH]}}}")
    plan = plane.run(f"comity plan -f {file}")
    assert plan.returncode == 3
    assert "countries.FR" in plan.stdout
    ran = plane.run(f"comity submit -f {file} --wait")
    assert ran.returncode == 3
    assert json.loads(plane.run("comity get job nowhere -o json").stdout)["status"]["phase"] == "QUEUED"
    assert plane.run("comity cancel nowhere").returncode == 0


def test_same_key_is_one_job(plane: Shell) -> None:
    """The same idempotency key with the same document prints the same id."""
    file = _job(plane, "once", "{command: ['true'], data: none}")
    ids = {plane.run(f"comity submit -f {file} --idempotency-key k1").stdout for _ in range(2)}
    assert len(ids) == 1


def test_plan_digest_holds_a_submission_to_it(plane: Shell) -> None:
    """A submission held to a plan goes through while the decision is the same, and is 3 otherwise."""
    file = _job(plane, "held", "{command: ['true'], data: none}")
    digest = json.loads(plane.run(f"comity plan -f {file} -o json").stdout)["digest"]
    assert plane.run(f"comity submit -f {file} --plan {digest}").returncode == 0
    assert plane.run(f"comity submit -f {file} --plan 000000").returncode == 3


def test_outputs_are_copied(plane: Shell) -> None:
    """A file that a job left is listed and copied."""
    code = "open('a.txt', 'w').write('42')"
    assert plane.run(f'comity run --name copies --data none --out a.txt -- python -c "{code}"').returncode == 0
    assert plane.run("comity cp copies: -o name").stdout == "a.txt\n"
    assert plane.run("comity cp copies:a.txt -").stdout == "42"


def test_working_folder_travels(plane: Shell) -> None:
    """A folder is sent without what it ignores, and the job starts inside it."""
    folder = plane.folder / "project"
    folder.mkdir()
    (folder / "main.py").write_text("import os; print(sorted(os.listdir('.')))")
    (folder / "secret.log").write_text("x")
    (folder / ".gitignore").write_text("*.log\n")
    ran = plane.run("cd project && comity run --data none --workdir . -- python main.py")
    assert ran.returncode == 0, ran.stderr
    assert "main.py" in ran.stdout
    assert "secret.log" not in ran.stdout


def test_interrupt_detaches(plane: Shell) -> None:
    """Ctrl-C while following leaves the job running and says how to go on."""
    code = "import threading; print(1, flush=True); threading.Event().wait(60)"
    command = f"comity run --name detached --data none -- python -c '{code}'"
    process = subprocess.Popen(
        ["/bin/bash", "-c", f"exec {command}"],
        cwd=plane.folder,
        env=plane.environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.send_signal(2)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "detached" in err
    assert json.loads(plane.run("comity get job detached -o json").stdout)["status"]["phase"] in ("STARTING", "RUNNING")
    assert plane.run("comity cancel detached").returncode == 0
    assert plane.run("comity wait detached").returncode == 1


def test_reader_that_had_enough_is_quiet(plane: Shell) -> None:
    """A closed pipe ends a command without noise."""
    ran = plane.run("comity get jobs -o json | head -n 1; echo ${PIPESTATUS[0]}")
    assert ran.stdout.splitlines()[-1] == "0"
    assert ran.stderr == ""


def test_colour_only_on_a_terminal(plane: Shell) -> None:
    """Colour appears on a terminal, and not with NO_COLOR or in a pipe."""
    plane.run(f"comity submit -f {ROOT}/examples/hello.yaml --wait")
    assert "\x1b" not in plane.run("comity get jobs").stdout

    def on_terminal(environment: dict[str, str]) -> str:
        parent, child = pty.openpty()
        process = subprocess.Popen(["/bin/bash", "-c", "comity get jobs"], env=environment, stdout=child, stderr=child)
        process.wait(180)
        os.close(child)
        text = os.read(parent, 65536).decode()
        os.close(parent)
        return text

    plain = {key: value for key, value in plane.environment.items() if key != "NO_COLOR"} | {"TERM": "xterm"}
    assert "\x1b" in on_terminal(plain)
    assert "\x1b" not in on_terminal(plain | {"NO_COLOR": "1"})


@pytest.mark.parametrize("name", ["hello", "sovereign", "array", "gang", "digits/job"])
def test_examples_run_as_printed(plane: Shell, name: str) -> None:
    """Each example can be planned and submitted as its first lines say, and ends well where it runs here."""
    path = ROOT / "examples" / f"{name}.yaml"
    assert plane.run(f"comity plan -f {path}").returncode in (0, 3)
    ran = plane.run(f"comity submit -f {path} --wait")
    assert ran.returncode in (0, 3), ran.stderr
    if name != "sovereign":
        assert ran.returncode == 0, ran.stderr


def test_token_of_a_role_is_held_to_it(plane: Shell) -> None:
    """A token that may only submit reads jobs and may not cordon a backend; revoked, it may nothing."""
    made = json.loads(plane.run("comity token create --role submit -o json").stdout)
    as_user = f"COMITY_TOKEN={made['token']} "
    assert plane.run(as_user + "comity get jobs").returncode == 0
    refused = plane.run(as_user + "comity backend cordon local")
    assert refused.returncode == 1
    assert "auth.role" in refused.stderr
    assert plane.run(f"comity token revoke {made['id']}").returncode == 0
    assert "auth.required" in plane.run(as_user + "comity get jobs").stderr


def test_journal_holds(plane: Shell) -> None:
    """The chain is checked without the server's help."""
    assert plane.run("comity log verify").returncode == 0
    assert plane.run("comity log checkpoint").returncode == 0


def test_second_server_names_the_first(plane: Shell) -> None:
    """A second server on the same state folder ends with 1 and says who has it."""
    ran = plane.run("comity serve --listen 127.0.0.1:0")
    assert ran.returncode == 1
    assert plane.environment["COMITY_SERVER"].rpartition(":")[2] in ran.stderr
