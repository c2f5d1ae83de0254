"""Typed views of answers."""

import pytest

from orchestrator.client import access, kinds, results
from orchestrator.domain import jobs
from orchestrator.settings import server as server_settings
from orchestrator.wire.documents import registry
from tests.unit.client import stubs


def test_words_of_phases_are_the_domains() -> None:
    """The light words here are those of the domain."""
    assert {phase.value for phase in jobs.TERMINAL} == results.TERMINAL


def test_words_of_kinds_are_the_wires() -> None:
    """The light table of kinds here is that of the wire."""
    assert dict(kinds.PLURALS) == dict(registry.PLURALS)


@pytest.mark.parametrize(
    "environ",
    [
        {"COMITY_STATE_DIR": "/s", "HOME": "/h"},
        {"XDG_STATE_HOME": "/x", "HOME": "/h"},
        {"XDG_STATE_HOME": "relative", "HOME": "/h"},
        {"HOME": "/h"},
    ],
)
def test_state_folder_is_the_servers(environ: dict[str, str]) -> None:
    """Client and server find the same state folder."""
    assert access.state_folder(environ) == server_settings.state_folder(environ)


def test_token_of_the_environment_goes_first(tmp_path) -> None:
    """COMITY_TOKEN wins over the file of the state folder; without both there is none."""
    environ = {"COMITY_STATE_DIR": str(tmp_path)}
    assert access.token(environ) is None
    (tmp_path / "admin.token").write_text("from-file\n")
    assert access.token(environ) == "from-file"
    assert access.token(environ | {"COMITY_TOKEN": "own"}) == "own"


def test_job_view_reads_the_last_attempt() -> None:
    """Site is that of the last attempt; a condition counts while it is true."""
    document = stubs.job("FAILED", exitCode=3, reason="ExitCode", attempts=[{"site": "a/x"}, {"site": "b/y"}])
    document["status"]["conditions"] = [{"type": "Unplaceable", "status": False}, {"type": "Preempted", "status": True}]
    view = results.JobView.of(document)
    assert (view.site, view.exit_code, view.ended, view.succeeded) == ("b/y", 3, True, False)
    assert view.condition("Unplaceable") is None
    assert view.condition("Preempted") is not None


def _site(*kinds_of_remedy: str | None) -> dict[str, object]:
    return {"reasons": [{"effect": "deny", "remedy": kind and {"kind": kind}} for kind in kinds_of_remedy]}


@pytest.mark.parametrize(
    ("sites", "can_wait"),
    [
        ([], False),
        ([_site("CHANGE_JOB")], False),
        ([_site("WAIT", "CHANGE_JOB")], False),
        ([_site("CHANGE_JOB"), _site("WAIT")], True),
        ([_site(None)], False),
    ],
)
def test_waiting_helps_only_where_all_reasons_say_so(sites: list[dict[str, object]], can_wait: bool) -> None:
    """A site that is refused for one lasting reason is not worth waiting for."""
    assert results.PlanView.of({"placeable": False, "sites": sites}).can_wait is can_wait
