"""RayJobs by KubeRay's real operator: what it takes, makes and takes away. Ends of real jobs: test_rayjobs_run."""

import dataclasses
import datetime as dt
import itertools
import json
import os
import pathlib
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from backends.kubernetes import adapter as adapters
from backends.kubernetes import names, permissions, rayadapter, rayjobs, raystates
from orchestrator.domain import errors, facts, ids, jobs, offers, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e import _kubernetes
from tests.e2e._planes import wait_until
from tests.e2e.kube import clusters, fixtures, kuberay, runs
from tests.e2e.test_kubernetes_access import rules, with_user

VERSION = "2.60.0"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
State, Kind = offers.ObservedState, jobs.OutcomeKind
ENDED_S = 600.0


@dataclasses.dataclass
class Site:
    """A namespace whose jobs are RayJobs, and adapters that speak to it."""

    cluster: clusters.Cluster
    folder: pathlib.Path
    namespace: str
    made: list[backends.BackendAdapter] = dataclasses.field(default_factory=list)
    count: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    def adapter(self, **more: Any) -> rayadapter.RayJobAdapter:
        """Return a new adapter, as of a process that has just started."""
        context = backends.AdapterContext("b", [sites.Pool("p")], str(self.folder), "here", clocks.SystemClock().now)
        given = _kubernetes.settings(self.cluster, self.namespace, rayjobs={"version": VERSION}) | more
        found = adapters.build(given, context)
        assert isinstance(found, rayadapter.RayJobAdapter)
        self.made.append(found)
        return found

    def placement(self, *command: str, **spec: Any) -> backends.SealedPlacement:
        """Return a placement with a new key."""
        job = ids.JobId(f"01RAYJ{next(self.count):020d}")
        asked = {"resources": jobs.Resources(cpu_milli=100, memory_bytes=2**30), "image": _kubernetes.busybox(), **spec}
        return backends.SealedPlacement(
            key=ids.attempt_key(job, 1),
            job=job,
            tenant="t",
            number=1,
            site=ids.SiteName("b/p"),
            pool="p",
            spec=jobs.JobSpec(name="t", command=command or ("true",), **asked),
            spec_digest=ids.Digest("sha256:" + "0" * 64),
            fence=backends.Fence(ids.Term(1), 1),
        )

    def named(self, plural: str, group: str = "/api/v1") -> list[dict[str, Any]]:
        """Return the objects of a kind in the namespace."""
        return list(self.cluster.api.get(f"{group}/namespaces/{self.namespace}/{plural}")["items"])

    def rayjobs(self) -> list[dict[str, Any]]:
        """Return its RayJobs."""
        return self.named("rayjobs", "/apis/ray.io/v1")

    def close(self) -> None:
        """Let go of adapters and namespace."""
        for one in self.made:
            one.close()
        _kubernetes.remove(self.cluster, self.namespace)


@pytest.fixture(scope="module")
def rayed() -> Iterator[clusters.Cluster]:
    """Give a cluster of our own in which KubeRay's operator runs."""
    if os.environ.get("KUBECONFIG"):
        pytest.skip("the cluster that KUBECONFIG names is not ours to put an operator into")
    fixtures._prepare()
    joined = runs.join(f"y{secrets.token_hex(5)}", ("--name", "fr", "--nodes", "1"))
    try:
        (cluster,) = joined.clusters.values()
        kuberay.start_kuberay(cluster)
        yield cluster
    finally:
        joined.close_and_wait()


