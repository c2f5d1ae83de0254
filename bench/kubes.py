"""A cluster for the benchmarks, the one of the tests, with nodes that only the API server knows."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import Any

from tests.e2e import _kubernetes
from tests.e2e.kube import building, clusters, foreign, kwok, packages, runs

PODS_A_NODE = 1_000


class MissingError(Exception):
    """There is no cluster here; the text is one line that says why."""


@contextlib.contextmanager
def cluster() -> Iterator[clusters.Cluster]:
    """Give the cluster that KUBECONFIG names, which must have kwok, else one of our own with one real node."""
    if os.environ.get("KUBECONFIG"):
        try:
            yield next(iter(foreign.load(os.environ["KUBECONFIG"]).values()))
        except foreign.ForeignError as error:
            raise MissingError(f"KUBECONFIG: {error}") from error
        return
    try:
        packages.install()
        if missing := packages.missing():
            raise MissingError("; ".join(missing))
        building.ensure("kubernetes", "kwok")
        joined = runs.join(f"b{secrets.token_hex(4)}", ("--name", "fr", "--nodes", "1", "--kwok"))
    except (building.BuildError, runs.RunError) as error:
        raise MissingError(str(error)) from error
    try:
        yield next(iter(joined.clusters.values()))
    finally:
        joined.close_and_wait()


def fakes(cluster: clusters.Cluster, prefix: str, count: int) -> dict[str, Any]:
    """Have a pool of so many fake nodes; return the settings of a backend that chooses it."""
    for number in range(count):
        name = f"{prefix}-{number}"
        if cluster.api.request("GET", f"/api/v1/nodes/{name}")[0] == 404:
            kwok.add_node(cluster, name, labels={"bench": prefix}, tainted=True)
    tolerated = {"key": kwok.ANNOTATION, "effect": "NoSchedule"}
    return {"pools": {"p": {"nodeSelector": {"bench": prefix}, "tolerations": [tolerated]}}}


@contextlib.contextmanager
def namespace(cluster: clusters.Cluster) -> Iterator[str]:
    """Give a namespace, which goes with all that is in it."""
    name = _kubernetes.namespace(cluster)
    try:
        yield name
    finally:
        _kubernetes.remove(cluster, name)


def settings(cluster: clusters.Cluster, space: str, **more: Any) -> dict[str, Any]:
    """Return the settings of a backend for a namespace."""
    return _kubernetes.settings(cluster, space, **more)


def image() -> str:
    """Return an image by digest; on fake nodes nothing is ever pulled."""
    return "comity.test/busybox@sha256:" + "0" * 64
