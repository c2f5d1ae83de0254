"""Creates what an attempt is made of, each step get-or-create, the Job last: until it is there nothing has begun.

What came before a Job that never came (a crash in between) is swept after an hour; what belongs to a Job goes with it.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

from backends.kubernetes import caches, client, decided, errors, gangs, names, payloads, render, rooms, views
from backends.kubernetes import settings as schema
from orchestrator.domain import errors as port_errors
from orchestrator.ports import backends

SWEEP_EVERY_S = 600.0
SWEEP_AGE = dt.timedelta(hours=1)


class Launches:
    """Safe to call from several threads: the API server decides who was first."""

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
        self._accelerators = {pool.name: pool.accelerator for pool in context.pools}
        self._gangs = gangs.Versions(talk)
        self._swept_s = time.monotonic()

    def launch(self, placement: backends.SealedPlacement) -> views.Job:
        """Get or create the Job of a placement. Raises BackendError."""
        made = render.objects(placement, self._grant(placement.pool))
        key = str(placement.key)
        self._cluster.ready()
        known = self._cluster.jobs.items.get(key)
        if known is not None:
            return self._same(known, made)
        before = [(self._cluster.maps_path, one) for one in made.maps]
        before += [(self._cluster.claims_path, one) for one in made.claims]
        before += [(self._cluster.policies_path, one) for one in made.policies]
        before += [(self._groups_path(), one) for one in made.groups]
        for path, one in before:
            self._create(path, one)
        job = self._create_job(key, made)
        for path, one in before:
            self._adopt(path, one, job)
        return job

    def _groups_path(self) -> str:
        return f"/apis/{gangs.GROUP}/{self._gangs.find()}/namespaces/{self._wanted.namespace}/{gangs.PLURAL}"

    def _grant(self, pool: str) -> render.Grant:
        nodes = rooms.nodes_of(pool, self._cluster.nodes.items, self._wanted)
        return render.Grant(
            self._wanted,
            self._context.backend,
            self._context.installation,
            self._accelerators.get(pool),
            user_namespaces=bool(nodes) and all(node.user_namespaces for node in nodes),
            pod_groups=self._gangs.find() if self._wanted.gang == "workload" else "",
        )

    def _create_job(self, key: str, made: render.Objects) -> views.Job:
        try:
            found = views.job(self._book.create(made.job))
        except errors.StatusError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return self._same(self._cluster.look(key), made)
            raise errors.of_status(error, f"create Job {key}", self._client.hint) from error
        if found is None:
            raise port_errors.TransientError(
                "kubernetes.answer", "the API server answered with something that is no Job"
            )
        return self._cluster.jobs.put(found)

    def _same(self, found: views.Job | None, made: render.Objects) -> views.Job:
        """Return the Job that has the name, if it is this attempt."""
        key = str(made.job["metadata"]["name"])
        if found is None:
            raise errors.conflict(key, "it carries no marks of this backend, or was just removed")
        if not self._cluster.ours(found):
            raise errors.conflict(key, "it belongs to another backend or installation")
        if found.stopped and found.spec_digest != made.digest:
            raise errors.stopped(key)
        if found.spec_digest != made.digest:
            raise errors.conflict(key, "something else was decided to run under this name")
        return found

    def _create(self, path: str, wanted: Mapping[str, Any]) -> None:
        """Create an object that comes before its Job. One that is there was made by an earlier try, or is shared."""
        name, kind = wanted["metadata"]["name"], wanted["kind"]
        large = kind == "ConfigMap"
        try:
            if large and self._is_there(path, wanted):
                return
            self._client.post(path, wanted, meta_only=large)
        except errors.StatusError as error:
            if error.status != 409 or error.reason != "AlreadyExists":
                raise errors.of_status(error, f"create {kind} {name}", self._client.hint) from error
            self._check_same(path, wanted)

    def _is_there(self, path: str, wanted: Mapping[str, Any]) -> bool:
        """Say whether a part is there, so that it need not be sent again."""
        try:
            self._check_same(path, wanted)
        except port_errors.TransientError as error:
            if error.code == "kubernetes.not-found":
                return False
            raise
        return True

    def _check_same(self, path: str, wanted: Mapping[str, Any]) -> None:
        name = wanted["metadata"]["name"]
        try:
            read = self._client.meta if wanted["kind"] == "ConfigMap" else self._client.get
            there = read(f"{path}/{name}")
        except errors.StatusError as error:
            raise errors.of_status(error, f"read {wanted['kind']} {name}", self._client.hint) from error
        marks = there.get("metadata", {})
        for field in ("labels", "annotations"):
            mine = wanted["metadata"].get(field, {})
            theirs = marks.get(field) or {}
            if any(theirs.get(mark) != value for mark, value in mine.items()):
                raise errors.conflict(name, f"a {wanted['kind']} of this name holds something else")
        if (
            wanted["kind"] == "PodGroup"
            and there.get("spec", {}).get("schedulingPolicy") != wanted["spec"]["schedulingPolicy"]
        ):
            raise errors.conflict(name, "a PodGroup of this name says something else")
        if wanted["kind"] == "NetworkPolicy" and there.get("spec") != wanted["spec"]:
            raise errors.conflict(name, "a NetworkPolicy of this name says something else")

    def _adopt(self, path: str, one: Mapping[str, Any], job: views.Job) -> None:
        """Make an object go with its Jobs: one more owner. Where that fails it is swept when the Job is gone.

        One that just went with the last Job that shared it is made again.
        """
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": job.uid}
        try:
            self._client.merge(f"{path}/{one['metadata']['name']}", {"metadata": {"ownerReferences": [owner]}})
        except errors.StatusError as error:
            if error.status == 404:
                self._create(path, {**one, "metadata": {**one["metadata"], "ownerReferences": [owner]}})
        except port_errors.BackendError:
            pass

    def sweep(self) -> None:
        """Remove what came before a Job that never came, an hour after it was made. Failures cost time."""
        now_s = time.monotonic()
        if now_s - self._swept_s < SWEEP_EVERY_S:
            return
        self._swept_s = now_s
        mine = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.BACKEND_LABEL}={names.label(self._context.backend)}"
        try:
            for path in self._swept_paths():
                found, _ = self._client.items(path, meta_only=True, labelSelector=mine)
                for each in found:
                    self._sweep_one(path, each.get("metadata"))
        except (errors.StatusError, port_errors.BackendError):
            return

    def _swept_paths(self) -> list[str]:
        paths = [self._cluster.maps_path]
        if self._wanted.network_policy:
            paths.append(self._cluster.policies_path)
        if self._wanted.gang == "workload" and self._gangs.find():
            paths.append(self._groups_path())
        return paths

    def _sweep_one(self, path: str, meta: object) -> None:
        if not isinstance(meta, Mapping) or meta.get("ownerReferences"):
            return
        name, made = str(meta.get("name", "")), views.time(meta.get("creationTimestamp"))
        if made is None or self._context.now() - made < SWEEP_AGE:
            return
        if name.startswith(payloads.PREFIX):
            users = [job for job in self._cluster.live() if job.parts == name.rpartition("-")[0]]
            for job in users:
                self._adopt(path, {"metadata": {"name": name}}, job)
            unused = not users
        else:
            # Maps of an older version have a number behind the key of their attempt; all else has the key for a name.
            key = name.rpartition("-")[0] if path == self._cluster.maps_path else name
            unused = names.parse_key(key) is not None and self._cluster.job(key) is None
        if unused:
            uid = {"preconditions": {"uid": meta.get("uid")}}
            self._client.delete(f"{path}/{name}", uid)
