"""A release of the chart on a test cluster: namespaces of its own, a volume where the cluster makes none, and Helm."""

import dataclasses
import json
import os
import pathlib
import secrets
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import yaml

from tests.e2e import _comity_image
from tests.e2e.kube import building, clusters, images

CHART = _comity_image.ROOT / "helm" / "comity"
HELM_S = 400.0
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def helm(*words: str, kubeconfig: pathlib.Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Helm, with folders of its own."""
    home = building.program("helm").parent
    environment = {**os.environ, "HELM_CACHE_HOME": f"{home}/cache", "HELM_CONFIG_HOME": f"{home}/config"}
    environment.pop("KUBECONFIG", None)
    given = ("--kubeconfig", str(kubeconfig)) if kubeconfig else ()
    return subprocess.run(
        [str(building.program("helm")), *words, *given],
        env={**environment, "HELM_DATA_HOME": f"{home}/data"},
        capture_output=True,
        text=True,
        timeout=HELM_S,
        check=False,
    )


def until(ask: Callable[[], Any], good: Callable[[Any], Any], seconds: float = 180.0) -> Any:
    """Ask again until the answer is good; the last one, good or not, is asserted on."""
    end = time.monotonic() + seconds
    while not good(found := ask()) and time.monotonic() < end:
        threading.Event().wait(0.1)  # another process decides when
    assert good(found), found
    return found


@dataclasses.dataclass
class Release:
    """The chart in a namespace of its own."""

    cluster: clusters.Cluster
    image: images.Image
    run: str = dataclasses.field(default_factory=lambda: secrets.token_hex(3))

    @property
    def home(self) -> str:
        """Return the namespace of the control plane."""
        return f"chart-{self.run}"

    @property
    def jobs(self) -> str:
        """Return the namespace of its jobs."""
        return f"chart-jobs-{self.run}"

    @property
    def values(self) -> dict[str, Any]:
        """Return what this cluster makes necessary."""
        repository, _, tag = self.image.name.rpartition(":")
        found: dict[str, Any] = {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "jobNamespaces": [{"name": self.jobs, "create": True}],
            "persistence": {"size": "1Gi"},
        }
        if self.cluster.own:
            found["persistence"]["storageClassName"] = self.home
            found["nodeSelector"] = {"kubernetes.io/hostname": self.cluster.nodes[0]}
        return found

    def prepare(self) -> None:
        """Make the namespace, Pod Security and all, and a volume where nobody else would."""
        self.cluster.load_image(self.image, self.cluster.nodes[:1])
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.home, "labels": RESTRICTED}})
        if self.cluster.own:
            folder = self.cluster.folder / f"volume-{self.run}"
            folder.mkdir()
            here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [self.cluster.nodes[0]]}
            spec = {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": self.home,
                "local": {"path": str(folder)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            }
            metadata = {"name": self.home}
            self.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})

    def apply(self, document: dict[str, Any]) -> None:
        """Apply one object as the administrator."""
        ran = self.cluster.kubectl("apply", "-f", "-", given=json.dumps(document))
        assert ran.returncode == 0, ran.stderr

    def helm(self, *words: str, space: str = "", **values: Any) -> str:
        """Run Helm on this release, where it must work; ``values`` go over those of this cluster.

        :param space: another namespace than the release's own.
        """
        file = building.program("helm").parent / f"values-{self.run}.yaml"
        file.write_text(yaml.safe_dump(self.values | values))
        flags = ("--values", str(file)) if words[0] in ("install", "upgrade", "template") else ()
        target = ("comity", str(CHART)) if flags else ("comity",)
        ran = helm(
            words[0], *target, "--namespace", space or self.home, *flags, *words[1:], kubeconfig=self.cluster.kubeconfig
        )
        file.unlink()
        assert ran.returncode == 0, ran.stdout + ran.stderr + self.troubles()
        return ran.stdout

    def kubectl(self, *words: str, given: str = "", namespace: str = "") -> str:
        """Run kubectl in the namespace of the control plane, where it must work."""
        ran = self.cluster.kubectl("--namespace", namespace or self.home, *words, given=given)
        assert ran.returncode == 0, ran.stdout + ran.stderr + self.troubles()
        return ran.stdout

    def comity(self, *words: str, given: str = "") -> str:
        """Run the command line inside the pod, as its notes say."""
        trust = ("env", "SSL_CERT_FILE=/etc/comity/tls/ca.crt", "comity")
        return self.kubectl("exec", "-i", "comity-0", "--", *trust, *words, given=given)

    def troubles(self) -> str:
        """Return what a person would look at."""
        looks = (("get", "pods", "-o", "wide"), ("get", "events"), ("logs", "comity-0", "--tail=30"))
        return "\n".join(self.cluster.kubectl("-n", self.home, *look).stdout[-3000:] for look in looks)

    def remove(self) -> None:
        """Take everything away that this release made."""
        helm("uninstall", "comity", "-n", self.home, "--ignore-not-found", kubeconfig=self.cluster.kubeconfig)
        self.cluster.kubectl("delete", "namespace", self.home, self.jobs, "--ignore-not-found", "--wait=false")
        self.cluster.kubectl("delete", "persistentvolume", self.home, "--ignore-not-found", "--wait=false")
