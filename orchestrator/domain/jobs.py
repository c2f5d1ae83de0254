"""What a user asked for (:class:`JobSpec`), and what became of it (:class:`Job`, :class:`Attempt`).

A spec never changes after it is submitted. A job's state changes only through ``lifecycle.apply``.
Optional fields are ``None`` where nobody said anything: nothing said is not nothing.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain import executions, facts, ids, money


class JobType(enum.Enum):
    """The kind of work, as rules read it; a job without one is of no named type."""

    TRAIN = "train"
    FINETUNE = "finetune"
    INFER = "infer"
    BATCH = "batch"
    SERVICE = "service"


class Phase(enum.Enum):
    """Where a job is in its life. Closed: everything else worth saying is a condition."""

    QUEUED = "QUEUED"
    """Waits for a placement."""
    PLACED = "PLACED"
    """A site was chosen and the intent to launch is durable; nothing is known to run yet."""
    STARTING = "STARTING"
    """The backend accepted the attempt."""
    RUNNING = "RUNNING"
    """The backend says that it runs."""
    STOPPING = "STOPPING"
    """Must end: cancelled, past its deadline, not compliant any more. ``Job.stop`` says why and what follows."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Say whether nothing can follow."""
        return self in TERMINAL


TERMINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})
"""Phases that nothing leaves."""

OCCUPYING = frozenset({Phase.PLACED, Phase.STARTING, Phase.RUNNING, Phase.STOPPING})
"""Phases in which the current attempt holds, or may hold, capacity at its site."""


@dataclass(frozen=True, slots=True)
class AcceleratorRequest:
    """Accelerators per node. ``any_of`` holds names as written; the catalogue resolves aliases."""

    any_of: tuple[str, ...]
    count: int = 1
    memory_gb: int | None = None
    """Least nominal memory of one accelerator, decimal gigabytes."""
    interconnect: str | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """What one node of the job needs."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    accelerators: AcceleratorRequest | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A file or folder, relative to the working folder, kept when the job ends."""

    path: str
    as_name: str | None = None
    """Name of the registered data set that it becomes."""


@dataclass(frozen=True, slots=True)
class DataUse:
    """A data set that the job reads, and where it appears."""

    name: str
    mount_path: str | None = None


