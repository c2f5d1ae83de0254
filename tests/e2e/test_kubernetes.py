"""Jobs in real pods of real clusters in two countries, through a real server."""

import base64
import hashlib
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, backend, document, job, wait_until
from tests.e2e.kube import clusters, images

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHELL = "sh"


class Place:
    """A namespace of a cluster, and how it is declared."""

    def __init__(self, cluster: clusters.Cluster) -> None:
        self.cluster = cluster
        self.namespace = _kubernetes.namespace(cluster)
        self.name = cluster.jurisdiction.lower()
        self.variable = f"COMITY_SECRET_{cluster.jurisdiction}"
        self.more: dict[str, Any] = {}

    def declared(self, **more: Any) -> dict[str, Any]:
        """Return the document of this place."""
        country = self.cluster.jurisdiction
        wanted = _kubernetes.settings(self.cluster, self.namespace, **self.more, **more.pop("settings", {}))
        wanted["kubeconfig"] = {"fromEnv": self.variable}
        where = {"location": {"country": country}, "adminFrom": [country], "logStore": {"country": country}}
        return backend(self.name, **{"adapter": "kubernetes", "settings": wanted, **where, **more})

    def job(self, id: str, attempt: int = 1) -> dict[str, Any]:
        """Return the Job of an attempt, as the API server has it."""
        return _kubernetes.job(self.cluster, self.namespace, f"{id.lower()}-{attempt}")

    def pods(self) -> list[dict[str, Any]]:
        """Return all pods of the namespace."""
        return list(self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"])


@pytest.fixture
def french(fr: clusters.Cluster) -> Iterator[Place]:
    """Give a namespace in France."""
    made = Place(fr)
    yield made
    _kubernetes.remove(fr, made.namespace)


@pytest.fixture
def german(de: clusters.Cluster) -> Iterator[Place]:
    """Give a namespace in Germany."""
    made = Place(de)
    yield made
    _kubernetes.remove(de, made.namespace)


def make_plane(folder: pathlib.Path, *places: Place) -> Plane:
    """Return a server whose only places are these."""
    given = {place.variable: place.cluster.kubeconfig.read_text() for place in places}
    found = Plane(folder, environment=given)
    found.init()
    (found.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
    found.start()
    for place in places:
        answer = found.put(place.declared())
        assert answer.status in (200, 201), answer
    return found


@pytest.fixture
def plane(tmp_path: pathlib.Path, french: Place) -> Iterator[Plane]:
    """Give a server whose only place is the French cluster."""
    found = make_plane(tmp_path, french)
    yield found
    found.close()


def shell(name: str, script: str, **spec: Any) -> dict[str, Any]:
    """Return a job that runs a script in the image of a shell."""
    return job(name, SHELL, "-c", script, **{"image": _kubernetes.busybox(), **spec})


def run(plane: Plane, given: dict[str, Any], *, seconds: float = 180.0) -> dict[str, Any]:
    """Submit a job and return it once it has ended."""
    answer = plane.submit(given)
    assert answer.status == 202, answer
    return plane.ended(answer.json["metadata"]["id"], seconds=seconds)


def log_of(plane: Plane, found: dict[str, Any]) -> str:
    """Return what a job wrote."""
    done = plane.shell.run(f"comity logs {found['metadata']['id']}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hello_runs_in_a_pod(plane: Plane, french: Place) -> None:
    """A job ends well, its words are shown, and it is on record where it ran, by which source."""
    found = run(plane, shell("hello", "echo hello $COMITY_JOB_ID; id -u; echo '$(HOME)' $HOME"))
    assert found["status"]["phase"] == "SUCCEEDED", found
    id = found["metadata"]["id"]
    assert log_of(plane, found).splitlines() == [f"hello {id}", "61007", "$(HOME) /comity/work"]
    made = french.job(id)
    assert made["metadata"]["annotations"]["comity.dev/placement"] == "fr/p"
    assert made["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    told = plane.shell.run(f"comity describe job {id}")
    assert "fr-1" in told.stdout or "fr-2" in told.stdout, told.stdout


def test_ends_are_told_as_they_are(plane: Plane) -> None:
    """An exit code, a lack of memory, an end of time and a command that is not there are each called by their names."""
    hog = "x=$(head -c 60000000 /dev/zero | tr '\\0' x); echo ${#x}"
    given = [
        shell("code", "exit 3"),
        shell("memory", hog, resources={"memory": "16Mi"}),
        shell("late", "trap 'exit 143' TERM; sleep 60 & wait", limits={"deadline": "4s"}),
        job("absent", "/no/such/program", image=_kubernetes.busybox()),
    ]
    ids = [plane.submit(each).json["metadata"]["id"] for each in given]
    ended = [plane.ended(id)["status"] for id in ids]
    assert [each["phase"] for each in ended] == ["FAILED"] * 4
    assert [each["attempts"][0]["reason"] for each in ended] == [
        "ExitCode",
        "OutOfMemory",
        "DeadlineExceeded",
        "StartFailed",
    ], ended
    assert ended[0]["attempts"][0]["exitCode"] == 3


def test_a_job_is_cancelled_and_its_name_stays_taken(plane: Plane, french: Place) -> None:
    """Cancelling ends the pod within its grace; the Job stays as the record, so that nobody can start it again."""
    id = plane.submit(shell("long", "trap 'exit 0' TERM; sleep 300 & wait")).json["metadata"]["id"]
    wait_until(lambda: plane.job(id)["status"]["phase"] == "RUNNING", what="running")
    assert plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
    assert plane.ended(id)["status"]["phase"] == "CANCELLED"
    assert "comity.dev/stopped" in french.job(id)["metadata"]["annotations"]


def test_files_and_folders_travel(plane: Plane) -> None:
    """Files lie in the working folder as they were sent, whatever their names and bytes."""
    content = bytes(range(256)) * 4000
    files = {
        "a b/it's $(x).bin": {"content": base64.b64encode(content).decode()},
        "empty": {"content": ""},
    }
    script = 'sha256sum "a b/it\'s \\$(x).bin" | cut -c1-64; stat -c %s empty; pwd; echo new > made; cat made'
    found = run(plane, shell("files", script, files=files))
    assert found["status"]["phase"] == "SUCCEEDED", found
    assert log_of(plane, found).splitlines() == [hashlib.sha256(content).hexdigest(), "0", "/comity/work", "new"]


def test_a_gang_meets_by_its_variables(plane: Plane) -> None:
    """Each of two nodes knows its rank and the addresses of both, and reaches the first one there."""
    script = """
    if [ "$COMITY_NODE_RANK" = 0 ]; then echo from-zero | nc -l -p "$MASTER_PORT"; else
      until nc -w 2 "$MASTER_ADDR" "$MASTER_PORT" > got 2>/dev/null && [ -s got ]; do sleep 1; done; cat got
    fi
    echo "$COMITY_NODE_RANK of $COMITY_NODES at $COMITY_NODE_ADDRS"
    """
    found = run(plane, shell("pair", f"cd /comity/work\n{script}", nodes=2))
    assert found["status"]["phase"] == "SUCCEEDED", found
    text = log_of(plane, found)
    assert "from-zero" in text
    assert "0 of 2 at 10." in text
    assert "1 of 2 at 10." in text


def test_the_digits_example_trains_in_a_pod(plane: Plane, french: Place) -> None:
    """The example learns in a pod with this machine's own Python; it is the file of the example, unchanged."""
    made = images.make("science:1")
    french.cluster.load_image(made)
    train = base64.b64encode((ROOT / "examples" / "digits" / "train.py").read_bytes()).decode()
    given = job(
        "digits",
        "python3",
        "train.py",
        image=made.pinned,
        env={"EPOCHS": "5", "OMP_NUM_THREADS": "1"},
        files={"train.py": {"content": train}},
        resources={"cpus": "500m"},
    )
    found = run(plane, given, seconds=600)
    assert found["status"]["phase"] == "SUCCEEDED", (found, log_of(plane, found))
    assert "accuracy" in log_of(plane, found)


HOSPITAL = {"source": "invented for a test", "asOf": "2026-11-01", "validTo": "2030-12-31", "assurance": "documented"}


def test_french_health_lands_in_the_french_cluster_only(tmp_path: pathlib.Path, french: Place, german: Place) -> None:
    """Of two clusters, of which the German one is cheaper, only the French one is given the job; the other nothing."""
    plane = make_plane(tmp_path, french, german)
    try:
        operators = {
            "hexa": {"legalCountry": "FR", "ultimateParentHq": "FR", "facts": HOSPITAL},
            "aquila": {"legalCountry": "DE", "ultimateParentHq": "US", "facts": HOSPITAL},
        }
        for name, spec in operators.items():
            assert plane.put(document("Operator", name, spec)).status in (200, 201)
        certificate = {
            "scheme": "hds-v2",
            "service": "kube",
            "regions": ["fr-1"],
            "validTo": "2030-12-31",
            "evidence": "invented for a test",
        }
        for place, operator, price in ((french, "hexa", "2.40 EUR"), (german, "aquila", "1.10 EUR")):
            spec = place.declared(operator=operator, service="kube", pools=[{"name": "p", "pricePerHour": price}])
            region = f"{place.name}-1"
            spec["spec"]["location"] |= {"region": region, "regionPinnedByContract": True}
            spec["spec"] |= {"facts": HOSPITAL, "certifications": [certificate] if place is french else []}
            assert plane.put(spec).status in (200, 201)
        data = {
            "controller": {"operator": "me", "country": "FR"},
            "classes": ["health"],
            "subjects": ["FR"],
            "counts": {"persons": 50000, "sensitive": 50000, "window": "365d"},
            "location": {"country": "FR"},
            "owner": "dpo@hospital.example",
        }
        assert plane.put(document("DataSet", "patients-fr", data)).status in (200, 201)
        wanted = shell(
            "health",
            "echo learnt",
            sovereignty={"exposure": {"deny": ["US"]}},
            data={"reads": [{"name": "patients-fr"}]},
        )
        found = run(plane, wanted)
        free = run(plane, shell("free", "echo cheap"))
        assert found["status"]["phase"] == "SUCCEEDED", found
        assert found["status"]["attempts"][0]["site"] == "fr/p"
        assert free["status"]["attempts"][0]["site"] == "de/p"
        assert not german.job(found["metadata"]["id"])
        told = plane.shell.run(f"comity explain {found['metadata']['id']} --backend de")
        assert "fr-hds.certificate" in told.stdout, told.stdout
    finally:
        plane.close()


def test_what_a_cluster_does_not_do_is_refused_by_plan(plane: Plane, french: Place) -> None:
    """An image by tag, outputs and a bare command are each refused by name before anything is sent."""
    refused = {
        "fit.capability:imageTags": {"image": "comity.test/busybox:1"},
        "fit.capability:outputs": {"image": _kubernetes.busybox(), "outputs": [{"path": "x"}]},
        "fit.capability:processes": {},
    }

    def plan(**spec: Any) -> dict[str, Any]:
        return dict(plane.call("POST", "/v1/plans", job("t", "true", **spec)).json)

    wait_until(lambda: plan(image=_kubernetes.busybox())["placeable"], what="the cluster is known")
    for code, spec in refused.items():
        answer = plan(**spec)
        assert answer["placeable"] is False
        codes = [reason["code"] for reason in answer["sites"][0]["reasons"]]
        assert [each for each in codes if each.startswith("fit.capability")] == [code]
    assert french.pods() == []


def test_a_pod_that_runs_elsewhere_is_stopped_and_reported(plane: Plane, french: Place) -> None:
    """A node that the second source places in another country ends the job, and closes its site."""
    lying = {"secondSource": {"providerIds": {"comity-test://FR/": "US"}}}
    assert plane.put(french.declared(settings=lying)).status in (200, 201)
    id = plane.submit(shell("strayed", "trap 'exit 143' TERM; sleep 600 & wait")).json["metadata"]["id"]

    def told() -> bool:
        found = plane.job(id)["status"]
        return any(one["type"] == "NonCompliant" and one["status"] for one in found["conditions"])

    wait_until(told, what="the violation")
    wait_until(lambda: plane.job(id)["status"]["attempts"][0]["phase"] in ("FAILED", "CANCELLED"), what="the stop")
    (condition,) = [one for one in plane.job(id)["status"]["conditions"] if one["type"] == "NonCompliant"]
    assert "was seen in US (providerID" in condition["message"], condition
    assert wait_until(lambda: not [pod for pod in french.pods() if pod["status"]["phase"] == "Running"], what="it ends")
