"""Constraints on places, as a job, a tenant's floor and a tenant's tiers write them."""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.wire import fields, vocabulary
from orchestrator.wire.documents import common


class Countries(fields.Model):
    """Where a job may and may not go; no ``allow`` list allows everywhere, an empty one nowhere."""

    allow: fields.CountriesOrSets | None = None
    deny: fields.CountriesOrSets = []


class Exposure(fields.Model):
    """Jurisdictions that must not reach the job through its operator."""

    deny: fields.CountriesOrSets = []
    accept_immunity: vocabulary.Schemes = []


class Sovereignty(fields.Model):
    """The constraints of a job on places."""

    countries: Countries | None = None
    exposure: Exposure | None = None
    certifications: vocabulary.Schemes = []
    seal: common.Seal = {}
    sovereignty_score: Annotated[int, Field(ge=0, le=100), fields.RESOLVED] | None = None
    tee: vocabulary.Enclaves = []
    min_assurance: common.Assurance | None = None