@dataclass(frozen=True, slots=True)
class DataClause:
    """What the job says about data. ``declared_none`` is the explicit word ``none``."""

    reads: tuple[DataUse, ...] = ()
    writes: tuple[str, ...] = ()
    declared_none: bool = False


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence that lets a controlled item leave its territory. Destinations are country codes."""

    ref: str | None = None
    destinations: tuple[str, ...] = ()
    end_users: tuple[str, ...] = ()
    valid_to: dt.date | None = None


@dataclass(frozen=True, slots=True)
class ExportItem:
    """What a control regime says about data or a model: an item number, ``none`` or ``unknown``."""

    regime: str
    item: str
    licences: tuple[Licence, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelClause:
    """The AI model that the job trains or serves. ``train_flop`` is the compute of the whole training, operations."""

    id: str | None = None
    controller_country: str | None = None
    train_flop: float | None = None
    ai_act: str | None = None
    """Its class under Regulation (EU) 2024/1689."""
    export_control: tuple[ExportItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Exposure:
    """Jurisdictions that must not reach the job through the operator, and what is accepted as immunity."""

    deny: tuple[str, ...] = ()
    accept_immunity: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sovereignty:
    """The constraints a job (or its tenant's floor) puts on places. Empty means: no constraint of that kind.

    ``countries_allow is None`` means that no list was given; an empty tuple allows no country at all.
    Members of the country lists are ISO 3166-1 alpha-2 codes or names of dated sets of the fact base.
    """

    countries_allow: tuple[str, ...] | None = None
    countries_deny: tuple[str, ...] = ()
    exposure: Exposure = field(default_factory=Exposure)
    certifications: tuple[str, ...] = ()
    seal: tuple[tuple[str, int], ...] = ()
    sovereignty_score: int | None = None
    tee: tuple[str, ...] = ()
    min_assurance: facts.Assurance | None = None


@dataclass(frozen=True, slots=True)
class Objective:
    """Weights of the scorers; they need not sum to one."""

    cost: float = 1.0
    carbon: float = 0.0
    latency: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the whole job."""

    price_per_hour: money.Money | None = None
    deadline: dt.timedelta | None = None
    """From submission to the end; past it the job is FAILED with ``DeadlineExceeded``."""
    rtt_ms: int | None = None
    start_within: dt.timedelta | None = None


class RetryOn(enum.Enum):
    """Outcomes after which another attempt may follow."""

    PREEMPTED = "preempted"
    BACKEND_LOST = "backendLost"
    EXIT_CODE = "exitCode"


@dataclass(frozen=True, slots=True)
class Retry:
    """``attempts`` counts all tries; a crash of the control plane never uses one."""

    attempts: int = 1
    on: tuple[RetryOn, ...] = (RetryOn.PREEMPTED, RetryOn.BACKEND_LOST, RetryOn.EXIT_CODE)


class OnUnreachable(enum.Enum):
    """What an unreachable backend means for a job that runs there."""

    WAIT = "wait"
    FENCE_THEN_MOVE = "fenceThenMove"
    DUPLICATE_OK = "duplicateOk"


class OnNonCompliant(enum.Enum):
    """What happens to a running job whose site may no longer have it."""

    DRAIN = "drain"
    STOP = "stop"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class SecretUse:
    """A variable whose value lies at the backend, in a secret of this name under this key: it never comes here."""

    variable: str
    name: str
    key: str


class Enforcement(enum.Enum):
    """Who says that a rule about connections is kept."""

    DECLARED = "declared"
    """The operator of the place declares that something there enforces it."""
    UNCHECKED = "unchecked"
    """The rule is written where it belongs; whether anything enforces it nobody says."""


@dataclass(frozen=True, slots=True)
class Egress:
    """Where the job may connect to, all else refused: networks (CIDR), and names where ``dns``.

    The nodes of one gang always reach each other. Names may be resolved over a resolver of the place, which is itself a
    way out: a question carries data.
    """

    allow: tuple[str, ...] = ()
    dns: bool = False
    enforcement: Enforcement = Enforcement.DECLARED


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """``size`` elements, at most ``parallel`` of them occupying sites at once (None: no bound)."""

    size: int
    parallel: int | None = None


class Distinct(enum.Enum):
    """In what the hands of a verified job must differ from each other before they count as independent."""

    __hash__ = object.__hash__

    OPERATOR = "operator"
    COUNTRY = "country"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far numbers of two results may lie apart: ``|a - b| <= max(absolute, relative * max(|a|, |b|))``.

    Both finite and not negative, ``relative`` below 1. Raises ValueError.
    """

    absolute: float = 0.0
    relative: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.absolute < math.inf and 0 <= self.relative < 1):
            raise ValueError("a tolerance is finite and not negative, a relative one below 1")


@dataclass(frozen=True, slots=True)
class Verification:
    """The job runs ``replicas`` times in different hands, and holds once ``quorum`` of them left the same outputs.

    ``quorum`` is more than half of ``replicas``. ``spot_check``: the share of jobs, 0 to 1, whose result is run again
    at a trusted site although a quorum agrees.
    """

    replicas: int
    quorum: int
    distinct: frozenset[Distinct] = frozenset()
    spot_check: float = 0.0
    tolerance: Tolerance | None = None
    """None: outputs agree when they have the same bytes."""

    @property
    def children_max(self) -> int:
        """Return how many runs there are at most: replicas, and trusted runs where they do not agree."""
        return self.replicas + REFEREES


REFEREES = 2
"""Trusted runs of one job at most: the second says whether the work repeats at all."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job as submitted, complete and immutable.

    ``files`` maps relative paths to content; ``workdir`` is the digest of an archive kept as a blob;
    ``env`` holds literal values only; ``secrets`` are the variables that the backend fills in by itself.
    """

    name: str
    command: tuple[str, ...] = ()
    image: str | None = None
    type: JobType | None = None
    env: tuple[tuple[str, str], ...] = ()
    workdir: ids.Digest | None = None
    files: tuple[tuple[str, bytes], ...] = ()
    outputs: tuple[Output, ...] = ()
    data: DataClause | None = None
    """None: nothing was said, so the tenant's default data is assumed."""
    resources: Resources = field(default_factory=Resources)
    nodes: int = 1
    array: ArraySpec | None = None
    tier: str | None = None
    sovereignty: Sovereignty = field(default_factory=Sovereignty)
    objective: Objective = field(default_factory=Objective)
    latency_from: str | None = None
    limits: Limits = field(default_factory=Limits)
    queue: str | None = None
    priority: str | None = None
    retry: Retry = field(default_factory=Retry)
    on_unreachable: OnUnreachable = OnUnreachable.WAIT
    on_non_compliant: OnNonCompliant = OnNonCompliant.DRAIN
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    model: ModelClause | None = None
    egress: Egress | None = None
    """None: nothing was said; it may connect to whatever its place lets it."""
    secrets: tuple[SecretUse, ...] = ()
    verification: Verification | None = None

    @property
    def module(self) -> str | None:
        """Return the name of the file that it runs as a WebAssembly module: ``command`` begins with it, and it ends
        with ``.wasm``. None: it runs something else.
        """
        named = self.command[0].removeprefix("./") if self.command and self.image is None else ""
        return named if named.endswith(".wasm") and any(name == named for name, _ in self.files) else None


@dataclass(frozen=True, slots=True)
class Condition:
    """Something worth saying about a job or a document that is not its phase."""

    type: str
    status: bool
    reason: str
    message: str
    since: dt.datetime


class OutcomeKind(enum.Enum):
    """How an attempt ended, as its backend says."""

    EXITED = "exited"
    """The main process ended by itself; ``exit_code`` is set."""
    SIGNALED = "signaled"
    """Ended by a signal that we did not send; ``signal`` is set."""
    STOPPED = "stopped"
    """Ended because we asked for it."""
    TIMED_OUT = "timedOut"
    PREEMPTED = "preempted"
    OUT_OF_MEMORY = "outOfMemory"
    START_FAILED = "startFailed"
    """Never ran: command not found, isolation refused, image not found. ``detail`` says what."""
    NO_ROOM = "noRoom"
    """Never ran: the backend took it, and gave up waiting for room. It charges no try; the job is queued again."""
    OUTPUT_MISSING = "outputMissing"
    LOST = "lost"
    """The backend is certain that it is gone and cannot say how it ended."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt. ``exit_code`` 0..255; ``signal`` 1..64; at most one of the two is set."""

    kind: OutcomeKind
    exit_code: int | None = None
    signal: int | None = None
    detail: str = ""
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None

    @property
    def succeeded(self) -> bool:
        """Say whether the attempt did what it was asked to."""
        return self.kind is OutcomeKind.EXITED and self.exit_code == 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a job, or of an array element, at one site.

    ``phase`` is one of PLACED, STARTING, RUNNING, STOPPING or a terminal phase. ``placed_at`` is when the intent
    became durable; ``handle`` is the adapter's own name for it, None until a submit was answered.
    """

    number: int
    key: ids.AttemptKey
    site: ids.SiteName
    phase: Phase
    decision: ids.Digest
    placed_at: dt.datetime
    handle: str | None = None
    submitted_at: dt.datetime | None = None
    """When a submit for this key was first tried; None: certainly never tried by a surviving record."""
    submit_tries: int = 0
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    outcome: Outcome | None = None
    reason: str = ""
    gone_reads: int = 0
    """Reads in a row that say GONE; two are needed where reads are not consistent."""
    execution: executions.Execution = executions.NOTHING
    """What else was observed of it."""


class StopCause(enum.Enum):
    """Why a job is being stopped, and what follows."""

    CANCELLED = "Cancelled"
    DEADLINE = "DeadlineExceeded"
    NON_COMPLIANT = "NonCompliant"
    """Stopped by policy; queued again if attempts are left, for a place where it may."""
    DRAINED = "Drained"
    UNREACHABLE = "Unreachable"
    """Fenced first, then moved (``onUnreachable: fenceThenMove``)."""
    SETTLED = "Settled"
    """A run of a verified job of which nothing is needed any more: the verdict stands without it."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A durable wish that the current attempt ends."""

    cause: StopCause
    requested_at: dt.datetime
    by: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Hand:
    """A place that a run of a verified job was given. ``number``: of the run.

    ``operator`` is who has the last word over the place (the ultimate parent), ``country`` where it lies; both as they
    were then, None: not known.
    """

    number: int
    site: ids.SiteName
    operator: str | None
    country: str | None


@dataclass(frozen=True, slots=True)
class ArrayState:
    """What a parent knows of its elements, be they those of an array or the runs of a verified job.

    ``untouched`` holds half-open ranges of indices, in order.
    """

    untouched: tuple[tuple[int, int], ...]
    counts: tuple[tuple[Phase, int], ...] = ()
    """Number of touched elements by phase."""
    held: tuple[Hand, ...] = ()
    """Of a verified job: every place that a run was ever given, oldest first, each once a run."""
    referees: int = 0
    """Of a verified job: trusted runs that were asked for."""
    accepted: int | None = None
    """Of a verified job: the number of the run whose outputs hold."""

    def count(self, phase: Phase) -> int:
        """Return how many touched elements are in ``phase``."""
        return dict(self.counts).get(phase, 0)

    @property
    def untouched_count(self) -> int:
        """Return how many elements no one has touched yet."""
        return sum(high - low for low, high in self.untouched)


@dataclass(frozen=True, slots=True)
class Job:
    """A job and what became of it: one row of the store. ``version`` counts its commits, from 1.

    The parent of an array or of a verified job's runs carries ``array_state`` and no attempts; an element, or a run, is
    a Job with ``parent`` and ``index``.
    """

    id: ids.JobId
    tenant: str
    spec: JobSpec
    spec_digest: ids.Digest
    submitted_at: dt.datetime
    submitted_by: str
    phase: Phase = Phase.QUEUED
    version: int = 0
    """Version of the row as read; 0 before the first commit."""
    attempts: tuple[Attempt, ...] = ()
    conditions: tuple[Condition, ...] = ()
    stop: Stop | None = None
    not_before: dt.datetime | None = None
    """Back-off: not to be placed earlier."""
    reason: str = ""
    """Why it ended as it did, one stable word, e.g. ``DeadlineExceeded``."""
    ended_at: dt.datetime | None = None
    parent: ids.JobId | None = None
    index: int | None = None
    array_state: ArrayState | None = None
    queue_seq: int = 0
    """Order of arrival, given by the store at the first commit."""

    @property
    def attempt(self) -> Attempt | None:
        """Return the current (last) attempt."""
        return self.attempts[-1] if self.attempts else None

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of this type, true or false."""
        return next((c for c in self.conditions if c.type == type_), None)

    def conditions_by_type(self) -> Mapping[str, Condition]:
        """Return the conditions by type."""
        return {c.type: c for c in self.conditions}
