"""From a placement to what v0.0.38 is sent. Pure.

The script is the same bytes for every job. What a user wrote reaches it as base64 of NUL-separated fields in one
variable, is read into an array, and is only ever handed on as whole words: no user string is part of a shell line.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from backends.slurm import errors, settings
from orchestrator.ports import backends

GIVEN = "COMITY_SLURM_GIVEN"
GIVEN_BYTES_MAX = 96 * 1024
"""Linux passes no longer string than 128 KiB to a program (MAX_ARG_STRLEN)."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_GRES = re.compile(r"[A-Za-z0-9_.-]{1,63}", re.ASCII)

SCRIPT = r"""#!/bin/bash
umask 022
mapfile -d '' -t given < <(printf %s "$COMITY_SLURM_GIVEN" | base64 -d)
unset COMITY_SLURM_GIVEN
root=${given[0]}
count=${given[1]}
variables=("${given[@]:2:count}")
words=("${given[@]:2+count}")
[ ! -e "$root.stopped" ] || exit 75
mkdir -- "$root" || exit 75
mkdir -- "$root/work" && cd -- "$root/work" || exit 78
[ ! -e "$root.stopped" ] || exit 75
env -- "${variables[@]}" "${words[@]}" >"$root/log" 2>&1 </dev/null &
child=$!
hit=
trap 'hit=1; kill -TERM "$child" 2>/dev/null' TERM
while :; do
  hit=
  wait "$child"
  code=$?
  [ -n "$hit" ] || break
done
printf 'ended %s\n' "$code" >"$root/end.part" && mv -T -- "$root/end.part" "$root/end"
exit "$code"
"""


def given(placement: backends.SealedPlacement, root: str) -> str:
    """Return what the script reads. Raises ``slurm.invalid`` for what no process can be given."""
    spec = placement.spec
    variables = {**dict(placement.environment), **dict(spec.env)}
    if not spec.command or not spec.command[0] or "=" in spec.command[0]:
        raise errors.refused("invalid", "the command is empty, or its first word holds '='")
    if not all(_NAME.fullmatch(name) for name in variables):
        raise errors.refused("invalid", "a variable has a name that no shell takes")
    fields = [root, str(len(variables)), *(f"{name}={value}" for name, value in variables.items()), *spec.command]
    if any("\0" in each for each in fields):
        raise errors.refused("invalid", "the command or a variable holds a NUL character")
    data = base64.b64encode("".join(each + "\0" for each in fields).encode("utf-8", "surrogateescape")).decode()
    if len(data) > GIVEN_BYTES_MAX:
        raise errors.refused("invalid", f"command and variables are longer than {GIVEN_BYTES_MAX} bytes")
    return data


def submission(
    placement: backends.SealedPlacement,
    wanted: settings.SlurmSettings,
    context: backends.AdapterContext,
    gres: str | None,
) -> dict[str, Any]:
    """Return the body of a submission. Raises BackendError for what is not built or not allowed here."""
    pool = wanted.pools.get(placement.pool) or settings.Partition()
    identity = wanted.tenants.get(placement.tenant)
    if identity is None and wanted.tenants:
        raise errors.elsewhere("no-identity", f"settings.tenants has no identity for tenant {placement.tenant}")
    needs = placement.spec.resources
    job: dict[str, Any] = {
        "name": str(placement.key),
        "comment": comment(placement, context),
        "partition": pool.partition or placement.pool,
        "current_working_directory": wanted.folder,
        "standard_input": "/dev/null",
        "standard_output": "/dev/null",
        "standard_error": "/dev/null",
        "dependency": "singleton",
        "requeue": False,
        "tasks": 1,
        "cpus_per_task": cpus(needs.cpu_milli),
        "environment": {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            GIVEN: given(placement, f"{wanted.folder}/{placement.key}"),
        },
    }
    if needs.memory_bytes:
        job["memory_per_node"] = -(-needs.memory_bytes // 2**20)
    if needs.accelerators:
        if gres is None or not _GRES.fullmatch(gres):
            raise errors.elsewhere("no-gres", f"pool {placement.pool} has no GRES gpu of one type")
        job["gres"] = f"gpu:{gres}:{needs.accelerators.count:d}"
    if placement.time_limit is not None:
        job["time_limit"] = max(-(-int(placement.time_limit.total_seconds()) // 60), 1)
    optional = {
        "constraints": pool.constraints,
        "reservation": pool.reservation,
        "account": identity.account if identity else None,
        "qos": identity.qos if identity else None,
    }
    job.update({name: value for name, value in optional.items() if value is not None})
    return {"script": SCRIPT, "job": job}


def comment(placement: backends.SealedPlacement, context: backends.AdapterContext) -> str:
    """Return what marks a job as ours; letters, digits and JSON's own signs, so that Slurm keeps it as it is."""
    needs = placement.spec.resources
    return json.dumps(
        {
            "comity": context.installation,
            "backend": context.backend,
            "pool": placement.pool,
            "spec": str(placement.spec_digest),
            "cpus": cpus(needs.cpu_milli),
            "memory": needs.memory_bytes,
            "accelerators": needs.accelerators.count if needs.accelerators else 0,
        }
    )


def cpus(milli: int) -> int:
    """Return whole CPUs for thousandths of them."""
    return max(-(-milli // 1000), 1)
