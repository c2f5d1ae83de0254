"""Answers of the HTTP interface (/v1), as models: for OpenAPI, for tests, and for clients that want types.

The server builds answers as plain data (:mod:`orchestrator.wire.convert.answers`), because hot routes must not pay for
a second validation; a test proves that what is built there fits what is promised here.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Generic, Literal, TypeVar

import pydantic
from pydantic import Field
from pydantic.alias_generators import to_camel

from orchestrator.wire import fields
from orchestrator.wire.documents import common, jobs, tenants

BATCH_MAX = 10_000
"""Jobs of one batch."""
PAGE_MAX = 1_000
"""Items of one page."""

PhaseWord = Literal["QUEUED", "PLACED", "STARTING", "RUNNING", "STOPPING", "SUCCEEDED", "FAILED", "CANCELLED"]


class Answer(pydantic.BaseModel):
    """A part of an answer. Times are RFC 3339 text in JSON."""

    model_config = pydantic.ConfigDict(
        extra="forbid", alias_generator=to_camel, populate_by_name=True, defer_build=True
    )


class FactCitation(Answer):
    """A fact that a reason rests on."""

    path: str
    value: str
    source: str | None = None
    as_of: dt.date | None = None
    valid_to: dt.date | None = None
    assurance: common.Assurance | None = None


class Remedy(Answer):
    """What would take a reason away."""

    kind: Literal["WAIT", "CHANGE_JOB", "FIX_BACKEND", "CHANGE_POLICY"]
    change: str
    until: dt.datetime | None = None
    drops_constraint: bool | None = None
    """True where the change gives up a sovereignty constraint; else absent."""


class Reason(Answer):
    """Why a site may not take the job, or may only with a duty or a caveat."""

    code: str
    effect: Literal["deny", "oblige", "caveat"]
    basis: Literal["law", "contract", "house", "diligence"]
    message: str
    facts: list[FactCitation] = []
    remedy: Remedy | None = None


class SiteAnswer(Answer):
    """What a plan or an explanation says about one site."""

    site: str
    backend: str
    allowed: bool
    reasons: list[Reason]
    scores: dict[str, int]
    total: int | None = None
    price: str | None = None
    """Of the whole job an hour, e.g. ``35.20 EUR``."""
    starts_in: str | None = None
    """E.g. ``2h``; ``0s`` is now."""
    country: str | None = None
    operator: str | None = None
    parent_hq: str | None = None
    grams_per_hour: float | None = None
    rtt_ms: float | None = None


class Versions(Answer):
    """What stood behind an answer."""

    policy: str
    facts: str
    evaluator: str
    packs: dict[str, str] = {}
    packs_off: list[str] = []
    mode: str = ""
    """``one-person`` or ``separate-roles``."""


class VerificationPrice(Answer):
    """An hour, all runs together, over some draws: at least, expected while nobody cheats, at most."""

    least: str
    expected: str
    most: str


class Passes(Answer):
    """How often a wrong answer of so many colluding hands is accepted, 0 to 1."""

    colluding: int
    probability: float


class VerificationForecast(Answer):
    """What a verified job would meet."""

    replicas: int
    quorum: int
    hands: int
    """Independent hands that may take a run now."""
    trusted: list[str]
    """Sites for trusted runs."""
    missing: str | None
    price: VerificationPrice | None
    prices_trusted: bool
    """Whether trusted runs are in the price."""
    passes: list[Passes]


class Plan(Answer):
    """Where a job would go, and why nowhere else."""

    digest: str
    placeable: bool
    chosen: str | None
    at: dt.datetime
    sites: list[SiteAnswer]
    ranking: list[str] = []
    expires: dt.datetime | None = None
    versions: Versions
    nearest_change: list[Remedy] = []
    notices: list[str] = []
    """Sentences for the person, e.g. ``no data declared: judged as public``."""
    halted: list[Reason] = []
    """Why nothing is placed anywhere just now."""
    verification: VerificationForecast | None = None


class Condition(Answer):
    """Something worth saying that is not the phase."""

    type: str
    status: bool
    reason: str
    message: str
    since: dt.datetime


class SeenNode(Answer):
    """What the backend said of one node of an attempt; null where nobody saw it."""

    rank: int
    node: str
    country: str | None
    source: str
    assurance: common.Assurance
    image_digest: str | None


class SeenAdapter(Answer):
    """Which program spoke to the backend."""

    distribution: str
    version: str
    digest: str


class SeenAttestation(Answer):
    """An attestation result that was verified for the attempt."""

    tee: str
    verifier: str
    id: str
    token: str
    at: dt.datetime
    until: dt.datetime
    covers: list[str]
    country: str | None


class Seen(Answer):
    """What was observed of an attempt."""

    nodes: list[SeenNode]
    adapter: SeenAdapter | None = None
    attestation: SeenAttestation | None = None


class Attempt(Answer):
    """One try."""

    number: int
    site: str
    phase: PhaseWord
    exit_code: int | None = None
    signal: int | None = None
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    reason: str = ""
    detail: str | None = None
    """How it ended in its backend's words; absent where there is nothing to say."""
    seen: Seen | None = None
    """Absent where nothing was observed."""


