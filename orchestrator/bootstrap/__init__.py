"""The composition root: the one place that knows everybody. Importing it loads nobody."""

from __future__ import annotations

from typing import Any

from orchestrator.plugins import lazy


def serve(settings: Any) -> int:
    """Run a control plane with ``settings.server.ServerSettings`` until it is told to stop; returns the exit code."""
    code: int = lazy.lazy("orchestrator.bootstrap.server").run(settings)
    return code


def verify_log(folder: str) -> Any:
    """Check the journal's chain in a state folder, without a server; returns a ``journals.Report``."""
    return lazy.lazy("orchestrator.bootstrap.journals").verify(folder)
