"""What is kept of a cluster's objects: a few fields each, read with distrust. Pure.

Whatever a cluster sends, reading it neither raises nor grows without bound: a field of the wrong kind counts as absent,
a text is cut, a list ends somewhere. An object without name or uid is none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.kubernetes import errors, names, quantities

_CONDITIONS_MAX = 32
_CONTAINERS_MAX = 32
_ADDRESSES_MAX = 16
_NAME_MAX = 253
_WORDS_MAX = 4_096
_NO: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that is true, or whose status is told (``status``)."""

    type: str
    status: str
    reason: str
    message: str
    since: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """A Job of ours. ``key`` is its name; amounts are those of one pod."""

    name: str
    uid: str
    version: int
    key: str
    pool: str
    backend: str
    installation: str
    spec_digest: str
    site: str
    stopped: bool
    gave_up: str
    created: dt.datetime | None
    started: dt.datetime | None
    completed: dt.datetime | None
    deleting: bool
    suspended: bool
    nodes: int
    active: int
    terminating: int
    conditions: tuple[Condition, ...]
    cpu_milli: int
    memory_bytes: int
    accelerators: int
    queue: str = ""
    """LocalQueue of Kueue that it was put into."""
    kept: str = ""
    """Where its outputs are kept; "" where it declared none."""
    parts: str = ""
    """What the names of the ConfigMaps begin with that it needs."""
    decision: str = ""
    """Digest of the decision that placed it."""

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of this type that is true."""
        return next((one for one in self.conditions if one.type == type_ and one.status == "True"), None)

    @property
    def over(self) -> bool:
        """Say whether nothing of it runs or will: it is complete, has failed, or was stopped before anything began."""
        if self.condition("Complete") is not None or self.condition("Failed") is not None:
            return True
        ending = self.stopped or bool(self.gave_up)
        return ending and self.suspended and self.active == 0 and self.terminating == 0


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a Job of ours. ``exit_*`` are those of the main container, once it has ended."""

    name: str
    uid: str
    version: int
    job: str
    rank: int
    node: str
    address: str
    phase: str
    reason: str
    message: str
    created: dt.datetime | None
    deleting: bool
    conditions: tuple[Condition, ...]
    waiting: str
    """Why the main container, or one before it, waits: ``ImagePullBackOff``."""
    waiting_message: str
    running_since: dt.datetime | None
    exit_code: int | None
    exit_signal: int | None
    exit_reason: str
    exit_message: str
    began: dt.datetime | None
    ended: dt.datetime | None
    image_digest: str | None
    released: bool
    """A gang's node was told the addresses."""
    gone: bool = False
    """It is there no more; this is the last that was seen of it."""
    kept: str = ""
    """The last words of the container that keeps outputs, as they were."""

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of this type, whatever its status."""
        return next((one for one in self.conditions if one.type == type_), None)


@dataclass(frozen=True, slots=True)
class Node:
    """A node. ``room`` is what it allocates: resource -> whole units (cpu: thousandths)."""

    name: str
    uid: str
    version: int
    labels: Mapping[str, str]
    provider: str
    addresses: tuple[str, ...]
    ready: bool
    taints: tuple[tuple[str, str, str], ...]
    room: Mapping[str, int]
    user_namespaces: bool


def job(found: Mapping[str, Any]) -> Job | None:
    """Return what is kept of a Job; None for what is none of Comity's."""
    meta, spec, status = _map(found, "metadata"), _map(found, "spec"), _map(found, "status")
    name, uid = _text(meta.get("name"), _NAME_MAX), _text(meta.get("uid"), 64)
    labels, notes = _map(meta, "labels"), _map(meta, "annotations")
    if not name or not uid or labels.get(names.MANAGED_BY_LABEL) != names.MANAGED_BY:
        return None
    template = _map(_map(spec, "template"), "spec")
    requests = _requests(template)
    return Job(
        name=name,
        uid=uid,
        version=version(meta),
        key=name,
        pool=_text(labels.get(names.POOL_LABEL), 63),
        backend=_text(labels.get(names.BACKEND_LABEL), 63),
        installation=_text(labels.get(names.INSTALLATION_LABEL), 63),
        spec_digest=_text(notes.get(names.SPEC_ANNOTATION), 80),
        site=_text(notes.get(names.PLACEMENT_ANNOTATION), 200),
        stopped=names.STOPPED_ANNOTATION in notes,
        gave_up=errors.plain(notes.get(names.GAVE_UP_ANNOTATION)),
        created=time(meta.get("creationTimestamp")),
        started=time(status.get("startTime")),
        completed=time(status.get("completionTime")),
        deleting=meta.get("deletionTimestamp") is not None,
        suspended=spec.get("suspend") is True,
        nodes=max(1, _count(spec.get("completions"))),
        active=_count(status.get("active")),
        terminating=_count(status.get("terminating")),
        conditions=conditions(status),
        cpu_milli=quantities.milli(requests.get("cpu", 0)),
        memory_bytes=quantities.whole(requests.get("memory", 0)),
        accelerators=quantities.whole(notes.get(names.ACCELERATORS_ANNOTATION, 0)),
        queue=_text(labels.get(names.QUEUE_LABEL), 63),
        kept=_text(notes.get(names.KEPT_ANNOTATION), 600),
        parts=_text(notes.get(names.PARTS_ANNOTATION), 63),
        decision=_text(notes.get(names.DECISION_ANNOTATION), 80),
    )


