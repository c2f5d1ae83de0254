"""Kind Queue: a tenant's line of jobs, its weight and its named priorities."""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.wire import fields
from orchestrator.wire.documents import common


class QueueSpec(fields.Model):
    """Whose queue it is and how it stands against others."""

    tenant: fields.Name | None = None
    weight: Annotated[int, Field(ge=1, le=1_000_000), fields.RESOLVED] | None = None
    priorities: Annotated[
        dict[fields.Name, Annotated[int, Field(ge=-1_000_000, le=1_000_000), fields.RESOLVED]], Field(max_length=64)
    ] = {}


class Queue(common.Document):
    """A queue."""

    kind: Literal["Queue"]
    spec: QueueSpec = QueueSpec.model_construct()