class Elements(Answer):
    """What became of the elements of an array."""

    size: int
    untouched: int
    phases: dict[PhaseWord, int] = {}


class Evidence(Answer):
    """What shows that something was done."""

    ref: str
    digest: str | None = None


class Obligation(Answer):
    """What somebody has to do because the job was placed where it was."""

    job: str
    code: str
    state: Literal["open", "overdue", "fulfilled", "withdrawn"]
    message: str
    basis: Literal["law", "contract", "house", "diligence"]
    source: str
    site: str
    attempt: int
    placed_at: dt.datetime
    due_at: dt.datetime | None
    """None: while the job lives."""
    overdue_at: dt.datetime | None = None
    evidence: Evidence | None = None
    by: str | None = None
    at: dt.datetime | None = None
    actor: str | None = None
    """The token that said so."""
    note: str | None = None
    reason: str | None = None
    """Why it was withdrawn."""
    ended_at: dt.datetime | None = None


class JobStatus(Answer):
    """What became of a job."""

    phase: PhaseWord
    conditions: list[Condition]
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    attempts: list[Attempt]
    submitted_at: dt.datetime
    submitted_by: str
    ended_at: dt.datetime | None = None
    elements: Elements | None = None
    obligations: list[Obligation] | None = None
    """Of one job that is read by itself; absent where no duty ever fired."""


class JobMetadata(common.Metadata):
    """Metadata of a job that is known to the server."""

    id: str
    tenant: str
    parent: str | None = None
    index: int | None = None


class JobDocument(Answer):
    """A job: its document, its id and its status."""

    api_version: Literal["comity.dev/v1"]
    kind: Literal["Job"]
    metadata: JobMetadata
    spec: jobs.JobSpec
    status: JobStatus


class ErrorEntry(Answer):
    """One error of a document."""

    code: str
    path: str
    problem: str
    remedy: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None


class Problem(Answer):
    """An error, RFC 9457 (``application/problem+json``)."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str | None = None
    instance: str | None = None
    errors: list[ErrorEntry] | None = None
    reasons: list[Reason] | None = None
    """Only with ``policy.refused``."""
    remedy: str | None = None


Item = TypeVar("Item")


class Page(Answer, Generic[Item]):
    """A part of a list; ``cursor`` asks for the next part, null after the last."""

    items: list[Item]
    cursor: str | None = None


class Submitted(Answer):
    """The answer to a submission."""

    id: str
    name: str
    notices: list[str] = []


class Batch(fields.Model):
    """Many jobs at once: whole documents, or one template with parameters, ``${name}`` in strings only."""

    documents: Annotated[list[dict[str, Any]], Field(max_length=BATCH_MAX)] | None = None
    template: dict[str, Any] | None = None
    parameters: Annotated[list[dict[str, str]], Field(max_length=BATCH_MAX)] | None = None


class TokenRequest(fields.Model):
    """A wish for a token."""

    tenant: fields.Name | None = None
    roles: Annotated[list[tenants.Role], Field(min_length=1, max_length=6)]
    expires: dt.datetime | None = None


class Token(Answer):
    """A token, as it is answered once: later only its id is known."""

    id: str
    token: str | None = None
    tenant: str
    roles: list[str]
    expires: dt.datetime | None = None


MODELS: tuple[type[Answer], ...] = (JobDocument, Plan, SiteAnswer, Reason, Obligation, Problem, Submitted, Token)
"""Answers whose schemas the OpenAPI document names."""
