"""Kind ControlPlane: it is a place too, where specs, logs and records lie."""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Literal

from orchestrator.wire import fields
from orchestrator.wire.documents import common


class ControlPlaneSpec(fields.Model):
    """Who runs the control plane, and where its records lie."""

    operator: fields.Name | None = None
    location: common.Location | None = None
    admin_from: fields.Countries = []
    log_store: common.Place | None = None
    backup_store: common.Place | None = None
    sanctions_regimes: common.SanctionsRegimes | None = None
    blocking_laws: common.BlockingLaws = []
    facts: common.ProvableFacts | None = None


class ControlPlane(common.Document):
    """The control plane as a place."""

    kind: Literal["ControlPlane"]
    spec: ControlPlaneSpec = ControlPlaneSpec.model_construct()
