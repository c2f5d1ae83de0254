"""Jobs and nodes as an orchestrator of 1.9 writes them, and the job that an attempt is. Pure.

An attempt is a job of type ``ops``: it runs once on each node that matches, and is never tried again; and one node
matches, the one that has the name. Its document is the same at every submission of the same placement: a document that
differed would be a new version, which cancels what runs and runs again.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.bacalhau import errors, settings
from orchestrator.domain import ids, jobs
from orchestrator.ports import backends

BYTES_MAX = 1_000_000
"""Of a submission. A job of about 1 MiB is accepted, and then blocks its node until the node's data is wiped."""
SETTLE = dt.timedelta(seconds=5)
"""A node that comes back ends within a second what was given up meanwhile (seen: 1.9.3)."""
LABEL_MAX = 63
SPEC, OWNER = "comity-spec", "comity-backend"
MAGIC = b"\0asm\x01\0\0\0"
"""How a module of version 1 begins."""
ENDED = frozenset({"Completed", "Failed", "Stopped"})
WAITING = frozenset({"Pending", "Queued"})
RUNNING = "Running"
COMPLETED, FAILED, CANCELLED, REJECTED = 9, 10, 11, frozenset({4, 8})
"""States of an execution: it did what it was to do; it did not; it was told to end; the node did not want it."""
_OVER = frozenset({COMPLETED, FAILED, CANCELLED}) | REJECTED
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,127}", re.ASCII)
_PATH = re.compile(r"[^\x00-\x1f\\:]{1,512}")
_WORD = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
_CPU = re.compile(r"([0-9]{1,9})m", re.ASCII)
_MEMORY = re.compile(r"([0-9]{1,18})b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a job on a node, as it was last heard of."""

    id: str
    node: str
    state: int
    message: str
    exit_code: int | None
    stdout: str
    error: str
    created_ns: int
    modified_ns: int

    @property
    def over(self) -> bool:
        """Say whether the node said that it is over, or was given up."""
        return self.state in _OVER


@dataclass(frozen=True, slots=True)
class Job:
    """A job without its module. ``node`` is the one it is pinned to."""

    id: str
    name: str
    namespace: str
    state: str
    message: str
    labels: Mapping[str, str]
    node: str
    cpu_milli: int
    memory_bytes: int
    created_ns: int
    modified_ns: int
    executions: tuple[Execution, ...] = ()

    @property
    def over(self) -> bool:
        """Say whether nothing of it will begin any more."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Node:
    """A compute node, as it says itself. ``used``: of ``cpu_milli`` and ``memory_bytes`` when it last said so."""

    name: str
    labels: Mapping[str, str]
    connected: bool
    settled: bool
    """Connected for so long that it has been told what it is to end, and has been heard of since."""
    wasm: bool
    cpu_milli: int
    memory_bytes: int
    used_cpu_milli: int
    used_memory_bytes: int

    def country(self, label: str) -> str | None:
        """Return the country that it says it is in."""
        found = self.labels.get(label, "")
        return found if re.fullmatch(r"[A-Z]{2}", found) else None


def job(row: Mapping[str, Any], executions: Sequence[object] = ()) -> Job | None:
    """Return a job as it was read; None where it is none."""
    try:
        task = row["Tasks"][0]
        pins = [one["Values"][0] for one in row.get("Constraints") or () if one["Key"] == "name"]
        cpu, memory = _CPU.fullmatch(task["Resources"]["CPU"]), _MEMORY.fullmatch(task["Resources"]["Memory"].lower())
        made = [_execution(one) for one in executions]
        return Job(
            id=str(row["ID"]),
            name=str(row["Name"]),
            namespace=str(row["Namespace"]),
            state=str(row["State"]["StateType"]),
            message=str(row["State"].get("Message", "")),
            labels={str(name): str(text) for name, text in (row.get("Labels") or {}).items()},
            node=str(pins[0]) if len(pins) == 1 else "",
            cpu_milli=int(cpu[1]) if cpu else 0,
            memory_bytes=int(memory[1]) if memory else 0,
            created_ns=int(row["CreateTime"]),
            modified_ns=int(row["ModifyTime"]),
            executions=tuple(sorted(made, key=lambda one: (one.created_ns, one.id))),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None


def _execution(row: Any) -> Execution:
    said = row.get("RunOutput") or {}
    code = said.get("ExitCode")
    return Execution(
        id=str(row["ID"]),
        node=str(row["NodeID"]),
        state=int(row["ComputeState"]["StateType"]),
        message=str(row["ComputeState"].get("Message", "")),
        exit_code=code if type(code) is int else None,
        stdout=str(said.get("Stdout", "")),
        error=str(said.get("ErrorMsg", "")),
        created_ns=int(row["CreateTime"]),
        modified_ns=int(row["ModifyTime"]),
    )


def node(row: Mapping[str, Any]) -> Node | None:
    """Return a compute node as it was read; None where it is none, or not let in."""
    try:
        info = row["Info"]
        if info["NodeType"] != "Compute" or row["Membership"] != "APPROVED" or not _WORD.fullmatch(info["NodeID"]):
            return None
        said = info.get("ComputeNodeInfo") or {}
        most, left = said.get("MaxCapacity") or {}, said.get("AvailableCapacity") or {}
        cpu, memory = round(float(most.get("CPU", 0)) * 1000), int(most.get("Memory", 0))
        return Node(
            name=str(info["NodeID"]),
            labels={str(name): str(text) for name, text in (info.get("Labels") or {}).items()},
            connected=row["Connection"] == "CONNECTED",
            settled=_settled(row),
            wasm="wasm" in (said.get("ExecutionEngines") or ()),
            cpu_milli=max(0, cpu),
            memory_bytes=max(0, memory),
            used_cpu_milli=max(0, cpu - round(float(left.get("CPU", 0)) * 1000)),
            used_memory_bytes=max(0, memory - int(left.get("Memory", 0))),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _settled(row: Mapping[str, Any]) -> bool:
    """Say whether a node has been connected for ``SETTLE`` by the orchestrator's own clock."""
    try:
        told = row["ConnectionState"]
        since, heard = (dt.datetime.fromisoformat(told[name]) for name in ("ConnectedSince", "LastHeartbeat"))
        return row["Connection"] == "CONNECTED" and since.year > 1 and heard - since >= SETTLE
    except (KeyError, TypeError, ValueError):
        return False


def document(
    placement: backends.SealedPlacement, wanted: settings.BacalhauSettings, namespace: str, mark: str, node: str
) -> bytes:
    """Return the submission of an attempt. Raises PermanentError for what cannot be said to Bacalhau.

    What Bacalhau takes and never runs (operators in capitals, labels that are too long, values that name variables of
    the node) is refused here.
    """
    spec = placement.spec
    entry = checked_module(spec)
    sources = [_source(name, content) for name, content in sorted(spec.files)]
    cpu, memory = amounts(spec, wanted)
    task = {
        "Name": "main",
        "Engine": {
            "Type": "wasm",
            "Params": {"EntryModule": f"/{entry}", "Entrypoint": "_start", "Parameters": list(spec.command[1:])},
        },
        "Env": environment(placement),
        "InputSources": sources,
        "Network": {"Type": "None"},
        "Resources": {"CPU": f"{cpu}m", "Memory": f"{memory}b"},
    }
    pin = {"Key": "name", "Operator": "in", "Values": [label(node)]}
    made = {
        "Name": str(placement.key),
        "Namespace": namespace,
        "Type": "ops",
        "Labels": {SPEC: fingerprint(placement.spec_digest), OWNER: label(mark)},
        "Constraints": [pin],
        "Tasks": [task],
    }
    raw = json.dumps({"Job": made}, sort_keys=True, separators=(",", ":")).encode()
    if len(raw) > BYTES_MAX:
        text = f"the job is {len(raw)} bytes with its module and files; more than {BYTES_MAX} would block its node"
        raise errors.refused("too-large", text)
    return raw


def checked_module(spec: jobs.JobSpec) -> str:
    """Return the name of the module that a job runs. Raises PermanentError where it has none."""
    if spec.module is None:
        raise errors.refused("no-module", "its command begins with no .wasm of its files")
    if not dict(spec.files)[spec.module].startswith(MAGIC):
        raise errors.refused("no-module", f"{errors.shown(spec.module)} is no WebAssembly module of version 1")
    return spec.module


def environment(placement: backends.SealedPlacement) -> dict[str, str]:
    """Return the variables of an attempt. Raises PermanentError for one that no node would give it as it is."""
    own = dict(placement.spec.env)
    for name, text in own.items():
        if not _NAME.fullmatch(name) or name.startswith("BACALHAU_"):
            raise errors.refused(
                "env", f"variable {name[:80]}: capitals, digits and _ only, and not BACALHAU_ in front"
            )
        if not text or text.startswith("env:") or "\x00" in text:
            why = "empty" if not text else "a reference to a variable of the node" if "\x00" not in text else "NUL"
            raise errors.refused("env", f"the value of variable {name}: {why} is not given to a job")
    given = {name: text for name, text in placement.environment.items() if text and not text.startswith("env:")}
    return given | own


def amounts(spec: jobs.JobSpec, wanted: settings.BacalhauSettings) -> tuple[int, int]:
    """Return thousandths of a CPU and bytes of memory that a job takes. Without any, the site's own default holds."""
    return (
        spec.resources.cpu_milli or wanted.default_cpu_milli,
        spec.resources.memory_bytes or wanted.default_memory_mib * settings.MIB,
    )


def label(text: str) -> str:
    """Return a text that may stand in a label. One that is too long would leave the job waiting for ever."""
    if not _WORD.fullmatch(text) or len(text) > LABEL_MAX:
        raise errors.refused("label", f"{errors.shown(text)[:80]} may not stand in a label of Bacalhau")
    return text


def fingerprint(digest: ids.Digest) -> str:
    """Return what of a digest fits into a label: 48 hexadecimal digits."""
    return str(digest).rpartition(":")[2][:48]


def _source(target: str, content: bytes) -> dict[str, Any]:
    if not _PATH.fullmatch(target) or any(part in ("", ".", "..") for part in target.split("/")):
        raise errors.refused("path", f"file {errors.shown(target)[:80]} cannot be given to a job")
    data = base64.b64encode(content).decode()
    params = {"URL": f"data:application/octet-stream;base64,{data}"}
    return {"Target": f"/{target}", "Source": {"Type": "inline", "Params": params}}
