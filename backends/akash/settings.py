"""Settings of an ``akash`` backend: the Console's account, the store of marks, whom to trust, what it may cost."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic

from backends import doors
from orchestrator.domain import money
from orchestrator.settings import adapters

AUDITOR = "akash1365yvmc4s7awdyj3n2sav7xfx76adc6dnmlx63"
"""Overclock Labs, whose signatures the network's own console shows."""

_Word = Annotated[str, pydantic.Field(pattern=r"^[\x21-\x7e]{1,512}$")]
_Pool = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
_Address = Annotated[str, pydantic.Field(pattern=r"^akash1[0-9a-z]{38,58}$")]
_Image = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9._:/-]{0,255}@sha256:[0-9a-f]{64}$")]
_Usd = Annotated[float, pydantic.Field(ge=0.000001, le=1_000_000)]


class Spend(pydantic.BaseModel):
    """What may be spent at most, in USD: an attempt's deposit is the highest price for its longest run.

    Where the Console manages deposits itself it ignores ours; price and time bound the cost then (docs/akash.md).
    """

    model_config = adapters.AdapterSettings.model_config

    per_hour: _Usd = pydantic.Field(description="the most that a provider may ask for one attempt")
    per_job: _Usd = pydantic.Field(description="the most that one attempt may cost")
    per_month: _Usd = pydantic.Field(description="the most that all attempts begun in a month (UTC) may cost")


class Store(doors.Reached):
    """A bucket of an S3 store, to which attempts write that they began and how they ended."""

    url: doors.Url = pydantic.Field(description="where it answers: https, no path; buckets are the first part of paths")
    bucket: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    region: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9-]{1,40}$")] = "us-east-1"
    access_key: _Word = pydantic.Field(description="id of the key")
    secret_key: _Word = pydantic.Field(description="as {fromFile: ...} or {fromEnv: ...}; it is sent to nobody")


class Gpu(pydantic.BaseModel):
    """How a pool's accelerator is called at the network."""

    model_config = adapters.AdapterSettings.model_config

    model: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    ram: Annotated[str, pydantic.Field(pattern=r"^[1-9][0-9]{0,3}Gi$")] | None = None
    interface: Annotated[str, pydantic.Field(pattern=r"^(pcie|sxm)$")] | None = None


class AkashSettings(doors.Reached):
    """An account of Akash's Console, with a managed wallet."""

    url: doors.Url = pydantic.Field(
        default="https://console-api.akash.network", description="where the Console API answers: https, no path"
    )
    key: _Word = pydantic.Field(description="API key, as {fromFile: ...} or {fromEnv: ...}")
    store: Store = pydantic.Field(description="where attempts tell how they ended")
    spend: Spend = pydantic.Field(description="limits in money")
    providers: Annotated[dict[_Pool, _Address], pydantic.Field(max_length=256)] = pydantic.Field(
        default_factory=dict,
        description="pool -> address of its provider: nobody else is asked; default: every provider, named by address",
    )
    auditors: Annotated[list[_Address], pydantic.Field(min_length=1, max_length=16)] = pydantic.Field(
        default_factory=lambda: [AUDITOR], description="whose signature on a provider's attributes counts"
    )
    audited: bool = pydantic.Field(default=True, description="use only providers whose region an auditor signed")
    uptime: Annotated[float, pydantic.Field(ge=0, le=1)] = pydantic.Field(
        default=0.95, description="least share of the last seven days that a provider was up"
    )
    gpus: Annotated[dict[_Pool, Gpu], pydantic.Field(max_length=256)] = pydantic.Field(
        default_factory=dict, description="pool -> its accelerator as the network calls it"
    )
    command_image: _Image | None = pydantic.Field(
        default=None, description="image (NAME@sha256:...) with sh and curl or python3, for jobs that name none"
    )
    bid_seconds: Annotated[int, pydantic.Field(ge=1, le=120)] = pydantic.Field(
        default=20, description="how long a bid of the chosen provider is waited for"
    )
    start_minutes: Annotated[int, pydantic.Field(ge=1, le=240)] = pydantic.Field(
        default=20, description="how long a lease may show no sign of life"
    )
    minutes_max: Annotated[int, pydantic.Field(ge=1, le=8_640)] = pydantic.Field(
        default=1440, description="longest run of an attempt; it ends itself then, and its escrow with it"
    )
    jobs_max: Annotated[int, pydantic.Field(ge=1, le=1_000)] = pydantic.Field(
        default=8, description="deployments at a time at most, of this backend"
    )
    node_cpus: Annotated[int, pydantic.Field(ge=1, le=256)] = pydantic.Field(
        default=16, description="CPUs of the largest job that a provider is hoped to take"
    )
    node_memory_gb: Annotated[int, pydantic.Field(ge=1, le=4096)] = pydantic.Field(
        default=64, description="memory of that job, in GB"
    )
    storage_gb: Annotated[int, pydantic.Field(ge=1, le=4096)] = pydantic.Field(
        default=10, description="storage that each job asks for, in GB"
    )
    timeout_seconds: Annotated[int, pydantic.Field(ge=1, le=60)] = pydantic.Field(
        default=15, description="deadline of one request"
    )

    @pydantic.model_validator(mode="after")
    def _one_each(self) -> Any:
        if len(set(self.providers.values())) != len(self.providers):
            raise ValueError("providers: two pools name one provider")
        return self


def micro(amount: float) -> int:
    """Return an amount of USD in millionths."""
    return round(amount * money.MICRO)
