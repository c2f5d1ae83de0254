"""The composition root: the one place that knows everybody. Importing it loads nobody."""

from __future__ import annotations

import gc
from typing import Any

from orchestrator.plugins import lazy

_WHILE_STARTING = (100_000, 20, 50)
"""Nearly all that is made while modules are loaded stays; looking through it again and again is a tenth of the start.
The server sets its own thresholds once it is up."""


def serve(settings: Any) -> int:
    """Run a control plane with ``settings.server.ServerSettings`` until it is told to stop; returns the exit code."""
    gc.set_threshold(*_WHILE_STARTING)
    code: int = lazy.lazy("orchestrator.bootstrap.server").run(settings)
    return code


def verify_log(folder: str, *, against: Any = ()) -> Any:
    """Check the journal in a state folder, without a server; returns a ``journals.Report``."""
    return lazy.lazy("orchestrator.bootstrap.journals").verify(folder, against=against)


def verify_tables(folder: str) -> Any:
    """Hold the tables of a state folder against its journal, without a server; returns an ``audits.Report``."""
    return lazy.lazy("orchestrator.bootstrap.audits").verify(folder)


def accept_tables(folder: str, *, by: str, reason: str) -> Any:
    """Take the tables of a state folder as they are; returns what was accepted, one sentence each. Raises
    ValueError."""
    return lazy.lazy("orchestrator.bootstrap.audits").accept(folder, by=by, reason=reason)


def verify_bundle(data: bytes, trust: Any, *, against: Any = ()) -> Any:
    """Check the bytes of a bundle, without a server; returns a ``verification.Report``."""
    return lazy.lazy("orchestrator.bootstrap.verifications").verify(data, trust, against=against)
