"""ClusterProfiles of a real API server with the real definitions: from an inventory to a job that ran there."""

import json
import pathlib
from collections.abc import Iterator

import pytest
import yaml

from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, job
from tests.e2e.kube import clusters, inventories


class SecretPlane(Plane):
    """A control plane whose settings may name files of a folder."""

    @property
    def secrets(self) -> pathlib.Path:
        """Return that folder."""
        return self.folder / "secrets"

    def argv(self, *more: str) -> list[str]:
        """Return the arguments of ``comity``."""
        return super().argv("--secrets-dir", str(self.secrets), *more)


@pytest.fixture(scope="module")
def hub(fr: clusters.Cluster) -> clusters.Cluster:
    """Give a cluster with the kinds of SIG-Multicluster."""
    if not fr.own:
        pytest.skip("somebody's cluster: kinds are not added to it")
    inventories.install(fr)
    return fr


@pytest.fixture
def space(hub: clusters.Cluster) -> Iterator[str]:
    """Give a namespace of the hub."""
    made = _kubernetes.namespace(hub)
    yield made
    _kubernetes.remove(hub, made)


@pytest.fixture
def plane(tmp_path: pathlib.Path) -> Iterator[SecretPlane]:
    """Give a server without places."""
    found = SecretPlane(tmp_path)
    found.secrets.mkdir()
    found.init()
    (found.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
    found.start()
    yield found
    found.close()


def test_a_profile_becomes_a_backend_where_a_person_completes_it_and_a_job_runs_there(
    hub: clusters.Cluster, space: str, plane: SecretPlane
) -> None:
    """The draft is refused at each hole and with a kubeconfig without user; completed, it takes a job."""
    inventories.add_profile(hub, space, "paris-1", hub)
    shell = plane.shell
    command = f"comity backend import --from clusterprofiles --kubeconfig {hub.kubeconfig} --namespace {space}"
    done = shell.run(f"{command} --job-namespace {space} -o drafts")
    assert done.returncode == 0, done.stderr
    drafts = shell.folder / "drafts"
    assert done.stdout.split() == ["drafts/paris-1.yaml", "drafts/paris-1.kubeconfig"]

    refused = shell.run("comity apply -f drafts/paris-1.yaml")
    assert refused.returncode == 1
    assert "spec.location.country" in refused.stderr
    assert "spec.operator" in refused.stderr
    assert plane.call("GET", "/v1/backends").json["items"] == []

    draft = (drafts / "paris-1.yaml").read_text()
    assert "cluster manager" in draft
    document = yaml.safe_load(draft)
    document["spec"]["operator"] = "me"
    document["spec"]["location"]["country"] = document["spec"]["settings"]["jurisdiction"] = "FR"
    document["spec"] |= {"adminFrom": ["FR"], "logStore": {"country": "FR"}, "pools": [{"name": "p"}]}
    (drafts / "paris-1.yaml").write_text(yaml.safe_dump(document))
    skeleton = yaml.safe_load((drafts / "paris-1.kubeconfig").read_text())
    (plane.secrets / "paris-1.kubeconfig").write_text(json.dumps(skeleton))
    applied = shell.run("comity apply -f drafts/paris-1.yaml")
    assert applied.returncode == 0, applied.stderr
    probed = shell.run("comity backend check paris-1")
    assert probed.returncode != 0
    assert "no token, no client certificate" in probed.stdout + probed.stderr

    skeleton["users"][0]["user"] = yaml.safe_load(hub.kubeconfig.read_text())["users"][0]["user"]
    (plane.secrets / "complete.kubeconfig").write_text(json.dumps(skeleton))
    document["spec"]["settings"]["kubeconfig"]["fromFile"] = "complete.kubeconfig"
    (drafts / "paris-1.yaml").write_text(yaml.safe_dump(document))
    applied = shell.run("comity apply -f drafts/paris-1.yaml")
    assert applied.returncode == 0, applied.stderr
    answer = plane.submit(job("there", "true", image=_kubernetes.busybox()))
    assert answer.status == 202, answer
    ended = plane.ended(answer.json["metadata"]["id"])
    assert ended["status"]["phase"] == "SUCCEEDED", ended
    assert ended["status"]["attempts"][0]["site"] == "paris-1/p"


def test_fresh_properties_of_a_real_profile_are_taken_as_declared(
    hub: clusters.Cluster, space: str, plane: SecretPlane
) -> None:
    """The definitions keep our properties, and the document made of them needs no more to be applied."""
    inventories.add_profile(hub, space, "paris-2", hub, country="FR", operator="me")
    command = f"comity backend import --from clusterprofiles --kubeconfig {hub.kubeconfig} --namespace {space}"
    done = plane.shell.run(f"{command} > draft.yaml && comity apply -f draft.yaml")
    assert done.returncode == 0, done.stderr
    found = plane.call("GET", "/v1/backends/paris-2").json
    assert found["spec"]["location"] == {"country": "FR"}
    assert found["spec"]["facts"].get("assurance", "declared") == "declared"
    assert "test-manager" in found["spec"]["facts"]["source"]


def test_where_nobody_serves_profiles_that_is_said(de: clusters.Cluster, plane: SecretPlane) -> None:
    """A cluster without the kinds is named as one, and nothing is written."""
    if de.api.request("GET", inventories.GROUP)[0] != 404:
        pytest.skip("this cluster serves them")
    done = plane.shell.run(
        f"comity backend import --from clusterprofiles --kubeconfig {de.kubeconfig} --namespace default -o drafts"
    )
    assert done.returncode == 1
    assert "the cluster has no clusterprofiles.multicluster.x-k8s.io" in done.stderr
    assert not (plane.shell.folder / "drafts").exists()
