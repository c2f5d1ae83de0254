"""The store: one place where truth is, written in atomic, fenced commits, read without waiting for the writer.

Two makes of it, memory and SQL, answer the same tests. One writer drains a queue of changes into one transaction
(group commit); the journal's links are made inside it; whatever a ``Receipt`` confirms is on disk.
"""

from __future__ import annotations

import abc
import datetime as dt
import enum
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from orchestrator.domain import decisions, ids, jobs, journal, obligations
from orchestrator.evidence import chain, tables


@dataclass(frozen=True, slots=True)
class Document:
    """A declared document (Backend, Operator, DataSet ...) as stored. ``body`` is its canonical JSON text.

    ``version`` as read; 0 means that it must not exist yet. It grows with every commit and never repeats, not even
    when the document is deleted and made again; it does not count by one. The store sets both times.
    ``status`` is JSON text that the system writes. ``tenant`` is the owner's tenant, ``""`` for what belongs to the
    installation. A name is unique among the documents of one kind and tenant.
    """

    kind: str
    name: str
    tenant: str
    body: str
    version: int = 0
    status: str = "{}"
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what it is stored under: kind, tenant, name."""
        return (self.kind, self.tenant, self.name)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token as stored: only the hash of its secret. ``roles`` are words of interfaces.md section 2."""

    id: str
    hash: str
    tenant: str
    roles: tuple[str, ...]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None = None
    note: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """``(tenant, key)`` -> job, with the digest of the request it first came with."""

    tenant: str
    key: str
    request_digest: ids.Digest
    job: ids.JobId


@dataclass(frozen=True, slots=True)
class Blob:
    """A workdir archive, by its SHA-256."""

    digest: ids.Digest
    size: int


@dataclass(frozen=True, slots=True)
class Changes:
    """One atomic wish. ``jobs`` carry the version they were read at (0: new); any mismatch refuses all of it.

    ``term`` None: a change of the use cases, which needs no lease; else it must equal the lease's term.
    The store adds an entry of its own that states what documents, tokens and obligations say afterwards.
    ``documents`` likewise by version; ``delete_documents`` are (kind, tenant, name, version).
    """

    jobs: Sequence[jobs.Job] = ()
    contents: Sequence[decisions.Content] = ()
    """Content-addressed, so inserting one twice is fine."""
    placements: Sequence[decisions.Placement] = ()
    decisions: Sequence[decisions.Decision] = ()
    documents: Sequence[Document] = ()
    delete_documents: Sequence[tuple[str, str, str, int]] = ()
    obligations: Sequence[obligations.Obligation] = ()
    """Likewise by version."""
    tokens: Sequence[Token] = ()
    keys: Sequence[IdempotencyKey] = ()
    entries: Sequence[journal.Entry] = ()
    term: ids.Term | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a commit. ``jobs`` are as stored: with their new versions and, for new ones, ``queue_seq``."""

    head: journal.ChainHead
    jobs: Sequence[jobs.Job] = ()
    documents: Sequence[Document] = ()


class StoreError(Exception):
    """The store refused or failed."""


class VersionConflictError(StoreError):
    """A row is not at the version it was read at. ``what`` names it, e.g. ``job/01J...``."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was changed by somebody else")
        self.what = what


class StaleTermError(StoreError):
    """The lease's term is not that of the commit: another controller acts now."""


class DuplicateKeyError(StoreError):
    """The idempotency key exists. ``existing`` says with which request and job."""

    def __init__(self, existing: IdempotencyKey) -> None:
        super().__init__(f"idempotency key {existing.key!r} exists")
        self.existing = existing


class StoreFullError(StoreError):
    """The disk is full; reads still work, and so do commits without new jobs while the reserve lasts."""


class StoreCorruptError(StoreError):
    """The database is damaged or of a newer version; the message says which and what to do."""


class StoreBusyError(StoreError):
    """Nothing was written, and the same commit may be tried again: somebody outside holds the database, or more
    waits than the queue may hold."""


class StoreTouchedError(StoreError):
    """Somebody else wrote to the database, and nobody has held the tables against the journal since
    (``Store.settle``): no placement is written."""


class StoreReadOnlyError(StoreError):
    """An earlier write failed in a way that leaves the disk's state unknown (an I/O error). Nothing is written any
    more; reads work; a restart reads what the disk has."""


