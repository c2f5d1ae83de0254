"""Tells other tools where attempts were placed: a PlacementDecision each, where the settings say (ADR 0027).

What should be there is read from our Jobs, each of which carries the digest of its decision; so nothing is lost by a
crash, a lost answer or an outage, and what was forgotten goes. One thread of its own does it: no submit waits for it,
and nothing of it fails a job. Written are ids and digests, nothing else.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

from backends.kubernetes import caches, client, errors, hubs, kubeconfigs, names, views
from orchestrator.domain import errors as port_errors
from orchestrator.domain import offers
from orchestrator.ports import backends
from orchestrator.settings import adapters

GROUP, VERSION, KIND, PLURAL = "multicluster.x-k8s.io", "v1alpha1", "PlacementDecision", "placementdecisions"
DECISION_KEY, PLACEMENT_KEY = f"{GROUP}/decision-key", f"{GROUP}/placement-key"
"""Labels of the standard: all parts of one decision, and what it is for (``placementdecision_types.go``)."""
OWNER_LABEL = "comity.dev/owner"
SCHEDULER = "comity.dev"
COALESCE_S = 1.0
RELIST_S = 600.0
"""Everything is read again after so long, in case somebody removed or changed an object."""
IDLE_S = 60.0
PAUSE_S, PAUSE_MAX_S = 5.0, 300.0
PER_ROUND_MAX = 2_000
"""Calls of one round; what is left is done in the next."""
_LOG = logging.getLogger(__name__)
"""Standard library's: ``orchestrator.telemetry`` takes what it says into the server's log."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def owner(installation: str, backend: str) -> str:
    """Return what marks objects as ours without telling a name."""
    return hashlib.sha256(f"{installation}\0{backend}".encode()).hexdigest()[:40]


def name_of(mark: str, key: str) -> str:
    """Return the name of the object of an attempt; the same for the same owner and key, whoever asks."""
    return f"comity-{hashlib.sha256(f'{mark}/{key}'.encode()).hexdigest()[:40]}"


def render(job: views.Job, wanted: hubs.PlacementDecisions, mark: str) -> Mapping[str, Any]:
    """Return the object of an attempt. Pure. Of the job it holds the attempt's id and the digest of the decision."""
    name = name_of(mark, job.key)
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {
            "name": name,
            "labels": {
                names.MANAGED_BY_LABEL: names.MANAGED_BY,
                OWNER_LABEL: mark,
                DECISION_KEY: name,
                PLACEMENT_KEY: job.key,
            },
        },
        "schedulerName": SCHEDULER,
        "decisions": [
            {
                "clusterProfileRef": {"name": wanted.profile.name, "namespace": wanted.profile.namespace},
                "reason": f"Comity placed attempt {job.key} here by decision {job.decision}",
            }
        ],
    }


def hub(wanted: hubs.PlacementDecisions | None, talk: client.Client, context: backends.AdapterContext) -> client.Client:
    """Return the client of the cluster that is told: the jobs' own, or the hub of the settings. No I/O.

    Raises SettingsError for a kubeconfig that cannot be used.
    """
    if wanted is None or wanted.kubeconfig is None:
        return talk
    try:
        access = kubeconfigs.read(wanted.kubeconfig, wanted.context, client.programs())
    except kubeconfigs.KubeconfigError as error:
        raise adapters.SettingsError([f"placementDecisions.kubeconfig: {error}"]) from None
    return client.Client(access, context.state_folder)