def pod(found: Mapping[str, Any]) -> Pod | None:
    """Return what is kept of a pod; None for what is no pod of a Job."""
    meta, spec, status = _map(found, "metadata"), _map(found, "spec"), _map(found, "status")
    name, uid = _text(meta.get("name"), _NAME_MAX), _text(meta.get("uid"), 64)
    labels, notes = _map(meta, "labels"), _map(meta, "annotations")
    owner = _text(labels.get(names.JOB_NAME_LABEL), 63)
    if not name or not uid or not owner:
        return None
    main = _container(status, "containerStatuses")
    state = _map(main, "state")
    ended, waits = _map(state, "terminated"), _waiting(status, state)
    code, signal = ended.get("exitCode"), ended.get("signal")
    return Pod(
        name=name,
        uid=uid,
        version=version(meta),
        job=owner,
        rank=_rank(notes.get(names.INDEX_ANNOTATION) or labels.get(names.INDEX_ANNOTATION)),
        node=_text(spec.get("nodeName"), _NAME_MAX),
        address=_text(status.get("podIP"), 64),
        phase=_text(status.get("phase"), 32),
        reason=errors.plain(status.get("reason"), 64),
        message=errors.plain(status.get("message")),
        created=time(meta.get("creationTimestamp")),
        deleting=meta.get("deletionTimestamp") is not None,
        conditions=conditions(status),
        waiting=errors.plain(waits.get("reason"), 64),
        waiting_message=errors.plain(waits.get("message")),
        running_since=time(_map(state, "running").get("startedAt")),
        exit_code=code if type(code) is int and 0 <= code <= 255 else None,
        exit_signal=signal if type(signal) is int and 1 <= signal <= 64 else None,
        exit_reason=errors.plain(ended.get("reason"), 64),
        exit_message=errors.plain(ended.get("message")),
        began=time(ended.get("startedAt")),
        ended=time(ended.get("finishedAt")),
        image_digest=_digest(main.get("imageID")),
        released=names.GANG_ANNOTATION in notes,
        kept=_last_words(status),
    )


