"""The second fence's parameter object: each Job is entered with its digest before it is created (ADR 0026).

One object of the namespace, ``decidedjobs.fence.comity.dev/comity``: name of a Job -> digest. An entry is taken away
with the next one, because it counts only at creation. The API server reads the object through a cache, so the Job may
come before its entry is known there: then it is asked again, a few times and for less than a second in all.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from backends.kubernetes import client, errors, names
from orchestrator.domain import errors as port_errors

GROUP, PLURAL, KIND, NAME = "fence.comity.dev", "decidedjobs", "DecidedJobs", "comity"
WAITS_S = (0.02, 0.05, 0.1, 0.2, 0.4)
TRIES_MAX = 4
DONE_MAX = 1_000
"""Entries to be taken away that are remembered; those of a process that ended stay, and name Jobs that are there."""
_NOT_YET = re.compile(r"no placement was decided|no params found|not yet synced", re.ASCII)


def is_not_yet(error: errors.StatusError) -> bool:
    """Say whether the fence refused because it does not know the entry (yet)."""
    fence = "ValidatingAdmissionPolicy" in error.message and _NOT_YET.search(error.message) is not None
    return error.status in (403, 422) and fence


class Book:
    """Creates Jobs; where there is a second fence, as it wants it. Safe to call from several threads."""

    def __init__(
        self,
        talk: client.Client,
        namespace: str,
        *,
        fence: bool,
        waits_s: Sequence[float] = WAITS_S,
    ) -> None:
        self._client = talk
        self._fence = fence
        self._path = f"/apis/{GROUP}/v1/namespaces/{namespace}/{PLURAL}"
        self._jobs_path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._waits_s = waits_s
        self._pause = threading.Event()
        self._lock = threading.Lock()
        self._done: list[str] = []

    def create(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create a Job. Raises StatusError, BackendError."""
        if not self._fence:
            return self._client.post(self._jobs_path, job)
        name = str(job["metadata"]["name"])
        self._enter(name, str(job["metadata"]["annotations"][names.SPEC_ANNOTATION]))
        for wait_s in self._waits_s:
            try:
                return self._finish(name, job)
            except errors.StatusError as error:
                if not is_not_yet(error):
                    raise
            self._pause.wait(wait_s)
        try:
            return self._finish(name, job)
        except errors.StatusError as error:
            if not is_not_yet(error):
                raise
            # The entry stays, so that the next try finds it known.
            raise errors.access(
                "fence", f"the second fence does not know the entry of Job {name}: {error.message}"
            ) from error

    def _finish(self, name: str, job: Mapping[str, Any]) -> Mapping[str, Any]:
        made = self._client.post(self._jobs_path, job)
        with self._lock:
            self._done = [*self._done[-DONE_MAX + 1 :], name]
        return made

    def _enter(self, name: str, digest: str) -> None:
        """Write an entry, and take away those of Jobs that are there. Raises BackendError."""
        with self._lock:
            gone, self._done = [each for each in self._done if each != name], []
        entries: dict[str, str | None] = {**dict.fromkeys(gone), name: digest}
        try:
            self._write(entries)
        except (errors.StatusError, port_errors.BackendError) as error:
            with self._lock:
                self._done = gone + self._done
            if isinstance(error, errors.StatusError):
                raise self._said(error) from error
            raise

    def _write(self, entries: Mapping[str, str | None]) -> None:
        for tries_left in range(TRIES_MAX - 1, -1, -1):
            try:
                self._client.patch(f"{self._path}/{NAME}", {"data": entries})
                return
            except errors.StatusError as error:
                # 409: many write it at once, and the API server gave up merging.
                if error.status not in (404, 409) or not tries_left:
                    raise
                if error.status == 404 and self._made(entries):
                    return

    def _made(self, entries: Mapping[str, str | None]) -> bool:
        """Make the object; False where somebody was faster."""
        data = {name: digest for name, digest in entries.items() if digest is not None}
        body = {"apiVersion": f"{GROUP}/v1", "kind": KIND, "metadata": {"name": NAME}, "data": data}
        try:
            self._client.post(self._path, body)
        except errors.StatusError as error:
            if error.status == 409:
                return False
            raise
        return True

    def _said(self, error: errors.StatusError) -> port_errors.BackendError:
        if error.status == 404:
            return errors.access(
                "fence",
                f"the cluster has no {PLURAL}.{GROUP}: apply what `comity policy export --to kubernetes` writes, or "
                "set fence to false",
            )
        return errors.of_status(error, f"write {PLURAL}.{GROUP} {NAME}", self._client.hint)
