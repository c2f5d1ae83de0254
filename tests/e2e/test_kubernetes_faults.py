"""What goes wrong with a cluster, and with us while we speak to it: nothing is started twice, lost, or called ended."""

import dataclasses
import datetime as dt
import itertools
import os
import pathlib
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backends.kubernetes import adapter as adapters
from orchestrator.domain import errors, ids, jobs, offers, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, wait_until
from tests.e2e.kube import clusters, faults, kwok
from tests.e2e.test_kubernetes import Place, make_plane, shell

FULL = os.environ.get("COMITY_TEST_SIZE") == "full"
JOBS = 1_000 if FULL else 100
NODES = 200 if FULL else 20
LONG = "trap 'exit 143' TERM; sleep 3600 & wait"
State, Kind = offers.ObservedState, jobs.OutcomeKind


@dataclasses.dataclass
class Site:
    """A namespace, and adapters that speak to it."""

    cluster: clusters.Cluster
    folder: pathlib.Path
    namespace: str
    more: dict[str, Any] = dataclasses.field(default_factory=dict)
    made: list[adapters.KubernetesAdapter] = dataclasses.field(default_factory=list)
    count: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    def adapter(self) -> adapters.KubernetesAdapter:
        """Return a new adapter, as of a process that has just started."""
        now = clocks.SystemClock().now
        context = backends.AdapterContext("b", [sites.Pool("p")], str(self.folder), "here", now)
        found = adapters.build(_kubernetes.settings(self.cluster, self.namespace, **self.more), context)
        self.made.append(found)
        return found

    def placement(self, script: str = LONG, **spec: Any) -> backends.SealedPlacement:
        """Return a placement with a new key."""
        job = ids.JobId(f"01FAULT{next(self.count):019d}")
        return backends.SealedPlacement(
            key=ids.attempt_key(job, 1),
            job=job,
            tenant="t",
            number=1,
            site=ids.SiteName("b/p"),
            pool="p",
            spec=jobs.JobSpec(name="t", image=_kubernetes.busybox(), command=("sh", "-c", script), **spec),
            spec_digest=ids.Digest("sha256:" + "0" * 64),
            fence=backends.Fence(ids.Term(1), 1),
        )

    def named(self, plural: str, group: str = "/api/v1") -> list[dict[str, Any]]:
        """Return the objects of a kind in the namespace."""
        return list(self.cluster.api.get(f"{group}/namespaces/{self.namespace}/{plural}")["items"])

    def jobs(self) -> list[dict[str, Any]]:
        """Return its Jobs."""
        return self.named("jobs", "/apis/batch/v1")