def node(found: Mapping[str, Any]) -> Node | None:
    """Return what is kept of a node."""
    meta, spec, status = _map(found, "metadata"), _map(found, "spec"), _map(found, "status")
    name, uid = _text(meta.get("name"), _NAME_MAX), _text(meta.get("uid"), 64)
    if not name or not uid:
        return None
    ready = any(one.type == "Ready" and one.status == "True" for one in conditions(status))
    room = {
        str(resource)[:_NAME_MAX]: quantities.milli(amount) if resource == "cpu" else quantities.whole(amount)
        for resource, amount in list(_map(status, "allocatable").items())[:256]
    }
    taints = tuple(
        (_text(taint.get("key"), 317), _text(taint.get("value"), 63), _text(taint.get("effect"), 32))
        for taint in _maps(spec.get("taints"))[:64]
    )
    cordoned = (("node.kubernetes.io/unschedulable", "", "NoSchedule"),) if spec.get("unschedulable") is True else ()
    return Node(
        name=name,
        uid=uid,
        version=version(meta),
        labels={str(key)[:317]: _text(value, 63) for key, value in list(_map(meta, "labels").items())[:512]},
        provider=_text(spec.get("providerID"), 512),
        addresses=tuple(
            _text(one.get("address"), 64)
            for one in _maps(status.get("addresses"))[:_ADDRESSES_MAX]
            if one.get("type") == "InternalIP"
        ),
        ready=ready,
        taints=tuple(dict.fromkeys((*taints, *cordoned))),
        room=room,
        user_namespaces=any(
            not one.get("name") and _map(one, "features").get("userNamespaces") is True
            for one in _maps(status.get("runtimeHandlers"))[:64]
        ),
    )


def time(text: object) -> dt.datetime | None:
    """Return a time as Kubernetes writes it (RFC 3339), in UTC; None for what is none."""
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else found.astimezone(dt.UTC)


def conditions(status: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return the conditions of a status, each with its words cut."""
    return tuple(
        Condition(
            _text(one.get("type"), 316),
            _text(one.get("status"), 16),
            errors.plain(one.get("reason"), 128),
            errors.plain(one.get("message")),
            time(one.get("lastTransitionTime")),
        )
        for one in _maps(status.get("conditions"))[:_CONDITIONS_MAX]
    )


def _container(status: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    return next((one for one in _maps(status.get(field))[:_CONTAINERS_MAX] if one.get("name") == names.CONTAINER), _NO)


def _last_words(status: Mapping[str, Any]) -> str:
    """Return what the container that keeps outputs said at its end; "" while it has not ended."""
    for one in _maps(status.get("initContainerStatuses"))[:_CONTAINERS_MAX]:
        if one.get("name") == names.KEEPER:
            said = _map(_map(one, "state"), "terminated").get("message")
            return said[:_WORDS_MAX] if isinstance(said, str) else ""
    return ""


def _waiting(status: Mapping[str, Any], main: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return why the main container waits: where one before it does not get on, that is why."""
    for one in _maps(status.get("initContainerStatuses"))[:_CONTAINERS_MAX]:
        waits = _map(_map(one, "state"), "waiting")
        if waits.get("reason") not in (None, "PodInitializing"):
            return waits
    return _map(main, "waiting")


def _requests(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the main container asks for; where no request stands, its limit is one."""
    for one in _maps(template.get("containers"))[:_CONTAINERS_MAX]:
        if one.get("name") == names.CONTAINER:
            resources = _map(one, "resources")
            return {**_map(resources, "limits"), **_map(resources, "requests")}
    return _NO


def _digest(image: object) -> str | None:
    """Return the digest of an image as it runs: ``repo@sha256:...`` or ``sha256:...``."""
    text = _text(image, 1024).rpartition("@")[2]
    return text if len(text) == 71 and text.startswith("sha256:") else None


def _rank(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isdecimal() and text.isascii() and len(text) <= 6 else 0


def version(meta: Mapping[str, Any]) -> int:
    """Return the resource version, which grows (Kubernetes 1.35 says so); 0 for one that is no number."""
    text = meta.get("resourceVersion")
    return int(text) if isinstance(text, str) and text.isdecimal() and text.isascii() and len(text) <= 20 else 0


def _count(number: object) -> int:
    return number if type(number) is int and 0 <= number <= 10**6 else 0


def _text(text: object, limit: int) -> str:
    return text[:limit] if isinstance(text, str) and text.isprintable() else ""


def _map(found: object, *path: str) -> Mapping[str, Any]:
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else _NO


def _list(found: object) -> Sequence[Any]:
    return found if isinstance(found, list) else ()


def _maps(found: object) -> list[Mapping[str, Any]]:
    return [one for one in _list(found) if isinstance(one, Mapping)]
