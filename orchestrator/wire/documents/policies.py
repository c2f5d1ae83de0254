"""Kind Policy: a user's rules, or a dated directive. Recognised; every use is refused until it is built."""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.wire import fields
from orchestrator.wire.documents import common


class Directive(fields.Model):
    """A dated overlay, loaded while running."""

    models: fields.Words = []
    parties: fields.Words = []
    from_: fields.Date | None = Field(default=None, alias="from")
    to: fields.Date | None = None
    immediate: fields.Bool | None = None
    source: fields.Line | None = None


class Effective(fields.Model):
    """From when to when a policy holds."""

    from_: fields.Date | None = Field(default=None, alias="from")
    to: fields.Date | None = None


class PolicySpec(fields.Model):
    """Rules as text, or a directive."""

    engine: Literal["cedar", "directive"]
    text: Annotated[str, Field(max_length=2**20)] | None = None
    tests: Annotated[list[Any], Field(max_length=10_000)] = []
    effective: Effective | None = None
    directive: Directive | None = None


class Policy(common.Document):
    """A policy."""

    kind: Literal["Policy"]
    spec: PolicySpec
