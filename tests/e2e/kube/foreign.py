"""Clusters that KUBECONFIG names: each context is one, read by kubectl, and none of them is ours to break."""

import json
import os
import pathlib
import subprocess
import tempfile

from tests.e2e.kube import api, building, clusters, packages

KUBECTL_S = 60.0


class ForeignError(Exception):
    """A kubeconfig cannot be used; the text says which context and why."""


def _kubectl(paths: str, *arguments: str) -> str:
    """Run kubectl, the machine's or ours, with a kubeconfig and return what it printed."""
    own = building.program("kubectl")
    tool = packages.find("kubectl") or (str(own) if own.exists() else None)
    if tool is None:
        raise ForeignError("kubectl is missing")
    done = subprocess.run(
        [tool, *arguments],
        env={**os.environ, "KUBECONFIG": paths},
        capture_output=True,
        text=True,
        timeout=KUBECTL_S,
        check=False,
    )
    if done.returncode:
        raise ForeignError(" ".join(done.stderr.split()))
    return done.stdout


def load(paths: str) -> dict[str, clusters.Cluster]:
    """Return the cluster of each context, by the context's name without ``kind-``.

    :param paths: the value of KUBECONFIG.
    :raises ForeignError: when a context cannot be read or its nodes do not agree on one jurisdiction.
    """
    found = {}
    for context in _kubectl(paths, "config", "get-contexts", "--output=name").split():
        name = context.removeprefix("kind-")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="comity-kubeconfig-"))
        text = _kubectl(
            paths, "config", "view", "--raw", "--minify", "--flatten", f"--context={context}", "--output=json"
        )
        kubeconfig = folder / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(text)
        found[name] = _describe(name, folder, kubeconfig)
    if not found:
        raise ForeignError("it has no context")
    return found


def _describe(name: str, folder: pathlib.Path, kubeconfig: pathlib.Path) -> clusters.Cluster:
    """Ask a cluster for its nodes and their jurisdiction."""
    try:
        items = api.Api(kubeconfig).get("/api/v1/nodes")["items"]
    except (api.ApiError, KeyError) as error:
        raise ForeignError(f"context {name}: {error}") from error
    countries = {item["metadata"].get("labels", {}).get(clusters.JURISDICTION) for item in items}
    if len(countries) != 1 or None in countries:
        raise ForeignError(f"context {name}: its nodes need one label {clusters.JURISDICTION}, the same on all")
    return clusters.Cluster(
        name=name,
        jurisdiction=str(countries.pop()),
        kubeconfig=kubeconfig,
        server=json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"],
        outer_address="",
        nodes=tuple(item["metadata"]["name"] for item in items),
        folder=folder,
        own=False,
    )