class Published:
    """Does nothing where settings do not wish it. Safe to call from several threads."""

    def __init__(
        self,
        talk: client.Client,
        cluster: caches.Cluster,
        wanted: hubs.PlacementDecisions | None,
        mark: str,
        now: Callable[[], dt.datetime],
        *,
        coalesce_s: float = COALESCE_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._hub = talk
        self._cluster = cluster
        self._wanted = wanted
        self._mark = mark
        self._now = now
        self._coalesce_s, self._pause_s = coalesce_s, pause_s
        self._lock = threading.Lock()
        self._wake, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._known: dict[str, str] = {}
        """Attempt that was told of -> UID of its object."""
        self._foreign: set[str] = set()
        """Attempts whose name is taken."""
        self._tries: dict[str, int] = {}
        """Attempt -> refusals; who was refused most often comes last, so that none is in the way of others."""
        self._listed_at: dt.datetime | None = None
        self._problem, self._since = "", dt.datetime.min.replace(tzinfo=dt.UTC)
        space = wanted.namespace if wanted is not None else ""
        self._path = f"/apis/{GROUP}/{VERSION}/namespaces/{space}/{PLURAL}"

    def nudge(self) -> None:
        """Say that something may have changed. Never waits, never fails."""
        if self._wanted is None or self._closed.is_set():
            return
        self._wake.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kubernetes-published", daemon=True)
                self._thread.start()

    @property
    def problem(self) -> str:
        """Return why decisions are not written, and since when; "" where they are."""
        with self._lock:
            if not self._problem:
                return ""
            return f"PlacementDecisions are not written since {self._since:%Y-%m-%dT%H:%M:%SZ}: {self._problem}"

    def settle(self) -> str:
        """Make the objects what our Jobs say, once. Return what is wrong, "" for nothing; never raises."""
        try:
            said = self._round()
        except port_errors.BackendError as error:
            said = error.message
        except errors.StatusError as error:
            said = self._said(error)
        except Exception as error:  # noqa: BLE001 -- jobs go on whatever happens here, and it is told
            said = f"a defect: {type(error).__name__}"
        self._note(said)
        return said

    def noted(self, found: offers.Offer) -> offers.Offer:
        """Return an offer that tells of the problem, if there is one; it takes what it took."""
        said = self.problem
        return dataclasses.replace(found, detail="; ".join(filter(None, (found.detail, said)))) if said else found

    def close(self) -> None:
        """End the thread. What was written stays."""
        self._closed.set()
        self._wake.set()
        self._hub.close()

    # --- underneath -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = self._pause_s
        while not self._closed.is_set():
            self._wake.wait(IDLE_S)
            self._wake.clear()
            if self.settle():
                self._closed.wait(pause_s)
                pause_s = min(pause_s * 2, PAUSE_MAX_S)
                self._wake.set()  # tried again without a nudge
            else:
                self._closed.wait(self._coalesce_s)
                pause_s = self._pause_s

    def _note(self, said: str) -> None:
        """Keep what is wrong, and since when; say in the log where that changes."""
        with self._lock:
            before, self._problem = self._problem, said
            if said and not before:
                self._since = self._now()
        if said and not before:
            _LOG.warning("PlacementDecisions are not written to %s: %s", self._hub.server, said)
        elif before and not said:
            _LOG.warning("PlacementDecisions are written again to %s", self._hub.server)

    def _round(self) -> str:
        """Do a round; return what stays wrong. Raises StatusError, BackendError."""
        self._cluster.ready()
        jobs = {
            job.key: job
            for job in list(self._cluster.jobs.items.values())
            if self._cluster.ours(job) and _DIGEST.fullmatch(job.decision)
        }
        if self._listed_at is None or (self._now() - self._listed_at).total_seconds() > RELIST_S:
            self._list()
        self._tries = {key: tries for key, tries in self._tries.items() if key in jobs}
        missing = [key for key in jobs if key not in self._known and key not in self._foreign]
        missing.sort(key=lambda key: self._tries.get(key, 0))
        extra = [key for key in self._known if key not in jobs]
        for key in missing[:PER_ROUND_MAX]:
            if self._closed.is_set():
                return ""
            self._create(jobs[key])
        for key in extra[:PER_ROUND_MAX]:
            if self._closed.is_set():
                return ""
            self._remove(key)
        if len(missing) > PER_ROUND_MAX or len(extra) > PER_ROUND_MAX:
            self._wake.set()
        taken = [name_of(self._mark, key) for key in self._foreign if key in jobs]
        return f"{len(taken)} of their names are taken by objects that are not ours: {taken[0]}" if taken else ""

    def _list(self) -> None:
        found, _ = self._hub.items(self._path, labelSelector=f"{OWNER_LABEL}={self._mark}")
        known: dict[str, str] = {}
        for each in found:
            meta = each.get("metadata")
            labels = meta.get("labels") if isinstance(meta, Mapping) else None
            if not isinstance(meta, Mapping) or not isinstance(labels, Mapping):
                continue
            name, uid, key = (str(one or "") for one in (meta.get("name"), meta.get("uid"), labels.get(PLACEMENT_KEY)))
            # A label that somebody changed makes it none of ours: it is neither counted nor removed.
            if names.parse_key(key) is not None and name == name_of(self._mark, key):
                known[key] = uid
        self._known, self._foreign, self._listed_at = known, set(), self._now()

    def _create(self, job: views.Job) -> None:
        if self._wanted is None:
            return
        body = render(job, self._wanted, self._mark)
        try:
            made = self._hub.post(self._path, body)
        except errors.StatusError as error:
            if error.status != 409 or error.reason != "AlreadyExists":
                self._tries[job.key] = self._tries.get(job.key, 0) + 1
                raise
            made = self._hub.get(f"{self._path}/{body['metadata']['name']}")
            if not _same(made, body):
                self._foreign.add(job.key)
                return
        meta = made.get("metadata")
        self._known[job.key] = str(meta.get("uid") or "") if isinstance(meta, Mapping) else ""

    def _remove(self, key: str) -> None:
        """Remove the object of an attempt whose Job is gone: asked for once more, and by UID."""
        if self._cluster.look(key) is not None:
            return
        uid = self._known[key]
        try:
            self._hub.delete(
                f"{self._path}/{name_of(self._mark, key)}", {"preconditions": {"uid": uid}} if uid else None
            )
        except errors.StatusError as error:
            if error.status not in (404, 409):  # gone, or another one by now
                raise
        self._known.pop(key, None)

    def _said(self, error: errors.StatusError) -> str:
        if error.status == 404:
            return f"{self._hub.server} has no {PLURAL}.{GROUP} {VERSION}, or no such namespace"
        return errors.of_status(error, f"write {PLURAL}.{GROUP}", self._hub.hint).message


def _same(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Say whether an object is the one that we would write."""
    meta = found.get("metadata")
    labels = meta.get("labels") if isinstance(meta, Mapping) else None
    mine = wanted["metadata"]["labels"]
    marked = isinstance(labels, Mapping) and all(labels.get(name) == value for name, value in mine.items())
    return marked and found.get("decisions") == wanted["decisions"]