@pytest.fixture
def site(rayed: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace under Pod Security restricted."""
    found = Site(rayed, tmp_path, _kubernetes.namespace(rayed))
    yield found
    found.close()


def look(adapter: rayadapter.RayJobAdapter, placement: backends.SealedPlacement) -> backends.Observation:
    """Return one observation by key alone."""
    (seen,) = adapter.observe([backends.AttemptRef(placement.key)])
    return seen


def until(
    adapter: rayadapter.RayJobAdapter, placement: backends.SealedPlacement, state: offers.ObservedState
) -> backends.Observation:
    """Return the first observation of a state."""
    seen: list[backends.Observation] = []

    def check() -> bool:
        seen[:] = [look(adapter, placement)]
        return seen[0].state is state

    wait_until(check, seconds=ENDED_S, every=0.2, what=f"{state}: {seen}")
    return seen[0]


def stop(adapter: rayadapter.RayJobAdapter, placement: backends.SealedPlacement) -> None:
    """Stop an attempt by key alone."""
    adapter.stop(backends.AttemptRef(placement.key), placement.fence, dt.timedelta(0))


def test_without_kuberay_the_pool_offers_nothing_and_says_so(fr: clusters.Cluster, tmp_path: pathlib.Path) -> None:
    """A cluster that serves no RayJobs takes none, by name; nothing is made there."""
    found = Site(fr, tmp_path, _kubernetes.namespace(fr))
    try:
        adapter = found.adapter()
        (offer,) = adapter.offers()
        assert (offer.free.cpu_milli, offer.total.cpu_milli) == (0, 0)
        assert "no rayjobs.ray.io" in offer.detail
        with pytest.raises(errors.TransientError) as caught:
            adapter.submit(found.placement())
        assert caught.value.code == "kubernetes.no-kuberay"
        assert caught.value.effects is errors.SideEffects.NONE
    finally:
        found.close()


def test_the_words_we_know_are_those_of_its_source() -> None:
    """The tables of states are the constants of the operator that runs here."""
    text = (kuberay.source() / "apis" / "ray" / "v1" / "rayjob_types.go").read_text()

    def words(type_: str) -> frozenset[str]:
        return frozenset(re.findall(rf"^\t\w+\s+{type_}\s+= \"(\w*)\"", text, re.MULTILINE))

    assert words("JobStatus") == raystates.STATUSES
    assert words("JobDeploymentStatus") == raystates.DEPLOYMENTS
    assert words("JobFailedReason") == raystates.REASONS


def test_what_we_write_is_taken_as_it_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict validation knows every field and keeps every one; one that it does not know refuses the job by name."""
    adapter = site.adapter(rayjobs={"version": VERSION, "workers": 2})
    placement = dataclasses.replace(
        site.placement("python3", "a.py", files=(("a.py", b"x"),)), time_limit=dt.timedelta(hours=1)
    )
    made = rayjobs.objects(placement, adapter._launches._grant("p"))
    path = f"/apis/ray.io/v1/namespaces/{site.namespace}/rayjobs?dryRun=All&fieldValidation=Strict"
    status, answer = site.cluster.api.request("POST", path, dict(made.job))
    assert status == 201, answer
    assert covers(answer["spec"], made.job["spec"]) == []
    spoilt = dataclasses.replace(made, job={**made.job, "spec": {**made.job["spec"], "nobody": 1}})
    monkeypatch.setattr(rayjobs, "objects", lambda *_: spoilt)
    with pytest.raises(errors.PermanentError) as caught:
        adapter.submit(placement)
    assert (caught.value.code, "spec.nobody" in caught.value.message) == ("kubernetes.invalid", True)
    assert site.rayjobs() == []


def covers(kept: Any, sent: Any, path: str = "spec") -> list[str]:
    """Return what was sent and is not kept."""
    if isinstance(sent, dict):
        return [text for key, value in sent.items() for text in covers((kept or {}).get(key), value, f"{path}.{key}")]
    if isinstance(sent, list):
        if len(sent) != len(kept or ()):
            return [path]
        return [text for mine, value in zip(kept, sent, strict=True) for text in covers(mine, value, path)]
    # A field that is false or zero may be left out.
    return [] if kept == sent or (kept is None and not sent) else [f"{path}: {kept} for {sent}"]


def test_one_attempt_is_one_rayjob_with_one_head(site: Site) -> None:
    """A second submit, of another process too, adopts it; something else under its name is a conflict."""
    adapter = site.adapter()
    placement = site.placement("sleep", "1000", files=(("f", b"x"),))
    handle = adapter.submit(placement)
    assert adapter.submit(placement) == site.adapter().submit(placement) == handle
    (rayjob,) = site.rayjobs()
    assert rayjob["metadata"]["name"] == rayjobs.name_of(str(placement.key))
    head, *_ = wait_until(lambda: site.named("pods"), seconds=ENDED_S, what="a head")
    marks, spec = head["metadata"], head["spec"]
    assert marks["labels"]["ray.io/node-type"] == "head"
    assert marks["annotations"][names.SPEC_ANNOTATION] == rayjob["metadata"]["annotations"][names.SPEC_ANNOTATION]
    assert spec["nodeSelector"][names.JURISDICTION_LABEL] == "FR"
    main = spec["containers"][0]
    given = {one["name"]: one for one in main["env"]}
    assert given["RAY_AUTH_MODE"]["value"] == "token"
    assert "secretKeyRef" in given["RAY_AUTH_TOKEN"]["valueFrom"]
    assert given["KUBERAY_GEN_RAY_START_CMD"]["value"].startswith("ray start --head")
    assert main["command"][-1].replace("$$", "$") == rayjobs.START
    assert "args" not in main
    other = dataclasses.replace(placement, spec_digest=ids.Digest("sha256:" + "1" * 64))
    for one in (adapter, site.adapter()):
        with pytest.raises(errors.PermanentError) as caught:
            one.submit(other)
        assert caught.value.code == "kubernetes.conflict"
    assert [ref.key for ref in adapter.list_owned()] == [placement.key]
    stop(adapter, placement)
    until(adapter, placement, State.ENDED)


def test_a_stop_ends_it_for_good_and_keeps_its_name(site: Site) -> None:
    """Its pods go, its record stays and says so; a forgotten one is gone."""
    adapter = site.adapter()
    placement = site.placement("sleep", "1000")
    adapter.submit(placement)
    (where,) = wait_until(lambda: look(adapter, placement).whereabouts, seconds=ENDED_S, what="a node")
    assert (where.rank, where.country, where.assurance) == (0, "FR", facts.Assurance.DECLARED)
    adapter.forget(backends.AttemptRef(placement.key))
    assert len(site.rayjobs()) == 1
    stop(adapter, placement)
    stop(adapter, placement)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.STOPPED
    wait_until(lambda: not site.named("pods"), seconds=ENDED_S, what="the end of its pods")
    wait_until(lambda: not site.named("rayclusters", "/apis/ray.io/v1"), seconds=ENDED_S, what="its cluster's end")
    again = look(site.adapter(), placement)
    assert again.outcome is not None
    assert again.outcome.kind is Kind.STOPPED
    assert adapter.list_owned() == []
    adapter.forget(backends.AttemptRef(placement.key))
    wait_until(lambda: not site.rayjobs(), seconds=ENDED_S, what="that it is forgotten")
    until(adapter, placement, State.GONE)


def test_one_that_was_stopped_before_it_came_never_does(site: Site) -> None:
    """Its name is taken: a submit that is late is refused, and the operator makes nothing of it."""
    adapter = site.adapter()
    placement = site.placement()
    stop(adapter, placement)
    assert look(adapter, placement).state is State.ENDED
    for one in (adapter, site.adapter()):
        with pytest.raises(errors.PermanentError) as caught:
            one.submit(placement)
        assert caught.value.code == "kubernetes.stopped"

    def suspended() -> bool:
        (found,) = site.rayjobs()
        assert look(adapter, placement).state is State.ENDED
        return bool(found.get("status", {}).get("jobDeploymentStatus") == "Suspended")

    wait_until(suspended, seconds=ENDED_S, every=0.2, what="that it is suspended")
    assert site.named("pods") == []
    assert site.named("rayclusters", "/apis/ray.io/v1") == []


def test_one_that_finds_no_room_in_time_is_queued_again(site: Site) -> None:
    """The operator ends it after startSeconds; no try is charged for that."""
    adapter = site.adapter(startSeconds=10)
    placement = site.placement(resources=jobs.Resources(cpu_milli=10**6, memory_bytes=2**30))
    adapter.submit(placement)
    ended = until(adapter, placement, State.ENDED)
    assert ended.outcome is not None
    assert ended.outcome.kind is Kind.NO_ROOM


def test_an_image_that_is_nowhere_is_a_failed_start(site: Site) -> None:
    """It is ended by us, with the kubelet's words."""
    adapter = site.adapter(imagePullSeconds=0)
    placement = site.placement(image="127.0.0.1:1/nowhere@sha256:" + "0" * 64)
    adapter.submit(placement)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.START_FAILED
    assert re.search("ErrImagePull|ImagePullBackOff", seen.detail), seen.detail


def test_one_that_the_operator_does_not_take_says_why(site: Site) -> None:
    """One that waits is told in the scheduler's words; spoilt by somebody it is a failed start, in the operator's."""
    adapter = site.adapter()
    placement = site.placement(resources=jobs.Resources(cpu_milli=10**6, memory_bytes=2**30))
    adapter.submit(placement)
    seen = wait_until(
        lambda: (one := look(adapter, placement)).reason == "Unschedulable" and one, seconds=ENDED_S, what="the wait"
    )
    assert seen.state is State.QUEUED
    name = rayjobs.name_of(str(placement.key))
    spoilt = {"spec": {"backoffLimit": -1}}
    site.cluster.api.merge(f"/apis/ray.io/v1/namespaces/{site.namespace}/rayjobs/{name}", spoilt)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, "backoffLimit" in seen.detail) == (Kind.START_FAILED, True), seen.detail