@pytest.fixture
def site(lone: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace of a cluster that may be broken."""
    found = Site(lone, tmp_path, _kubernetes.namespace(lone))
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(lone, found.namespace)


def look(adapter: adapters.KubernetesAdapter, placement: backends.SealedPlacement) -> backends.Observation:
    """Return one observation by key alone; UNKNOWN where the API server does not answer."""
    try:
        (seen,) = adapter.observe([backends.AttemptRef(placement.key)])
    except errors.BackendError as error:
        return backends.Observation(placement.key, State.UNKNOWN, detail=error.code)
    return seen


def until(
    adapter: adapters.KubernetesAdapter,
    placement: backends.SealedPlacement,
    state: offers.ObservedState,
    seconds: float = 180.0,
) -> backends.Observation:
    """Return the first observation of a state."""
    seen: list[backends.Observation] = []

    def check() -> bool:
        seen[:] = [look(adapter, placement)]
        return seen[0].state is state

    wait_until(check, seconds=seconds, every=0.1, what=f"{state}: {seen}")
    return seen[0]


class Killed(BaseException):
    """The process ended here: no handler of the adapter sees it."""


def killed_at(adapter: adapters.KubernetesAdapter, call: int, *, after: bool) -> Callable[[], bool]:
    """Make an adapter's process end before, or after, its n-th write; return a question whether it did."""
    talk, made, ended = adapter._client, itertools.count(1), []
    send = talk._open

    def open_(method: str, *arguments: Any, **named: Any) -> Any:
        mine = method != "GET" and next(made) == call
        if mine and not after:
            ended.append(True)
            raise Killed
        answer = send(method, *arguments, **named)
        if mine:
            ended.append(True)
            raise Killed
        return answer

    talk._open = open_  # type: ignore[method-assign]
    return lambda: bool(ended)


@pytest.mark.parametrize("after", [False, True])
def test_a_submit_that_is_killed_anywhere_is_adopted(site: Site, after: bool) -> None:
    """Whatever write it dies before or after, the next process finds the attempt or makes it, once, and whole."""
    points = 0
    for call in itertools.count(1):
        dying = site.adapter()
        dying.observe([])
        died = killed_at(dying, call, after=after)
        # Content of its own each time: parts are named by it, and what is there already is not sent again.
        placement = site.placement(files=tuple((f"f{number}", secrets.token_bytes(600_000)) for number in range(2)))
        try:
            dying.submit(placement)
        except Killed:
            pass
        if not died():
            break
        points += 1
        later = site.adapter()
        seen = look(later, placement)
        assert seen.state is not State.UNKNOWN
        first = later.submit(placement)
        assert later.submit(placement) == first
        assert sum(job["metadata"]["name"] == placement.key for job in site.jobs()) == 1
        later.stop(backends.AttemptRef(placement.key), backends.Fence(ids.Term(1), 1), dt.timedelta(0))
    assert points == 5, "two parts, the Job, and two adoptions"


def test_a_stop_and_a_submit_at_once_start_nothing_that_stays(site: Site) -> None:
    """Killed between fence and answer, a stop still holds: a submit that comes later is refused by the cluster."""
    stopping, submitting = site.adapter(), site.adapter()
    submitting.observe([])
    placement = site.placement()
    died = killed_at(stopping, 1, after=True)
    with pytest.raises(Killed):
        stopping.stop(backends.AttemptRef(placement.key), backends.Fence(ids.Term(1), 1), dt.timedelta(0))
    assert died()
    with pytest.raises(errors.PermanentError, match="stopped"):
        submitting.submit(placement)
    seen = until(site.adapter(), placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.STOPPED
    assert site.named("pods") == []


def test_a_job_of_somebody_else_is_never_adopted(site: Site) -> None:
    """A Job of our name without our marks, or of another installation, is a conflict, and is left alone."""
    adapter, placement = site.adapter(), site.placement()
    adapter.submit(placement)
    path = f"/apis/batch/v1/namespaces/{site.namespace}/jobs/{placement.key}"
    site.cluster.api.merge(path, {"metadata": {"labels": {"comity.dev/installation": "another"}}})
    for one in (adapter, site.adapter()):
        wait_until(lambda one=one: look(one, placement).state is State.GONE, what="seen as foreign")
        with pytest.raises(errors.PermanentError, match="another backend or installation"):
            one.submit(placement)
        one.stop(backends.AttemptRef(placement.key), backends.Fence(ids.Term(1), 1), dt.timedelta(0))
    assert site.jobs()[0]["spec"]["parallelism"] == 1


def test_watches_break_and_etcd_forgets(site: Site) -> None:
    """After the API server was killed and etcd was compacted, what happened meanwhile is seen, deletes included."""
    adapter = site.adapter()
    ends, goes, stays = (site.placement(script) for script in ("sleep 4; exit 7", LONG, LONG))
    for placement in (ends, goes, stays):
        adapter.submit(placement)
        until(adapter, placement, State.RUNNING)
    other = Place(site.cluster)  # writes that the watches do not see move the revision on
    faults.compact(site.cluster)
    with faults.stopped_api_server(site.cluster, kill=True):
        assert look(adapter, stays).state in (State.RUNNING, State.UNKNOWN)
        wait_until(lambda: look(adapter, stays).detail == "kubernetes.unreachable", what="unreachable is said")
    site.cluster.kubectl("-n", site.namespace, "delete", "job", str(goes.key), "--cascade=foreground")
    _kubernetes.remove(site.cluster, other.namespace)
    seen = until(adapter, ends, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.exit_code == 7
    until(adapter, goes, State.GONE)
    assert look(adapter, stays).state is State.RUNNING


def test_a_frozen_api_server_is_unreachable_not_lost(site: Site) -> None:
    """While nobody answers nothing is known, within the deadline of a call; afterwards all is as it was."""
    adapter, placement = site.adapter(), site.placement()
    adapter.submit(placement)
    until(adapter, placement, State.RUNNING)
    with faults.frozen_api_server(site.cluster):
        seen = until(adapter, placement, State.UNKNOWN)
        assert seen.detail == "kubernetes.unreachable"
    until(adapter, placement, State.RUNNING)


def test_a_kubelet_dies(site: Site) -> None:
    """What runs on a node that falls silent is unknown, never ended; when the node is back, its end is no failure."""
    adapter, placement = site.adapter(), site.placement("trap 'exit 0' TERM; while :; do sleep 1; done")
    adapter.submit(placement)
    (where,) = until(adapter, placement, State.RUNNING).whereabouts
    states = set()
    with faults.dead_kubelet(site.cluster, where.node):

        def unknown() -> bool:
            states.add(look(adapter, placement).state)
            return State.UNKNOWN in states

        wait_until(unknown, seconds=300, every=0.2, what="unknown")
    assert states <= {State.RUNNING, State.UNKNOWN}
    seen = until(adapter, placement, State.ENDED, seconds=300)
    assert seen.outcome is not None
    assert seen.outcome.kind in (Kind.LOST, Kind.PREEMPTED), seen
    assert "Deletion" in seen.outcome.detail


def test_a_pod_that_is_evicted_is_preempted(site: Site) -> None:
    """A node that is drained ends the attempt, and says who did it."""
    adapter, placement = site.adapter(), site.placement("trap 'exit 0' TERM; while :; do sleep 1; done")
    adapter.submit(placement)
    until(adapter, placement, State.RUNNING)
    (pod,) = site.named("pods")
    path = f"/api/v1/namespaces/{site.namespace}/pods/{pod['metadata']['name']}/eviction"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"]}}
    site.cluster.api.create(path, eviction)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, "EvictionByEvictionAPI" in seen.outcome.detail) == (Kind.PREEMPTED, True), seen


def test_a_node_that_is_elsewhere_is_reported(site: Site) -> None:
    """A node whose label is changed under a running pod, or that a second source places elsewhere, is told so."""
    site.more = {"secondSource": {"providerIds": {"comity-test://FR/": "FR"}}}
    adapter, placement = site.adapter(), site.placement()
    adapter.submit(placement)
    (seen,) = until(adapter, placement, State.RUNNING).whereabouts
    assert (seen.country, seen.source.startswith("providerID and label")) == ("FR", True)
    assert seen.image_digest == _kubernetes.busybox().rpartition("@")[2]
    label = {clusters.JURISDICTION: "DE"}
    site.cluster.api.merge(f"/api/v1/nodes/{seen.node}", {"metadata": {"labels": label}})
    try:
        wait_until(lambda: "says DE" in look(adapter, placement).whereabouts[0].source, what="both are told")
        lying = dataclasses.replace(site, more={"secondSource": {"providerIds": {"comity-test://": "US"}}})
        (found,) = look(lying.adapter(), placement).whereabouts
        assert found.country == "US"
    finally:
        site.cluster.api.merge(f"/api/v1/nodes/{seen.node}", {"metadata": {"labels": {clusters.JURISDICTION: "FR"}}})


def fake_pool(cluster: clusters.Cluster, *nodes: str) -> dict[str, Any]:
    """Add fake nodes of a pool of their own and return the settings that choose it."""
    for name in nodes:
        if cluster.api.request("GET", f"/api/v1/nodes/{name}")[0] == 404:
            kwok.add_node(cluster, name, labels={"pool": nodes[0]}, tainted=True)
    tolerated = {"key": kwok.ANNOTATION, "effect": "NoSchedule"}
    return {"pools": {"p": {"nodeSelector": {"pool": nodes[0]}, "tolerations": [tolerated]}}}


def test_a_gang_of_many_pods_starts_together(site: Site) -> None:
    """Every node of a large gang is told all addresses, in order of rank; a stop ends all of them."""
    site.more = fake_pool(site.cluster, "steady-1")
    adapter, placement = site.adapter(), site.placement(nodes=NODES)
    adapter.submit(placement)
    until(adapter, placement, State.RUNNING, seconds=300)
    pods = sorted(site.named("pods"), key=lambda pod: int(_index(pod)))
    told = {pod["metadata"]["annotations"]["comity.dev/gang"] for pod in pods}
    assert told == {",".join(pod["status"]["podIP"] for pod in pods)}
    assert len(look(adapter, placement).whereabouts) == NODES
    adapter.stop(backends.AttemptRef(placement.key), backends.Fence(ids.Term(1), 1), dt.timedelta(0))
    seen = until(adapter, placement, State.ENDED, seconds=300)
    assert seen.outcome is not None
    assert seen.outcome.kind is Kind.STOPPED


def _index(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"])


# --- through a server -------------------------------------------------------------------------------------------------


@pytest.fixture
def place(lone: clusters.Cluster) -> Iterator[Place]:
    """Give a namespace of the cluster that may be broken."""
    made = Place(lone)
    made.name = "lone"
    made.variable = "COMITY_SECRET_LONE"
    yield made
    _kubernetes.remove(lone, made.namespace)


def submit(plane: Plane, *given: dict[str, Any]) -> list[str]:
    """Submit jobs and return their ids."""
    answers = [plane.submit(each) for each in given]
    assert {answer.status for answer in answers} == {202}
    return [answer.json["metadata"]["id"] for answer in answers]


def test_the_api_server_is_restarted_under_load(tmp_path: pathlib.Path, place: Place) -> None:
    """Jobs that are submitted, run and end while it goes down and comes back each run once, and end well."""
    plane = make_plane(tmp_path, place)
    try:
        found: list[str] = []
        for round_ in range(2):
            found += submit(plane, *(shell(f"load-{round_}-{number}", "echo ran; sleep 1") for number in range(5)))
            faults.restart_api_server(place.cluster, kill=round_ % 2 == 0)
        ended = [plane.ended(id, seconds=400) for id in found]
        assert {each["status"]["phase"] for each in ended} == {"SUCCEEDED"}, ended
        assert {len(each["status"]["attempts"]) for each in ended} == {1}
        names = [pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] for pod in place.pods()]
        assert sorted(names) == sorted(f"{id.lower()}-1" for id in found)
    finally:
        plane.close()


def test_a_black_hole_disturbs_nobody_else(tmp_path: pathlib.Path, place: Place, fr: clusters.Cluster) -> None:
    """While one cluster swallows every packet, jobs of the other run as before; then the first goes on."""
    other = Place(fr)
    plane = make_plane(tmp_path, place, other)
    try:
        assert plane.call("DELETE", f"/v1/backends/{other.name}").status in (200, 204)
        dear = [{"name": "p", "pricePerHour": "9.00 EUR"}]
        assert plane.put(place.declared(pools=dear)).status in (200, 201)
        (stuck,) = submit(plane, shell("stuck", "sleep 8; echo done"))
        wait_until(lambda: plane.job(stuck)["status"]["phase"] == "RUNNING", what="running")
        priced = [{"name": "p", "pricePerHour": "0.01 EUR"}]
        assert plane.put(other.declared(pools=priced)).status in (200, 201)
        with faults.black_hole(place.cluster):
            for number in range(3):
                (id,) = submit(plane, shell(f"free-{number}", "echo free", limits={"pricePerHour": "1.00 EUR"}))
                ended = plane.ended(id)
                assert ended["status"]["phase"] == "SUCCEEDED"
                assert ended["status"]["attempts"][0]["site"] == "fr/p"
            assert plane.job(stuck)["status"]["phase"] == "RUNNING"
        assert plane.ended(stuck, seconds=300)["status"]["phase"] == "SUCCEEDED"
    finally:
        plane.close()
        _kubernetes.remove(fr, other.namespace)


def completed(place: Place) -> int:
    """Return how many Jobs of the namespace have completed."""
    listed = place.cluster.api.get(f"/apis/batch/v1/namespaces/{place.namespace}/jobs")["items"]
    return sum(bool(job["status"].get("completionTime")) for job in listed)


def test_many_jobs_in_one_namespace(tmp_path: pathlib.Path, place: Place) -> None:
    """Many jobs are placed, run on fake nodes and end, each once."""
    settings = fake_pool(place.cluster, "fake-1", "fake-2")
    plane = make_plane(tmp_path, place)
    try:
        assert plane.put(place.declared(settings=settings)).status in (200, 201)
        documents = [shell(f"many-{number}", "true", resources={"cpus": "10m"}) for number in range(JOBS)]
        answer = plane.call("POST", "/v1/jobs:batch", {"documents": documents})
        assert answer.status in (200, 202), answer
        ids_ = [one["id"] for one in answer.json["items"]]
        wait_until(lambda: completed(place) == JOBS, seconds=900, every=0.5, what="all have completed")
        ended = [plane.ended(id) for id in ids_]
        assert {each["status"]["phase"] for each in ended} == {"SUCCEEDED"}
        assert len(place.pods()) == JOBS
    finally:
        plane.close()
