"""The settings of a ``dispersed`` backend: its key, which region is which pool, which images, and what it may cost."""

from __future__ import annotations

from typing import Annotated

import pydantic

from backends import doors
from orchestrator.settings import adapters

_Key = Annotated[str, pydantic.Field(pattern=r"^pk_[A-Za-z0-9_-]+$", max_length=256)]
_Secret = Annotated[str, pydantic.Field(pattern=r"^sk_[\x21-\x7e]+$", max_length=512)]
_Pool = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
_Region = Annotated[str, pydantic.Field(pattern=r"^[a-z]{2}-[a-z]{2,20}-[0-9]$")]
_Gpu = Annotated[str, pydantic.Field(pattern=r"^[\x20-\x7e]{1,100}$")]
_Name = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9._:/-]{0,255}$")]
_Tagged = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9._:/-]{0,255}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]
_Amount = Annotated[int, pydantic.Field(ge=1, le=1_000_000)]


class Spend(pydantic.BaseModel):
    """What may be spent at most, reckoned by the price of the pool and the longest run: whole units of a currency."""

    model_config = adapters.AdapterSettings.model_config

    currency: Annotated[str, pydantic.Field(pattern=r"^[A-Z]{3}$")] = pydantic.Field(description="ISO 4217")
    per_job: _Amount = pydantic.Field(description="the most that one attempt may cost")
    per_month: _Amount = pydantic.Field(description="the most that all attempts begun in a month (UTC) may cost")


class DispersedSettings(doors.Reached):
    """An account of the network."""

    url: doors.Url = pydantic.Field(
        default="https://api.dispersed.com", description="where the API answers: https, no path, no user, no password"
    )
    public_key: _Key = pydantic.Field(description="pk_..., preset Compute Consumer")
    secret_key: _Secret = pydantic.Field(description="sk_..., as {fromFile: ...} or {fromEnv: ...}")
    regions: Annotated[dict[_Pool, _Region], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="pool -> region code; default: the code that is the name of the pool"
    )
    gpus: Annotated[dict[_Pool, _Gpu], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="pool -> name of its accelerator at the network, e.g. NVIDIA RTX 4090"
    )
    command_image: _Tagged | None = pydantic.Field(
        default=None, description="image (NAME:TAG) with the entry point of docs/dispersed.md, for jobs that name none"
    )
    image_tags: bool = pydantic.Field(
        default=False, description="run images that jobs name by a tag: the API takes no digest, and tags move"
    )
    entrypoint_images: Annotated[list[_Name], pydantic.Field(max_length=256)] = pydantic.Field(
        default_factory=list, description="images (NAME) with that entry point: they may be given a command"
    )
    spend: Spend | None = pydantic.Field(default=None, description="limits in money; pools need pricePerHour then")
    jobs_max: Annotated[int, pydantic.Field(ge=1, le=10_000)] = pydantic.Field(
        default=8, description="jobs in flight at most, of this backend"
    )
    minutes_max: Annotated[int, pydantic.Field(ge=1, le=10_080)] = pydantic.Field(
        default=1440, description="longest run of an attempt; the network ends it then"
    )
    node_cpus: Annotated[int, pydantic.Field(ge=1, le=256)] = pydantic.Field(
        default=16, description="CPUs of the largest node that is hoped for"
    )
    node_memory_gb: Annotated[int, pydantic.Field(ge=1, le=4096)] = pydantic.Field(
        default=64, description="memory of the largest node that is hoped for, in GB"
    )
    storage_gb: Annotated[int, pydantic.Field(ge=1, le=4096)] = pydantic.Field(
        default=20, description="storage that each job asks for, in GB"
    )
    timeout_seconds: Annotated[int, pydantic.Field(ge=1, le=60)] = pydantic.Field(
        default=15, description="deadline of one request"
    )
