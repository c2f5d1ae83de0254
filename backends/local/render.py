"""From a sealed placement to what a runner is told: the variables inside the job, and the bytes of ``spec``. Pure."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.local import attempts, errors, isolation
from orchestrator.ports import backends

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER = "comity-job"
_YEAR_MS = 366 * 24 * 3600 * 1000
_NAME = re.compile(r"[^A-Za-z0-9_]")
_OOM_SCORE = 500
"""Where memory runs out, jobs go before the control plane does."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one attempt was given here besides what its placement says.

    ``visible`` are, for each rank, the variables that say which accelerators are its own; ``nodes`` the device nodes
    of each rank; ``own_cpus`` how many CPUs each is bound to; ``interpreter`` the folder whose ``python`` jobs find
    first ("": the workspace's own ``bin``).
    """

    ground: isolation.Ground
    interpreter: str
    defaults: Mapping[str, str]
    log_bytes_max: int
    visible: Sequence[Mapping[str, str]]
    nodes: Sequence[Sequence[str]]
    own_cpus: int = 0


def environment(
    placement: backends.SealedPlacement, attempt: attempts.Attempt, grant: Grant, rank: int
) -> dict[str, str]:
    """Return all variables of one rank: nothing of the server's own environment is among them.

    Weakest first: the machine's, the settings', the job's, and what nobody may set but us.
    """
    private_tmp = grant.ground.level is isolation.Level.NAMESPACES
    found = {
        "PATH": f"{grant.interpreter or attempt.workspace + '/bin'}:{SYSTEM_PATH}",
        "HOME": f"{attempt.workspace}/{rank}",
        "TMPDIR": "/tmp" if private_tmp else f"{attempt.workspace}/{rank}.tmp",  # noqa: S108 -- a /tmp of its own
        "LANG": "C.UTF-8",
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": "/bin/sh",
        **grant.defaults,
    }
    found.update(placement.spec.env)
    found.update(_own(placement, attempt, rank))
    found.update(placement.environment)
    found.update(grant.visible[rank])
    return found


def _own(placement: backends.SealedPlacement, attempt: attempts.Attempt, rank: int) -> dict[str, str]:
    wanted = placement.spec.resources.accelerators
    own = {
        "COMITY_JOB_ID": str(placement.job),
        "COMITY_ATTEMPT": str(placement.number),
        "COMITY_NODE_RANK": str(rank),
        "COMITY_NODES": str(attempt.nodes),
        "COMITY_NODE_ADDRS": ",".join(["127.0.0.1"] * attempt.nodes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(attempt.port),
        "COMITY_GPUS_PER_NODE": str(wanted.count if wanted else 0),
        "COMITY_OUTPUT_DIR": f"{attempt.workspace}/out",
    }
    for name, where in placement.data.items():
        own[f"COMITY_DATA_{_NAME.sub('_', name).upper()}"] = local_path(where) or where
    return own


def local_path(where: str) -> str | None:
    """Return the absolute path that a data set lies at on this machine; None for one that lies elsewhere."""
    if where.startswith("/"):
        return where
    split = urllib.parse.urlsplit(where)
    if split.scheme == "file" and split.netloc in ("", "localhost") and split.path.startswith("/"):
        return urllib.parse.unquote(split.path)
    return None


def spec(
    placement: backends.SealedPlacement,
    attempt: attempts.Attempt,
    grant: Grant,
    rank: int,
    variables: Mapping[str, str],
) -> bytes:
    """Return the bytes of one rank's ``spec``. Raises PermanentError ``local.invalid`` for what cannot be told."""
    ground = grant.ground
    home = f"{attempt.workspace}/{rank}"
    records = [("comity-spec", "1")]
    records += [("arg", argument) for argument in placement.spec.command]
    records += [("env", f"{name}={value}") for name, value in variables.items()]
    records += [
        ("cwd", home),
        ("grace_ms", str(milliseconds(placement.stop_grace))),
        ("log_bytes_max", str(grant.log_bytes_max)),
        ("oom_score_adj", str(_OOM_SCORE)),
    ]
    if attempt.nodes > 1:
        records.append(("gang", str(attempt.nodes)))
    if placement.time_limit is not None:
        records.append(("timeout_ms", str(max(1, milliseconds(placement.time_limit)))))
    records += [("cgroup", path) for path in attempt.groups(rank)]
    if grant.own_cpus:
        records.append(("own_cpus", str(grant.own_cpus)))
    if ground.uid is not None and ground.gid is not None:
        records += [("uid", str(ground.uid)), ("gid", str(ground.gid))]
        records += [("group", str(group)) for group in isolation.groups(grant.nodes[rank])]
    if ground.level is isolation.Level.NAMESPACES:
        records += [("isolate", what) for what in ("mount", "pid", "ipc", "dev")]
        records += [("mask", path) for path in ground.masks]
        paths = (where for where in map(local_path, placement.data.values()) if where is not None)
        seen = [*ground.reveals, *isolation.data_reveals(ground, paths)]
        records += [("reveal", f"ro:{path}") for path in sorted(seen)]
        records.append(("reveal", f"rw:{attempt.workspace}"))
        records += [("device", path) for path in grant.nodes[rank]]
        records.append(("tmp", f"{home}.tmp"))
    records.append(("end", ""))
    try:
        encoded = [f"{key}={value}".encode() for key, value in records]
    except UnicodeEncodeError as error:
        raise errors.refused("invalid", "the command or a variable holds text that is not Unicode") from error
    if any(b"\0" in record for record in encoded):
        raise errors.refused(
            "invalid", "the command or a variable holds a NUL character, which no process can be given"
        )
    return b"".join(record + b"\0" for record in encoded)


def milliseconds(span: dt.timedelta) -> int:
    """Return whole milliseconds, within what the runner takes."""
    return min(max(span // dt.timedelta(milliseconds=1), 0), _YEAR_MS)


def shown(command: Sequence[str]) -> str:
    """Return a command as a person would type it, not too long."""
    text = shlex.join(command)
    return text if len(text) <= 200 else f"{text[:197]}..."
