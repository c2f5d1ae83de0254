"""What changes the cluster: packages, submissions, records that hold an id, deletions. Each may be repeated safely."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.parse

from backends.ray import client, errors, marks, packages
from orchestrator.domain import errors as port_errors
from orchestrator.ports import backends

PACKAGE_AGE_S = 240.0
"""Ray keeps a package that nobody uses for ten minutes after it was last asked for; ours are asked for sooner."""
_PACKAGES_MAX = 4096
_EXISTS = b"already exists"
_SMALL_BYTES_MAX = 2**20
_INVALID = re.compile(rb"\b(ValueError|TypeError): ")


class Submitter:
    """Safe to call from any thread."""

    def __init__(self, head: client.Head, context: backends.AdapterContext) -> None:
        self._head = head
        self._context = context
        self._lock = threading.Lock()
        self._sent: dict[tuple[str, str], float] = {}

    def send(self, package: packages.Package, session: str) -> None:
        """Make sure that the cluster has a package. Raises BackendError; nothing of the job has begun then."""
        known, now_s = (session, package.name), time.monotonic()
        with self._lock:
            at = self._sent.get(known)
        if at is not None and now_s - at < PACKAGE_AGE_S:
            return
        path = f"/api/packages/gcs/{package.name}"
        reply = self._head.send("GET", path, limit=_SMALL_BYTES_MAX)
        if reply.status == 404:
            reply = self._head.send(
                "PUT", path, package.content, headers={"Content-Type": "application/zip"}, limit=_SMALL_BYTES_MAX
            )
        if reply.status != 200:
            error = errors.of_status(self._head.url, reply.status, reply.body)
            if isinstance(error, port_errors.TransientError):
                error.effects = port_errors.SideEffects.NONE
            raise error
        with self._lock:
            if len(self._sent) >= _PACKAGES_MAX:
                self._sent.clear()
            self._sent[known] = now_s

    def create(self, body: bytes) -> bool:
        """Submit; False where the id is taken. Raises BackendError."""
        reply = self._head.send("POST", "/api/jobs/", body, limit=_SMALL_BYTES_MAX)
        if reply.status == 200:
            return True
        if reply.status == 500 and _EXISTS in reply.body:
            return False
        if reply.status == 500 and b"No available agent" in reply.body:
            text = "the cluster has no agent that takes jobs now"
            raise port_errors.TransientError("ray.no-agent", text, effects=port_errors.SideEffects.NONE)
        if reply.status == 500 and _INVALID.search(reply.body):
            raise errors.refused("refused", f"Ray refuses the job: {errors.last_line(reply.body)}")
        raise errors.of_status(self._head.url, reply.status, reply.body)

    def fence(self, id: str) -> bool:
        """Take an id so that nothing starts under it; False where it is taken already. Raises BackendError."""
        return self.create(json.dumps(marks.fence(id, self._context)).encode())

    def delete(self, id: str) -> None:
        """Remove a record that is over; one that is not there, or not over, is fine. Raises BackendError."""
        path = f"/api/jobs/{urllib.parse.quote(id, safe='')}"
        reply = self._head.send("DELETE", path, limit=_SMALL_BYTES_MAX)
        if reply.status in (200, 404) or (reply.status == 500 and b"non-terminal" in reply.body):
            return
        raise errors.of_status(self._head.url, reply.status, reply.body)