def test_a_right_that_is_missing_is_named(site: Site) -> None:
    """An account without rights on rayjobs.ray.io is told which, before any job comes."""
    api, space, name = site.cluster.api, site.namespace, "poor"
    api.create(f"/api/v1/namespaces/{space}/serviceaccounts", {"metadata": {"name": name}})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": space}
    given = {"Role": permissions.NAMESPACED, "ClusterRole": permissions.CLUSTER}
    for kind, rights in given.items():
        where = f"{RBAC}/namespaces/{space}/" if kind == "Role" else f"{RBAC}/"
        unique = f"{space}-{name}"
        api.create(f"{where}{kind.lower()}s", {"metadata": {"name": unique}, "rules": rules(rights)})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": unique}
        api.create(
            f"{where}{kind.lower()}bindings",
            {"metadata": {"name": unique}, "roleRef": reference, "subjects": [subject]},
        )
    path = f"/api/v1/namespaces/{space}/serviceaccounts/{name}/token"
    token = api.create(path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    adapter = site.adapter(kubeconfig=with_user(site.cluster, {"token": token}))
    said: list[str] = []

    def told() -> bool:
        with pytest.raises(errors.BackendError) as caught:
            adapter.offers()
        said[:] = [caught.value.message]
        # The API server knows of roles a moment after they are written: until then more is missing.
        return "jobs.batch" not in said[0] and "nodes" not in said[0]

    wait_until(told, seconds=ENDED_S, every=0.5, what=f"the right: {said}")
    wanted = [f"{verb} rayjobs.ray.io in {space}" for verb in ("create", "delete", "get", "list", "patch", "watch")]
    assert all(one in said[0] for one in wanted), json.dumps(said)
