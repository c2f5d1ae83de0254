"""Outputs that are kept in the cluster: told at an attempt's end, read through a pod that lives for that, removed.

Nothing leaves the cluster before somebody asks for it, which the core judges first. The bytes come through the API
server (``pods/proxy``) from a reader that serves one attempt's folder, read-only, below a path that is a secret.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backends.kubernetes import caches, client, decided, errors, frames, keeping, names, observe, views
from backends.kubernetes import settings as schema
from orchestrator.domain import errors as port_errors
from orchestrator.domain import executions, offers
from orchestrator.ports import backends

WAIT_S = 4.0
"""How long one call waits for a reader to come up; a call of the core lasts five seconds at most."""
LOOK_EVERY_S = 0.25
IDLE_S = 60.0
"""A reader that nobody used for so long is removed."""
KNOWN_MAX = 2_000


class Outputs:
    """Safe to call from several threads."""

    def __init__(
        self,
        talk: client.Client,
        cluster: caches.Cluster,
        wanted: schema.KubernetesSettings,
        context: backends.AdapterContext,
        book: decided.Book,
    ) -> None:
        self._client = talk
        self._cluster = cluster
        self._wanted = wanted
        self._context = context
        self._book = book
        self._lock = threading.Lock()
        self._known: dict[str, tuple[offers.OutputFile, ...]] = {}
        self._used_s: dict[str, float] = {}
        self._pause = threading.Event()

    def told(self, seen: backends.Observation, job: views.Job) -> backends.Observation:
        """Return an observation with the files that an attempt left, once it is over."""
        if seen.outcome is None or not job.kept:
            return seen
        found = self._left(job)
        return (
            seen if found is None or len(found) > executions.OUTPUTS_MAX else dataclasses.replace(seen, outputs=found)
        )

    def files(self, ref: backends.AttemptRef) -> Sequence[tuple[str, int]]:
        """Return (path, size in bytes) of every file kept."""
        place, job = self._place(ref)
        if not place:
            return ()
        found = self._left(job) if job is not None else None
        if found is None:
            found = keeping.manifest(self._manifest(*self._reader(place, str(ref.key), job)))
        return [(one.path, one.size_bytes) for one in found]

    def read(self, ref: backends.AttemptRef, path: str) -> Iterator[bytes]:
        """Begin to read one file, and yield its bytes; raises PermanentError ``outputs.not-found`` at once.

        What is read is held against the digest that was noted when it was kept: another one is an error at the end.
        """
        place, job = self._place(ref)
        if not place:
            raise _not_found(path)
        listed = self._left(job) if job is not None else None
        if listed is not None and all(one.path != path for one in listed):
            raise _not_found(path)
        pod, token = self._reader(place, str(ref.key), job)
        if listed is None:
            listed = keeping.manifest(self._manifest(pod, token))
        wanted = next((one for one in listed if one.path == path), None)
        if wanted is None:
            raise _not_found(path)
        try:
            stream = self._client.stream(keeping.url(self._wanted.namespace, pod, token, f"data/{path}"))
        except errors.StatusError as error:
            if error.status == 404:
                raise _not_found(path) from error
            raise errors.of_status(error, "read an output", self._client.hint) from error
        return self._pieces(stream, wanted, str(ref.key))

    def forget(self, job: views.Job) -> None:
        """Have what an attempt left removed. Raises BackendError."""
        if not job.kept or self._wanted.outputs is None:
            return
        self._remove(f"{keeping.READER}{job.name}")
        frame = self._frame(job.name, job.pool)
        self._make(keeping.wiper(job.kept, job.name, frame, self._wanted.outputs.image))
        with self._lock:
            self._known.pop(job.uid, None)

    def sweep(self) -> None:
        """Remove readers that nobody uses any more. Failures are left to their own deadline."""
        now_s = time.monotonic()
        with self._lock:
            idle = [name for name, used_s in self._used_s.items() if now_s - used_s > IDLE_S]
            for name in idle:
                del self._used_s[name]
        for name in idle:
            try:
                self._remove(name)
            except port_errors.BackendError:
                continue

    # --- underneath ---------------------------------------------------------------------------------------------------

    def _place(self, ref: backends.AttemptRef) -> tuple[str, views.Job | None]:
        """Return where an attempt's files are, "" for nowhere; its Job may be gone already."""
        key = str(ref.key)
        if self._wanted.outputs is None or names.parse_key(key) is None:
            return "", None
        self._cluster.ready()
        job = self._cluster.job(key)
        if job is not None:
            return (job.kept if self._cluster.ours(job) and job.over else ""), job
        if ref.handle is None:
            return "", None
        return keeping.where(self._wanted.outputs, self._context.backend, key), None

    def _left(self, job: views.Job) -> tuple[offers.OutputFile, ...] | None:
        """Return what the container that keeps said of an attempt that is over; None where that is not known."""
        with self._lock:
            known = self._known.get(job.uid)
        if known is not None:
            return known
        pod = observe.newest(self._cluster.pods_of(job)).get(0)
        said = keeping.words(pod.kept) if pod is not None else None
        if pod is None or said is None or said.digest is None:
            return None
        text = said.manifest if said.manifest is not None else self._log(pod)
        if hashlib.sha256(text).hexdigest() != said.digest:
            return None
        found = keeping.manifest(text)
        with self._lock:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[job.uid] = found
        return found

    def _log(self, pod: views.Pod) -> bytes:
        path = f"{self._cluster.pods_path}/{pod.name}/log"
        try:
            return self._client.text(path, keeping.MANIFEST_MAX, container=names.KEEPER)
        except (errors.StatusError, port_errors.BackendError):
            return b""

    def _manifest(self, pod: str, token: str) -> bytes:
        url = keeping.url(self._wanted.namespace, pod, token, "manifest")
        try:
            return self._client.text(url, keeping.MANIFEST_MAX)
        except errors.StatusError as error:
            if error.status == 404:
                return b""
            raise errors.of_status(error, "read the list of outputs", self._client.hint) from error

    def _pieces(self, stream: client.Stream, wanted: offers.OutputFile, key: str) -> Iterator[bytes]:
        made = hashlib.sha256()
        try:
            for piece in stream.pieces():
                made.update(piece)
                with self._lock:
                    self._used_s[f"{keeping.READER}{key}"] = time.monotonic()
                yield piece
        finally:
            stream.close()
        if f"sha256:{made.hexdigest()}" != wanted.sha256:
            raise port_errors.PermanentError(
                "outputs.changed", f"{wanted.path[:200]!r} is not what was kept when the attempt ended: do not use it"
            )

    def _reader(self, place: str, key: str, job: views.Job | None) -> tuple[str, str]:
        """Return the pod that serves an attempt's folder, and its secret. Raises BackendError where none is up yet."""
        name, until_s = f"{keeping.READER}{key}", time.monotonic() + WAIT_S
        outputs = self._wanted.outputs
        assert outputs is not None  # noqa: S101 -- whoever asks has looked
        made, why = False, "it has no pod yet"
        with self._lock:
            self._used_s[name] = time.monotonic()
        while True:
            for pod in self._pods_of(name):
                if (token := _token(pod)) and _is_ready(pod):
                    return str(pod["metadata"]["name"]), token
                why = _waits_for(pod) or why
            if not made:
                pool = job.pool if job is not None else ""
                body = keeping.reader(place, key, secrets.token_hex(32), self._frame(key, pool), outputs.image)
                self._make(body)
                made = True
            if time.monotonic() >= until_s:
                raise errors.access("reader", f"the pod that reads outputs is not up yet: {why}; ask again in a moment")
            self._pause.wait(LOOK_EVERY_S)

    def _pods_of(self, name: str) -> Sequence[Mapping[str, Any]]:
        try:
            found, _ = self._client.items(self._cluster.pods_path, labelSelector=f"{names.JOB_NAME_LABEL}={name}")
        except errors.StatusError as error:
            raise errors.of_status(error, "list the pods that read outputs", self._client.hint) from error
        return found

    def _make(self, body: Mapping[str, Any]) -> None:
        """Create a Job; one that is there and over makes room for the next try."""
        name = str(body["metadata"]["name"])
        try:
            self._book.create(body)
        except errors.StatusError as error:
            if error.status != 409 or error.reason != "AlreadyExists":
                raise errors.of_status(error, f"create Job {name}", self._client.hint) from error
            try:
                there = views.job(self._client.get(f"{self._cluster.jobs_path}/{name}"))
            except errors.StatusError:
                return
            if there is not None and there.over:
                self._remove(name)

    def _remove(self, name: str) -> None:
        try:
            self._client.delete(f"{self._cluster.jobs_path}/{name}", {"propagationPolicy": "Background"})
        except errors.StatusError as error:
            if error.status != 404:
                raise errors.of_status(error, f"delete Job {name}", self._client.hint) from error

    def _frame(self, key: str, pool: str) -> Mapping[str, Any]:
        """Return what these Jobs share with attempts: marks, but not that of the backend, and the same nodes."""
        parsed = names.parse_key(key) or ("x", None, "0")
        return {
            "labels": {
                names.MANAGED_BY_LABEL: names.MANAGED_BY,
                names.JOB_LABEL: parsed[0],
                names.ATTEMPT_LABEL: parsed[2],
                names.INSTALLATION_LABEL: names.label(self._context.installation),
            },
            "pod": {**frames.pod(self._wanted), **frames.placed(self._wanted, pool)},
            "container": frames.container(True),
        }


def _token(pod: Mapping[str, Any]) -> str:
    """Return the secret part of the path that a reader serves."""
    for one in _maps(_map(pod, "spec").get("containers")):
        for mount in _maps(one.get("volumeMounts")):
            where = mount.get("mountPath")
            if isinstance(where, str) and where.startswith("/srv/") and len(where) == len("/srv/") + 64:
                return where.removeprefix("/srv/")
    return ""


def _is_ready(pod: Mapping[str, Any]) -> bool:
    if _map(pod, "metadata").get("deletionTimestamp") is not None:
        return False
    return any(one.type == "Ready" and one.status == "True" for one in views.conditions(_map(pod, "status")))


def _waits_for(pod: Mapping[str, Any]) -> str:
    found = views.pod(pod)
    return observe.waits_for(found) if found is not None else ""


def _map(found: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = found.get(field)
    return value if isinstance(value, Mapping) else {}


def _maps(found: object) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _not_found(path: str) -> port_errors.PermanentError:
    return port_errors.PermanentError("outputs.not-found", f"this attempt keeps no file {path[:200]!r}")
