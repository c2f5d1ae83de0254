"""Kind DataSet: registered data, whose rules stick to every job that reads it."""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Annotated, Literal

from orchestrator.wire import fields, vocabulary
from orchestrator.wire.documents import common


class Controller(fields.Model):
    """Who decides about personal data."""

    operator: fields.Name | None = None
    country: fields.Country | None = None


class Counts(fields.Model):
    """How much data about how many people."""

    persons: fields.Count | None = None
    sensitive: fields.Count | None = None
    window: CountWindow | None = None


CountWindow = Annotated[
    str, fields.bounded(r"^[1-9][0-9]{0,3}(d|m|y)$", "a number of days, months or years: 30d, 12m, 1y", length_max=5)
]
"""Here ``12m`` is twelve months: laws count in months, and nobody counts persons a minute."""


class DataLocation(common.Place):
    """Where the data lies, and under which address."""

    uri: fields.Line | None = None


class DataSetSpec(fields.Model):
    """What is known about the data."""

    controller: Controller | None = None
    classes: vocabulary.DataClasses = []
    subjects: fields.Subjects = []
    counts: Counts | None = None
    location: DataLocation | None = None
    safeguards: common.Safeguards = []
    export_control: common.ExportControls = []
    derived_from: fields.Names = []
    owner: fields.Line | None = None
    ciio: fields.Bool | None = None
    primary_db: fields.Country | None = None
    sdf_localised: fields.Bool | None = None
    facts: common.Facts | None = None


class DataSet(common.Document):
    """Registered data."""

    kind: Literal["DataSet"]
    spec: DataSetSpec = DataSetSpec.model_construct()


Counts.model_rebuild(force=True)
