"""Parts that several kinds share: metadata, places, stamps, papers."""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.wire import fields, vocabulary

Assurance = Literal["declared", "documented", "certified", "attested"]


class Metadata(fields.Model):
    """The name and labels of a document. The server adds ``id`` on output; it is not accepted on input."""

    name: fields.Name
    labels: fields.Labels = {}
    annotations: fields.Annotations = {}


class Document(fields.Model):
    """What every kind has."""

    api_version: Literal["comity.dev/v1"]
    metadata: Metadata


class Place(fields.Model):
    """Where something lies."""

    country: fields.Country | None = None
    subdivision: fields.Subdivision | None = None
    region: fields.Word | None = None


class Location(Place):
    """Where a backend stands."""

    region_pinned_by_contract: fields.Bool | None = None


class Facts(fields.Model):
    """Where the facts of a document come from, and until when they hold (the day named is included)."""

    source: fields.Reference | None = None
    as_of: fields.Date | None = None
    valid_from: fields.Date | None = None
    valid_to: fields.Date | None = None
    assurance: Assurance | None = None


class ProvableFacts(Facts):
    """The same of a place or an operator, whose source may be signed claims."""

    source: fields.Proof | None = None


class Paper(fields.Model):
    """A paper about a backend or a data set; ``digest`` is that of the paper itself."""

    ref: fields.Reference | None = None
    valid_from: fields.Date | None = None
    valid_to: fields.Date | None = None
    digest: fields.Sha256 | None = None


class Evidence(Paper):
    """A licence, a licence exception or a clearance of a backend."""

    ref: fields.Proof | None = None
    type: vocabulary.PaperType


class Safeguard(Paper):
    """Under which data may leave its place."""

    type: vocabulary.Safeguard


class Certification(fields.Model):
    """A certificate of a scheme for a service in regions."""

    scheme: vocabulary.Scheme
    service: fields.Word | None = None
    regions: fields.Words = []
    valid_from: fields.Date | None = None
    valid_to: fields.Date | None = None
    evidence: fields.Proof | None = None
    digest: fields.Sha256 | None = None


class Accepts(fields.Model):
    """The host's own terms."""

    tenant_countries: fields.CountriesOrUnions | None = None
    deny_classes: vocabulary.DataClasses = []
    types: Annotated[list[JobType], Field(max_length=5)] | None = None


class Licence(fields.Model):
    """A licence that lets a controlled item leave its territory."""

    ref: fields.Line | None = None
    destinations: fields.Countries = []
    end_users: Annotated[list[fields.Line], Field(max_length=fields.LIST_MAX)] = []
    valid_to: fields.Date | None = None


class BlockingLaw(fields.Model):
    """A law that forbids to obey the measures of another regime."""

    law: fields.Line
    forbids: vocabulary.SanctionsRegime


class ExportControl(fields.Model):
    """What a regime says about data or a model: an item number, ``none`` or ``unknown``."""

    regime: vocabulary.Regime
    item: fields.Word
    licences: Annotated[list[Licence], Field(max_length=fields.LIST_MAX)] = []


JobType = Literal["train", "finetune", "infer", "batch", "service"]
Seal = Annotated[
    dict[
        Annotated[str, fields.bounded(r"^SOV-[1-8]$", "SOV-1 to SOV-8", length_max=5)],
        Annotated[int, Field(ge=0, le=4), fields.RESOLVED],
    ],
    Field(max_length=8),
]
SanctionsRegimes = Annotated[list[vocabulary.SanctionsRegime], Field(min_length=1, max_length=8)]
"""Never empty: what the Security Council decides binds everybody (``un``)."""
BlockingLaws = Annotated[list[BlockingLaw], Field(max_length=32)]
Certifications = Annotated[list[Certification], Field(max_length=fields.LIST_MAX)]
Papers = Annotated[list[Evidence], Field(max_length=fields.LIST_MAX)]
Safeguards = Annotated[list[Safeguard], Field(max_length=fields.LIST_MAX)]
ExportControls = Annotated[list[ExportControl], Field(max_length=32)]
