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


class Book:
    """Not thread-safe: whoever calls holds a lock."""

    def __init__(self, rest: client.Rest, names: wire.Names) -> None:
        self._rest = rest
        self._names = names
        self._found: dict[str, dict[str, wire.Job]] = {}
        self._newest: dt.datetime | None = None
        self.skew = dt.timedelta(0)

    def read(self) -> Mapping[str, Sequence[wire.Job]]:
        """Return jobs by key, each key's oldest first, as they were when they were read. Raises BackendError."""
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
            if (key := self._names.key(row.title)) is not None:
                self._found.setdefault(key, {})[row.uuid] = row
        self._newest = newest
        return {key: sorted(rows.values(), key=_age) for key, rows in self._found.items()}

    def _page(self, page: int) -> tuple[list[wire.Job], int, dt.timedelta]:
        query = {"page": str(page), "limit": str(PAGE), "sort": "-created_at"}
        answer = self._rest.call("GET", "/v1/jobs", query)
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


def _age(job: wire.Job) -> tuple[float, str]:
    return (job.created_at.timestamp() if job.created_at is not None else 0.0, job.uuid)
