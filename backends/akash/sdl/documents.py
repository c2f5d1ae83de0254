"""The language as strict models: what is not named here is refused. After ``sdl-input.schema.yaml`` of chain-sdk."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic.alias_generators import to_camel

from backends.akash.sdl import quantities

ENDPOINT_NAME = re.compile(r"[a-z]+[-_0-9a-z]+", re.ASCII)
GPU_VENDOR = "nvidia"
"""The only one that the language knows."""
_MIB = 1024 * 1024

Port = Annotated[int, pydantic.Field(ge=1, le=65_535)]
Text = Annotated[str, pydantic.Field(min_length=1)]
Amount = str | int | float


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True, allow_inf_nan=False
    )


class _Snake(_Model):
    """Parts whose names the language writes with underscores."""

    model_config = pydantic.ConfigDict(alias_generator=None)


class HttpOptions(_Snake):
    """How a provider's proxy treats a port. Sizes in bytes, times in milliseconds; 0 is the default."""

    max_body_size: Annotated[int, pydantic.Field(ge=0, le=100 * _MIB)] = 0
    read_timeout: Annotated[int, pydantic.Field(ge=0, le=60_000)] = 0
    send_timeout: Annotated[int, pydantic.Field(ge=0, le=60_000)] = 0
    next_tries: Annotated[int, pydantic.Field(ge=0)] = 0
    next_timeout: Annotated[int, pydantic.Field(ge=0)] = 0
    next_cases: tuple[Literal["error", "timeout", "500", "502", "503", "504", "403", "404", "429", "off"], ...] = ()

    @pydantic.model_validator(mode="after")
    def _off_stands_alone(self) -> Self:
        if "off" in self.next_cases and len(self.next_cases) > 1:
            raise ValueError("next_cases: off stands alone")
        return self


class To(_Model):
    """Who may reach a port."""

    service: str = ""
    global_: bool = pydantic.Field(default=False, alias="global")
    ip: Text = ""

    @pydantic.model_validator(mode="after")
    def _ip_is_global(self) -> Self:
        if self.ip and not self.global_:
            raise ValueError(f"an IP ({self.ip}) is for what is global")
        return self


class Expose(_Snake):
    """A port of a service."""

    port: Port
    as_: Port | None = pydantic.Field(default=None, alias="as")
    proto: Literal["TCP", "UDP", "tcp", "udp"] = "TCP"
    to: tuple[To, ...] = ()
    accept: tuple[str, ...] = ()
    http_options: HttpOptions = HttpOptions()

    @property
    def protocol(self) -> str:
        """Return the protocol as the manifest has it."""
        return self.proto.upper()


class Mount(_Model):
    """Where a service sees a volume."""

    mount: Annotated[str, pydantic.Field(pattern=r"^/")] | None = None
    read_only: bool = False


class Permissions(_Model):
    """What a service may read of its own deployment."""

    read: tuple[Literal["deployment", "logs", "events"], ...] = ()


class Params(_Model):
    """What else a service asks for."""

    storage: Mapping[str, Mount] = {}
    permissions: Permissions | None = None
    tee: Literal["cpu", "cpu-gpu"] | None = None


class Credentials(_Model):
    """Who may read the image."""

    host: Text
    username: Text
    password: Annotated[str, pydantic.Field(min_length=6)]
    email: Annotated[str, pydantic.Field(min_length=5)] | None = None


class Dependency(_Model):
    """Another service of the same deployment."""

    service: str = ""


class Service(_Model):
    """A container."""

    image: Text
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[str, ...] | None = None
    expose: tuple[Expose, ...] | None = None
    dependencies: tuple[Dependency, ...] = ()
    params: Params | None = None
    credentials: Credentials | None = None


class Cpu(_Model):
    """CPUs of one container."""

    units: Amount
    attributes: Mapping[Literal["arch"], str] = {}

    @pydantic.field_validator("units")
    @classmethod
    def _is_amount(cls, given: Amount) -> Amount:
        quantities.cpu_milli(given)
        return given


class Memory(_Model):
    """Memory of one container."""

    size: str

    @pydantic.field_validator("size")
    @classmethod
    def _is_size(cls, given: str) -> str:
        quantities.size_bytes(given)
        return given


