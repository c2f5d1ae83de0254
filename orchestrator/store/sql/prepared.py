"""Changes made ready in the caller's thread: checked, encoded, hashed as far as that needs no turn at the writer.

The writer holds the lock, so whatever can be done before it is done here. What cannot be stored fails here, alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Container
from concurrent.futures import Future
from dataclasses import dataclass, field

from orchestrator.evidence import tables
from orchestrator.ports import stores
from orchestrator.store import codec, codec_specs, rules, stated
from orchestrator.store.sql import rows, statements


@dataclass(slots=True)
class Prepared:
    """One commit that waits for its turn."""

    changes: stores.Changes
    states: list[str]
    entries: list[tuple[str, str, str | None, str, str, str, bytes]]
    has_new_jobs: bool
    specs: statements.Rows = field(default_factory=list)
    labels: statements.Rows = field(default_factory=list)
    contents: statements.Rows = field(default_factory=list)
    decisions: statements.Rows = field(default_factory=list)
    placements: statements.Rows = field(default_factory=list)
    keys: statements.Rows = field(default_factory=list)
    future: Future[stores.Receipt] = field(default_factory=Future)

    @property
    def weight(self) -> int:
        """Return about how many rows it writes."""
        return len(self.changes.jobs) + len(self.entries) + len(self.specs) + 1


def prepare(
    changes: stores.Changes, stored_specs: Container[str], digests: tables.Digests, now: Callable[[], dt.datetime]
) -> Prepared:
    """Make ``changes`` ready. ``stored_specs`` are known to be in the store. Raises ValueError, TypeError."""
    rules.check_shape(changes)
    rows.check_text(changes)
    ready = Prepared(
        changes,
        [codec.encode_state(job) for job in changes.jobs],
        [rows.entry_row(entry) for entry in changes.entries],
        rules.has_new_jobs(changes),
    )
    if (said := stated.entry(changes, digests, now)) is not None:
        ready.entries.append(rows.entry_row(said))
    if ready.has_new_jobs:
        _add_specs(ready, stored_specs)
    if changes.contents:
        ready.contents = [(content.digest, content.body) for content in changes.contents]
    if changes.decisions:
        ready.decisions = [rows.decision_row(decision) for decision in changes.decisions]
    if changes.placements:
        ready.placements = [rows.placement_row(placement) for placement in changes.placements]
    if changes.keys:
        ready.keys = [(key.key, key.tenant, key.request_digest, key.job) for key in changes.keys]
    return ready


def _add_specs(ready: Prepared, stored: Container[str]) -> None:
    seen = set()
    for job in ready.changes.jobs:
        digest = job.spec_digest
        if job.version or digest in seen or digest in stored:
            continue
        seen.add(digest)
        ready.specs.append((digest, codec_specs.encode_spec(job.spec)))
        if job.spec.labels:
            ready.labels += [(key, value, digest) for key, value in dict(job.spec.labels).items()]
