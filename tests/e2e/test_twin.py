"""The document that runs everywhere, and its WebAssembly twin on Bacalhau: decisions that differ in facts only.

The twin says all that the document says but what is run. So what rules, terms and lists say of each site is the same
for both; what differs is which sites can run it.
"""

import base64
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.e2e import _bacalhau, _slurm, test_everywhere
from tests.e2e._planes import Plane, backend, document
from tests.e2e.bacalhau import building, networks
from tests.e2e.slurm import clusters

PATIENCE_S = 400.0
NODES = {"alpha": "FR", "beta": "DE", "gamma": "US"}
PROCESSES, MODULES = "fit.capability:processes", "fit.capability:modules"


def _twin(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document that says the same of a module which ends as the command does."""
    content = base64.b64encode(building.module()).decode()
    files = {**given["spec"]["files"], "job.wasm": {"content": content}}
    return {**given, "spec": {**given["spec"], "command": ["./job.wasm", "run", "1", "3"], "files": files}}


def _reading(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a document that reads a data set too."""
    return {**given, "spec": {**given["spec"], "data": {"reads": [{"name": name}]}}}


@pytest.fixture
def plane(slurm: clusters.Cluster, bacalhau: networks.Network, tmp_path: pathlib.Path) -> Iterator[Plane]:
    """A server with this machine, a cluster in France, a network in three countries, and health data of France."""
    hpc, network = _slurm.settings(slurm), _bacalhau.settings(bacalhau, key={"fromEnv": "COMITY_SECRET_BACALHAU"})
    given = {"COMITY_SECRET_SLURM": hpc["token"], "COMITY_SECRET_BACALHAU": bacalhau.key}
    found = Plane(tmp_path, environment=given)
    found.init()
    found.start()
    hpc["token"] = {"fromEnv": "COMITY_SECRET_SLURM"}
    pools = [{"name": name, "location": {"country": country}} for name, country in NODES.items()]
    about = {"classes": ["health"], "subjects": ["FR"], "counts": {"persons": 5, "sensitive": 5, "window": "365d"}}
    whose = {"controller": {"operator": "hospital", "country": "FR"}, "owner": "dpo@example.org"}
    for one in (
        backend("hpc", adapter="slurm", settings=hpc, pools=[{"name": "fr"}]),
        backend("net", adapter="bacalhau", settings=network, pools=pools),
        document("DataSet", "patients", about | whose | {"location": {"country": "FR"}}),
    ):
        answer = found.put(one)
        assert answer.status in (200, 201), answer
    found.until_reached("local", "hpc", "net", seconds=PATIENCE_S)
    yield found
    found.close()


def _judged(answer: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what rules, terms and lists say of each site, by code: all but whether it can run it, and can now."""
    return {
        one["site"]: {
            reason["code"]: reason
            for reason in one["reasons"]
            if reason["code"].split(".")[0] not in ("fit", "capacity", "caveat", "backend")
        }
        for one in answer["sites"]
    }


def _unable(answer: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return what each site cannot do of it."""
    return {
        one["site"]: {reason["code"] for reason in one["reasons"] if reason["code"].startswith("fit.")}
        for one in answer["sites"]
    }


def _planned(plane: Plane, given: Mapping[str, Any]) -> dict[str, Any]:
    answer = plane.call("POST", "/v1/plans", given)
    assert answer.status == 200, answer
    return dict(answer.json)


def test_the_twin_ends_as_the_document_does_by_the_same_rules(plane: Plane) -> None:
    """Each is placed where it can run, in the EEA, and ends with its code; both decisions have one policy."""
    made = {}
    for name, given in (("document", test_everywhere.DOCUMENT), ("twin", _twin(test_everywhere.DOCUMENT))):
        answer = plane.submit(given)
        assert answer.status == 202, answer
        id = str(answer.json["id"])
        ended = plane.ended(id, seconds=PATIENCE_S)
        (attempt,) = ended["status"]["attempts"]
        assert (ended["status"]["phase"], attempt.get("exitCode")) == ("FAILED", 3), ended
        (decision,) = plane.call("GET", f"/v1/jobs/{id}/decisions").json["items"]
        made[name] = {"site": attempt["site"], **decision}
    one, two = made["document"], made["twin"]
    assert (one["policy"], one["facts"]) == (two["policy"], two["facts"])
    assert one["site"] in ("local/host", "hpc/fr")
    assert two["site"] in ("net/alpha", "net/beta")
    assert _judged(one["answer"]) == _judged(two["answer"])


@pytest.mark.parametrize("data", ["", "patients"])
def test_decisions_differ_only_in_what_sites_can_run(plane: Plane, data: str) -> None:
    """With and without health data: reason by reason the same at each site but for modules and processes."""
    given = test_everywhere.DOCUMENT
    both = [_reading(one, data) if data else one for one in (given, _twin(given))]
    one, two = (_planned(plane, each) for each in both)
    assert _judged(one) == _judged(two)
    refused = {site for site, found in _judged(one).items() if any(r["effect"] == "deny" for r in found.values())}
    assert refused == (set(_judged(one)) if data else {"net/gamma"})
    assert _unable(one) == {site: {PROCESSES} if site.startswith("net/") else set() for site in _unable(one)}
    assert _unable(two) == {site: set() if site.startswith("net/") else {MODULES} for site in _unable(two)}
