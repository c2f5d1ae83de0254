"""The model clause of a job to JSON and back: who controls the model, what trained it, what controls its export."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from orchestrator.domain import jobs


def to_json(clause: jobs.ModelClause) -> list[Any]:
    """Return the clause as a JSON value."""
    return [
        clause.id,
        clause.controller_country,
        clause.train_flop,
        clause.ai_act,
        items_to_json(clause.export_control),
    ]


def from_json(value: list[Any]) -> jobs.ModelClause:
    """Return the clause of a JSON value. Raises ValueError and the like for damage."""
    id_, country, train_flop, ai_act, items = value
    return jobs.ModelClause(
        id=id_,
        controller_country=country,
        train_flop=train_flop,
        ai_act=ai_act,
        export_control=items_from_json(items),
    )


def items_to_json(items: Iterable[jobs.ExportItem]) -> list[Any]:
    """Return controlled items as a JSON value."""
    return [(item.regime, item.item, [_licence(one) for one in item.licences]) for item in items]


def items_from_json(value: list[Any]) -> tuple[jobs.ExportItem, ...]:
    """Return the controlled items of a JSON value. Raises ValueError and the like for damage."""
    return tuple(
        jobs.ExportItem(regime, item, tuple(_licence_of(one) for one in licences)) for regime, item, licences in value
    )


def _licence(licence: jobs.Licence) -> list[Any]:
    end = licence.valid_to
    return [licence.ref, licence.destinations, licence.end_users, None if end is None else end.isoformat()]


def _licence_of(value: list[Any]) -> jobs.Licence:
    ref, destinations, end_users, end = value
    return jobs.Licence(
        ref=ref,
        destinations=tuple(destinations),
        end_users=tuple(end_users),
        valid_to=None if end is None else dt.date.fromisoformat(end),
    )
