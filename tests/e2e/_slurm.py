"""A Slurm backend on the test cluster: settings, and what a test sees of it from the site's side."""

import dataclasses
import datetime as dt
import itertools
import pathlib
import secrets
from collections.abc import Iterator
from typing import Any

from backends import slurm as adapters
from orchestrator.domain import ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e.slurm import clusters


def settings(cluster: clusters.Cluster, *, url: str = "", user: str = clusters.USERS[0], **more: Any) -> dict[str, Any]:
    """Return settings for a backend whose attempts run as a user in partition ``fr``."""
    folder = cluster.shared / f"of-{user}"
    if not folder.exists():
        cluster.run("install", "-d", "-o", user, "-m", "755", folder)
    return {
        "url": url or cluster.url,
        "user": user,
        "token": cluster.token(user),
        "folder": str(folder),
        **more,
    }


def of(cluster: clusters.Cluster, key: str) -> list[dict[str, str]]:
    """Return what the controller knows of an attempt, by its name."""
    return cluster.jobs(name=key)


def lines(ledger: pathlib.Path) -> list[str]:
    """Return what jobs wrote down."""
    return ledger.read_text().splitlines() if ledger.exists() else []


@dataclasses.dataclass
class Site:
    """A cluster, and adapters that speak to it; a job writes down that it runs."""

    cluster: clusters.Cluster
    folder: pathlib.Path
    url: str = ""
    pools: tuple[str, ...] = ("fr",)
    made: list[backends.BackendAdapter] = dataclasses.field(default_factory=list)
    count: Iterator[int] = dataclasses.field(default_factory=lambda: itertools.count(secrets.randbelow(10**15) * 1000))

    @property
    def ledger(self) -> pathlib.Path:
        """Return the file into which every run of a job writes a line."""
        return self.cluster.shared / f"{self.folder.name}.ledger"

    def adapter(self, **more: Any) -> backends.BackendAdapter:
        """Return a new adapter, as of a process that has just started. ``more``: of its settings."""
        pools = [sites.Pool(name) for name in self.pools]
        context = backends.AdapterContext("b", pools, str(self.folder), "here", clocks.SystemClock().now)
        found = adapters.plugin.build(settings(self.cluster, url=self.url, **more), context)
        self.made.append(found)
        return found

    def placement(
        self, script: str = "true", *, tenant: str = "t", limit: dt.timedelta | None = None, **spec: Any
    ) -> backends.SealedPlacement:
        """Return a placement with a new key, whose job writes down that it runs."""
        job = ids.JobId(f"01FAULT{next(self.count):019d}")
        key = ids.attempt_key(job, 1)
        text = f"echo {key} >> {self.ledger}; {script}"
        return backends.SealedPlacement(
            key=key,
            job=job,
            tenant=tenant,
            number=1,
            site=ids.SiteName(f"b/{self.pools[0]}"),
            pool=self.pools[0],
            spec=jobs.JobSpec(**{"name": "t", "command": ("sh", "-c", text), **spec}),
            spec_digest=ids.Digest("sha256:" + "0" * 64),
            fence=backends.Fence(ids.Term(1), 1),
            time_limit=limit,
        )

    def runs(self, placement: backends.SealedPlacement) -> int:
        """Return how often a job has run."""
        return lines(self.ledger).count(str(placement.key))

    def stop(self, adapter: backends.BackendAdapter, placement: backends.SealedPlacement) -> None:
        """Stop an attempt, with no grace."""
        adapter.stop(backends.AttemptRef(placement.key), backends.Fence(ids.Term(1), 1), dt.timedelta(0))

    def close(self) -> None:
        """Let go of every adapter."""
        for one in self.made:
            one.close()
