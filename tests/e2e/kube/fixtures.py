"""Fixtures: real clusters for tests, one set a test run, shared by all its processes.

In this order: the clusters that KUBECONFIG names, one a context; else clusters of our own, two nodes each, in France
and in Germany; else the test is skipped with one line that says what is missing, and fails where
``COMITY_E2E=required``.
A ``conftest.py`` that wants them imports ``kube``, ``fr``, ``de`` and ``lone``.
"""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.e2e.kube import building, clusters, foreign, packages, runs

SHARED = ("--name", "fr", "--name", "de", "--nodes", "2", "--kwok")
LONE = ("--name", "fr-lone", "--nodes", "2", "--kwok")


def _give_up(reason: str) -> None:
    """Skip, or fail where a real component is required."""
    if os.environ.get("COMITY_E2E") == "required":
        pytest.fail(f"no Kubernetes: {reason}", pytrace=False)
    pytest.skip(f"no Kubernetes: {reason}")


def _run_name() -> str:
    """Return a name that all processes of one test run share, and no other run."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID", f"p{os.getpid()}")[:12]


def _prepare() -> None:
    """Install packages where we may and build the tools, or wait for whoever builds them."""
    packages.install()
    missing = packages.missing()
    if missing:
        _give_up("; ".join(missing))
    try:
        building.ensure("kubernetes", "kwok")
    except building.BuildError as error:
        # The machine has all that is needed, so this is a fault and never a reason to skip.
        pytest.fail(f"no Kubernetes: {error}", pytrace=False)


@pytest.fixture(scope="session")
def kube() -> Iterator[dict[str, clusters.Cluster]]:
    """Give the clusters by name; they start when the first test of a run asks for them and end with the run."""
    if os.environ.get("KUBECONFIG"):
        try:
            yield foreign.load(os.environ["KUBECONFIG"])
        except foreign.ForeignError as error:
            pytest.fail(f"KUBECONFIG: {error}", pytrace=False)
        return
    _prepare()
    try:
        joined = runs.join(_run_name(), SHARED)
    except runs.RunError as error:
        pytest.fail(f"no Kubernetes: {error}", pytrace=False)
    try:
        yield joined.clusters
    finally:
        joined.close()


def _of(found: dict[str, clusters.Cluster], country: str) -> clusters.Cluster:
    """Return the cluster of a country."""
    for cluster in found.values():
        if cluster.jurisdiction == country:
            return cluster
    pytest.skip(f"none of the clusters {', '.join(found)} has nodes in {country}")


@pytest.fixture(scope="session")
def fr(kube: dict[str, clusters.Cluster]) -> clusters.Cluster:
    """Give the cluster in France."""
    return _of(kube, "FR")


@pytest.fixture(scope="session")
def de(kube: dict[str, clusters.Cluster]) -> clusters.Cluster:
    """Give the cluster in Germany."""
    return _of(kube, "DE")


@pytest.fixture(scope="module")
def lone() -> Iterator[clusters.Cluster]:
    """Give a cluster in France that no other module uses: for tests that stop, kill, cut off or fill it."""
    if os.environ.get("KUBECONFIG"):
        pytest.skip("the cluster that KUBECONFIG names is not ours to break")
    _prepare()
    try:
        joined = runs.join(f"n{secrets.token_hex(5)}", LONE)
    except runs.RunError as error:
        pytest.fail(f"no Kubernetes: {error}", pytrace=False)
    try:
        yield joined.clusters["fr-lone"]
    finally:
        joined.close_and_wait()


def breakable(cluster: clusters.Cluster) -> None:
    """Skip a test that needs the files or the parts of a cluster where the cluster is not ours."""
    if not cluster.own:
        pytest.skip(f"{cluster.name} is not ours to break")