class VolumeAttributes(_Model):
    """What kind of volume it is. Without a class it goes with the container; ``ram`` does too."""

    persistent: bool | Literal["true", "false"] = False
    class_: Literal["default", "beta1", "beta2", "beta3", "ram"] | None = pydantic.Field(default=None, alias="class")

    @property
    def kept(self) -> bool:
        """Say whether it outlives the container."""
        return self.persistent in (True, "true")

    @pydantic.model_validator(mode="after")
    def _fit(self) -> Self:
        if self.class_ == "ram" and self.kept:
            raise ValueError("storage of class ram is never persistent")
        if self.class_ not in (None, "ram") and not self.kept:
            raise ValueError(f"storage of class {self.class_} is persistent")
        return self


class Volume(_Model):
    """A volume of one container."""

    size: str
    name: str = ""
    attributes: VolumeAttributes | None = None

    @pydantic.field_validator("size")
    @classmethod
    def _is_size(cls, given: str) -> str:
        quantities.size_bytes(given)
        return given


class GpuModel(_Model):
    """A model that will do."""

    model: str = ""
    ram: str | None = None
    interface: Literal["pcie", "sxm"] | None = None

    @pydantic.field_validator("ram")
    @classmethod
    def _is_size(cls, given: str | None) -> str | None:
        if given is not None:
            quantities.gibibytes(given)
        return given


class GpuVendor(_Model):
    """Models by vendor; none named: any."""

    nvidia: tuple[GpuModel, ...] | None


class GpuAttributes(_Model):
    """Which GPUs will do."""

    vendor: GpuVendor | None = None


class Gpu(_Model):
    """GPUs of one container."""

    units: Amount = 0
    attributes: GpuAttributes | None = None

    @property
    def count(self) -> int:
        """Return how many."""
        return quantities.count(self.units)

    @pydantic.model_validator(mode="after")
    def _fit(self) -> Self:
        if (self.count > 0) != (self.attributes is not None and self.attributes.vendor is not None):
            raise ValueError("GPUs and their vendor are named together, or neither is")
        return self


class Resources(_Model):
    """What one container gets."""

    cpu: Cpu
    memory: Memory
    storage: tuple[Volume, ...] | Volume
    gpu: Gpu | None = None


class Compute(_Model):
    """A compute profile."""

    resources: Resources


class Price(_Model):
    """The most that is paid for one container and block."""

    denom: Literal["uakt", "uact"]
    amount: Amount

    @pydantic.field_validator("amount")
    @classmethod
    def _is_price(cls, given: Amount) -> Amount:
        quantities.price(given)
        return given


class SignedBy(_Model):
    """Auditors whose word about a provider's attributes is asked for."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()


class Placement(_Model):
    """A placement profile."""

    pricing: Mapping[str, Price]
    attributes: Mapping[str, str | bool | int | float] = {}
    signed_by: SignedBy = SignedBy()


class Profiles(_Model):
    """Named profiles."""

    compute: Mapping[str, Compute]
    placement: Mapping[str, Placement]


class Count(_Model):
    """How often a service runs at a place, and with what."""

    profile: str
    count: Annotated[int, pydantic.Field(ge=1)]


class Endpoint(_Model):
    """An address of its own."""

    kind: Literal["ip"]


class Reclamation(_Snake):
    """How long before taking its resources back a provider must say so."""

    min_window: Annotated[str, pydantic.Field(pattern=r"^[1-9][0-9]*(s|m|h)$")]


class Sdl(_Model):
    """A whole document."""

    version: Literal["2.0", "2.1"]
    services: Mapping[str, Service]
    profiles: Profiles
    deployment: Mapping[str, Mapping[str, Count]]
    endpoints: Mapping[str, Endpoint] = {}
    include: tuple[str, ...] = pydantic.Field(default=(), max_length=0)
    reclamation: Reclamation | None = None

    @pydantic.field_validator("endpoints")
    @classmethod
    def _are_named(cls, given: Mapping[str, Endpoint]) -> Mapping[str, Endpoint]:
        for name in given:
            if not ENDPOINT_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an endpoint: small letters, then digits, - and _ too")
        return given


def read(document: Mapping[str, Any]) -> Sdl:
    """Return a document; raises ``pydantic.ValidationError`` with every problem of its structure."""
    return Sdl.model_validate_json(json.dumps(document))
