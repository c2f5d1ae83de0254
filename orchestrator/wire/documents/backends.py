"""Kind Backend: a registered place, with its pools and its own terms."""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.wire import fields
from orchestrator.wire.documents import common


class Attestation(fields.Model):
    """How a backend proves what it is."""

    token: fields.Text
    verifier: fields.Line


class Carbon(fields.Model):
    """Carbon intensity of the power."""

    grams_per_kwh: Annotated[float, Field(ge=0, le=10_000), fields.RESOLVED]
    source: fields.Line | None = None


class Pool(fields.Model):
    """A part of a backend that is alike; what is left out is the backend's."""

    name: fields.Name
    accelerator: fields.Word | None = None
    count: Annotated[int, Field(ge=0, le=10_000_000), fields.RESOLVED] | None = None
    cpus: fields.Cpus | None = None
    memory: fields.Memory | None = None
    price_per_hour: fields.Money | None = None
    interconnect: fields.Word | None = None
    in_service_since: fields.Date | None = None
    pue: Annotated[float, Field(ge=1, le=10), fields.RESOLVED] | None = None
    operator: fields.Name | None = None
    location: common.Location | None = None
    admin_from: fields.Countries | None = None
    log_store: common.Place | None = None
    certifications: common.Certifications | None = None
    accepts: common.Accepts | None = None
    facts: common.ProvableFacts | None = None


class BackendSpec(fields.Model):
    """What is known about a backend, and how to reach it."""

    adapter: fields.Name
    settings: fields.FreeForm = {}
    operator: fields.Name | None = None
    service: fields.Word | None = None
    location: common.Location | None = None
    admin_from: fields.Countries = []
    log_store: common.Place | None = None
    log_retention_days: Annotated[int, Field(ge=0, le=36_500), fields.RESOLVED] | None = None
    certifications: common.Certifications = []
    seal: common.Seal = {}
    evidence: common.Papers = []
    accepts: common.Accepts | None = None
    pools: Annotated[list[Pool], Field(max_length=10_000)] = []
    carbon: Carbon | None = None
    china_state_funded: fields.Bool | None = None
    attestation: Attestation | None = None
    facts: common.ProvableFacts | None = None


class Backend(common.Document):
    """A registered place."""

    kind: Literal["Backend"]
    spec: BackendSpec
