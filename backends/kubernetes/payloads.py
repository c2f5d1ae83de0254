"""A job's files and working folder as ConfigMaps, and the shell that unpacks them inside its pod. Pure.

The parts are immutable and named by what they hold, so that attempts of the same folder share them; the pod compares
the digest of the whole before anything of the job runs. ``/comity/in`` is where they are mounted; names inside are our
own, so no path of a job is ever a key that Kubernetes could refuse.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.kubernetes import errors, names
from orchestrator.domain import jobs

PART_BYTES = 700_000
"""Of one ConfigMap: in base64 below the 1 MiB that an object may hold."""
FILES_MAX = 512
"""Files of one job: each is a line of the script that unpacks them."""
PREFIX = "in-"
"""What the names of these ConfigMaps begin with; no key of an attempt does."""
MOUNT = "/comity/in"
WORK = "/comity/work"
WAIT = "/comity/gang"
GANG_FILE = "addresses"
CHANGED_TEXT = "comity: what arrived is not what was sent"
GANG_TIMEOUT_TEXT = "comity: the gang did not become whole in time"


@dataclass(frozen=True, slots=True)
class Payload:
    """What an attempt brings along. ``script`` are lines of shell; ``maps`` ConfigMaps without owner.

    ``name`` is what the names of the maps begin with; a hyphen and a number follow.
    """

    maps: tuple[Mapping[str, Any], ...] = ()
    script: tuple[str, ...] = ()
    name: str = ""


def build(
    files: Sequence[tuple[str, bytes]], workdir: bytes | None, labels: Mapping[str, str], bytes_max: int
) -> Payload:
    """Return the parts. ``labels`` are those of the backend, not of the attempt.

    Raises PermanentError ``kubernetes.files-too-large`` and ``kubernetes.files-too-many``.
    """
    size = sum(len(content) for _, content in files) + len(workdir or b"")
    if size > bytes_max:
        raise errors.elsewhere(
            "files-too-large",
            f"files and working folder are {size} bytes; this backend takes {bytes_max} (filesBytesMax): put them into "
            "the image, or have the job fetch them",
        )
    if len(files) > FILES_MAX:
        raise errors.elsewhere("files-too-many", f"{len(files)} files; at most {FILES_MAX} of their own: send a folder")
    if not files and workdir is None:
        return Payload()
    stream = (workdir or b"") + b"".join(content for _, content in files)
    digest = hashlib.sha256(stream).hexdigest()
    owner = "\n".join(f"{key}={value}" for key, value in sorted(labels.items()))
    name = f"{PREFIX}{hashlib.sha256(f'{digest}{chr(10)}{owner}'.encode()).hexdigest()[:40]}"
    maps = tuple(
        _map(f"{name}-{number}", stream[start : start + PART_BYTES], labels)
        for number, start in enumerate(range(0, max(len(stream), 1), PART_BYTES))
    )
    parts = " ".join(f'"{MOUNT}/{number}"' for number in range(len(maps)))
    script = [
        f"cat {parts} > /tmp/.comity-in",
        f'if [ "$(sha256sum < /tmp/.comity-in | cut -c 1-64)" != {digest} ]; then',
        f"  echo {_quoted(CHANGED_TEXT)} > /dev/termination-log; exit 1",
        "fi",
    ]
    place = 0
    if workdir is not None:
        script.append(f"{_cut(place, len(workdir))} | tar -xf - -C {WORK}")
        place += len(workdir)
    for path, content in files:
        folder = path.rpartition("/")[0]
        if folder:
            script.append(f"mkdir -p -- {_quoted(f'{WORK}/{folder}')}")
        script.append(f"{_cut(place, len(content))} > {_quoted(f'{WORK}/{path}')}")
        place += len(content)
    script.append("rm -f /tmp/.comity-in")
    return Payload(maps, tuple(script), name)


def gang_script(seconds: int) -> tuple[str, ...]:
    """Return the lines that wait until the addresses of all nodes are there, and put them into the variables."""
    file = f"{WAIT}/{GANG_FILE}"
    return (
        "waited=0",
        f"while [ ! -s {file} ]; do",
        f'  if [ "$waited" -ge {seconds} ]; then',
        f"    echo {_quoted(GANG_TIMEOUT_TEXT)} > /dev/termination-log; exit 1",
        "  fi",
        "  sleep 1; waited=$((waited + 1))",
        "done",
        f"COMITY_NODE_ADDRS=$(cat {file})",
        'MASTER_ADDR="${COMITY_NODE_ADDRS%%,*}"',
        "export COMITY_NODE_ADDRS MASTER_ADDR",
    )


def wrapped(script: Sequence[str], command: Sequence[str]) -> list[str]:
    """Return the command that runs the script and then becomes the job's own command."""
    lines = ["set -e", *script, f"cd {WORK}", "set +e", 'exec "$@"']
    return ["/bin/sh", "-c", "\n".join(lines), "comity", *command]


def needs_shell(spec: jobs.JobSpec) -> bool:
    """Say whether a job needs a shell in its image."""
    return spec.nodes > 1 or bool(spec.files) or spec.workdir is not None


def _cut(start: int, length: int) -> str:
    """Return the command that writes some bytes of what was sent."""
    return f"tail -c +{start + 1} /tmp/.comity-in | head -c {length}"


def _quoted(text: str) -> str:
    """Return a text as one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _map(name: str, content: bytes, labels: Mapping[str, str]) -> Mapping[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": dict(labels), "annotations": {names.CONTENT_ANNOTATION: digest}},
        "immutable": True,
        "binaryData": {"part": base64.b64encode(content).decode()},
    }
