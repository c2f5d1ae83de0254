"""Outputs on a claim of the operator: the container that keeps them, and the Jobs that read and remove them. Pure.

A container beside the job's own waits until that has ended, copies what was declared into the attempt's folder of the
claim, and says what it kept in its last words. It runs an image of the operator and is the only one that sees the
claim, so what it says of digests is not the job's word. Everything here is plain POSIX shell, as busybox has it.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.kubernetes import names, payloads
from backends.kubernetes import settings as schema
from orchestrator.domain import executions, jobs, offers

KEPT = "/comity/kept"
OUT = f"{payloads.WORK}/out"
"""COMITY_OUTPUT_DIR: what lies there is kept whether it was declared or not."""
PORT = 8080
"""Where the reader serves."""
READER, WIPER = "read-", "wipe-"
"""What the names of these Jobs begin with; the key of the attempt follows."""
READER_S = 3_600
"""A reader ends by itself after so long, whatever it was doing."""
WIPER_S = 600
WORDS_MAX = 3_500
"""Bytes of the manifest that go into a container's last words, which may be 4,096; a longer one is in its log."""
MANIFEST_MAX = 8 * 2**20
FILES_MAX = 20_000
_LINE = re.compile(r"([0-9a-f]{64}) (\d{1,18}) (.+)", re.ASCII)

_KEEP = r"""
kept=/comity/kept list=/comity/kept/manifest words=/dev/termination-log
plain() { # each part of the path is there, and none is a link
  at=. rest=$1
  while [ -n "$rest" ]; do
    part=${rest%%/*} at="$at/${rest%%/*}"
    [ ! -L "$at" ] && [ -e "$at" ] || return 1
    case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
  done
}
take() { # $1: where it lies, $2: below there
  cd "$1" || return 1
  find "$2" -type f -exec sh -c '
    for file; do
      name=${file#./} to=/comity/kept/part/${file#./}
      case $name in *[[:cntrl:]]*) continue ;; esac
      [ ! -e "$to" ] || continue
      mkdir -p "${to%/*}" && cp -- "$file" "$to" && sum=$(sha256sum < "$to") && size=$(wc -c < "$to") &&
        printf "%s %d %s\n" "${sum%% *}" "$size" "$name" >> /comity/kept/manifest ||
        { : > /comity/kept/failed; exit 1; }
    done' keep {} +
}
keep() {
  trap '' TERM
  rm -rf "$kept/part" "$list" "$kept/failed"
  mkdir -p "$kept/part" && : > "$list" || { echo "failed the claim cannot be written" > "$words"; exit 1; }
  [ ! -d /comity/work/out ] || [ -L /comity/work/out ] || take /comity/work/out . 2> /tmp/why
  lacking=
  for path; do
    if [ ! -L /comity/work/out ] && cd /comity/work/out 2> /dev/null && plain "$path"; then continue; fi
    if cd /comity/work && plain "$path"; then take /comity/work "./$path" 2>> /tmp/why; continue; fi
    lacking="$lacking$path
"
  done
  if [ -e "$kept/failed" ]; then
    { printf 'failed '; tail -n 1 /tmp/why | cut -c 1-300; } > "$words"
    exit 1
  fi
  mv "$kept/part" "$kept/data" && sync
  { sum=$(sha256sum < "$list"); size=$(wc -c < "$list")
    echo "kept ${sum%% *} $size"
    printf '%s' "$lacking" | head -n 3 | cut -c 1-90 | sed 's/^/lacking /'
    [ "$size" -gt WORDS_MAX ] || cat "$list"; } > "$words"
  cat "$list"
  exit 0
}
trap 'keep "$@"' TERM
mkdir -p /comity/work/out
: > /tmp/ready
while :; do sleep 3600 & wait $!; done
""".replace("WORDS_MAX", str(WORDS_MAX)).strip()

_WIPE = r"""
rm -rf -- "/comity/kept/$1" 2> /dev/null
[ ! -e "/comity/kept/$1" ] || [ -z "$(find "/comity/kept/$1" -mindepth 1 | head -n 1)" ]
""".strip()


@dataclass(frozen=True, slots=True)
class Words:
    """What the container said at its end. ``digest`` is that of the manifest; None: it could not keep."""

    digest: str | None
    lacking: tuple[str, ...] = ()
    failure: str = ""
    manifest: bytes | None = None
    """Where it was short enough to be said."""


def where(wanted: schema.Outputs, backend: str, key: str) -> str:
    """Return where an attempt's files are kept: the claim, a slash, and the folder in it."""
    return f"{wanted.claim}/{wanted.folder}/{names.label(backend).lower()}/{key}"


