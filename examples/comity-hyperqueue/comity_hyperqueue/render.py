"""A Comity placement as what ``task.py`` reads. Pure: no I/O, so it can be tested letter by letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comity_hyperqueue import errors, settings
from orchestrator.ports import backends

PATH = "/usr/local/bin:/usr/bin:/bin"


def render(placement: backends.SealedPlacement, folder: str, given: settings.HyperqueueSettings) -> Mapping[str, Any]:
    """Return the specification of an attempt. Raises PermanentError for what no process can be given."""
    spec = placement.spec
    if not spec.command:
        raise errors.refused("a job on HyperQueue needs a command: images are not run here")
    variables = {"PATH": PATH, **dict(spec.env), **_own(placement), **placement.environment}
    if any("\0" in text for text in (*spec.command, *variables, *variables.values())):
        raise errors.refused("the command or a variable holds a NUL character, which no process can be given")
    limit = placement.time_limit
    return {
        "command": list(spec.command),
        "env": variables,
        "cwd": f"{folder}/work",
        "cpuMilli": spec.resources.cpu_milli,
        "pool": placement.pool,
        "limitSeconds": None if limit is None else max(1.0, limit.total_seconds()),
        "graceSeconds": max(0.0, placement.stop_grace.total_seconds()),
        "logBytesMax": given.log_bytes_max,
        "lostAfterSeconds": given.lost_after_seconds,
    }


def cpus(cpu_milli: int) -> float:
    """Return what HyperQueue is asked for: fractions are its own; nothing is a tenth, for it refuses zero."""
    return max(cpu_milli, 100) / 1000


def _own(placement: backends.SealedPlacement) -> Mapping[str, str]:
    return {"COMITY_JOB_ID": str(placement.job), "COMITY_ATTEMPT": str(placement.number)}
