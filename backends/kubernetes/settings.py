"""The settings of a ``kubernetes`` backend: how its cluster is reached, and which nodes are which pool."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import pydantic

from backends.kubernetes import hubs, names
from orchestrator.settings import adapters

MIB = 2**20

_DNS = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_Namespace = Annotated[str, pydantic.Field(pattern=rf"^{_DNS}$")]
_Pool = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
_Key = Annotated[
    str,
    pydantic.Field(
        pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$",
        max_length=317,
    ),
]
_Value = Annotated[str, pydantic.Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")]
_Country = Annotated[str, pydantic.Field(pattern=r"^[A-Z]{2}$")]
_Text = Annotated[str, pydantic.Field(pattern=r"^[^\x00]*$", max_length=32768)]
_Variable = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
_Pinned = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$", max_length=512)]
_Id = Annotated[int, pydantic.Field(ge=1, le=2**31 - 1)]
_Expression = Annotated[str, pydantic.Field(min_length=1, max_length=10240)]


class Toleration(adapters.AdapterSettings):
    """A taint that the pods of a pool put up with."""

    key: _Key
    value: _Value | None = pydantic.Field(default=None, description="default: any value")
    effect: Annotated[str, pydantic.Field(pattern=r"^(NoSchedule|PreferNoSchedule|NoExecute)$")] | None = None


class Device(adapters.AdapterSettings):
    """What one accelerator is called in this cluster: a resource of a device plugin, or a class of DRA."""

    resource: _Key | None = pydantic.Field(default=None, description="name of a device plugin, e.g. nvidia.com/gpu")
    device_class: Annotated[str, pydantic.Field(pattern=rf"^{_DNS}(\.{_DNS})*$", max_length=253)] | None = (
        pydantic.Field(default=None, description="DeviceClass of dynamic resource allocation (resource.k8s.io/v1)")
    )
    selectors: Annotated[tuple[_Expression, ...], pydantic.Field(max_length=32)] = pydantic.Field(
        default=(), description="CEL expressions on a device, for a device class; all must hold"
    )

    @pydantic.model_validator(mode="after")
    def _one(self) -> Device:
        if (self.resource is None) == (self.device_class is None):
            raise ValueError("one of resource and deviceClass")
        if self.selectors and self.device_class is None:
            raise ValueError("selectors belong to a deviceClass")
        if self.resource is not None and "/" not in self.resource:
            raise ValueError("a resource of a device plugin has a domain in front: example.com/gpu")
        return self


class PoolNodes(adapters.AdapterSettings):
    """Which nodes are a pool, and how its jobs get there."""

    node_selector: Annotated[dict[_Key, _Value], pydantic.Field(max_length=32)] = pydantic.Field(
        default_factory=dict, description="labels that its nodes have, beside the jurisdiction"
    )
    jurisdiction: _Country | None = pydantic.Field(default=None, description="where it differs from the backend's")
    tolerations: Annotated[tuple[Toleration, ...], pydantic.Field(max_length=32)] = ()
    queue: Annotated[str, pydantic.Field(pattern=rf"^{_DNS}$")] | None = pydantic.Field(
        default=None, description="LocalQueue of Kueue, in the namespace, that admits its jobs"
    )
    runtime_class: Annotated[str, pydantic.Field(pattern=rf"^{_DNS}$")] | None = None
    priority_class: Annotated[str, pydantic.Field(pattern=rf"^{_DNS}$")] | None = None
    alternatives: Annotated[tuple[Device, ...], pydantic.Field(max_length=7)] = pydantic.Field(
        default=(),
        description="device classes that do instead of the accelerator's own, best first (DRA prioritised list)",
    )

    @pydantic.field_validator("alternatives")
    @classmethod
    def _classes(cls, found: tuple[Device, ...]) -> tuple[Device, ...]:
        if any(device.device_class is None for device in found):
            raise ValueError("alternatives are device classes")
        return found


class SecondSource(adapters.AdapterSettings):
    """What else tells in which country a node stands, beside its label. The longest match counts in each table."""

    provider_ids: Annotated[
        dict[Annotated[str, pydantic.Field(min_length=1, max_length=512)], _Country], pydantic.Field(max_length=1024)
    ] = pydantic.Field(default_factory=dict, description="beginning of a node's providerID -> country")
    zones: Annotated[dict[_Value, _Country], pydantic.Field(max_length=1024)] = pydantic.Field(
        default_factory=dict,
        description="topology.kubernetes.io/zone, or else region -> country; a kubelet may set these itself",
    )
    addresses: Annotated[
        dict[Annotated[str, pydantic.Field(max_length=64)], _Country], pydantic.Field(max_length=1024)
    ] = pydantic.Field(default_factory=dict, description="network (CIDR) of a node's internal address -> country")

    @pydantic.field_validator("addresses")
    @classmethod
    def _networks(cls, found: dict[str, str]) -> dict[str, str]:
        for text in found:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise ValueError("a network is written like 192.0.2.0/24") from None
        return found


class RunAs(adapters.AdapterSettings):
    """The user that jobs run as, never root: a number, so that an image need not know it."""

    uid: _Id = 61007
    gid: _Id = 61007


class SecretGrant(adapters.AdapterSettings):
    """Whose jobs may name a Secret of the namespace."""

    tenants: Annotated[
        tuple[Annotated[str, pydantic.Field(min_length=1, max_length=63)], ...],
        pydantic.Field(min_length=1, max_length=64),
    ] = pydantic.Field(description="tenants whose jobs may use it")


class Outputs(adapters.AdapterSettings):
    """Where outputs are kept: in the cluster that made them, on a claim that the operator answers for."""

    claim: Annotated[str, pydantic.Field(pattern=rf"^{_DNS}(\.{_DNS})*$", max_length=253)] = pydantic.Field(
        description="PersistentVolumeClaim of the namespace; each attempt gets a folder of its own in it"
    )
    image: _Pinned = pydantic.Field(
        description="image with busybox, by digest: it copies, serves and removes outputs; never part of a job"
    )
    folder: Annotated[str, pydantic.Field(pattern=rf"^{_DNS}$")] = pydantic.Field(
        default="comity", description="folder of the claim below which all of them lie"
    )
    copy_seconds: Annotated[int, pydantic.Field(ge=60, le=86400)] = pydantic.Field(
        default=600, description="how long copying the outputs of one attempt into the claim may take"
    )


class RayJobs(adapters.AdapterSettings):
    """Every job of the backend becomes a RayJob of KubeRay, with a Ray cluster of its own, instead of a Job."""

    version: Annotated[str, pydantic.Field(pattern=r"^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}$")] = pydantic.Field(
        description="version of Ray in the jobs' images, 2.52.0 or later: older ones know no tokens"
    )
    workers: Annotated[int, pydantic.Field(ge=0, le=1000)] = pydantic.Field(
        default=0,
        description="Ray workers beside the node that runs the command, each with what the job asks for: a job takes "
        "1 + workers times as much, and quotas and prices count it once",
    )

    @pydantic.field_validator("version")
    @classmethod
    def _has_tokens(cls, found: str) -> str:
        if tuple(map(int, found.split("."))) < (2, 52, 0):
            raise ValueError("Ray before 2.52.0 knows no tokens: whoever reaches its head would run what he likes")
        return found


class KubernetesSettings(adapters.AdapterSettings):
    """A namespace of a cluster. One backend a cluster and namespace; several clusters are several backends."""

    kubeconfig: Annotated[str, pydantic.Field(min_length=1, max_length=MIB // 4)] | None = pydantic.Field(
        default=None,
        description="text of a kubeconfig with everything embedded (kubectl config view --flatten --raw), as "
        "{fromFile: ...}; the alternative is inCluster",
    )
    context: Annotated[str, pydantic.Field(min_length=1, max_length=253)] | None = pydantic.Field(
        default=None, description="context of the kubeconfig; default: its current one"
    )
    in_cluster: bool = pydantic.Field(
        default=False, description="use the service account of the pod that Comity runs in"
    )
    namespace: _Namespace = pydantic.Field(description="where jobs run; it must exist")
    jurisdiction: _Country = pydantic.Field(
        description="country of the nodes that jobs may run on: value of the jurisdiction label"
    )
    jurisdiction_label: _Key = pydantic.Field(
        default=names.JURISDICTION_LABEL,
        description="label that says in which country a node stands. Kubelets may not set those that begin with "
        "node-restriction.kubernetes.io/; with another one a node's own word is believed",
    )
    second_source: SecondSource = pydantic.Field(default_factory=SecondSource)
    pools: Annotated[dict[_Pool, PoolNodes], pydantic.Field(max_length=256)] = pydantic.Field(
        default_factory=dict,
        description="name of a pool of this document -> its nodes; default: all of the jurisdiction",
    )
    accelerators: Annotated[dict[_Pool, Device], pydantic.Field(max_length=512)] = pydantic.Field(
        default_factory=dict,
        description="slug of the accelerator catalogue -> what it is called here; adds to and overrides the built-in "
        "table. What nodes do not allocate is not offered",
    )
    run_as: RunAs = pydantic.Field(default_factory=RunAs)
    image_tags: bool = pydantic.Field(
        default=False, description="also run images named by tag, which may be other images tomorrow"
    )
    command_image: _Pinned | None = pydantic.Field(
        default=None,
        description="image, by digest, in which jobs of no image run their command; default: such jobs are not taken",
    )
    image_pull_secrets: Annotated[
        tuple[Annotated[str, pydantic.Field(pattern=rf"^{_DNS}(\.{_DNS})*$", max_length=253)], ...],
        pydantic.Field(max_length=16),
    ] = pydantic.Field(default=(), description="secrets of the namespace with which images are fetched")
    read_only_root: bool = pydantic.Field(
        default=True, description="the image's own files cannot be changed; /tmp and the working folder can"
    )
    files_bytes_max: Annotated[int, pydantic.Field(ge=0, le=64 * MIB)] = pydantic.Field(
        default=3 * MIB,
        description="largest files and working folder of a job together, in bytes: the API server's etcd keeps them, "
        "once for all attempts of the same content, in parts of 0.7 MB",
    )
    start_seconds: Annotated[int, pydantic.Field(ge=10, le=86400)] = pydantic.Field(
        default=900,
        description="a job that no node takes, or a gang that is not whole, for so long is ended and queued again",
    )
    image_pull_seconds: Annotated[int, pydantic.Field(ge=0, le=86400)] = pydantic.Field(
        default=300,
        description="an image that cannot be fetched, or pods that the cluster refuses, for so long end the attempt",
    )
    keep_seconds: Annotated[int, pydantic.Field(ge=60, le=366 * 86400)] = pydantic.Field(
        default=8 * 86400,
        description="ttlSecondsAfterFinished: more than the week after which Comity forgets an attempt by itself",
    )
    network_policy: Annotated[str, pydantic.Field(pattern=r"^(enforced|unchecked)$")] | None = pydantic.Field(
        default=None,
        description="jobs with spec.network get a NetworkPolicy each: enforced, where the operator declares that the "
        "cluster's network plugin keeps to it; unchecked, where nobody does. Default: such jobs are not taken",
    )
    see_others: bool = pydantic.Field(
        default=False,
        description="watch the pods of all namespaces (a right of its own), and offer only what they leave",
    )
    gang: Annotated[str, pydantic.Field(pattern=r"^(barrier|workload)$")] = pydantic.Field(
        default="barrier",
        description="who sees to it that a job of several nodes starts whole: workload, the cluster's scheduler too (a "
        "PodGroup, alpha in Kubernetes 1.36), so that no node waits on an accelerator; barrier, its nodes alone",
    )
    secrets: Annotated[
        dict[Annotated[str, pydantic.Field(pattern=rf"^{_DNS}(\.{_DNS})*$", max_length=253)], SecretGrant],
        pydantic.Field(max_length=256),
    ] = pydantic.Field(
        default_factory=dict,
        description="Secret of the namespace -> whose jobs may name it in fromSecret; default: no job gets any",
    )
    fence: bool = pydantic.Field(
        default=False, description="write each launch into the second fence's parameter object (policy export)"
    )
    outputs: Outputs | None = pydantic.Field(
        default=None, description="keep what jobs declare in spec.outputs; default: such jobs are not taken"
    )
    env: Annotated[dict[_Variable, _Text], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="variables that every job gets unless it sets them itself; nothing secret"
    )
    rayjobs: RayJobs | None = pydantic.Field(
        default=None, description="jobs become RayJobs of KubeRay (its operator must be there); default: plain Jobs"
    )
    placement_decisions: hubs.PlacementDecisions | None = pydantic.Field(
        default=None, description="tell other tools of each placement (SIG-Multicluster); default: nobody is told"
    )

    @pydantic.model_validator(mode="after")
    def _rayjobs_alone(self) -> KubernetesSettings:
        if self.rayjobs is None:
            return self
        classed = [*self.accelerators.values(), *(one for pool in self.pools.values() for one in pool.alternatives)]
        others = {
            "outputs": self.outputs is not None,
            "networkPolicy": self.network_policy is not None,
            "gang": self.gang != "barrier",
            "fence": self.fence,
            "placementDecisions": self.placement_decisions is not None,
            "pools: queue": any(pool.queue for pool in self.pools.values()),
            "deviceClass": any(one.device_class for one in classed),
        }
        if clash := [name for name, there in others.items() if there]:
            raise ValueError(f"with rayjobs there is no {', '.join(clash)}")
        return self

    @pydantic.model_validator(mode="after")
    def _one_way_in(self) -> KubernetesSettings:
        if (self.kubeconfig is None) == (not self.in_cluster):
            raise ValueError("one of kubeconfig and inCluster")
        if self.context is not None and self.kubeconfig is None:
            raise ValueError("a context belongs to a kubeconfig")
        return self

    def pool(self, name: str) -> PoolNodes:
        """Return what is said of a pool; nothing said means every node of the jurisdiction."""
        return self.pools.get(name) or PoolNodes()

    def selector(self, pool: str) -> dict[str, str]:
        """Return the labels that a node of a pool has. The jurisdiction comes last: nothing overrides it."""
        found = self.pool(pool)
        return {**found.node_selector, self.jurisdiction_label: found.jurisdiction or self.jurisdiction}
