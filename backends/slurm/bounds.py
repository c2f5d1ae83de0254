"""How many jobs may be in flight: of one tenant, and of the backend. Counted from what Slurm lists, never remembered
only, so that a restart changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from backends.slurm import errors, observe, settings, wire

UNSEEN_S = 90.0
"""So long after a submission without an answer its job may still turn up in Slurm's list."""


class Bounds:
    """Safe to call from any thread; hold ``lock`` from the list that is counted until the submission is answered."""

    def __init__(
        self, wanted: settings.SlurmSettings, mark: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.lock = threading.Lock()
        self._wanted = wanted
        self._mark = mark
        self._monotonic = monotonic
        self._unseen: dict[str, tuple[str, float]] = {}

    @property
    def any(self) -> bool:
        """Say whether anything is bounded."""
        return self._wanted.jobs_max is not None or any(
            one.jobs_max is not None for one in self._wanted.tenants.values()
        )

    def comment(self, digest: str, tenant: str) -> str:
        """Return what a job says of itself at Slurm."""
        return f"{self._mark}{digest} {tenant}"

    def sent(self, key: str, tenant: str) -> None:
        """Note that a job is being sent: until its answer, or its job in a list, it counts."""
        self._unseen[key] = (tenant, self._monotonic())

    def answered(self, key: str) -> None:
        """Note that Slurm has answered: what its list shows is all there is."""
        self._unseen.pop(key, None)

    def left(self, own: Iterable[wire.Job]) -> int | None:
        """Return how many more jobs the backend may have in flight; None: not bounded."""
        if self._wanted.jobs_max is None:
            return None
        return max(0, self._wanted.jobs_max - len(self._in_flight(own)))

    def check(self, key: str, tenant: str, own: Iterable[wire.Job]) -> None:
        """Raise ``slurm.jobs-max`` where one more would be too many. ``own``: all jobs of this backend."""
        found = self._in_flight(own)
        found.pop(key, None)  # sent before, and never seen
        if self._wanted.jobs_max is not None and len(found) >= self._wanted.jobs_max:
            raise errors.full(
                "jobs-max", f"{len(found)} jobs of this backend are in flight; jobsMax is {self._wanted.jobs_max}"
            )
        share = self._wanted.tenants.get(tenant)
        if share is None or share.jobs_max is None:
            return
        mine = sum(1 for of in found.values() if of in (tenant, ""))  # whose it is not known of counts for everybody
        if mine >= share.jobs_max:
            text = f"{mine} jobs of tenant {tenant} are in flight; tenants.{tenant}.jobsMax is {share.jobs_max}"
            raise errors.full("jobs-max", text)

    def _in_flight(self, own: Iterable[wire.Job]) -> dict[str, str]:
        """Return key -> tenant ("" where that is not known) of everything that is not over."""
        listed = list(own)
        now_s, seen = self._monotonic(), {job.name for job in listed}
        for key, (_, sent_s) in list(self._unseen.items()):
            if key in seen or now_s - sent_s > UNSEEN_S:
                self._unseen.pop(key, None)
        found = {key: tenant for key, (tenant, _) in list(self._unseen.items())}
        return found | {job.name: tenant_of(job.comment) for job in listed if not observe.is_over(job)}


def tenant_of(comment: str) -> str:
    """Return the tenant that a comment names: ``comity INSTALLATION BACKEND DIGEST TENANT``; "" where it names none."""
    words = comment.split(" ")
    return words[4] if len(words) == 5 else ""
