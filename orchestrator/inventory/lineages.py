"""Lineages as stored: one document of the store's own kind ``Lineage`` a data set, named like it, of its tenant.

Nobody declares or reads that kind over HTTP. It shares the documents' versions, so that a new lineage is a new world.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from orchestrator.domain import lineages
from orchestrator.ports import stores
from orchestrator.store import codec_models

KIND = "Lineage"
VERSION = 1


def body(lineage: lineages.Lineage) -> str:
    """Return the lineage as stored text."""
    value = {
        "v": VERSION,
        "inherits": [
            {
                "from": one.source,
                "at": one.at.isoformat(),
                "job": one.job,
                "classes": one.classes,
                "subjects": one.subjects,
                "exportControl": codec_models.items_to_json(one.export_control),
            }
            for one in lineage.inherits
        ],
        "declassified": [
            {"from": one.source, "person": one.person, "reason": one.reason, "actor": one.actor,
             "at": one.at.isoformat()}
            for one in lineage.declassified
        ],
    }  # fmt: skip
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def of_document(document: stores.Document) -> lineages.Lineage:
    """Return the lineage of a stored document. Raises ValueError for damage and for another version."""
    try:
        value = json.loads(document.body)
        if value["v"] != VERSION:
            raise ValueError(f"version {value['v']!r} of stored lineages is not known here")
        return lineages.Lineage(
            tenant=document.tenant,
            name=document.name,
            inherits=tuple(_inheritance(one) for one in value["inherits"]),
            declassified=tuple(
                lineages.Declassification(
                    one["from"], one["person"], one["reason"], one["actor"], dt.datetime.fromisoformat(one["at"])
                )
                for one in value["declassified"]
            ),
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"a stored lineage cannot be read: {error!r}") from error


def _inheritance(one: dict[str, Any]) -> lineages.Inheritance:
    return lineages.Inheritance(
        source=one["from"],
        at=dt.datetime.fromisoformat(one["at"]),
        job=one["job"],
        classes=tuple(one["classes"]),
        subjects=tuple(one["subjects"]),
        export_control=codec_models.items_from_json(one["exportControl"]),
    )
