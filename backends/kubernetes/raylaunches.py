"""Creates RayJobs and ends them for good, each step get-or-create. See :mod:`launches` and :mod:`stops`."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

from backends.kubernetes import client, errors, names, payloads, raycluster, rayjobs, rayviews, render, rooms, views
from backends.kubernetes import settings as schema
from orchestrator.domain import errors as port_errors
from orchestrator.ports import backends

SWEEP_EVERY_S = 600.0
SWEEP_AGE = dt.timedelta(hours=1)
TRIES_MAX = 5
"""Reads of a RayJob that changes between read and patch; its operator writes into it every few seconds."""
STRICT = "fieldValidation=Strict"
"""A field that this KubeRay does not know is an error: left out, it would mean something else."""


class RayLaunches:
    """Safe to call from several threads: the API server decides who was first."""

    def __init__(
        self,
        talk: client.Client,
        cluster: raycluster.RayCluster,
        wanted: schema.KubernetesSettings,
        context: backends.AdapterContext,
    ) -> None:
        self._client = talk
        self._cluster = cluster
        self._wanted = wanted
        self._context = context
        self._accelerators = {pool.name: pool.accelerator for pool in context.pools}
        self._swept_s = time.monotonic()

    def launch(self, placement: backends.SealedPlacement) -> rayviews.RayJob:
        """Get or create the RayJob of a placement. Raises BackendError."""
        made = rayjobs.objects(placement, self._grant(placement.pool))
        key = str(placement.key)
        self._cluster.ready()
        known = self._cluster.jobs.items.get(key)
        if known is not None:
            return self._same(key, known, made)
        for one in made.maps:
            self._create(one)
        job = self._create_job(key, made)
        for one in made.maps:
            self._adopt(one, job)
        return job

    def _grant(self, pool: str) -> render.Grant:
        nodes = rooms.nodes_of(pool, self._cluster.base.nodes.items, self._wanted)
        return render.Grant(
            self._wanted,
            self._context.backend,
            self._context.installation,
            self._accelerators.get(pool),
            user_namespaces=bool(nodes) and all(node.user_namespaces for node in nodes),
        )

    def _create_job(self, key: str, made: render.Objects) -> rayviews.RayJob:
        try:
            found = rayviews.rayjob(self._client.post(f"{self._cluster.path}?{STRICT}", made.job))
        except errors.StatusError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return self._same(key, self._cluster.look(key), made)
            raise errors.of_status(error, f"create RayJob {key}", self._client.hint) from error
        if found is None:
            raise port_errors.TransientError("kubernetes.answer", "the API server answered with what is no RayJob")
        return self._cluster.jobs.put(found)

    def _same(self, key: str, found: rayviews.RayJob | None, made: render.Objects) -> rayviews.RayJob:
        """Return the RayJob that has the name, if it is this attempt."""
        if found is None:
            raise errors.conflict(key, "it carries no marks of this backend, or was just removed")
        if not self._cluster.ours(found):
            raise errors.conflict(key, "it belongs to another backend or installation")
        if found.job.spec_digest != made.digest:
            if found.job.stopped:
                raise errors.stopped(key)
            raise errors.conflict(key, "something else was decided to run under this name")
        return found

    def _create(self, one: Mapping[str, Any]) -> None:
        """Create a ConfigMap that comes before its RayJob. One that is there holds the same, or is refused."""
        path, name = self._cluster.base.maps_path, one["metadata"]["name"]
        try:
            self._client.post(path, one, meta_only=True)
            return
        except errors.StatusError as error:
            if error.status != 409 or error.reason != "AlreadyExists":
                raise errors.of_status(error, f"create ConfigMap {name}", self._client.hint) from error
        try:
            there = self._client.meta(f"{path}/{name}").get("metadata")
        except errors.StatusError as error:
            raise errors.of_status(error, f"read ConfigMap {name}", self._client.hint) from error
        notes = there.get("annotations") if isinstance(there, Mapping) else None
        mine = one["metadata"]["annotations"][names.CONTENT_ANNOTATION]
        if not isinstance(notes, Mapping) or notes.get(names.CONTENT_ANNOTATION) != mine:
            raise errors.conflict(name, "a ConfigMap of this name holds something else")

    def _adopt(self, one: Mapping[str, Any], job: rayviews.RayJob) -> None:
        """Make a ConfigMap go with its RayJobs: one more owner. Where that fails it is swept when they are gone."""
        owner = {
            "apiVersion": f"{rayjobs.GROUP}/{rayjobs.VERSION}",
            "kind": rayjobs.KIND,
            "name": rayjobs.name_of(job.name),
            "uid": job.job.uid,
        }
        notes = {"metadata": {"ownerReferences": [owner]}}
        try:
            self._client.merge(f"{self._cluster.base.maps_path}/{one['metadata']['name']}", notes)
        except errors.StatusError as error:
            if error.status == 404:  # it went with the last one that shared it, just now
                self._create({**one, "metadata": {**one["metadata"], **notes["metadata"]}})
        except port_errors.BackendError:
            pass

    def sweep(self) -> None:
        """Remove ConfigMaps whose RayJob never came, an hour after they were made. Failures cost time."""
        now_s = time.monotonic()
        if now_s - self._swept_s < SWEEP_EVERY_S:
            return
        self._swept_s = now_s
        path = self._cluster.base.maps_path
        mine = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.BACKEND_LABEL}={names.label(self._context.backend)}"
        used = {job.job.parts for job in self._cluster.jobs.items.values() if job.job.parts}
        try:
            found, _ = self._client.items(path, meta_only=True, labelSelector=mine)
            for meta in (each.get("metadata") for each in found):
                if not isinstance(meta, Mapping) or meta.get("ownerReferences"):
                    continue
                name, made = str(meta.get("name", "")), views.time(meta.get("creationTimestamp"))
                old = made is not None and self._context.now() - made > SWEEP_AGE
                if old and name.startswith(payloads.PREFIX) and name.rpartition("-")[0] not in used:
                    self._client.delete(f"{path}/{name}", {"preconditions": {"uid": meta.get("uid")}})
        except (errors.StatusError, port_errors.BackendError):
            return

    # --- the end ------------------------------------------------------------------------------------------------------

    def stop(self, key: str) -> None:
        """Ask the attempt of a key to end, and fence the key. Raises BackendError."""
        if names.parse_key(key) is None:
            return
        self._cluster.ready()
        job = self._cluster.job(key)
        for _ in range(TRIES_MAX):
            if job is None:
                if self._fence(key):
                    return
                job = self._cluster.look(key)
                if job is None:
                    raise errors.conflict(key, "it carries no marks of this backend, so it is not stopped")
            if not self._cluster.ours(job) or job.over or job.job.stopped:
                return
            if self._mark(job, {names.STOPPED_ANNOTATION: self._now()}):
                return
            job = self._cluster.look(key)
        raise port_errors.TransientError("kubernetes.conflict", f"RayJob {key} changes faster than it can be stopped")

    def give_up(self, job: rayviews.RayJob, why: str) -> None:
        """End an attempt that cannot begin, and note why. Raises BackendError."""
        if not job.over and not job.ending:
            self._mark(job, {names.GAVE_UP_ANNOTATION: why[:500]})

    def end_submitter(self, key: str) -> None:
        """End a pod that still follows a log to which nothing comes; its Job makes no other. Raises BackendError."""
        selector = f"{names.JOB_NAME_LABEL}={rayjobs.name_of(key)},{names.MANAGED_BY_LABEL}={names.MANAGED_BY}"
        try:
            self._client.delete(self._cluster.base.pods_path, {"gracePeriodSeconds": 1}, labelSelector=selector)
        except errors.StatusError as error:
            if error.status != 404:
                raise errors.of_status(error, f"end the submitter of {key}", self._client.hint) from error

    def remove(self, job: rayviews.RayJob) -> None:
        """Remove a RayJob that is over, and all that goes with it; one that is gone, or another one, is fine."""
        body = {"propagationPolicy": "Background", "preconditions": {"uid": job.job.uid}}
        try:
            self._client.delete(f"{self._cluster.path}/{rayjobs.name_of(job.name)}", body)
        except errors.StatusError as error:
            if error.status not in (404, 409):
                raise errors.of_status(error, f"delete RayJob {job.name}", self._client.hint) from error

    def _mark(self, job: rayviews.RayJob, notes: Mapping[str, str]) -> bool:
        """Mark a RayJob as ending; False where it is another one than was read, by now."""
        body: dict[str, Any] = {
            "metadata": {"uid": job.job.uid, "resourceVersion": str(job.version), "annotations": dict(notes)},
            "spec": {"activeDeadlineSeconds": 1},
        }
        try:
            path = f"{self._cluster.path}/{rayjobs.name_of(job.name)}"
            found = rayviews.rayjob(self._client.patch(path, body))
        except errors.StatusError as error:
            if error.status in (404, 409):
                return False
            raise errors.of_status(error, f"stop RayJob {job.name}", self._client.hint) from error
        if found is not None:
            self._cluster.jobs.put(found)
        return True

    def _fence(self, key: str) -> bool:
        """Take the name of an attempt that never came, so that it never will; False where somebody was faster."""
        at, context = self._now(), self._context
        made = rayjobs.tombstone(key, context.backend, context.installation, self._wanted, at)
        try:
            found = rayviews.rayjob(self._client.post(f"{self._cluster.path}?{STRICT}", made))
        except errors.StatusError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return False
            raise errors.of_status(error, f"fence RayJob {key}", self._client.hint) from error
        if found is not None:
            self._cluster.jobs.put(found)
        return True

    def _now(self) -> str:
        return f"{self._context.now().astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
