"""A cluster as tests see it: its kubeconfig, its API server, its parts.

A handle is made from the file that the process running the clusters wrote; any number of processes may hold one.
``Cluster.own`` says whether its parts may be stopped and broken: a cluster that KUBECONFIG names is not ours.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
from collections.abc import Sequence
from typing import Any

from tests.e2e.kube import api, building, images, processes

JURISDICTION = "node-restriction.kubernetes.io/jurisdiction"
"""The label that says in which country a node stands. NodeRestriction lets no kubelet set it."""
KUBECTL_S = 300.0
AUDIT_LOG = "audit.log"


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a cluster shall be."""

    name: str
    nodes: int = 1
    kwok: bool = False
    gates: tuple[str, ...] = ()
    """Feature gates of every part, as ``Name=true``."""
    apis: tuple[str, ...] = ()
    """API versions to serve beside the default ones, as ``scheduling.k8s.io/v1alpha2=true``."""

    @property
    def jurisdiction(self) -> str:
        """Return the country of all its nodes: ``fr`` and ``fr-2`` stand in FR."""
        return self.name.partition("-")[0].upper()


@dataclasses.dataclass(frozen=True)
class Cluster:
    """One running cluster."""

    name: str
    jurisdiction: str
    kubeconfig: pathlib.Path
    server: str
    """URL of the API server, from this machine and from pods alike."""
    outer_address: str
    """This machine's address as pods see it: what listens there can be reached from pods."""
    nodes: tuple[str, ...]
    folder: pathlib.Path
    own: bool = True

    @classmethod
    def load(cls, file: pathlib.Path) -> "Cluster":
        """Return the cluster that a file describes."""
        given = json.loads(file.read_text())
        paths = {name: pathlib.Path(given[name]) for name in ("kubeconfig", "folder")}
        return cls(**given | paths | {"nodes": tuple(given["nodes"])})

    def save(self, file: pathlib.Path) -> None:
        """Write what ``load`` reads, in one step."""
        aside = file.with_suffix(".new")
        aside.write_text(json.dumps(dataclasses.asdict(self), default=str))
        aside.rename(file)

    @property
    def api(self) -> api.Api:
        """Return a client with all rights."""
        return api.Api(self.kubeconfig)

    @property
    def control(self) -> processes.Control:
        """Return the way to the cluster's parts."""
        return processes.Control(self.folder / "control")

    def kubectl(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl against this cluster and return what it did."""
        return subprocess.run(
            [str(building.program("kubectl")), "--kubeconfig", str(self.kubeconfig), *arguments],
            env={**os.environ, "HOME": str(self.folder)},
            input=given,
            capture_output=True,
            text=True,
            timeout=KUBECTL_S,
            check=False,
        )

    def load_image(self, image: images.Image, nodes: Sequence[str] = ()) -> None:
        """Import an image into the nodes (all where none is named).

        Whoever names a cluster by KUBECONFIG has put our images into it: there this does nothing.
        """
        if not self.own:
            return
        for node in nodes or self.nodes:
            import_image(self.control, self.folder, node, image)

    def node_ready(self, node: str) -> bool:
        """Say whether the control plane believes that a node is Ready."""
        conditions = self.api.get(f"/api/v1/nodes/{node}")["status"].get("conditions", ())
        return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)

    def node_usable(self, node: str) -> bool:
        """Say whether pods may go to a node: Ready, and without the taints that the node controller takes off later."""
        taints = self.api.get(f"/api/v1/nodes/{node}")["spec"].get("taints", ())
        return self.node_ready(node) and not any(found["key"].startswith("node.kubernetes.io/") for found in taints)

    def calls_of(self, user: str) -> list[dict[str, Any]]:
        """Return what the API server wrote down of a service account's calls (audit.k8s.io/v1 events)."""
        lines = (self.folder / AUDIT_LOG).read_text().splitlines()
        found = [json.loads(line) for line in lines if user in line and line.endswith("}")]
        return [event for event in found if event["user"]["username"] == user]

    def log(self, part: str, lines: int = 40) -> str:
        """Return the end of a part's log."""
        text = (self.folder / "log" / part).read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def import_image(control: processes.Control, folder: pathlib.Path, node: str, image: images.Image) -> None:
    """Import an image into one node, under its tag and under its digest: kubelet finds only names it was given."""
    client = ("ctr", "--address", str(folder / node / "containerd.sock"), "--namespace", "k8s.io")
    control.run(*client, "images", "import", "--no-unpack", str(image.archive))
    control.run(*client, "images", "tag", "--force", image.name, image.pinned)
