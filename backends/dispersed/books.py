"""Which of the account's jobs are ours, by title: the list is read from the newest back to what is known already.

The API finds no job by its title. Lists are in order of creation and jobs are never taken out, so that what is read
once need not be read again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from backends.dispersed import client, errors, wire

PAGE = 50
"""The most that the API gives at once."""
PAGES_MAX = 2000
OVERLAP = dt.timedelta(minutes=15)
"""So far behind the newest that is known a list is read again: longer than a late request may be taken."""
TRIES_MAX = 4
LIVE = "PENDING,ASSIGNED,RUNNING"
"""What the API's reference lists as states of a job that is not over."""
_NOTHING: Mapping[str, str] = {}


class Book:
    """``read`` is not thread-safe: whoever calls it holds a lock."""

    def __init__(self, rest: client.Rest, names: wire.Names) -> None:
        self._rest = rest
        self._names = names
        self._found: dict[str, dict[str, float]] = {}
        self._newest: dt.datetime | None = None
        self.skew = dt.timedelta(0)

    def read(self, key: str) -> Sequence[str]:
        """Return the ids of a key's jobs, the oldest first. Raises BackendError."""
        since = self._newest - OVERLAP if self._newest is not None else None
        newest = self._newest
        found: list[wire.Job] = []
        for page in range(1, PAGES_MAX + 1):
            rows, total, self.skew = self._page(page)
            found += rows
            times = [row.created_at for row in rows if row.created_at is not None]
            newest = max([*times, *([newest] if newest else [])], default=None)
            past = since is not None and len(times) == len(rows) and times and min(times) < since
            if past or len(rows) < PAGE or page * PAGE >= total:
                break
        else:
            raise errors.elsewhere("too-many", f"the account has more than {PAGES_MAX * PAGE} jobs: use one of its own")
        for row in found:
            if (own := self._names.key(row.title)) is not None:
                began = row.created_at.timestamp() if row.created_at is not None else 0.0
                self._found.setdefault(own, {})[row.uuid] = began
        self._newest = newest
        named = self._found.get(key, {})
        return sorted(named, key=lambda uuid: (named[uuid], uuid))

    def live(self) -> list[tuple[str, wire.Job]]:
        """Return keys and jobs of ours that are not over, in order of key, each key once. Raises BackendError."""
        found: dict[str, wire.Job] = {}
        for _ in range(TRIES_MAX):
            totals = set()
            for page in range(1, PAGES_MAX + 1):
                rows, total, _skew = self._page(page, {"filter[status]": LIVE})
                totals.add(total)
                for row in rows:
                    own = self._names.key(row.title)
                    if own is not None and not row.over:
                        found.setdefault(own, row)
                if len(rows) < PAGE:
                    break
            if len(totals) == 1:  # else one may have slipped from a page to the one before it
                break
        return sorted(found.items())

    def _page(self, page: int, more: Mapping[str, str] = _NOTHING) -> tuple[list[wire.Job], int, dt.timedelta]:
        query = {"page": str(page), "limit": str(PAGE), "sort": "-created_at"}
        answer = self._rest.call("GET", "/v1/jobs", {**query, **more})
        return jobs_of(self._rest.url, answer), _total(answer), answer.skew


def jobs_of(url: str, answer: client.Answer) -> list[wire.Job]:
    """Return the jobs of a list. Raises BackendError: a list of which a part cannot be read says of nothing "gone"."""
    rows = answer.body.get("data")
    if answer.status == 404 or not isinstance(rows, list):
        raise errors.unsure("malformed", f"what {url} answered is no list of Dispersed")
    made = [wire.job(row) for row in rows]
    if any(one is None for one in made):
        raise errors.unsure("malformed", f"{url} lists what is no job of Dispersed")
    return [one for one in made if one is not None]


def _total(answer: client.Answer) -> int:
    told = answer.body.get("total")
    return told if type(told) is int else PAGE * PAGES_MAX + 1
