"""PlacementDecisions are what our Jobs say: written once, kept, removed; and a hub that fails costs no job anything."""

import dataclasses
import json
import logging
import pathlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from backends.kubernetes import client, hubs, kubeconfigs, names, published, render, settings, views
from orchestrator.domain import errors as port_errors
from orchestrator.domain import ids, offers
from orchestrator.settings import adapters
from tests.unit.backends.kubernetes import liar, objects

DIGEST = "sha256:" + "d" * 64
SPACE = "fleet"
PATH = f"/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{SPACE}/placementdecisions"
MARK = published.owner("here", "gra")
WANTED = hubs.PlacementDecisions.read({"namespace": SPACE, "profile": {"namespace": SPACE, "name": "paris-1"}})
SECRETS = ("tenant-of-mine", "secret-name", "registry.example", "train.py", "gra/p", "gra")


class Hub:
    """What a hub does with objects, as far as it is used; ``before`` may answer in its place."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.before: Callable[[str, str], liar.Answer | None] = lambda method, path: None
        self.lost = 0
        self.refused: set[str] = set()
        self.serial = 0

    def say(self, method: str, path: str, query: dict[str, str], body: Any) -> liar.Answer:
        """Answer one call."""
        if (answer := self.before(method, path)) is not None:
            return answer
        name = path.removeprefix(PATH).strip("/")
        if method == "GET" and not name:
            label, _, value = query["labelSelector"].partition("=")
            return 200, {
                "items": [one for one in self.objects.values() if one["metadata"]["labels"].get(label) == value]
            }
        if method == "POST":
            return self.made(body)
        if name not in self.objects:
            return 404, {"reason": "NotFound", "message": "not found"}
        if method == "DELETE":
            if body["preconditions"]["uid"] != self.objects[name]["metadata"]["uid"]:
                return 409, {"reason": "Conflict", "message": "uid"}
            del self.objects[name]
            return 200, {"kind": "Status"}
        return 200, self.objects[name]

    def made(self, body: Any) -> liar.Answer:
        """Take an object; an answer may be lost behind it."""
        name = body["metadata"]["name"]
        if body["metadata"]["labels"][published.PLACEMENT_KEY] in self.refused:
            return 422, {"reason": "Invalid", "message": "admission webhook says no"}
        if name in self.objects:
            return 409, {"reason": "AlreadyExists", "message": "there"}
        self.serial += 1
        self.objects[name] = {**body, "metadata": {**body["metadata"], "uid": f"u{self.serial}"}}
        if self.lost:
            self.lost -= 1
            return 500, {"message": "lost"}
        return 201, self.objects[name]


class Jobs:
    """Stands for what is watched: the Jobs of a cluster, and a consistent read of one."""

    def __init__(self) -> None:
        self.items: dict[str, views.Job] = {}
        self.unseen: set[str] = set()
        self.broken = False

    @property
    def jobs(self) -> "Jobs":
        """Return itself."""
        return self

    def ready(self) -> None:
        """Raise where nothing is known."""
        if self.broken:
            raise port_errors.TransientError("kubernetes.watch", "what it knows is too old")

    def ours(self, job: views.Job) -> bool:
        """Say whether it is ours."""
        return (job.backend, job.installation) == ("gra", "here")

    def look(self, key: str) -> views.Job | None:
        """Return what is there now."""
        return objects.job() if key in self.unseen else self.items.get(key)

    def add(self, number: int, **more: Any) -> str:
        """Add the Job of an attempt and return its key."""
        key = str(ids.attempt_key(objects.JOB, number))
        self.items[key] = dataclasses.replace(objects.job(), name=key, key=key, **{"decision": DIGEST, **more})
        return key


@pytest.fixture
def hub() -> Hub:
    """Give a hub."""
    return Hub()


@pytest.fixture
def jobs() -> Jobs:
    """Give what is watched."""
    return Jobs()


Make = Callable[[], published.Published]


@pytest.fixture
def make(hub: Hub, jobs: Jobs, tmp_path: pathlib.Path) -> Iterator[Make]:
    """Give a function that makes one, as after a start of the server; all are closed."""
    server, made = liar.Liar(hub.say), []

    def one() -> published.Published:
        talk = client.Client(kubeconfigs.read(server.kubeconfig, None, ()), str(tmp_path))
        found = published.Published(talk, jobs, WANTED, MARK, lambda: objects.NOW, coalesce_s=0.0, pause_s=0.0)  # type: ignore[arg-type]
        made.append(found)
        return found

    yield one
    for each in made:
        each.close()
    server.close()


def marks(key: str) -> dict[str, str]:
    """Return the labels of the object of an attempt, which anybody may copy."""
    return {published.OWNER_LABEL: MARK, published.PLACEMENT_KEY: key}


def keys(hub: Hub) -> Sequence[str]:
    """Return the attempts that the hub was told of."""
    return sorted(one["metadata"]["labels"][published.PLACEMENT_KEY] for one in hub.objects.values())


def test_what_is_written_names_attempt_decision_and_profile_and_nothing_else() -> None:
    """Of tenant, image, command, secrets, site, backend and installation nothing leaves the cluster."""
    placement = dataclasses.replace(
        objects.placement(command=("python", "train.py", "secret-name")),
        tenant="tenant-of-mine",
        decision=ids.Digest(DIGEST),
    )
    made = render.objects(placement, objects.grant())
    raw = {**made.job, "metadata": {**made.job["metadata"], "uid": "u1", "resourceVersion": "1"}}
    job = views.job(raw)
    assert job is not None
    found = published.render(job, WANTED, MARK)
    assert found["decisions"] == [
        {
            "clusterProfileRef": {"namespace": "fleet", "name": "paris-1"},
            "reason": f"Comity placed attempt {objects.KEY} here by decision {DIGEST}",
        }
    ]
    assert set(found) == {"apiVersion", "kind", "metadata", "schedulerName", "decisions"}
    assert not any(word in json.dumps(found) for word in SECRETS)


def test_each_placement_is_told_once_and_forgotten_with_its_job(hub: Hub, jobs: Jobs, make: Make) -> None:
    """Rounds write what is missing, repeat nothing, and remove what has no Job any more; a new start goes on."""
    one, two = jobs.add(1), jobs.add(2)
    first = make()
    assert (first.settle(), keys(hub)) == ("", [one, two])
    before = json.dumps(hub.objects)
    assert first.settle() == ""
    assert make().settle() == ""
    assert json.dumps(hub.objects) == before
    del jobs.items[two]
    assert (make().settle(), keys(hub)) == ("", [one])


def test_only_placements_of_ours_are_told(hub: Hub, jobs: Jobs, make: Make) -> None:
    """A Job of another backend or installation, a stop before the start, and a malformed digest are not."""
    jobs.add(1, backend="other")
    jobs.add(2, installation="other")
    jobs.add(3, decision="")
    jobs.add(4, decision=f"{DIGEST} and more")
    assert (make().settle(), keys(hub)) == ("", [])


def test_a_lost_answer_is_found_again(hub: Hub, jobs: Jobs, make: Make) -> None:
    """An object that was written while its answer was lost is adopted, not written twice and not a conflict."""
    key = jobs.add(1)
    hub.lost = 1
    found = make()
    assert "lost" in found.settle()
    assert (found.settle(), found.problem, keys(hub)) == ("", "", [key])


def test_one_that_is_refused_is_in_nobodys_way(hub: Hub, jobs: Jobs, make: Make) -> None:
    """A hub that refuses some objects, in its own words, gets all the others, round by round."""
    made = [jobs.add(number) for number in range(1, 7)]
    hub.refused = {made[0], made[3]}
    found = make()
    for _ in range(4):
        assert "admission webhook says no" in found.settle()
    assert set(keys(hub)) == set(made) - hub.refused
    hub.refused.clear()
    assert (found.settle(), set(keys(hub))) == ("", set(made))


def test_what_somebody_else_made_is_neither_changed_nor_removed(hub: Hub, jobs: Jobs, make: Make) -> None:
    """A name that is taken is told and left; an object whose labels were changed is none of ours."""
    key = jobs.add(1)
    name = published.name_of(MARK, key)
    theirs = {"metadata": {"name": name, "uid": "x", "labels": {"owner": "them"}}, "decisions": []}
    hub.objects[name] = theirs
    marked = {"metadata": {"name": "a", "uid": "y", "labels": {published.OWNER_LABEL: MARK, "x": "y"}}}
    copied = {"metadata": {"name": "b", "uid": "z", "labels": {**marks(key)}}}
    hub.objects |= {"a": marked, "b": copied}
    found = make()
    assert "taken by objects that are not ours" in found.settle()
    jobs.items.clear()
    assert found.settle() == ""
    assert hub.objects == {name: theirs, "a": marked, "b": copied}


def test_nothing_is_removed_on_the_word_of_what_is_not_known(hub: Hub, jobs: Jobs, make: Make) -> None:
    """While the watch is broken no object goes; nor one whose Job is there after all; nor another of the same name."""
    key = jobs.add(1)
    found = make()
    assert found.settle() == ""
    jobs.items.clear()
    jobs.broken = True
    assert "too old" in found.settle()
    assert keys(hub) == [key]
    jobs.broken, jobs.unseen = False, {key}
    assert (found.settle(), keys(hub)) == ("", [key])
    jobs.unseen.clear()
    hub.objects[published.name_of(MARK, key)]["metadata"]["uid"] = "another"
    assert (found.settle(), keys(hub)) == ("", [key])


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, {"reason": "NotFound", "message": "the server could not find"}, "has no placementdecisions.multicluster"),
        (403, {"reason": "Forbidden", "message": 'cannot list resource "x" in API group "y"'}, "may not list"),
        (401, {"reason": "Unauthorized", "message": ""}, "credentials"),
        (422, {"reason": "Invalid", "message": "spec.what: required"}, "spec.what"),
        (500, {"message": "x" * 5_000}, "xxx"),
        (200, b"\x00\xff", "no object"),
        (200, {"items": [{"metadata": 7}, {"metadata": {"labels": "x"}}, 3], "metadata": "x"}, ""),
    ],
)
def test_what_a_hub_refuses_is_told_since_when_and_costs_nothing(
    hub: Hub,
    jobs: Jobs,
    make: Make,
    caplog: pytest.LogCaptureFixture,
    status: int,
    body: Any,
    said: str,
) -> None:
    """The offer says what is wrong and takes what it took; when the hub answers again, all is written."""
    caplog.set_level(logging.WARNING, logger=published.__name__)  # whatever level others have left behind
    key = jobs.add(1)
    found = make()
    hub.before = lambda method, path: (status, body) if method == "GET" and path == PATH else None
    text = found.settle()
    assert found.settle() == text
    assert said in text
    assert len(text) < 600
    offer = offers.Offer(ids.SiteName("gra/p"), offers.Room(1), offers.Room(2), objects.NOW, detail="2 nodes")
    told = found.noted(offer)
    assert (told.free, told.total) == (offer.free, offer.total)
    assert told.detail == (
        f"2 nodes; PlacementDecisions are not written since 2026-11-22T12:00:00Z: {text}" if said else "2 nodes"
    )
    hub.before = lambda method, path: None
    assert found.settle() == found.settle() == ""
    assert keys(hub) == [key]
    assert found.noted(offer) is offer
    logged = [record.getMessage() for record in caplog.records if record.name == published.__name__]
    assert [line.partition(" to http://")[0] for line in logged] == (
        ["PlacementDecisions are not written", "PlacementDecisions are written again"] if said else []
    )


def test_a_nudge_never_waits_for_the_hub(hub: Hub, jobs: Jobs, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the hub holds its answer, nudges return; when it answers, it was told. Without the setting nothing runs."""
    answer, asked, told = threading.Event(), threading.Event(), threading.Event()

    def held(method: str, path: str) -> liar.Answer | None:
        asked.set()
        answer.wait(60)
        if method == "POST":
            told.set()
        return None

    jobs.add(1)
    hub.before = held
    found = make()
    who: list[threading.Thread] = []
    settle = found.settle

    def settled() -> str:
        who.append(threading.current_thread())
        return settle()

    monkeypatch.setattr(found, "settle", settled)
    found.nudge()
    assert asked.wait(60)
    found.nudge()
    assert threading.current_thread() not in who
    assert not told.is_set()
    answer.set()
    assert told.wait(60)
    silent = published.Published(found._hub, jobs, None, MARK, lambda: objects.NOW)  # type: ignore[arg-type]
    silent.nudge()
    assert silent._thread is None


