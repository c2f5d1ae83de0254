"""Puts one cluster together: certificates, etcd, the control plane, nodes, labels; in the order that is fastest.

Nothing here waits for what it does not need: certificates and images are made while etcd starts, nodes start while the
API server gets ready. The process that calls this must live as long as the cluster.
"""

import dataclasses
import ipaddress
import json
import pathlib
import secrets
import sys
from collections.abc import Callable
from typing import Any

from tests.e2e.kube import api, building, certificates, clusters, hosts, images, kwok, nodes, processes

API_PORT = 6443
ETCD = "http://127.0.0.1:2379"
FIRST_NODE = 11
READY_S = 300.0
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 443), timeout=5)"
WORDS_MAX = 400
"""How much of a part's last line a reason repeats."""


class StartError(Exception):
    """A cluster did not get ready; the text says what ended or what was waited for."""


@dataclasses.dataclass
class Assembly:
    """A cluster being put together, and what is needed to take it apart."""

    spec: clusters.Spec
    folder: pathlib.Path
    """The cluster's own folder: short, below the folder of the run."""
    host: hosts.Host = dataclasses.field(init=False)

    @property
    def _prefix(self) -> str:
        """Return how the names of this run's cgroups begin."""
        return f"comity-{self.folder.parent.name}"

    def start(self) -> clusters.Cluster:
        """Start everything and return the cluster once a pod can run in it.

        :raises StartError: when it does not get ready.
        """
        (self.folder / "log").mkdir(parents=True)
        (self.folder / "shared").mkdir()
        made = [images.make(short) for short in images.SMALL]
        self.host = hosts.Host(self.folder)
        try:
            return self._start(made)
        except (api.ApiError, processes.ProcessError) as error:
            raise StartError(f"cluster {self.spec.name}: {error}") from error

    def _until(self, wanted: Callable[[], Any], what: str) -> None:
        """Wait for something, but not for a part that has ended.

        :raises StartError: with the last words of a part that has ended.
        """

        def look() -> Any:
            for name, part in self.host.control.parts().items():
                if part["code"] is not None:
                    last = " ".join((self.folder / "log" / name).read_text(errors="replace").splitlines()[-1:])
                    words = f"{last[:WORDS_MAX]}…" if len(last) > WORDS_MAX else last
                    raise StartError(f"cluster {self.spec.name}: {name} ended with {part['code']}: {words}")
            return wanted()

        api.until(look, what, timeout_s=READY_S)

    def _start(self, made: list[images.Image]) -> clusters.Cluster:
        """Start the parts."""
        # 1. Names and keys.
        address = self.host.address(2)
        server = f"https://{address}:{API_PORT}"
        authority = certificates.Authority(self.folder / "pki", f"comity-test-{self.spec.name}-{secrets.token_hex(4)}")
        # 2. What needs nothing else.
        self._part("etcd", self._etcd())
        machines = [self._node(number, authority, server, made[0].name) for number in range(self.spec.nodes)]
        for node in machines:
            self._part(f"containerd-{node.name}", node.containerd())
        # 3. The API server.
        accounts = certificates.service_account_keys(self.folder / "pki")
        self._part("kube-apiserver", self._api_server(authority, accounts, address))
        admin = authority.issue("admin", user="comity-test-admin", group="system:masters")
        cluster = clusters.Cluster(
            name=self.spec.name,
            jurisdiction=self.spec.jurisdiction,
            kubeconfig=certificates.kubeconfig(
                self.folder / "kubeconfig",
                cluster=self.spec.name,
                server=server,
                authority=authority.pair.certificate,
                user=admin,
            ),
            server=server,
            outer_address=self.host.outer_address,
            nodes=tuple(node.name for node in machines),
            folder=self.folder,
        )
        # 4. Images, while the API server gets ready.
        for node in machines:
            socket = node.root / "containerd.sock"
            self._until(socket.exists, f"containerd of {node.name}")
            for image in made:
                clusters.import_image(self.host.control, self.folder, node.name, image)
        client = cluster.api
        self._until(client.ready, "the API server")
        # 5. What needs the API server.
        self._controllers(authority, server, accounts)
        for node in machines:
            self._part(f"kubelet-{node.name}", node.kubelet(building.program("kubelet")))
        self._part("kube-proxy", self._proxy(authority, server, machines[0].name if machines else self.spec.name))
        for node in machines:
            self._admit(cluster, node)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._until(lambda: client.get(account), "the default service account")
        if machines:
            self._until(self._proxied, "the service proxy")
        if self.spec.kwok:
            kwok.start(cluster)
        return cluster

    def stop(self) -> None:
        """Take the cluster apart; nothing of it remains but its folder."""
        if hasattr(self, "host"):
            self.host.destroy()
        hosts.remove_cgroups(f"{self._prefix}-{self.spec.name}")

    def _part(self, name: str, argv: list[str]) -> None:
        """Start one part with a log of its own."""
        self.host.control.start(name, argv, self.folder / "log" / name)

    def _etcd(self) -> list[str]:
        """Return the command of the store; it never waits for the disk, which no test pulls."""
        peers = "http://127.0.0.1:2380"
        return [
            str(building.program("etcd")),
            "--name=d",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=d={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _node(self, number: int, authority: certificates.Authority, server: str, pause: str) -> nodes.Node:
        """Return one node whose files are written."""
        name = f"{self.spec.name}-{number + 1}"
        node = nodes.Node(
            name=name,
            address=self.host.add_address(FIRST_NODE + number),
            root=self.folder / name,
            cgroup=f"{self._prefix}-{name}",
            country=self.spec.jurisdiction,
        )
        node.make_cgroup()
        node.write(authority, server, pause, self.folder / "shared")
        return node

    def _login(self, authority: certificates.Authority, server: str, part: str) -> pathlib.Path:
        """Return the kubeconfig of a part, whose user Kubernetes knows as ``system:<part>``."""
        return certificates.kubeconfig(
            self.folder / f"{part}.kubeconfig",
            cluster=self.spec.name,
            server=server,
            authority=authority.pair.certificate,
            user=authority.issue(part, user=f"system:{part}"),
        )

    @property
    def _gates(self) -> list[str]:
        """Return the flag for feature gates, where there are any."""
        return [f"--feature-gates={','.join(self.spec.gates)}"] if self.spec.gates else []

    def _controllers(self, authority: certificates.Authority, server: str, accounts: certificates.Pair) -> None:
        """Start controller manager and scheduler. They give up on an API server that is not healthy within 10 s."""
        more = [
            f"--service-account-private-key-file={accounts.key}",
            f"--root-ca-file={authority.pair.certificate}",
            "--use-service-account-credentials=true",
            "--node-monitor-grace-period=16s",
            "--node-monitor-period=2s",
        ]
        for part in ("kube-controller-manager", "kube-scheduler"):
            argv = [str(building.program(part)), f"--kubeconfig={self._login(authority, server, part)}"]
            argv += ["--bind-address=127.0.0.1", "--leader-elect=false"]
            argv += ["--kube-api-qps=300", "--kube-api-burst=500", *self._gates]
            self._part(part, argv + (more if part == "kube-controller-manager" else []))

    def _api_server(self, authority: certificates.Authority, accounts: certificates.Pair, address: str) -> list[str]:
        """Return the command of the API server."""
        inside = str(ipaddress.ip_network(nodes.SERVICE_NETWORK)[1])
        serving = authority.issue(
            "kube-apiserver",
            user="kube-apiserver",
            addresses=[address, "127.0.0.1", inside],
            names=["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
        )
        to_kubelet = authority.issue("kube-apiserver-kubelet", user="kube-apiserver-kubelet", group="system:masters")
        return [
            str(building.program("kube-apiserver")),
            f"--etcd-servers={ETCD}",
            "--bind-address=0.0.0.0",
            f"--advertise-address={address}",
            f"--secure-port={API_PORT}",
            f"--cert-dir={self.folder / 'pki'}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={authority.pair.certificate}",
            f"--kubelet-client-certificate={to_kubelet.certificate}",
            f"--kubelet-client-key={to_kubelet.key}",
            f"--kubelet-certificate-authority={authority.pair.certificate}",
            "--kubelet-preferred-address-types=InternalIP",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--anonymous-auth=false",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={accounts.certificate}",
            f"--service-account-signing-key-file={accounts.key}",
            f"--service-cluster-ip-range={nodes.SERVICE_NETWORK}",
            "--allow-privileged=true",
            # Pods leave a dead node after seconds, not after the usual five minutes.
            "--default-not-ready-toleration-seconds=10",
            "--default-unreachable-toleration-seconds=10",
            f"--audit-policy-file={self._audited()}",
            f"--audit-log-path={self.folder / clusters.AUDIT_LOG}",
            *([f"--runtime-config={','.join(self.spec.apis)}"] if self.spec.apis else []),
            *self._gates,
        ]

    def _audited(self) -> pathlib.Path:
        """Write down what is written down of calls: who asked for what, of service accounts only, once each is over."""
        accounts = {"level": "Metadata", "userGroups": ["system:serviceaccounts"], "omitStages": ["RequestReceived"]}
        rules = [accounts, {"level": "None"}]
        path = self.folder / "audit-policy.yaml"
        path.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))
        return path

    def _proxy(self, authority: certificates.Authority, server: str, name: str) -> list[str]:
        """Return the command of the service proxy; one is enough, for the nodes share a network namespace."""
        # Zeros leave the connection tracker's settings alone: they are the machine's.
        zeros = [f"--conntrack-{what}" for what in ("max-per-core=0", "min=0", "tcp-timeout-established=0s")]
        return [
            str(building.program("kube-proxy")),
            f"--kubeconfig={self._login(authority, server, 'kube-proxy')}",
            "--proxy-mode=iptables",
            f"--cluster-cidr={nodes.POD_NETWORK}",
            f"--hostname-override={name}",
            *zeros,
            "--conntrack-tcp-timeout-close-wait=0s",
        ]

    def _proxied(self) -> bool:
        """Say whether the API server is reached by its service's address, as pods reach it."""
        address = str(ipaddress.ip_network(nodes.SERVICE_NETWORK)[1])
        try:
            self.host.control.run(sys.executable, "-c", CONNECT, address)
        except processes.ProcessError:
            return False
        return True

    def _admit(self, cluster: clusters.Cluster, node: nodes.Node) -> None:
        """Wait for a node and give it the label that it may not give itself."""
        client, path = cluster.api, f"/api/v1/nodes/{node.name}"
        self._until(lambda: client.get(path), f"registration of node {node.name}")
        client.merge(path, {"metadata": {"labels": {clusters.JURISDICTION: node.country}}})
        self._until(lambda: cluster.node_usable(node.name), f"readiness of node {node.name}")
