"""The store in memory: for the simulation and for tests. It forgets when the process ends, and says nothing else.

One object outlives "crashes" of the loops that use it. It must be quick: the simulation commits all the time.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future

from orchestrator.domain import decisions, ids, jobs, journal, obligations
from orchestrator.evidence import canonical, chain, tables
from orchestrator.ports import environment, stores
from orchestrator.store import blobs, failpoints, leases, rules, stated


class MemoryStore(stores.Store):
    """The port, in dictionaries, under one lock. ``commit_async`` does the work at once."""

    def __init__(
        self,
        clock: environment.Clock,
        *,
        failpoints: failpoints.Failpoints = failpoints.nowhere,
        digests: tables.Digests | None = None,
    ) -> None:
        self.failpoints = failpoints
        """May be changed at any time: the simulation moves its crashes."""
        self._clock = clock
        self._digests = digests or tables.Digests()
        self._lock = threading.RLock()
        self._view = rules.View(term=0, queue_seq=0, documents_version=0)
        self._live: dict[str, jobs.Job] = {}
        self._finished: dict[str, jobs.Job] = {}
        self._contents: dict[str, decisions.Content] = {}
        self._decisions: dict[str, decisions.Decision] = {}
        self._placements: dict[str, decisions.Placement] = {}
        self._documents: dict[tuple[str, str, str], stores.Document] = {}
        self._tokens: dict[str, stores.Token] = {}
        self._obligations: dict[tuple[str, str], obligations.Obligation] = {}
        self._blobs: dict[str, bytes] = {}
        self._entries: list[journal.ChainedEntry] = []
        self._by_subject: dict[str, list[journal.ChainedEntry]] = {}
        self._head = chain.empty_head()
        self._lease = leases.LeaseRow(leases.NOBODY, 0, clock.now(), dt.timedelta(0), 0)
        self._watch = leases.LeaseWatch(clock)
        self._closed = False

    def commit(self, changes: stores.Changes) -> stores.Receipt:
        """See the port."""
        with self._lock:
            if self._closed:
                raise stores.StoreError("the store is closed")
            rules.check_shape(changes)
            rules.check(changes, self._view)
            said = stated.entry(changes, self._digests, self._clock.now)
            links = chain.chain([*changes.entries, *([] if said is None else [said])], after=self._head)
            self.failpoints(failpoints.BEFORE_COMMIT)
            taken = rules.take(changes, self._view, self._clock.now())
            self._write(changes, taken, links)
            receipt = stores.Receipt(self._head, taken.jobs, taken.documents)
            self.failpoints(failpoints.AFTER_COMMIT)
            return receipt

    def _write(self, changes: stores.Changes, taken: rules.Taken, links: list[journal.ChainedEntry]) -> None:
        for job in taken.jobs:
            to, other = (self._finished, self._live) if job.phase.terminal else (self._live, self._finished)
            to[job.id] = job
            other.pop(job.id, None)
        for content in changes.contents:
            self._contents.setdefault(content.digest, content)
        for decision in changes.decisions:
            self._decisions.setdefault(decision.digest, decision)
        for placement in changes.placements:
            self._placements[placement.key] = placement
        for kind, tenant, name, _ in changes.delete_documents:
            del self._documents[kind, tenant, name]
        for document in taken.documents:
            self._documents[document.key] = document
        for token in taken.tokens:
            self._tokens[token.id] = token
        for obligation in taken.obligations:
            self._obligations[obligation.key] = obligation
        for link in links:
            self._entries.append(link)
            self._by_subject.setdefault(link.entry.subject, []).append(link)
        if links:
            self._head = journal.ChainHead(links[-1].seq, links[-1].hash)

    def commit_async(self, changes: stores.Changes) -> Future[stores.Receipt]:
        """See the port."""
        future: Future[stores.Receipt] = Future()
        try:
            future.set_result(self.commit(changes))
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to who waits
            future.set_exception(error)
        return future

    def live_jobs(self) -> Sequence[jobs.Job]:
        """See the port."""
        with self._lock:
            return sorted(self._live.values(), key=lambda job: job.queue_seq)

    def live_versions(self) -> Mapping[ids.JobId, int]:
        """See the port."""
        with self._lock:
            return {job.id: job.version for job in self._live.values()}

    def job(self, job: ids.JobId) -> jobs.Job | None:
        """See the port."""
        with self._lock:
            return self._live.get(job) or self._finished.get(job)

    def list_jobs(self, wanted: stores.JobFilter, *, limit: int, cursor: str | None = None) -> stores.JobPage:
        """See the port."""
        below, above = rules.read_cursor(wanted, cursor)
        with self._lock:
            found = [j for rows in (self._live, self._finished) for j in rows.values() if rules.matches(j, wanted)]
        if wanted.parent is not None:
            found = [job for job in found if above is None or (job.index or 0) > above]
            found.sort(key=lambda job: job.index or 0)
        else:
            found = [job for job in found if below is None or job.id < below]
            found.sort(key=lambda job: job.id, reverse=True)
        page = found[:limit]
        return stores.JobPage(page, rules.cursor_for(wanted, page[-1]) if page and len(found) > limit else None)

    def count_jobs(self, tenant: str | None = None) -> dict[jobs.Phase, int]:
        """See the port."""
        counts: dict[jobs.Phase, int] = {}
        with self._lock:
            for rows in (self._live, self._finished):
                for job in rows.values():
                    if tenant is None or job.tenant == tenant:
                        counts[job.phase] = counts.get(job.phase, 0) + 1
        return counts

    def placement(self, key: ids.AttemptKey) -> decisions.Placement | None:
        """See the port."""
        return self._placements.get(key)

    def decision(self, digest: ids.Digest) -> decisions.Decision | None:
        """See the port."""
        return self._decisions.get(digest)

    def content(self, digest: ids.Digest) -> decisions.Content | None:
        """See the port."""
        return self._contents.get(digest)

    def documents(self, kind: str | None = None) -> Sequence[stores.Document]:
        """See the port."""
        with self._lock:
            found = [document for document in self._documents.values() if kind is None or document.kind == kind]
        return sorted(found, key=lambda document: (document.kind, document.name, document.tenant))

    def documents_since(self, version: int) -> tuple[Sequence[stores.Document], int]:
        """See the port."""
        with self._lock:
            return [one for one in self._documents.values() if one.version > version], len(self._documents)

    def document(self, kind: str, name: str, *, tenant: str = "") -> stores.Document | None:
        """See the port."""
        return self._documents.get((kind, tenant, name))

    def documents_version(self) -> int:
        """See the port."""
        return self._view.documents_version

    def list_obligations(
        self, wanted: stores.ObligationFilter, *, limit: int, cursor: str | None = None
    ) -> stores.ObligationPage:
        """See the port."""
        after = rules.read_obligation_cursor(cursor)
        with self._lock:
            found = [one for one in self._obligations.values() if rules.obliges(one, wanted)]
        if wanted.due_by is not None:
            found.sort(key=lambda one: (one.due_at or dt.datetime.max.replace(tzinfo=dt.UTC), one.key))
            return stores.ObligationPage(found[:limit], None)
        found = sorted((one for one in found if after is None or one.key > after), key=lambda one: one.key)
        more = len(found) > limit
        return stores.ObligationPage(found[:limit], rules.obligation_cursor(found[limit - 1]) if more else None)

    def count_obligations(self) -> dict[obligations.State, int]:
        """See the port."""
        counts: dict[obligations.State, int] = {}
        with self._lock:
            for one in self._obligations.values():
                counts[one.state] = counts.get(one.state, 0) + 1
        return counts

    def tokens(self) -> Sequence[stores.Token]:
        """See the port."""
        with self._lock:
            return [self._tokens[name] for name in sorted(self._tokens)]

    def idempotency_key(self, tenant: str, key: str) -> stores.IdempotencyKey | None:
        """See the port."""
        return self._view.keys.get((tenant, key))

    def entries(
        self, *, after: int = 0, limit: int = 1000, subject: str | None = None, kind: str | None = None
    ) -> Sequence[journal.ChainedEntry]:
        """See the port."""
        with self._lock:
            start = max(after, 0)
            if subject is None and kind is None:
                return self._entries[start : start + limit]
            among = self._entries[start:] if subject is None else self._by_subject.get(subject, ())
            return [link for link in among if link.seq > after and kind in (None, link.entry.kind)][:limit]

    def links(self, *, after: int = 0, limit: int = 1000) -> Sequence[bytes]:
        """See the port."""
        with self._lock:
            return [chain.to_bytes(link.hash) for link in self._entries[max(after, 0) : max(after, 0) + limit]]

    def head(self) -> journal.ChainHead:
        """See the port."""
        return self._head

    def verify_journal(self, *, after: int = 0, until: int | None = None) -> int | None:
        """See the port."""
        with self._lock:
            start = journal.ChainHead(after, self._entries[after - 1].hash) if after else None
            head = self._head if until is None else journal.ChainHead(until, self._entries[until - 1].hash)
            return chain.verify(self._entries[after:until], after=start, head=head)

    @contextlib.contextmanager
    def audit(self) -> Iterator[stores.Audit]:
        """See the port."""
        with self._lock:
            said = [
                *map(stated.document, self._documents.values()),
                *map(stated.token, self._tokens.values()),
                *map(stated.obligation, self._obligations.values()),
            ]
            rows = [(table, key, self._digests.row(table, key, values)) for table, key, values in said]
            told = [*self._live.values(), *self._finished.values()]
            yield _Audit(self._entries, rows, told, self._live.keys(), list(self._placements.values()))

    def outside_writes(self, *, look: bool = False) -> int:
        """See the port: nobody else can."""
        return 0

    def settle(self, outside: int) -> None:
        """See the port."""

    def vouch(self) -> None:
        """See the port: its head is always its own."""

    def put_blob(self, digest: ids.Digest, chunks: Iterator[bytes]) -> stores.Blob:
        """See the port."""
        data = b"".join(blobs.gather(digest, chunks))
        self._blobs[digest] = data
        return stores.Blob(digest, len(data))

    def blob(self, digest: ids.Digest) -> bytes | None:
        """See the port."""
        blobs.hex_of(digest)
        return self._blobs.get(digest)

    def acquire_lease(self, holder: str, ttl: dt.timedelta) -> stores.Lease | None:
        """See the port."""
        with self._lock:
            row = self._watch.decide(self._lease, holder, ttl)
            if row is None:
                return None
            self._take_lease(row)
            return row.lease()

    def release_lease(self, lease: stores.Lease) -> None:
        """See the port."""
        with self._lock:
            if (self._lease.holder, self._lease.term) == (lease.holder, lease.term):
                self._take_lease(leases.released(self._lease))

    def _take_lease(self, row: leases.LeaseRow) -> None:
        self._lease = row
        self._view.term = row.term
        self._watch.written(row)

    def current_term(self) -> ids.Term:
        """See the port."""
        return ids.Term(self._view.term)

    def health(self) -> stores.StoreHealth:
        """See the port."""
        counts = {phase.value: count for phase, count in self.count_jobs().items()}
        return stores.StoreHealth(journal=self._head, counts=counts)

    def close(self) -> None:
        """See the port."""
        self._closed = True


class _Audit(stores.Audit):
    """What the store held when it was asked; its lock is held."""

    def __init__(
        self,
        links: Sequence[journal.ChainedEntry],
        said: Sequence[tables.Row],
        told: Sequence[jobs.Job],
        live: Collection[str],
        placements: Sequence[decisions.Placement],
    ) -> None:
        self.head = journal.ChainHead(links[-1].seq, links[-1].hash) if links else chain.empty_head()
        self.head_holds = True
        self._links, self._said, self._jobs, self._live, self._placements = links, said, told, live, placements

    def records(self, *, after: int = 0) -> Iterator[chain.Record]:
        """See the port."""
        for link in self._links[after:]:
            entry, at = link.entry, chain.time_text(link.entry.at)
            previous, own = chain.to_bytes(link.previous), chain.to_bytes(link.hash)
            body = canonical.text(entry.body)
            yield (link.seq, entry.kind, entry.subject, entry.tenant, at, entry.actor, body, previous, own)

    def rows(self, *, whole: bool) -> Iterator[tables.Row]:
        """See the port. There are no specs: jobs hold their own."""
        yield from self._said
        for job in self._jobs:
            if whole or job.id in self._live:
                yield from stated.job(job)
        for placement in self._placements:
            if whole or placement.job in self._live:
                yield stated.placement(placement)