class PhaseGroup(enum.Enum):
    """Rows that live apart."""

    LIVE = "live"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list, newest first. ``tenant`` None: of all tenants (never from a request body).

    ``cursor`` is the opaque answer of the page before. ``parent`` lists touched elements of an array.
    """

    tenant: str | None = None
    phases: frozenset[jobs.Phase] | None = None
    name: str | None = None
    id_prefix: str | None = None
    queue: str | None = None
    site: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    parent: ids.JobId | None = None
    top_level_only: bool = True


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first; ``cursor`` None: the last one."""

    items: Sequence[jobs.Job]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class ObligationFilter:
    """Which obligations to list, by job and code. ``tenant`` None: of all tenants (never from a request body).

    ``jobs`` None: of any job. ``due_by``: those that are due then at the latest, by their day instead.
    """

    tenant: str | None = None
    jobs: frozenset[ids.JobId] | None = None
    states: frozenset[obligations.State] | None = None
    due_by: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class ObligationPage:
    """A page of obligations; ``cursor`` None: the last one."""

    items: Sequence[obligations.Obligation]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may act as the controller. Times are the store's own clock."""

    holder: str
    term: ids.Term
    expires_at: dt.datetime


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """For readiness and metrics. ``read_only_reason`` is empty while commits work."""

    read_only_reason: str = ""
    queue_depth: int = 0
    journal: journal.ChainHead | None = None
    counts: dict[str, int] = field(default_factory=dict)


class Audit(abc.ABC):
    """Everything as it stood at one moment, for holding tables against the journal."""

    head: journal.ChainHead
    head_holds: bool
    """Whether who has the store's key wrote this head of the journal."""

    @abc.abstractmethod
    def records(self, *, after: int = 0) -> Iterator[chain.Record]:
        """Yield the entries after number ``after`` as they are stored, in order; never raises for bad ones."""

    @abc.abstractmethod
    def rows(self, *, whole: bool) -> Iterator[tables.Row]:
        """Yield the rows that decide placements or rights, as ``evidence.tables`` compares them; with ``whole`` those
        of jobs that ended too. Never raises for columns that hold what nobody wrote."""


