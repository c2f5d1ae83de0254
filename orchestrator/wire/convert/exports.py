"""What regimes of export control say about data and models, both ways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.domain import jobs
from orchestrator.wire.documents import common


def items(written: Iterable[common.ExportControl]) -> tuple[jobs.ExportItem, ...]:
    """Return the items, each with its licences."""
    return tuple(
        jobs.ExportItem(
            regime=entry.regime,
            item=entry.item,
            licences=tuple(
                jobs.Licence(
                    ref=licence.ref,
                    destinations=tuple(licence.destinations),
                    end_users=tuple(licence.end_users),
                    valid_to=licence.valid_to,
                )
                for licence in entry.licences
            ),
        )
        for entry in written
    )


def document(values: Iterable[jobs.ExportItem]) -> list[dict[str, Any]]:
    """Return the items as a document writes them."""
    return [
        {"regime": item.regime, "item": item.item}
        | ({"licences": [_licence(licence) for licence in item.licences]} if item.licences else {})
        for item in values
    ]


def _licence(licence: jobs.Licence) -> dict[str, Any]:
    found = {
        "ref": licence.ref,
        "destinations": list(licence.destinations),
        "endUsers": list(licence.end_users),
        "validTo": licence.valid_to and licence.valid_to.isoformat(),
    }
    return {key: member for key, member in found.items() if member}
