"""What a person is told who asks for the log of a job that its backend has forgotten."""

import datetime as dt
import os
import pathlib
from collections.abc import Iterator

import pytest

from backends.local import adapter, settings
from orchestrator.domain import ids
from orchestrator.ports import backends
from tests.e2e._planes import Plane, job

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


@pytest.fixture
def plane(tmp_path: pathlib.Path) -> Iterator[Plane]:
    """Give a control plane with a backend of this machine."""
    found = Plane(tmp_path)
    found.init()
    found.start()
    yield found
    found.close()


def forget(plane: Plane, id: str) -> None:
    """Do what the control loop does a week after the end, with an adapter of the same folder."""
    attempt = next(plane.state.rglob(f"attempts/{id.lower()}*"))
    folder = attempt.parents[1]
    context = backends.AdapterContext(folder.name, (), str(folder), "test", lambda: NOW)
    one = adapter.LocalAdapter(settings.LocalSettings.read({}), context)
    one.forget(backends.AttemptRef(ids.AttemptKey(attempt.name)))
    one.close()
    assert not os.path.lexists(attempt)


def test_a_forgotten_log_is_a_clear_error(plane: Plane) -> None:
    """404 ``logs.not-found`` over HTTP, and on the command line what, where and what to do; never an empty log."""
    made = plane.submit(job("gone", "sh", "-c", "echo here"))
    assert made.status == 202, made
    id = made.json["id"]
    assert plane.ended(id)["status"]["phase"] == "SUCCEEDED"
    assert plane.shell.run("comity logs gone").stdout == "here\n"
    forget(plane, id)
    for route in ("logs", "logs?follow=true", "logs?attempt=1"):
        for accept in ("application/json", "text/plain"):
            answer = plane.call("GET", f"/v1/jobs/{id}/{route}", headers={"Accept": accept})
            assert (answer.status, answer.code) == (404, "logs.not-found"), (route, accept, answer)
            assert "comity retry" in answer.json["detail"]
    for command, code in (("comity logs gone", 1), ("comity logs -f gone", 0)):  # following tells how the job ended
        ran = plane.shell.run(command)
        assert (ran.returncode, ran.stdout) == (code, ""), command
        assert "logs.not-found" in ran.stderr, command
        assert "comity retry" in ran.stderr, command
        assert "Traceback" not in ran.stderr, command