class Store(abc.ABC):
    """The port. Safe to call from several threads."""

    @abc.abstractmethod
    def commit(self, changes: Changes) -> Receipt:
        """Apply all of ``changes`` or nothing, durably. Raises StoreError. Blocks for the group's fsync.

        Raises ValueError for changes that cannot be stored: one row named twice, text that is not Unicode, a moment
        without a time zone, a job without ``spec_digest``. Equal digests must mean equal specs: the first is kept.
        """

    @abc.abstractmethod
    def commit_async(self, changes: Changes) -> Future[Receipt]:
        """As ``commit``, without blocking the caller."""

    @abc.abstractmethod
    def live_jobs(self) -> Sequence[jobs.Job]:
        """Return every job that is not terminal (arrays' parents and touched elements included)."""

    @abc.abstractmethod
    def live_versions(self) -> Mapping[ids.JobId, int]:
        """Return the versions of the jobs that ``live_jobs`` would return: a row that changed has another one."""

    @abc.abstractmethod
    def job(self, job: ids.JobId) -> jobs.Job | None:
        """Return one job, live or finished; None for an unknown id and for an untouched element."""

    @abc.abstractmethod
    def list_jobs(self, wanted: JobFilter, *, limit: int, cursor: str | None = None) -> JobPage:
        """Return a page of jobs, newest first; with ``parent`` set its elements by index. Raises ValueError for a
        cursor that is not ours."""

    @abc.abstractmethod
    def count_jobs(self, tenant: str | None = None) -> dict[jobs.Phase, int]:
        """Return how many jobs are in each phase."""

    @abc.abstractmethod
    def placement(self, key: ids.AttemptKey) -> decisions.Placement | None:
        """Return the placement record of an attempt."""

    @abc.abstractmethod
    def decision(self, digest: ids.Digest) -> decisions.Decision | None:
        """Return a stored decision."""

    @abc.abstractmethod
    def content(self, digest: ids.Digest) -> decisions.Content | None:
        """Return a content-addressed document."""

    @abc.abstractmethod
    def documents(self, kind: str | None = None) -> Sequence[Document]:
        """Return the declared documents, by kind, name and tenant."""

    @abc.abstractmethod
    def documents_since(self, version: int) -> tuple[Sequence[Document], int]:
        """Return the documents of later versions, in any order, and how many there are of all, at one moment: what was
        deleted since shows in the number alone."""

    @abc.abstractmethod
    def document(self, kind: str, name: str, *, tenant: str = "") -> Document | None:
        """Return one declared document of a tenant, or of the installation."""

    @abc.abstractmethod
    def documents_version(self) -> int:
        """Return a number that grows with every change of a document: cheap to poll."""

    @abc.abstractmethod
    def list_obligations(self, wanted: ObligationFilter, *, limit: int, cursor: str | None = None) -> ObligationPage:
        """Return a page of obligations by job and code; with ``due_by`` set the first ``limit`` of them by their day,
        and no cursor. Raises ValueError for a cursor that is not ours."""

    @abc.abstractmethod
    def count_obligations(self) -> dict[obligations.State, int]:
        """Return how many obligations of all tenants are in each state. Reads an index: for metrics."""

    @abc.abstractmethod
    def tokens(self) -> Sequence[Token]:
        """Return all tokens, revoked ones too."""

    @abc.abstractmethod
    def idempotency_key(self, tenant: str, key: str) -> IdempotencyKey | None:
        """Return what a key stands for."""

    @abc.abstractmethod
    def entries(
        self, *, after: int = 0, limit: int = 1000, subject: str | None = None, kind: str | None = None
    ) -> Sequence[journal.ChainedEntry]:
        """Return journal entries in order, from ``after`` (exclusive): all, or those of a subject or of a kind."""

    @abc.abstractmethod
    def links(self, *, after: int = 0, limit: int = 1000) -> Sequence[bytes]:
        """Return the links (32 bytes each) of the entries after number ``after``, in order: the log's leaves, without
        reading what the entries say."""

    @abc.abstractmethod
    def head(self) -> journal.ChainHead:
        """Return the newest link of the journal."""

    @abc.abstractmethod
    def verify_journal(self, *, after: int = 0, until: int | None = None) -> int | None:
        """Return the number of the first bad journal entry, or None when the chain up to the head holds. Reads all
        of it, without parsing: for audits.

        With ``after`` and ``until`` only the entries between, taking the link of entry ``after`` as it stands: parts
        of a long journal can be checked side by side, and the first bad entry is the lowest that any part names.
        """

    @abc.abstractmethod
    def audit(self) -> AbstractContextManager[Audit]:
        """Return everything as it stands now, to be read while the context is open: seconds, not minutes. Raises
        StoreError, while it is read too."""

    @abc.abstractmethod
    def outside_writes(self, *, look: bool = False) -> int:
        """Return how often somebody else was seen to write to the database since it was opened. It is noticed with
        each commit; with ``look`` now, which waits for its turn at the writer. Raises StoreError."""

    @abc.abstractmethod
    def settle(self, outside: int) -> None:
        """Note that the tables were held against the journal since ``outside`` foreign writes were counted: until
        then no placement is written (StoreTouchedError), where the store knows that it is alone."""

    @abc.abstractmethod
    def vouch(self) -> None:
        """Authenticate the journal's head with the next commit, whoever wrote it: somebody says that it is right.

        Otherwise what goes on from a head that was written without the key stays without proof.
        """

    @abc.abstractmethod
    def put_blob(self, digest: ids.Digest, chunks: Iterator[bytes]) -> Blob:
        """Keep a blob; raises ValueError when the bytes do not match the digest. Same digest twice is fine."""

    @abc.abstractmethod
    def blob(self, digest: ids.Digest) -> bytes | None:
        """Return a blob's bytes."""

    @abc.abstractmethod
    def acquire_lease(self, holder: str, ttl: dt.timedelta) -> Lease | None:
        """Take or renew the controller's lease; None while somebody else holds it. A new holder has a new term.

        ``holder`` names one run of one process: a restarted one needs another name, or it is not fenced. A lease is
        over when this store has seen it unrenewed for ``ttl`` of its own monotonic clock.
        """

    @abc.abstractmethod
    def release_lease(self, lease: Lease) -> None:
        """Let go early; not an error when it is not ours any more."""

    @abc.abstractmethod
    def current_term(self) -> ids.Term:
        """Return the term of the newest lease; read just before every effect."""

    @abc.abstractmethod
    def health(self) -> StoreHealth:
        """Return how it goes; never raises."""

    @abc.abstractmethod
    def close(self) -> None:
        """Finish what is queued and let go."""
