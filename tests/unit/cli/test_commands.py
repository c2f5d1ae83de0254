"""Commands: what they send, what they print where, and with which code they end."""

import base64
import json
import pathlib

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client import stubs

JOB = "apiVersion: comity.dev/v1\nkind: Job\nmetadata: {name: hello}\nspec: {command: ['true'], data: none}\n"
ID = "01JD8Z3M5N6P7Q8R9STVWXYZ01"
ATTEMPT = {"number": 1, "site": "local/host", "phase": "SUCCEEDED"}


def _log(server: stubs.Server, text: str) -> None:
    data = base64.b64encode(text.encode()).decode()

    def page(asked: stubs.Asked) -> object:
        chunks = [] if "cursor=1" in asked.query else [{"node": 0, "data": data}]
        return {"chunks": chunks, "cursor": "1", "ended": True}

    server.routes["GET", f"/v1/jobs/{ID}/logs"] = page


def test_submit_prints_the_id_and_nothing_else(run: Run, server: stubs.Server) -> None:
    """Stdout is exactly the id; a warning goes to stderr."""
    pathlib.Path("job.yaml").write_text(JOB)
    server.routes["POST", "/v1/jobs"] = stubs.Reply(
        stubs.job() | {"warnings": ["no data declared: judged as public"]}, 202
    )
    ran = run("submit", "-f", "job.yaml")
    assert (ran.code, ran.out) == (0, f"{ID}\n")
    assert ran.err == "note: no data declared: judged as public\n"


def test_submit_wait_shows_output_and_ends_like_the_job(run: Run, server: stubs.Server) -> None:
    """With --wait the job's output is on stdout after the id, progress on stderr, the code 0 or 1."""
    pathlib.Path("job.yaml").write_text(JOB)
    server.routes["POST", "/v1/jobs"] = stubs.Reply(stubs.job(), 202)
    server.routes["GET", f"/v1/jobs/{ID}"] = stubs.job("SUCCEEDED", exitCode=0, attempts=[ATTEMPT])
    _log(server, "hello\n")
    ran = run("submit", "-f", "job.yaml", "--wait")
    assert (ran.code, ran.out) == (0, f"{ID}\nhello\n")
    assert "SUCCEEDED  on local/host, exit code 0" in ran.err


@pytest.mark.parametrize(
    ("status", "option", "code"),
    [
        ({"exitCode": 7}, "comity", 1),
        ({"exitCode": 7}, "job", 7),
        ({"signal": 9}, "job", 137),
        ({"signal": 9}, "comity", 1),
    ],
)
def test_wait_passes_the_jobs_own_code_if_asked(
    run: Run, server: stubs.Server, status: dict[str, int], option: str, code: int
) -> None:
    """--exit-code job passes the job's own code, 128+n for a signal; else a failure is 1."""
    failed = stubs.job("FAILED", **status)
    server.routes["GET", "/v1/jobs:find"] = failed
    server.routes["GET", f"/v1/jobs/{ID}"] = failed
    assert run("wait", "hello", "--exit-code", option).code == code


def _unplaceable(server: stubs.Server, remedy: str) -> None:
    pathlib.Path("job.yaml").write_text(JOB)
    condition = {"type": "Unplaceable", "status": True, "reason": "NoSite", "message": "no site"}
    server.routes["POST", "/v1/jobs"] = stubs.Reply(stubs.job(), 202)
    waiting = stubs.job(conditions=[condition])
    server.routes["GET", f"/v1/jobs/{ID}"] = [waiting, stubs.job("CANCELLED", reason="Cancelled")]
    reason = {"code": "x", "effect": "deny", "remedy": {"kind": remedy, "change": "y"}}
    plan = {"placeable": False, "sites": [{"site": "a/b", "allowed": False, "reasons": [reason]}]}
    server.routes["POST", f"/v1/jobs/{ID}:explain"] = plan
    server.routes["POST", f"/v1/jobs/{ID}:cancel"] = stubs.job("CANCELLED")


def test_wait_gives_up_where_waiting_does_not_help(run: Run, server: stubs.Server) -> None:
    """Once every site has a reason that waiting does not mend, the code is 3 and the job stays queued."""
    _unplaceable(server, "CHANGE_JOB")
    ran = run("submit", "-f", "job.yaml", "--wait")
    assert ran.code == 3
    assert "stays queued" in ran.err
    assert not [asked for asked in server.asked if asked.path.endswith(":cancel")]


