"""Jobs and runs as the network's documentation writes them, and the job that an attempt is. Pure.

The API takes an image and its tag, and no command: a command goes as a variable to images whose entry point runs it
(docs/dispersed.md). Nothing beyond what runs is told: no names, no labels, no tenant; all that is told may be read by
the network and by whoever owns the node, so only a job that says ``data: none`` is told at all.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from backends.dispersed import errors, settings
from orchestrator.domain import jobs
from orchestrator.ports import backends

BODY_BYTES_MAX = 256 * 1024
GB = 10**9
RUN_MS_MIN = 60_000
"""The API takes no shorter longest run. Source: its page "Create Job"."""
ASSIGN_MS = START_MS = 300_000
"""Its defaults: so long a job waits for a node, and a node prepares it."""
COMMAND, END = "COMITY_COMMAND", "COMITY_END"
END_WORD = "comity-end"
_COMMANDED, _PLAIN = "command", "image"
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
LIVE = frozenset({"PENDING", "ASSIGNED", "RUNNING", "CANCELLING"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_UUID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{7,63}", re.ASCII)
_IMAGE = re.compile(r"([a-z0-9][a-z0-9._:/-]{0,255}):([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})", re.ASCII)
_MARKED = re.compile(rf"{END_WORD} ([0-9a-f]{{32}}) ([0-9]{{1,3}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Job:
    """A job, as it was last read. ``mark`` is what we wrote to recognise its document (:meth:`Names.mark`)."""

    uuid: str
    title: str
    mark: str
    status: str
    reason: str
    cpu_count: int
    ram_gb: int
    gpu_count: int
    regions: tuple[str, ...] | None
    """As it was echoed; None: not echoed."""
    run_ms_max: int | None
    created_at: dt.datetime | None
    started_at: dt.datetime | None
    completed_at: dt.datetime | None

    @property
    def over(self) -> bool:
        """Say whether nothing of it will begin any more."""
        return self.status in ENDED

    @property
    def tells_end(self) -> bool:
        """Say whether its entry point writes an end marker."""
        return self.mark.split(" ")[1:2] == [_COMMANDED]

    @property
    def region(self) -> str:
        """Return the region that it was created for, as we wrote down."""
        return self.mark.split(" ")[2] if self.mark.count(" ") == 2 else ""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a job on a node."""

    uuid: str
    status: str
    started_at: dt.datetime | None

    @property
    def over(self) -> bool:
        """Say whether it ended, as the network says."""
        return self.status in ENDED


def job(row: object) -> Job | None:
    """Return a job as it was read; None where it is none."""
    if not isinstance(row, dict):
        return None
    uuid, title, status = row.get("uuid"), row.get("title"), row.get("status")
    if not isinstance(uuid, str) or not _UUID.fullmatch(uuid) or not isinstance(title, str):
        return None
    if not isinstance(status, str):
        return None
    codes = row.get("allowed_region_codes")
    return Job(
        uuid,
        title,
        _text(row.get("description")),
        status,
        _text(row.get("status_reason")),
        _count(row.get("cpu_count")),
        _count(row.get("min_ram_gb")),
        _count(row.get("gpu_count")),
        tuple(str(code) for code in codes) if isinstance(codes, list) else None,
        _count(row.get("max_timeout_run_ms")) or None,
        _time(row.get("created_at")),
        _time(row.get("started_at")),
        _time(row.get("completed_at")),
    )


def run(row: object) -> Run | None:
    """Return a run as it was read; None where it is none."""
    if not isinstance(row, dict):
        return None
    uuid, status = row.get("uuid"), row.get("status")
    if not isinstance(uuid, str) or not _UUID.fullmatch(uuid) or not isinstance(status, str):
        return None
    return Run(uuid, status, _time(row.get("started_at_ms")))


def exit_code(logs: str, mark: str) -> int | None:
    """Return the exit code in the end marker that the entry point writes: the last line, and nothing behind it."""
    lines = logs.rstrip("\r\n \t").rsplit("\n", 1)
    found = _MARKED.fullmatch(lines[-1].strip())
    if found is None or found[1] != mark or int(found[2]) > 255:
        return None
    return int(found[2])


@dataclass(frozen=True, slots=True)
class Names:
    """What we call things at the network: nothing that means anything to anybody else."""

    owner: str

    @classmethod
    def of(cls, installation: str, backend: str) -> Names:
        """Return the names of a backend of an installation."""
        return cls(hashlib.sha256(f"dispersed\0{installation}\0{backend}".encode()).hexdigest()[:16])

    def title(self, key: str) -> str:
        """Return the title of an attempt's job."""
        return f"comity-{self.owner}-{key}"

    def key(self, title: str) -> str | None:
        """Return the key of an attempt by its title; None where it is none of ours."""
        front = f"comity-{self.owner}-"
        return title.removeprefix(front) if title.startswith(front) else None

    def mark(self, placement: backends.SealedPlacement, region: str) -> str:
        """Return what a job is recognised by: a hash of its document with our own name, so that nobody can try out
        what it says; whether its entry point tells an exit code; its region.
        """
        made = hashlib.sha256(f"{self.owner}\0{placement.spec_digest}".encode()).hexdigest()[:32]
        return f"{made} {_COMMANDED if placement.spec.command else _PLAIN} {region}"

    def end(self, key: str) -> str:
        """Return what the end marker of an attempt carries."""
        return hashlib.sha256(f"{self.owner}\0end\0{key}".encode()).hexdigest()[:32]


