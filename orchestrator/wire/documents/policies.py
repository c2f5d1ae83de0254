"""Kind Policy: rules of the house's own in Cedar, or a dated directive. What the text says is checked where it is
applied: the schema of rules depends on the fact base.
"""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orchestrator.wire import fields, spellings
from orchestrator.wire.documents import common

TEXT_MAX = 65_536
"""Characters of one policy's text; ``policy.cedar.texts`` bounds its bytes, rules and brackets."""
TESTS_MAX = 500


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
    text: Annotated[str, Field(max_length=TEXT_MAX)] | None = None
    tests: Annotated[list[Any], Field(max_length=TESTS_MAX), BeforeValidator(spellings.pointed_form)] = []
    effective: Effective | None = None
    directive: Directive | None = None


class Policy(common.Document):
    """A policy."""

    kind: Literal["Policy"]
    spec: PolicySpec
