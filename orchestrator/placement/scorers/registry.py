"""Every scorer, by name."""

from __future__ import annotations

from orchestrator.placement.scorers import base, carbon, cost, latency

SCORERS: tuple[base.Scorer, ...] = (cost.Cost(), carbon.Carbon(), latency.Latency())
