"""Kind Tenant: a customer of the control plane, with the floor under all its jobs."""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.wire import fields, vocabulary
from orchestrator.wire.documents import common, sovereignties

Role = Literal["submit", "operate", "facts", "policy", "audit", "steward"]


class DefaultData(fields.Model):
    """What a job that says nothing about data is judged as reading."""

    classes: vocabulary.DataClasses = []
    subjects: fields.Subjects = []


class TenantSpec(fields.Model):
    """Facts about a tenant, and its rules."""

    hq: fields.Country | None = None
    sector: fields.Word | None = None
    us_person: fields.Bool | None = None
    us_only_users: fields.Bool | None = None
    sanctions_regimes: common.SanctionsRegimes | None = None
    blocking_laws: common.BlockingLaws = []
    default_data: DefaultData | None = None
    floor: sovereignties.Sovereignty | None = None
    tiers: Annotated[dict[fields.Name, sovereignties.Sovereignty], Field(max_length=64)] = {}
    may_declare_no_data: Annotated[list[Role], Field(max_length=6)] | None = None


class Tenant(common.Document):
    """A customer of the control plane."""

    kind: Literal["Tenant"]
    spec: TenantSpec = TenantSpec.model_construct()
