"""The settings of a ``bacalhau`` backend: where its API answers, by which key, and which node is which pool."""

from __future__ import annotations

from typing import Annotated

import pydantic

from backends import addresses
from orchestrator.settings import adapters

MIB = 2**20

_Key = Annotated[str, pydantic.Field(pattern=r"^[\x21-\x7e]+$", max_length=512)]
_Pool = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
_Node = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
_Label = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?$")]
_Space = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class BacalhauSettings(adapters.AdapterSettings):
    """A Bacalhau network."""

    url: Annotated[str, pydantic.Field(max_length=2048)] = pydantic.Field(
        description="where the orchestrator's API answers, e.g. https://bacalhau.example:1234; no user, no password"
    )
    key: _Key | None = pydantic.Field(
        default=None, description="API key (read:node, read:job, write:job), as {fromFile: ...} or {fromEnv: ...}"
    )
    namespace: _Space | None = pydantic.Field(
        default=None, description="namespace of this backend's jobs, and nobody else's; default: one of its own"
    )
    nodes: Annotated[dict[_Pool, _Node], pydantic.Field(max_length=1024)] = pydantic.Field(
        default_factory=dict, description="pool -> node; default: the node that has the name of the pool"
    )
    country_label: _Label = pydantic.Field(
        default="jurisdiction", description="label in which a node says in which country it is, ISO 3166-1 alpha-2"
    )
    operator_label: _Label = pydantic.Field(
        default="operator", description="label in which a node says who runs it; read where no pools are declared"
    )
    ca: Annotated[str, pydantic.Field(max_length=MIB)] | None = pydantic.Field(
        default=None, description="certificates, PEM, that vouch for an https url; default: those of this machine"
    )
    default_cpu_milli: Annotated[int, pydantic.Field(ge=10, le=64000)] = pydantic.Field(
        default=100, description="thousandths of a CPU of a job that asks for none"
    )
    default_memory_mib: Annotated[int, pydantic.Field(ge=1, le=4096)] = pydantic.Field(
        default=64, description="memory of a job that asks for none, in MiB"
    )
    timeout_seconds: Annotated[int, pydantic.Field(ge=1, le=60)] = pydantic.Field(
        default=8, description="deadline of one request"
    )

    @pydantic.field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        return addresses.checked_url(url, whose="an orchestrator", setting="key")