def container(
    wanted: schema.Outputs, place: str, outputs: Sequence[jobs.Output], nodes: int, security: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the container that keeps, to stand among ``initContainers``: it starts first and ends last.

    ``place`` is :func:`where`. Of several nodes only the first keeps. The pod has the volume ``work`` already.
    """
    first = (
        'case "${COMITY_NODE_RANK:-0}" in 0) ;; *) trap "exit 0" TERM; : > /tmp/ready; sleep 2147483647 & wait ;; esac'
    )
    rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{names.INDEX_ANNOTATION}']"}}
    script = f"{first}\n{_KEEP}" if nodes > 1 else _KEEP
    return {
        "name": names.KEEPER,
        "image": wanted.image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "command": ["sh", "-c", script.replace("$", "$$"), names.KEEPER],
        "args": [output.path.replace("$", "$$") for output in outputs],
        "env": [{"name": "COMITY_NODE_RANK", "valueFrom": rank}] if nodes > 1 else [],
        "resources": {"requests": {"cpu": "0", "memory": "0"}},
        "startupProbe": {
            "exec": {"command": ["test", "-e", "/tmp/ready"]},  # noqa: S108 -- a /tmp of its own
            "periodSeconds": 1,
            "failureThreshold": 120,
        },
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "keep-tmp", "mountPath": "/tmp"},  # noqa: S108 -- a /tmp of its own
            {"name": "work", "mountPath": payloads.WORK},
            {"name": "kept", "mountPath": KEPT, "subPath": place.partition("/")[2]},
        ],
        **security,
    }


def volumes(wanted: schema.Outputs) -> list[dict[str, Any]]:
    """Return the volumes that the container needs beside the working folder."""
    return [
        {"name": "keep-tmp", "emptyDir": {}},
        {"name": "kept", "persistentVolumeClaim": {"claimName": wanted.claim}},
    ]


def reader(where: str, key: str, token: str, frame: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Return a Job that serves an attempt's folder below a path that nobody else knows.

    ``frame`` is what all Jobs of this kind share (labels, pod), see :func:`frame`.
    """
    claim, _, path = where.partition("/")
    mounts = [{"name": "kept", "mountPath": f"/srv/{token}", "subPath": path, "readOnly": True}]
    command = ["httpd", "-f", "-p", str(PORT), "-h", "/srv"]
    probe = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    return _job(
        f"{READER}{key}", claim, frame, image, command, mounts, READER_S, {"readinessProbe": probe}, readonly=True
    )


def wiper(where: str, key: str, frame: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Return a Job that removes an attempt's folder."""
    claim, _, path = where.partition("/")
    parent, _, name = path.rpartition("/")
    mounts = [{"name": "kept", "mountPath": KEPT, "subPath": parent}]
    command = ["sh", "-c", _WIPE.replace("$", "$$"), "wipe", name]
    made = _job(f"{WIPER}{key}", claim, frame, image, command, mounts, WIPER_S, {}, readonly=False)
    made["spec"]["backoffLimit"] = 3
    return made


def _job(
    name: str,
    claim: str,
    frame: Mapping[str, Any],
    image: str,
    command: Sequence[str],
    mounts: Sequence[Mapping[str, Any]],
    seconds: int,
    more: Mapping[str, Any],
    *,
    readonly: bool,
) -> dict[str, Any]:
    marks = dict(frame["labels"])
    source: dict[str, Any] = {"claimName": claim, **({"readOnly": True} if readonly else {})}
    digest = hashlib.sha256(f"{name}\n{claim}\n{mounts}".encode()).hexdigest()
    one = {
        "name": names.CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "resources": {"requests": {"cpu": "0", "memory": "0"}},
        "volumeMounts": list(mounts),
        **frame["container"],
        **more,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "labels": marks,
            "annotations": {names.SPEC_ANNOTATION: f"sha256:{digest}"},
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 0,
            "activeDeadlineSeconds": seconds,
            "ttlSecondsAfterFinished": 60,
            "template": {
                "metadata": {"labels": marks},
                "spec": {
                    **frame["pod"],
                    "terminationGracePeriodSeconds": 1,
                    "containers": [one],
                    "volumes": [{"name": "kept", "persistentVolumeClaim": source}],
                },
            },
        },
    }


# --- what was said ------------------------------------------------------------------------------------------------


def words(text: str) -> Words | None:
    """Return what a container's last words mean; None for words that are not its own."""
    first, _, rest = text.partition("\n")
    word, _, more = first.partition(" ")
    if word == "failed":
        return Words(None, failure=more[:300] or "it does not say why")
    digest, _, size = more.partition(" ")
    if word != "kept" or not re.fullmatch(r"[0-9a-f]{64}", digest) or not re.fullmatch(r"\d{1,12}", size):
        return None
    lacking = []
    while rest.startswith("lacking "):
        line, _, rest = rest.partition("\n")
        lacking.append(line.removeprefix("lacking "))
    said = rest.encode(errors="surrogateescape")
    whole = len(said) == int(size) and hashlib.sha256(said).hexdigest() == digest
    return Words(digest, tuple(lacking), manifest=said if whole else None)


def lacking(text: str) -> str:
    """Return what keeps an attempt that ended well from having succeeded; "" where all that it declared is kept."""
    said = words(text)
    if said is None:
        return "it ended well, and nothing says that its outputs were kept"
    if said.failure:
        return f"it ended well, and its outputs could not be kept: {said.failure}"
    return f"it ended well and left no {', '.join(said.lacking)}" if said.lacking else ""


def manifest(text: bytes) -> tuple[offers.OutputFile, ...]:
    """Return what a manifest lists, in order of path; a line that is none of one is left out."""
    found: dict[str, offers.OutputFile] = {}
    for raw in text.split(b"\n")[:FILES_MAX]:
        try:
            line = _LINE.fullmatch(raw.decode())
        except UnicodeDecodeError:
            continue
        if line is not None and len(line[3]) <= executions.PATH_MAX:
            found[line[3]] = offers.OutputFile(line[3], int(line[2]), f"sha256:{line[1]}")
    return tuple(found[path] for path in sorted(found))


def url(namespace: str, pod: str, token: str, path: str) -> str:
    """Return the path at the API server under which a reader's file is."""
    return f"/api/v1/namespaces/{namespace}/pods/{pod}:{PORT}/proxy/{token}/{urllib.parse.quote(path)}"
