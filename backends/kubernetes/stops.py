"""Ends an attempt for good: its Job gets a mark, no parallelism and a deadline of a second, and keeps its name.

The patch holds only for the Job as it was read (resource version), so an end that came first is never written over.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

from backends.kubernetes import caches, client, decided, errors, names, render, views
from backends.kubernetes import settings as schema
from orchestrator.domain import errors as port_errors
from orchestrator.ports import backends

TRIES_MAX = 5
"""Reads of a Job that changes between read and patch; more is left to the next call."""
GRACE_S_MIN = 1
"""Zero would remove the pod from the API while its process may still run."""


class Stops:
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
        self._book = book
        self._cluster = cluster
        self._wanted = wanted
        self._context = context

    def stop(self, key: str, grace: dt.timedelta) -> None:
        """Ask the attempt of a key to end, and fence the key. Raises BackendError."""
        if names.parse_key(key) is None:
            return
        self._cluster.ready()
        job = self._cluster.job(key)
        for _ in range(TRIES_MAX):
            if job is None:
                job = self._fence(key)
                if job is not None:
                    return
                job = self._cluster.look(key)
                if job is None:
                    raise errors.conflict(key, "it carries no marks of this backend, so it is not stopped")
            if not self._cluster.ours(job) or job.over:
                return
            if job.stopped or self._mark(job, {names.STOPPED_ANNOTATION: self._now()}):
                self._end_pods(key, grace)
                return
            job = self._cluster.look(key)
        raise port_errors.TransientError("kubernetes.conflict", f"Job {key} changes faster than it can be stopped")

    def give_up(self, job: views.Job, why: str) -> None:
        """End an attempt that cannot begin, and note why. Raises BackendError."""
        if not job.over and not job.gave_up and self._mark(job, {names.GAVE_UP_ANNOTATION: why[:500]}):
            self._end_pods(job.name, dt.timedelta(0))

    def remove(self, job: views.Job) -> None:
        """Remove a Job that is over, and all that goes with it; one that is gone, or another one, is fine."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": job.uid}}
        try:
            self._client.delete(f"{self._cluster.jobs_path}/{job.name}", body)
        except errors.StatusError as error:
            if error.status not in (404, 409):
                raise errors.of_status(error, f"delete Job {job.name}", self._client.hint) from error
        self._cluster.jobs.drop(job)

    def _mark(self, job: views.Job, notes: Mapping[str, str]) -> bool:
        """Mark a Job as ending; False where it is another one than was read, by now."""
        body: dict[str, Any] = {
            "metadata": {"uid": job.uid, "resourceVersion": str(job.version), "annotations": dict(notes)},
            "spec": {"parallelism": 0, "activeDeadlineSeconds": 1},
        }
        try:
            found = views.job(self._client.patch(f"{self._cluster.jobs_path}/{job.name}", body))
        except errors.StatusError as error:
            if error.status in (404, 409):
                return False
            raise errors.of_status(error, f"stop Job {job.name}", self._client.hint) from error
        if found is not None:
            self._cluster.jobs.put(found)
        return True

    def _fence(self, key: str) -> views.Job | None:
        """Take the name of an attempt that never came, so that it never will; None where somebody was faster."""
        made = render.tombstone(key, self._context.backend, self._context.installation, self._wanted, self._now())
        try:
            found = views.job(self._book.create(made.job))
        except errors.StatusError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return None
            raise errors.of_status(error, f"fence Job {key}", self._client.hint) from error
        return None if found is None else self._cluster.jobs.put(found)

    def _end_pods(self, key: str, grace: dt.timedelta) -> None:
        """Begin the grace now: the Job controller would come a second later, with the grace of the template.

        So the end of many pods, which is one long call, need not be waited for: the stop is a fact already.
        """
        seconds = max(GRACE_S_MIN, math.ceil(grace.total_seconds()))
        selector = f"{names.JOB_NAME_LABEL}={key},{names.MANAGED_BY_LABEL}={names.MANAGED_BY}"
        try:
            self._client.delete(self._cluster.pods_path, {"gracePeriodSeconds": seconds}, labelSelector=selector)
        except errors.StatusError as error:
            if error.status != 404:
                raise errors.of_status(error, f"end the pods of {key}", self._client.hint) from error
        except port_errors.TransientError:
            pass

    def _now(self) -> str:
        return f"{self._context.now().astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
