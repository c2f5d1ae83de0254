"""From a sealed placement to the body of a submission, and the variables of a job. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from backends.ray import errors, marks, packages, pools, settings
from backends.ray.runner import words
from orchestrator.ports import backends

CPUS_MIN = 0.001
"""A job that asks for no CPU asks Ray for this much: with none Ray would show it every GPU of its node."""
ENTRYPOINT_BYTES_MAX = 120 * 1024
"""Linux takes 128 KiB in one argument of a program, and Ray gives the whole to a shell as one."""
_GRACE_MARGIN_S = 0.5
_NAME = re.compile(r"[^A-Za-z0-9_]")
_RAYS_OWN = frozenset(
    {"PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "LD_PRELOAD", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"}
)
"""Variables that would also change Ray's own process beside the job: the command gets them, Ray does not."""


def environment(placement: backends.SealedPlacement, wanted: settings.RaySettings) -> dict[str, str]:
    """Return the variables of the command but for those that only its node knows. Weakest first."""
    accelerators = placement.spec.resources.accelerators
    own = {
        "COMITY_JOB_ID": str(placement.job),
        "COMITY_ATTEMPT": str(placement.number),
        "COMITY_GPUS_PER_NODE": str(accelerators.count if accelerators else 0),
        **{f"COMITY_DATA_{_NAME.sub('_', name).upper()}": where for name, where in placement.data.items()},
    }
    return {**wanted.env, **dict(placement.spec.env), **own, **placement.environment}


def submission(
    placement: backends.SealedPlacement,
    share: pools.Share,
    wanted: settings.RaySettings,
    package: packages.Package,
    context: backends.AdapterContext,
) -> bytes:
    """Return the body of the submission. Raises PermanentError ``ray.invalid`` for what cannot be said to Ray."""
    resources = placement.spec.resources
    count = resources.accelerators.count if resources.accelerators else 0
    custom = dict(share.custom)
    if count and share.resource not in ("GPU", None):
        custom[str(share.resource)] = float(count)
    variables = environment(placement, wanted)
    # Ray replaces ${NAME} in its variables; the runner does not.
    for_ray = {name: text for name, text in variables.items() if "$" not in text and not _is_rays(name)}
    options = runner_options(placement, wanted, package, {n: t for n, t in variables.items() if n not in for_ray})
    body = {
        "submission_id": str(placement.key),
        "entrypoint": entrypoint(placement, options),
        "runtime_env": {**_runtime_env(wanted.runtime_env), "working_dir": package.uri, "env_vars": for_ray},
        "metadata": marks.of_placement(placement, context),
        "entrypoint_num_cpus": max(resources.cpu_milli / 1000, CPUS_MIN),
        "entrypoint_num_gpus": count if share.resource == "GPU" else 0,
        "entrypoint_memory": resources.memory_bytes,
        "entrypoint_resources": custom,
    }
    if share.selector:  # Ray before 2.54 does not know the name, and refuses a body that has it
        body["entrypoint_label_selector"] = dict(share.selector)
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise errors.refused("invalid", "the command or a variable holds text that is not Unicode") from error


def runner_options(
    placement: backends.SealedPlacement,
    wanted: settings.RaySettings,
    package: packages.Package,
    variables: Mapping[str, str],
) -> dict[str, Any]:
    """Return what the runner is told. ``grace_s`` ends before Ray kills by itself, so that what is left is found."""
    grace_s = min(placement.stop_grace.total_seconds(), wanted.stop_wait_seconds - _GRACE_MARGIN_S)
    options: dict[str, Any] = {
        "key": str(placement.key),
        "grace_s": round(max(grace_s, 0.0), 3),
        "log_bytes_max": wanted.log_bytes_max,
    }
    if placement.time_limit is not None:
        options["limit_s"] = round(max(placement.time_limit.total_seconds(), 0.001), 3)
    if package.has_content:
        options["content"] = True
    if variables:
        options["env"] = dict(variables)
    if outputs := [output.path for output in placement.spec.outputs]:
        options["outputs"] = outputs
    if wanted.shared_folder is not None:
        options["keep"] = f"{wanted.shared_folder}/{placement.key}"
    return options


def entrypoint(placement: backends.SealedPlacement, options: Mapping[str, Any]) -> str:
    """Return the line for Ray's shell: the interpreter of Ray's own supervisor runs the runner, with the command."""
    command = placement.spec.command
    if not command:
        raise errors.refused("invalid", "a job on Ray needs a command: images are not run here")
    told = json.dumps(options, separators=(",", ":"), sort_keys=True)
    line = f'exec "$(readlink -f /proc/$PPID/exe)" -I -B {words.SELF} {shlex.quote(told)} -- {shlex.join(command)}'
    if "\0" in line or any("\0" in f"{name}{text}" for name, text in placement.spec.env):
        raise errors.refused(
            "invalid", "the command or a variable holds a NUL character, which no process can be given"
        )
    if len(line.encode("utf-8", "surrogatepass")) > ENTRYPOINT_BYTES_MAX:
        raise errors.refused("invalid", f"command and variables are longer than {ENTRYPOINT_BYTES_MAX} bytes")
    return line


def _is_rays(name: str) -> bool:
    return name in _RAYS_OWN or name.startswith("RAY_")


def _runtime_env(wanted: settings.RuntimeEnv) -> dict[str, Any]:
    found: dict[str, Any] = {"config": {"setup_timeout_seconds": wanted.setup_timeout_seconds}}
    if wanted.pip:
        found["pip"] = list(wanted.pip)
    if wanted.uv:
        found["uv"] = list(wanted.uv)
    if wanted.conda is not None:
        found["conda"] = wanted.conda
    return found
