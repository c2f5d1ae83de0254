"""The settings of a ``ray`` backend: where its head answers, the token, and which nodes are which pool."""

from __future__ import annotations

from typing import Annotated

import pydantic

from backends import addresses
from orchestrator.settings import adapters

MIB = 2**20

_Name = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
_Text = Annotated[str, pydantic.Field(pattern=r"^[^\x00]*$", max_length=32768)]
_Pool = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
_Label = Annotated[
    str,
    pydantic.Field(
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$",
        max_length=317,
    ),
]
_Value = Annotated[
    str,
    pydantic.Field(
        pattern=r"^!?(in\()?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
        r"(, ?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?){0,63}\)?$",
        max_length=4200,
    ),
]
"""Ray's own syntax of one condition: ``x``, ``!x``, ``in(x, y)``, ``!in(x, y)``."""
_Country = Annotated[str, pydantic.Field(pattern=r"^[A-Z]{2}$")]
_Requirement = Annotated[str, pydantic.Field(pattern=r"^[^\x00\r\n]+$", max_length=512)]


class Nodes(adapters.AdapterSettings):
    """Which nodes are a pool. Every condition must hold; sent with each job as Ray's label selector."""

    labels: Annotated[dict[_Label, _Value], pydantic.Field(max_length=16)] = pydantic.Field(
        default_factory=dict, description="label -> value, !value, in(a, b) or !in(a, b)"
    )
    resources: Annotated[
        dict[_Label, Annotated[float, pydantic.Field(gt=0, le=1e6)]], pydantic.Field(max_length=16)
    ] = pydantic.Field(
        default_factory=dict, description="custom resources that a node of the pool has, and how much a job takes"
    )

    @pydantic.field_validator("labels")
    @classmethod
    def _well_formed(cls, labels: dict[str, str]) -> dict[str, str]:
        for value in labels.values():
            if ("in(" in value) != value.endswith(")") or ("," in value and "in(" not in value):
                raise ValueError("a condition is x, !x, in(x, y) or !in(x, y)")
        return labels

    @pydantic.field_validator("resources")
    @classmethod
    def _custom(cls, resources: dict[str, float]) -> dict[str, float]:
        if {name.upper() for name in resources} & {"CPU", "GPU", "MEMORY", "OBJECT_STORE_MEMORY"}:
            raise ValueError("CPU, GPU and memory are sent from what the job asks for")
        return resources


class RuntimeEnv(adapters.AdapterSettings):
    """What Ray prepares for every job of this backend. Packages are fetched by the cluster, not by Comity."""

    pip: Annotated[tuple[_Requirement, ...], pydantic.Field(max_length=256)] = ()
    uv: Annotated[tuple[_Requirement, ...], pydantic.Field(max_length=256)] = ()
    conda: Annotated[str, pydantic.Field(max_length=255)] | None = pydantic.Field(
        default=None, description="name of a conda environment that the nodes have"
    )
    setup_timeout_seconds: Annotated[int, pydantic.Field(ge=1, le=86400)] = 600

    @pydantic.model_validator(mode="after")
    def _one(self) -> RuntimeEnv:
        if sum(map(bool, (self.pip, self.uv, self.conda))) > 1:
            raise ValueError("one of pip, uv and conda")
        return self


class RaySettings(adapters.AdapterSettings):
    """A running Ray cluster."""

    url: Annotated[str, pydantic.Field(max_length=2048)] = pydantic.Field(
        description="where its dashboard answers, e.g. https://ray.example:8265; http or https, no user, no password"
    )
    token: Annotated[str, pydantic.Field(pattern=r"^[\x21-\x7e]+$", max_length=8192)] | None = pydantic.Field(
        default=None, description="token of the cluster (RAY_AUTH_MODE=token), as {fromFile: ...} or {fromEnv: ...}"
    )
    ca: Annotated[str, pydantic.Field(max_length=MIB)] | None = pydantic.Field(
        default=None, description="certificates, PEM, that vouch for an https url; default: those of this machine"
    )
    allow_open_head: bool = pydantic.Field(
        default=False,
        description="use a head beyond loopback that checks no token: whoever reaches its port can run anything there",
    )
    shared_trust: bool = pydantic.Field(
        default=False,
        description="let tenants other than the backend's owner run here: each job can read the cluster's token, "
        "and so can stop and read the jobs of the others",
    )
    pools: Annotated[dict[_Pool, Nodes], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict,
        description="pool -> which nodes are it; default: by accelerator, and by region where no pool is declared",
    )
    accelerators: Annotated[dict[_Label, _Pool], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="further rows: what Ray calls an accelerator -> its name in the catalogue"
    )
    country_label: _Label = pydantic.Field(
        default="comity.dev/country", description="label of a node that holds the country where it stands, ISO 3166-1"
    )
    countries: Annotated[dict[_Value, _Country], pydantic.Field(max_length=256)] = pydantic.Field(
        default_factory=dict, description="value of label ray.io/availability-region -> country"
    )
    runtime_env: RuntimeEnv = pydantic.Field(
        default_factory=RuntimeEnv, description="packages that Ray installs for each job"
    )
    env: Annotated[dict[_Name, _Text], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="variables that every job gets unless it sets them itself; nothing secret"
    )
    shared_folder: Annotated[str, pydantic.Field(pattern=r"^/[^\x00]*[^\x00/]$", max_length=1024)] | None = (
        pydantic.Field(
            default=None,
            description="folder of a file system that every node and this server mount at the same path: outputs are "
            "kept there. Without it jobs with outputs are refused",
        )
    )
    log_bytes_max: Annotated[int, pydantic.Field(ge=4096, le=1024 * MIB)] = pydantic.Field(
        default=16 * MIB, description="largest log of a job, in bytes; what is over is cut, the job goes on"
    )
    stop_wait_seconds: Annotated[int, pydantic.Field(ge=1, le=3600)] = pydantic.Field(
        default=3, description="RAY_JOB_STOP_WAIT_TIME_S of the cluster: so long after a stop Ray kills by itself"
    )
    timeout_seconds: Annotated[int, pydantic.Field(ge=1, le=60)] = pydantic.Field(
        default=8, description="deadline of one request"
    )

    @pydantic.field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        return addresses.checked_url(url, whose="a head", setting="token")
