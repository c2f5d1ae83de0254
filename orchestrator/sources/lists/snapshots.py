"""Snapshots as files: canonical JSON under its digest. What does not match its digest is not read.

The text of a snapshot is the canonical form (RFC 8785) of everything but the digest itself; the same file imported
with the same dates always has the same digest.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from orchestrator.domain import ids, listings
from orchestrator.evidence import canonical
from orchestrator.sources.lists import base

VERSION = "comity.dev/list-snapshot/v1"
AGE_DAYS_MAX = 90
"""Longest age limit that may be asked for."""
AGE_DAYS = 7
"""Age limit where nobody asks for another: publishers change these lists several times a week."""


class SnapshotError(ValueError):
    """A stored snapshot cannot be relied on. The text says why."""


def make(
    *, list_: str, regime: str, form: str, parsed: base.Parsed, raw: bytes, as_of: dt.date, age_days_max: int
) -> listings.Snapshot:
    """Return a snapshot of what was read, without its digest; ``encode`` gives it."""
    return listings.Snapshot(
        list=list_,
        regime=regime,
        format=form,
        as_of=as_of,
        age_days_max=age_days_max,
        raw=canonical.digest_of_bytes(raw),
        entries=parsed.entries,
        published=parsed.published,
    )


def encode(snapshot: listings.Snapshot) -> tuple[ids.Digest, bytes]:
    """Return the digest of a snapshot and the bytes under it."""
    body = canonical.dumps(
        {
            "version": VERSION,
            "list": snapshot.list,
            "regime": snapshot.regime,
            "format": snapshot.format,
            "published": snapshot.published.isoformat() if snapshot.published else None,
            "asOf": snapshot.as_of.isoformat(),
            "ageDaysMax": snapshot.age_days_max,
            "raw": snapshot.raw,
            "entries": [_entry_out(entry) for entry in snapshot.entries],
        }
    )
    return canonical.digest_of_bytes(body), body


def decode(body: bytes, expected: ids.Digest) -> listings.Snapshot:
    """Return the snapshot of stored bytes. Raises SnapshotError: another digest, version or form."""
    digest = canonical.digest_of_bytes(body)
    if digest != expected:
        raise SnapshotError(f"its digest is {digest} and the pin says {expected}")
    try:
        data = json.loads(body)
        if data["version"] != VERSION:
            raise SnapshotError(f"it is of version {data['version']!r}, which this version does not read")
        return listings.Snapshot(
            list=data["list"],
            regime=data["regime"],
            format=data["format"],
            as_of=dt.date.fromisoformat(data["asOf"]),
            age_days_max=int(data["ageDaysMax"]),
            raw=ids.Digest(data["raw"]),
            entries=tuple(map(_entry_in, data["entries"])),
            published=_day(data["published"]),
            digest=digest,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, SnapshotError):
            raise
        raise SnapshotError(f"it is not a snapshot: {error!r}") from error


def _entry_out(entry: listings.Entry) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": entry.id,
        "regime": entry.regime,
        "kind": entry.kind.value,
        "names": entry.names,
        "reach": entry.reach.value,
    }
    if entry.listed_from is not None:
        found["listedFrom"] = entry.listed_from.isoformat()
    if entry.remarks:
        found["remarks"] = entry.remarks
    for key, values in (("aliases", entry.aliases), ("countries", entry.countries), ("programs", entry.programs)):
        if values:
            found[key] = values
    if entry.identifiers:
        found["identifiers"] = [[one.kind, one.value, one.country] for one in entry.identifiers]
    return found


def _entry_in(data: dict[str, Any]) -> listings.Entry:
    return listings.Entry(
        id=data["id"],
        regime=data["regime"],
        kind=listings.Kind(data["kind"]),
        names=tuple(data["names"]),
        aliases=tuple(data.get("aliases", ())),
        identifiers=tuple(listings.Identifier(*one) for one in data.get("identifiers", ())),
        countries=tuple(data.get("countries", ())),
        programs=tuple(data.get("programs", ())),
        listed_from=_day(data.get("listedFrom")),
        reach=listings.Reach(data["reach"]),
        remarks=ids.Digest(data.get("remarks", ids.NO_DIGEST)),
    )


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)
