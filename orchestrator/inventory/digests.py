"""Domain values as plain JSON, so that equal values have equal digests. One way only: nothing is read back."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
from typing import Any

from orchestrator.domain import claims, ids, sites
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
    body = {each.name: plain(getattr(site, each.name)) for each in _OWN}
    for name in _SHARED:
        body[name] = _digest(getattr(site, name))
    return canonical.digest(body)


_SHARED = ("operator", "accelerator_model", "claims")
"""What thousands of sites have in common: told by its digest, made once."""
_OWN = tuple(each for each in dataclasses.fields(sites.Site) if each.name not in (*_SHARED, "digest"))


@functools.lru_cache(maxsize=1024)
def _digest(value: sites.Operator | sites.Accelerator | tuple[claims.Claim, ...] | None) -> ids.Digest | None:
    return None if value is None else canonical.digest(plain(value))


def of_sites(all_sites: tuple[sites.Site, ...]) -> ids.Digest:
    """Return the digest over many sites, by name and digest."""
    return canonical.digest([[str(site.name), str(site.digest)] for site in all_sites])
