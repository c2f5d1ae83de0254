"""A server is put together as its settings say, as far as policies are concerned."""

from __future__ import annotations

import pathlib

import pytest

from orchestrator.bootstrap import server
from orchestrator.settings import server as settings


@pytest.mark.parametrize("required", [True, False])
def test_strict_mode_reaches_the_use_cases(tmp_path: pathlib.Path, required: bool) -> None:
    """--policy-tests-required arrives where policies are taken, and whole documents in cases can be read."""
    chosen = settings.ServerSettings.resolve({}, state_dir=str(tmp_path), policy_tests_required=required)
    made = server.build(chosen)
    try:
        assert made.context.policy_tests_required is required
        assert made.context.documents_of_cases is not None
    finally:
        made.close()
