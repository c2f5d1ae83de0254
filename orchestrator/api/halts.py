"""What stops every new placement, shown as conditions of the jobs that wait for it to end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.domain import jobs as job_values
from orchestrator.service import contexts, halts
from orchestrator.wire.convert import answers as convert


def page(context: contexts.Context, found: Iterable[job_values.Job]) -> list[dict[str, Any]]:
    """Return jobs as documents, those that wait with what stops them all. Raises StoreError."""
    stops = halts.now(context)
    return [
        told(convert.job(job), stops if stops and halts.keeps(job) else ())  # one look for a whole page
        for job in found
    ]


def told(document: dict[str, Any], stops: Sequence[halts.Halt]) -> dict[str, Any]:
    """Add a condition for each halt to a job's document, in front: nothing else matters until it ends."""
    if stops:
        status = document["status"]
        said = [
            {
                "type": one.condition,
                "status": True,
                "reason": one.reason.code,
                "message": _sentence(one),
                "since": None,
            }
            for one in stops
        ]
        status["conditions"] = [*said, *status["conditions"]]
    return document


def _sentence(halt: halts.Halt) -> str:
    remedy = halt.reason.remedy
    return halt.reason.message if remedy is None else f"{halt.reason.message}; {remedy.change}"
