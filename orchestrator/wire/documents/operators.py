"""Kind Operator: who runs a backend, and which laws reach it."""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.wire import fields, vocabulary
from orchestrator.wire.documents import common


class Owner(fields.Model):
    """A holder of a share."""

    name: fields.Line
    country: fields.Country | None = None
    percent: fields.Percent


OwnerList = Annotated[list[Owner], Field(max_length=fields.LIST_MAX)]


class Owners(fields.Model):
    """Who owns the operator; ``coverage`` is the percentage of ownership that is known."""

    coverage: fields.Percent | None = None
    list: OwnerList = []


class OperatorSpec(fields.Model):
    """Facts about an operator. A missing fact is judged, it is not an error."""

    legal_country: fields.Country | None = None
    ultimate_parent_hq: fields.Country | None = None
    owners: Owners | None = None
    transfer_frameworks: vocabulary.Frameworks = []
    exposure_extra: fields.Countries = []
    lei: fields.Lei | None = None
    us_person: fields.Bool | None = None
    covered_person: fields.Bool | None = None
    listed: fields.Bool | None = None
    listed_ownership_percent: fields.Percent | None = None
    ear_supplement8: vocabulary.Supplement8 | None = None
    sanctions_regimes: common.SanctionsRegimes | None = None
    blocking_laws: common.BlockingLaws = []
    facts: common.ProvableFacts | None = None


class Operator(common.Document):
    """Who runs a backend."""

    kind: Literal["Operator"]
    spec: OperatorSpec = OperatorSpec.model_construct()