def test_cancel_if_unplaceable_cancels(run: Run, server: stubs.Server) -> None:
    """With --cancel-if-unplaceable the job is cancelled then."""
    _unplaceable(server, "CHANGE_JOB")
    assert run("submit", "-f", "job.yaml", "--wait", "--cancel-if-unplaceable").code == 3
    assert [asked for asked in server.asked if asked.path.endswith(":cancel")]


def test_wait_goes_on_where_waiting_helps(run: Run, server: stubs.Server) -> None:
    """A site that is only full is waited for."""
    _unplaceable(server, "WAIT")
    assert run("submit", "-f", "job.yaml", "--wait").code == 1


def test_plan_that_changed_is_refused(run: Run, server: stubs.Server) -> None:
    """``submit --plan`` submits nothing when the decision is another one now."""
    pathlib.Path("job.yaml").write_text(JOB)
    problem = {"code": "plan.changed", "title": "Conflict", "detail": "it is sha256:abc now", "status": 409}
    server.routes["POST", "/v1/jobs"] = stubs.Reply(problem, 409)
    ran = run("submit", "-f", "job.yaml", "--plan", "9f31c2")
    assert (ran.code, ran.out) == (3, "")
    assert "it is sha256:abc now" in ran.err
    assert [asked.query for asked in server.asked if asked.path == "/v1/jobs"] == ["plan=9f31c2"]


def test_errors_of_all_files_are_told_with_their_lines(run: Run) -> None:
    """Every error of every file is told with file, line and path, before anything is sent."""
    pathlib.Path("a.yaml").write_text(JOB.replace("command", "comand"))
    pathlib.Path("b.yaml").write_text(JOB.replace("data: none", "nodes: many"))
    ran = run("submit", "-f", "a.yaml", "-f", "b.yaml")
    assert ran.code == 1
    assert "a.yaml:4: spec.comand" in ran.err
    assert "command" in ran.err
    assert "b.yaml:4: spec.nodes" in ran.err
    assert ran.out == ""


def test_text_keeps_its_spelling_on_the_way(run: Run, server: stubs.Server) -> None:
    """What looks like a number or a truth value arrives as it was written where the field is text."""
    document = JOB.replace("data: none", "data: none, env: {A: 3E001, B: NO, C: 1.10}, nodes: 2")
    pathlib.Path("job.yaml").write_text(document)
    server.routes["POST", "/v1/jobs"] = stubs.Reply(stubs.job(), 202)
    run("submit", "-f", "job.yaml")
    spec = server.asked[-1].json()["spec"]
    assert spec["env"] == {"A": "3E001", "B": "NO", "C": "1.10"}
    assert spec["nodes"] == 2


def test_unreachable_server_is_4(run: Run) -> None:
    """A server that does not answer is code 4, with what to do, and no traceback."""
    ran = run("get", "jobs", "--server", "http://127.0.0.1:9")
    assert ran.code == 4
    assert "comity serve" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "command",
    [
        ("audit", "."),
        ("backend", "drain", "x"),
        ("policy", "export", "--to", "cel"),
    ],
)
def test_what_is_not_built_is_refused_by_name(run: Run, command: tuple[str, ...]) -> None:
    """A command of the interface that is not built says so with code 2, whatever its arguments."""
    ran = run(*command)
    assert ran.code == 2
    assert "not built yet" in ran.err
    assert ran.out == ""


def test_unknown_command_names_the_nearest(run: Run) -> None:
    """A misspelt command is a usage error that names the one perhaps meant."""
    ran = run("sumbit")
    assert ran.code == 2
    assert "'submit'" in ran.err


def test_unknown_kind_names_the_nearest(run: Run) -> None:
    """A misspelt kind likewise."""
    ran = run("get", "backnds")
    assert ran.code == 2
    assert "'backends'" in ran.err


def test_defect_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, server: stubs.Server) -> None:
    """Whatever goes wrong inside is one line and how to report it; COMITY_DEBUG shows the place."""
    server.routes["GET", "/v1/jobs"] = {"items": 5, "cursor": None}
    ran = run("get", "jobs")
    assert ran.code == 1
    assert "a defect of comity" in ran.err
    assert "COMITY_DEBUG" in ran.err
    assert "Traceback" not in ran.err
    monkeypatch.setenv("COMITY_DEBUG", "1")
    with pytest.raises(TypeError):
        run("get", "jobs")


def test_ambiguous_name_lists_the_ids(run: Run, server: stubs.Server) -> None:
    """Cancelling an ambiguous name changes nothing and lists what it could mean."""
    server.routes["GET", "/v1/jobs:find"] = stubs.problem(409, "job.ambiguous", detail="2 jobs", ids=["01A", "01B"])
    ran = run("cancel", "hello")
    assert ran.code == 1
    assert "01A" in ran.err
    assert "changes=true" in server.asked[0].query


