"""What is known of our jobs from lists: each change is read once, because jobs are never deleted and come with their
modules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from backends.bacalhau import client, wire

PAGE = 20
"""Jobs come with their modules: up to 20 MB."""
PAGES_MAX = 50_000
OVERLAP_NS = 60 * 10**9
"""So far behind the newest change a list is read again: what was written late is not missed."""
AGAIN_S = 6 * 3600.0
"""After so many seconds everything is read again."""
KEPT_NS = 300 * 10**9
"""So long a job that is over is remembered: nodes go on to say that it takes room."""


class Book:
    """Not thread-safe: whoever calls holds a lock."""

    def __init__(self, rest: client.Rest, namespace: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._rest = rest
        self._namespace = namespace
        self._clock_s = clock_s
        self._jobs: dict[str, wire.Job] = {}
        self._newest_ns = 0
        self._whole_s = -AGAIN_S

    def read(self) -> Mapping[str, wire.Job]:
        """Return jobs by name: all that are not over, and those that ended lately. Raises BackendError."""
        whole = self._clock_s() - self._whole_s >= AGAIN_S
        since_ns = 0 if whole else self._newest_ns - OVERLAP_NS
        found: dict[str, wire.Job] = {}
        token, newest_ns = "", self._newest_ns
        for _ in range(PAGES_MAX):
            query = {"namespace": self._namespace, "limit": str(PAGE), "order_by": "modified_at", "reverse": "true"}
            answer = self._rest.get("orchestrator/jobs", query | ({"next_token": token} if token else {}), "Items")
            page = [one for row in answer.body.get("Items") or () if (one := wire.job(row)) is not None]
            for one in page:
                found.setdefault(one.name, one)  # newest first: what is seen again was pushed back by another
                newest_ns = max(newest_ns, one.modified_ns)
            token = str(answer.body.get("NextToken") or "")
            if not token or not page or min(one.modified_ns for one in page) < since_ns:
                break
        else:
            whole = False
        known = found if whole else self._jobs | found
        oldest_ns = newest_ns - KEPT_NS
        self._jobs = {name: one for name, one in known.items() if not one.over or one.modified_ns >= oldest_ns}
        self._newest_ns = newest_ns
        if whole:
            self._whole_s = self._clock_s()
        return self._jobs