def document(
    placement: backends.SealedPlacement, wanted: settings.DispersedSettings, names: Names, region: str
) -> dict[str, Any]:
    """Return the body of ``POST /v1/jobs``. Raises BackendError for what cannot be said, or must not be told."""
    spec, key = placement.spec, str(placement.key)
    checked(placement)
    name, tag = image(spec, wanted)
    docker: dict[str, Any] = {"env": environment(placement, names), "image": name, "tag": tag}
    host, slash, rest = name.partition("/")
    if slash and ("." in host or ":" in host):
        docker |= {"host": host, "image": rest}
    made: dict[str, Any] = {
        "task": "BATCH",
        "title": names.title(key),
        "description": names.mark(placement, region),
        "cpu_count": max(1, -(-spec.resources.cpu_milli // 1000)),
        "min_ram_gb": max(1, -(-spec.resources.memory_bytes // GB)),
        "min_storage_gb": wanted.storage_gb,
        "gpu_count": 0,
        "allowed_region_codes": [region],
        "max_node_count": 1,
        "max_retry_count": 0,
        "max_timeout_assign_ms": ASSIGN_MS,
        "max_timeout_start_ms": START_MS,
        "max_timeout_run_ms": run_ms(placement, wanted),
        "parameters": {"type": "docker", "parameters": docker},
    }
    if (chips := spec.resources.accelerators) is not None:
        gpu = wanted.gpus.get(placement.pool)
        if gpu is None:
            raise errors.elsewhere(
                "gpu", f"settings.gpus does not say how pool {placement.pool}'s accelerator is called"
            )
        made |= {"gpu_count": chips.count, "gpu_name": gpu, "min_vram_gb": chips.memory_gb or 0}
    if len(json.dumps(made)) > BODY_BYTES_MAX:
        raise errors.refused("too-large", f"the job is more than {BODY_BYTES_MAX} bytes with its command and variables")
    return made


def checked(placement: backends.SealedPlacement) -> None:
    """Raise BackendError for a job that is none for this network, whoever let it through."""
    spec = placement.spec
    if spec.data is None or not spec.data.declared_none or placement.data:
        text = "image, command, variables and output can be read by the network and by whoever owns the node: only a"
        raise errors.elsewhere("discloses", f"{text} job that says `data: none` is told to them")
    unbuilt = {
        "several nodes": spec.nodes > 1,
        "files": bool(spec.files),
        "a working folder": spec.workdir is not None,
        "outputs": bool(spec.outputs),
        "secrets": bool(spec.secrets),
        "rules of connections": spec.egress is not None,
    }
    if found := [name for name, has in unbuilt.items() if has]:
        raise errors.refused("invalid", f"{', '.join(found)}: not built for Dispersed")


def image(spec: jobs.JobSpec, wanted: settings.DispersedSettings) -> tuple[str, str]:
    """Return name and tag of what runs. Raises BackendError."""
    named = spec.image
    if named is None:
        if wanted.command_image is None:
            raise errors.elsewhere("no-image", "the job names no image, and settings.commandImage names none")
        if not spec.command:
            raise errors.refused("invalid", "the job has neither image nor command")
        named = wanted.command_image
    elif "@" in named:
        raise errors.elsewhere("digest", "the network takes an image and a tag; how to name a digest it does not say")
    elif not wanted.image_tags:
        raise errors.elsewhere("tag", "images by tag are not taken here: tags move (settings.imageTags)")
    found = _IMAGE.fullmatch(named)
    if found is None:
        raise errors.refused("invalid", f"image {errors.shown(named)[:100]} is none with a tag: NAME:TAG")
    if spec.image is not None and spec.command and found[1] not in wanted.entrypoint_images:
        text = f"the network takes no command, and settings.entrypointImages does not name {found[1]}"
        raise errors.elsewhere("command", f"{text}: the image's own program would run instead")
    return found[1], found[2]


def environment(placement: backends.SealedPlacement, names: Names) -> dict[str, str]:
    """Return the variables of an attempt. Raises PermanentError for one that cannot be signed as it is."""
    spec, own = placement.spec, dict(placement.spec.env)
    for name, text in own.items():
        if not _NAME.fullmatch(name):
            raise errors.refused("env", f"variable {errors.shown(name)[:80]}: letters, digits and _ only")
        if not text.isascii() or "\0" in text:
            raise errors.refused("env", f"the value of variable {name} has characters beyond ASCII, or NUL")
    given = {name: text for name, text in placement.environment.items() if _NAME.fullmatch(name) and text.isascii()}
    if spec.command:
        if any("\0" in word for word in spec.command):
            raise errors.refused("invalid", "a word of the command has NUL")
        given |= {COMMAND: json.dumps(list(spec.command)), END: names.end(str(placement.key))}
    return own | given


def run_ms(placement: backends.SealedPlacement, wanted: settings.DispersedSettings) -> int:
    """Return the longest run in milliseconds: what is left of the deadline, at most ``minutesMax``."""
    most = wanted.minutes_max * 60_000
    if placement.time_limit is not None:
        most = min(most, int(placement.time_limit.total_seconds() * 1000))
    return max(RUN_MS_MIN, most)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return max(0, int(value)) if isinstance(value, int | float) and not isinstance(value, bool) and value < 2**53 else 0


def _time(value: object) -> dt.datetime | None:
    """Return a time in ISO 8601 or in milliseconds since 1970: the documentation shows both."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(value / 1000, dt.UTC) if 0 < value < 2**53 else None
        if isinstance(value, str):
            told = dt.datetime.fromisoformat(value)
            return told if told.tzinfo is not None else told.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