@pytest.mark.parametrize("format", ["json", "yaml"])
def test_machine_formats_have_the_apis_names(run: Run, server: stubs.Server, format: str) -> None:
    """JSON and YAML carry the API's own fields."""
    server.routes["GET", "/v1/jobs"] = {"items": [stubs.job(exitCode=0)], "cursor": None}
    ran = run("get", "jobs", "-o", format)
    assert "exitCode" in ran.out
    if format == "json":
        assert json.loads(ran.out)["items"][0]["metadata"]["id"] == ID


def test_names_cannot_steer_a_terminal(run: Run, server: stubs.Server) -> None:
    """Control characters of a stranger's name do not reach the terminal."""
    server.routes["GET", "/v1/jobs"] = {"items": [stubs.job(name="\x1b[31mred\x07")], "cursor": None}
    ran = run("get", "jobs")
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out


def test_run_prints_the_document_instead(run: Run, server: stubs.Server) -> None:
    """``run -o yaml`` prints a Job and sends nothing."""
    ran = run("run", "--gpu", "h100:8", "--in", "EEA", "--data", "none", "-o", "yaml", "--", "python", "-c", "1", "-o")
    assert ran.code == 0
    assert "anyOf:\n      - h100\n      count: 8" in ran.out
    assert ran.out.splitlines()[-1].strip() == "- EEA"
    assert not server.asked


def test_what_run_prints_can_be_submitted(run: Run, server: stubs.Server) -> None:
    """The document that ``run -o yaml`` prints is one that ``submit`` reads back as it was meant."""
    ran = run("run", "--env", "A=yes", "--env", "B=1.10", "-o", "yaml", "--", "echo", "007", "null", "a: b", "l1\nl2")
    pathlib.Path("job.yaml").write_text(ran.out)
    server.routes["POST", "/v1/jobs"] = stubs.Reply(stubs.job(), 202)
    assert run("submit", "-f", "job.yaml").code == 0
    spec = server.asked[-1].json()["spec"]
    assert spec["command"] == ["echo", "007", "null", "a: b", "l1\nl2"]
    assert spec["env"] == {"A": "yes", "B": "1.10"}


def test_init_writes_documents_that_are_valid(run: Run) -> None:
    """``init`` writes documents that can be read, Norway included, and does not write over others."""
    assert run("init", "--country", "NO", "--operator", "me", "--server", "http://127.0.0.1:9").code == 0
    again = run("init", "--country", "FR", "--operator", "me", "--server", "http://127.0.0.1:9")
    assert again.code == 1
    assert "--force" in again.err


def test_init_applies_where_a_server_runs(run: Run, server: stubs.Server) -> None:
    """``init`` declares its documents at once where a server answers."""
    for path in ("controlplanes/self", "operators/me", "backends/local"):
        server.routes["PUT", f"/v1/{path}"] = {"change": "created"}
    ran = run("init", "--country", "NO", "--operator", "me")
    assert ran.code == 0
    assert [asked.json()["kind"] for asked in server.asked] == ["ControlPlane", "Operator", "Backend"]
    assert server.asked[1].json()["spec"]["legalCountry"] == "NO"


def test_delete_of_what_is_referred_to_lists_who(run: Run, server: stubs.Server) -> None:
    """Deletion of what others refer to is refused with the list."""
    answer = stubs.problem(409, "document.referenced", detail="is used", referrers=["backend/gra"])
    server.routes["DELETE", "/v1/operators/ovh"] = answer
    ran = run("delete", "operator", "ovh")
    assert ran.code == 1
    assert "backend/gra" in ran.err


def test_copy_never_leaves_half_a_file(run: Run, server: stubs.Server) -> None:
    """A copy that fails leaves nothing under the target's name."""
    server.routes["GET", "/v1/jobs:find"] = stubs.job("SUCCEEDED")
    server.routes["GET", f"/v1/jobs/{ID}/outputs/m.json"] = stubs.problem(422, "outputs.refused", detail="no")
    ran = run("cp", "hello:m.json", ".")
    assert ran.code == 3
    assert not [path for path in pathlib.Path.cwd().iterdir() if path.name != "state"]


def test_token_is_printed_alone(run: Run, server: stubs.Server) -> None:
    """The secret alone stands on stdout, so that it can be captured."""
    made = {"id": "t1", "token": "s3cret", "tenant": "a", "roles": ["submit"], "expires": None}
    server.routes["POST", "/v1/tokens"] = stubs.Reply(made, 201)
    ran = run("token", "create", "--role", "submit", "--tenant", "a")
    assert (ran.code, ran.out) == (0, "s3cret\n")
