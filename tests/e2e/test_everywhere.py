"""One document, byte for byte, on this machine, on Kubernetes, on Ray and on Slurm: the same end, told the same way."""

import base64
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import _kubernetes, _slurm, rays
from tests.e2e._planes import Plane, backend, job
from tests.e2e._ray_planes import declared
from tests.e2e.kube import clusters as kube_clusters
from tests.e2e.slurm import clusters as slurm_clusters
from tests.e2e.test_kubernetes import Place

PATIENCE_S = 400.0
SITES = {"local": "local/host", "fr": "fr/p", "ray": "ray/west", "hpc": "hpc/fr"}
DOCUMENT = job(
    "everywhere",
    *("sh", "-c", "cat words/data.txt; echo attempt $COMITY_ATTEMPT of $NAME; exit 3"),
    env={"NAME": "ünïcode $HOME"},
    files={"words/data.txt": {"content": base64.b64encode(b"from the document\n").decode()}},
    resources={"cpus": "100m", "memory": "64Mi"},
    sovereignty={"countries": {"allow": ["EEA"]}},
    retry={"attempts": 1},
)
WANTED = "from the document\nattempt 1 of ünïcode $HOME\n"


@pytest.fixture
def plane(fr: kube_clusters.Cluster, slurm: slurm_clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Plane]:
    """A server with four places of four kinds."""
    ray, hpc, place = rays.shared(), _slurm.settings(slurm), Place(fr)
    given = {place.variable: fr.kubeconfig.read_text(), "COMITY_SECRET_RAY": ray.token or ""}
    found = Plane(tmp_path, environment={**given, "COMITY_SECRET_SLURM": hpc["token"]})
    found.init()
    found.start()
    hpc["token"] = {"fromEnv": "COMITY_SECRET_SLURM"}
    others = (
        place.declared(pools=[{"name": "p"}], settings={"commandImage": _kubernetes.busybox()}),
        declared(ray.url, offered=("west",)),
        backend("hpc", adapter="slurm", settings=hpc, pools=[{"name": "fr"}]),
    )
    for one in others:
        answer = found.put(one)
        assert answer.status in (200, 201), answer
    yield found
    found.close()
    _kubernetes.remove(fr, place.namespace)


def test_one_document_runs_everywhere(plane: Plane) -> None:
    """All places but one are taken out of service; the document is sent as it was; nothing differs but the place."""
    (plane.shell.folder / "job.json").write_text(json.dumps(DOCUMENT))
    ended: dict[str, Any] = {}
    for name, site in SITES.items():
        for other in SITES:
            verb = "uncordon" if other == name else "cordon"
            ran = plane.shell.run(f"comity backend {verb} {other}")
            assert ran.returncode == 0, ran.stderr
        answer = plane.submit(json.loads((plane.shell.folder / "job.json").read_text()))
        assert answer.status == 202, answer
        found = plane.ended(str(answer.json["id"]), seconds=PATIENCE_S)
        (attempt,) = found["status"]["attempts"]
        assert attempt["site"] == site, found
        assert plane.shell.run(f"comity logs {answer.json['id']}").stdout == WANTED, (site, found)
        ended[name] = found
    phases = {
        name: (found["status"]["phase"], found["status"]["attempts"][0].get("exitCode"))
        for name, found in ended.items()
    }
    assert set(phases.values()) == {("FAILED", 3)}, phases
    specs = [json.dumps(found["spec"], sort_keys=True) for found in ended.values()]
    assert len(set(specs)) == 1