def test_settings_that_cannot_be_meant_are_refused() -> None:
    """A context without a kubeconfig, names that are none, RayJobs beside it: each by its path."""
    profile = {"namespace": "fleet", "name": "paris-1"}
    for wrong, path in (
        ({"namespace": "fleet", "profile": profile, "context": "c"}, "placementDecisions"),
        ({"namespace": "../x", "profile": profile}, "placementDecisions.namespace"),
        ({"namespace": "fleet", "profile": {"namespace": "fleet", "name": "A"}}, "placementDecisions.profile.name"),
        ({"namespace": "fleet"}, "placementDecisions.profile"),
    ):
        with pytest.raises(adapters.SettingsError, match=path):
            objects.wanted(placementDecisions=wrong)
    given = {"namespace": "fleet", "profile": profile}
    with pytest.raises(adapters.SettingsError, match="there is no placementDecisions"):
        objects.wanted(placementDecisions=given, rayjobs={"version": "2.60.0"})
    assert isinstance(objects.wanted(placementDecisions=given), settings.KubernetesSettings)


def test_the_digest_on_the_job_is_that_of_the_decision() -> None:
    """A placement with a decision notes it on its Job; one without notes nothing, and the Job is the same otherwise."""
    bare = render.objects(objects.placement(), objects.grant())
    noted = render.objects(dataclasses.replace(objects.placement(), decision=ids.Digest(DIGEST)), objects.grant())
    assert noted.job["metadata"]["annotations"].pop(names.DECISION_ANNOTATION) == DIGEST
    assert noted == bare
    assert noted.digest == bare.digest
