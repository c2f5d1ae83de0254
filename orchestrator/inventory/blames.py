"""Who answered for a wrong result of a verified job: kept in the status of the operator's document. Pure.

``status.blames`` of an Operator is a list of ``{job, run, site, finding, at, receipt}``, oldest first: dated facts,
each with the digest of the receipt it rests on, which stands in the journal. Rules may read when the last one was
(``site.blamed_on``) and how many there are. A receipt can be wrong where enough hands collude (ADR 0033), so nothing is
refused by itself.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.domain import ids, sites
from orchestrator.ports import stores

MEMBER = "blames"
BLAMES_MAX = 100
"""Blames kept of one operator; the oldest go, and stand in the journal."""


def of_statuses(statuses: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, tuple[sites.Blame, ...]]:
    """Return the blames of each operator that has any. What cannot be read is a blame without an end."""
    return {
        name: _read(status[MEMBER])
        for (kind, name), status in statuses.items()
        if kind == "Operator" and status.get(MEMBER)
    }


def documents(found: Iterable[tuple[str, sites.Blame]], store: stores.Store) -> Sequence[stores.Document]:
    """Return the documents that add (operator, blame) to what is stored; one that is there already is left alone."""
    added: dict[str, list[sites.Blame]] = {}
    for name, blame in found:
        added.setdefault(name, []).append(blame)
    made = []
    for name, blames in sorted(added.items()):
        stored = store.document("Operator", name)
        if stored is None:
            continue
        status = json.loads(stored.status)
        known = status.get(MEMBER)
        kept = list(known) if isinstance(known, list) else []
        there = {(one.get("job"), one.get("run")) for one in kept if isinstance(one, dict)}
        kept += [_to_json(blame) for blame in blames if (blame.job, blame.run) not in there]
        status[MEMBER] = kept[-BLAMES_MAX:]
        text = json.dumps(status, sort_keys=True, separators=(",", ":"))
        if text != stored.status:
            made.append(dataclasses.replace(stored, status=text))
    return made


def _to_json(blame: sites.Blame) -> dict[str, Any]:
    return {
        "job": blame.job,
        "run": blame.run,
        "site": blame.site,
        "finding": blame.finding,
        "at": blame.at.isoformat(),
        "receipt": blame.receipt,
    }


def _read(stored: Any) -> tuple[sites.Blame, ...]:
    try:
        return tuple(
            sites.Blame(
                job=str(one["job"]),
                run=str(one["run"]),
                site=ids.SiteName(str(one["site"])),
                finding=str(one["finding"]),
                at=dt.datetime.fromisoformat(one["at"]),
                receipt=ids.Digest(str(one["receipt"])),
            )
            for one in stored
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return (_DAMAGED,)


_DAMAGED = sites.Blame(
    "unknown", "unknown", ids.SiteName("unknown"), "unreadable", dt.datetime.max.replace(tzinfo=dt.UTC), ids.NO_DIGEST
)
