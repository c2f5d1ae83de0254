"""Domain values as plain JSON, so that equal values have equal digests. One way only: nothing is read back."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from typing import Any

from orchestrator.domain import ids, sites
from orchestrator.evidence import canonical


def plain(value: object) -> Any:
    """Return ``value`` as JSON data. Raises TypeError for what has no such form."""
    match value:
        case enum.Enum():
            return plain(value.value)
        case None | bool() | int() | float() | str():
            return value
        case dt.date() | dt.datetime():
            return value.isoformat()
        case dt.timedelta():
            return value // dt.timedelta(microseconds=1)
        case frozenset() | set():
            return sorted(plain(item) for item in value)
        case tuple() | list():
            return [plain(item) for item in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
        case _:
            raise TypeError(f"{type(value).__name__} has no plain form")


def of_site(site: sites.Site) -> ids.Digest:
    """Return the digest of everything of a site that policy or placement reads."""
    body = plain(site)
    del body["digest"]
    return canonical.digest(body)


def of_sites(all_sites: tuple[sites.Site, ...]) -> ids.Digest:
    """Return the digest over many sites, by name and digest."""
    return canonical.digest([[str(site.name), str(site.digest)] for site in all_sites])
