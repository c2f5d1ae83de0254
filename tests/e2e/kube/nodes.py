"""The configuration of one node: containerd, CNI, kubelet."""

import dataclasses
import json
import pathlib

from tests.e2e.kube import certificates, hosts

POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
DNS_ADDRESS = "10.96.0.10"
KUBELET_PORT, HEALTH_PORT = 10250, 10248
PODS_MAX = 250

CONTAINERD = """version = 2
root = "{root}/containerd"
state = "{root}/containerd-state"
oom_score = 0
[grpc]
address = "{root}/containerd.sock"
[ttrpc]
address = "{root}/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "{root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{root}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{root}/runc"
"""


@dataclasses.dataclass(frozen=True)
class Node:
    """One node of a cluster."""

    name: str
    address: str
    root: pathlib.Path
    cgroup: str
    country: str

    def write(self, authority: certificates.Authority, server: str, pause: str, shared: pathlib.Path) -> None:
        """Write every file that containerd and kubelet read.

        :param shared: folder for what the nodes of a cluster share: the addresses that are taken on their one bridge.
        """
        for folder in ("cni", "opt", "kubelet", "pod-logs", "plugins"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "containerd.toml").write_text(CONTAINERD.format(root=self.root, pause=pause))
        (self.root / "cni" / "10-bridge.conflist").write_text(json.dumps(_network(shared)))
        (self.root / "resolv.conf").write_text("")
        client = authority.issue(f"{self.name}-client", user=f"system:node:{self.name}", group="system:nodes")
        serving = authority.issue(
            f"{self.name}-serving", user=f"system:node:{self.name}", addresses=[self.address], names=[self.name]
        )
        certificates.kubeconfig(
            self.root / "kubeconfig",
            cluster=self.name,
            server=server,
            authority=authority.pair.certificate,
            user=client,
        )
        (self.root / "kubelet.json").write_text(json.dumps(self._kubelet(authority, serving), indent=1))

    def _kubelet(self, authority: certificates.Authority, serving: certificates.Pair) -> dict[str, object]:
        """Return the kubelet's configuration."""
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.address,
            "port": KUBELET_PORT,
            "readOnlyPort": 0,
            "healthzBindAddress": self.address,
            "healthzPort": HEALTH_PORT,
            "tlsCertFile": str(serving.certificate),
            "tlsPrivateKeyFile": str(serving.key),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(authority.pair.certificate)},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{self.root}/containerd.sock",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": ["pods"],
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            # A dead kubelet is seen within 16 s: see the controller manager's grace period.
            "nodeStatusUpdateFrequency": "2s",
            "nodeLeaseDurationSeconds": 12,
            "podLogsDir": str(self.root / "pod-logs"),
            "volumePluginDir": str(self.root / "plugins"),
            "resolvConf": str(self.root / "resolv.conf"),
            "clusterDNS": [DNS_ADDRESS],
            "clusterDomain": "cluster.local",
            "maxPods": PODS_MAX,
            "serializeImagePulls": False,
            "syncFrequency": "10s",
            "providerID": f"comity-test://{self.country}/{self.name}",
        }

    def containerd(self) -> list[str]:
        """Return the command of the container runtime."""
        return ["containerd", "--config", str(self.root / "containerd.toml"), "--log-level", "warn"]

    def kubelet(self, program: pathlib.Path) -> list[str]:
        """Return the command of the kubelet; the labels are those that a kubelet may give itself."""
        where = self.country.lower()
        labels = f"topology.kubernetes.io/region={where}-1,topology.kubernetes.io/zone={where}-1a"
        return [
            str(program),
            f"--config={self.root / 'kubelet.json'}",
            f"--kubeconfig={self.root / 'kubeconfig'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
            f"--root-dir={self.root / 'kubelet'}",
            f"--cert-dir={self.root / 'kubelet'}",
            f"--node-labels={labels}",
        ]

    def make_cgroup(self) -> None:
        """Make the cgroup under which the node's pods live."""
        hosts.make_cgroup(self.cgroup)


def _network(shared: pathlib.Path) -> dict[str, object]:
    """Return the CNI configuration: one bridge for all nodes of a cluster, whose pods so reach each other."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(shared / "addresses"),
            "ranges": [[{"subnet": POD_NETWORK}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}
