"""Places: operators, backends, pools, and the site, which is what is judged.

Everything a document may leave out is optional here: a missing fact is judged, it is not an error.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from orchestrator.domain import claims, facts, ids, jobs, listings, money


@dataclass(frozen=True, slots=True)
class Owner:
    """A holder of a share of an operator. ``percent`` in hundredths of a percent point is not needed: 0..100."""

    name: str
    country: str | None
    percent: float


@dataclass(frozen=True, slots=True)
class Owners:
    """Who owns an operator; ``coverage`` is the percentage of ownership that is known."""

    coverage: float | None = None
    list: tuple[Owner, ...] = ()


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs a backend, and which laws reach it."""

    name: str
    legal_country: str | None = None
    ultimate_parent_hq: str | None = None
    owners: Owners = field(default_factory=Owners)
    transfer_frameworks: tuple[str, ...] = ()
    exposure_extra: tuple[str, ...] = ()
    facts: facts.FactStamp = field(default_factory=facts.FactStamp)
    lei: str | None = None
    """Legal entity identifier, ISO 17442: 20 characters."""
    us_person: bool | None = None
    covered_person: bool | None = None
    """Whether 28 CFR 202.211 makes it a covered person."""
    listed: bool | None = None
    """Whether a sanctions or entity list names it."""
    listed_ownership_percent: float | None = None
    """Share held by listed parties together, 0..100."""
    ear_supplement8: str | None = None
    """The entity of EAR part 740, supplement no. 8, that it is or belongs to."""
    sanctions_regimes: tuple[str, ...] | None = None
    """The sanctions regimes that bind it; None: nobody stated any, so all of them."""
    blocking_laws: tuple[listings.BlockingLaw, ...] = ()


@dataclass(frozen=True, slots=True)
class Location:
    """Where a thing is. ``country`` is an ISO 3166-1 alpha-2 code, ``subdivision`` ISO 3166-2."""

    country: str | None = None
    subdivision: str | None = None
    region: str | None = None
    region_pinned_by_contract: bool | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class Certification:
    """A certificate of a scheme, for a service in regions. Valid when present and not past ``valid_to``."""

    scheme: str
    service: str | None = None
    regions: tuple[str, ...] = ()
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    evidence: str | None = None
    digest: str | None = None
    certified: bool = False
    """A signed claim stands behind it; set where claims are verified, never by a document."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A licence, clearance or other paper about a backend or a data set. ``digest`` is that of the paper itself."""

    type: str
    ref: str | None = None
    valid_to: dt.date | None = None
    valid_from: dt.date | None = None
    digest: str | None = None
    certified: bool = False
    """As of a :class:`Certification`."""


@dataclass(frozen=True, slots=True)
class Performance:
    """Peak dense operations of one accelerator (no sparsity): ``tops`` in 10^12 a second at ``bits`` a number."""

    tops: float
    bits: int


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What the catalogue knows about a model of accelerator. Figures that nobody published are None.

    Export-control figures (TPP, density, class) are derived in policy from these and never stored.
    """

    slug: str
    model: str = ""
    vendor: str = ""
    vendor_hq: str | None = None
    performances: tuple[Performance, ...] = ()
    """One per length of number; empty: not public."""
    die_area_mm2: float | None = None
    """All logic dies of the package on a non-planar node, without stacked memory."""
    nonplanar: bool = True
    datacenter: bool = True
    """Designed or marketed for data centres."""
    is_informed: bool = False
    """Named in an is-informed letter of the BIS."""
    us_subject: bool = True
    """Subject to the EAR."""
    dram_bandwidth_gbs: float | None = None
    """Of all DRAM together, gigabytes a second; None also where the part holds none."""
    source: str | None = None
    as_of: dt.date | None = None
    mark: str | None = None
    """``memory`` (one reading) or ``unverified``: a caveat of what rests on it."""
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    assurance: facts.Assurance = facts.Assurance.DECLARED


@dataclass(frozen=True, slots=True)
class AttestationClaim:
    """How a backend says it proves what it is: a token, and who can verify it. A claim, not a result."""

    token: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Attested:
    """The result of verifying an attestation. ``at`` is when it was made, ``until`` when the verifier lets it end."""

    tee: str
    verified: bool = False
    at: dt.datetime | None = None
    verifier: str | None = None
    until: dt.datetime | None = None
    covers: tuple[str, ...] = ()
    """Documents (``backend``, ``controlPlane``, ``operator``) of which the result states every fact that they state, in
    answer to a challenge of this control plane."""


@dataclass(frozen=True, slots=True)
class Accepts:
    """The host's own terms. ``None`` means that the host says nothing about it."""

    tenant_countries: tuple[str, ...] | None = None
    deny_classes: tuple[str, ...] = ()
    types: tuple[jobs.JobType, ...] | None = None


@dataclass(frozen=True, slots=True)
class Carbon:
    """Carbon intensity of the power, grams of CO2 equivalent per kWh."""

    grams_per_kwh: float
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A part of a backend that is alike: declared, or discovered by the adapter.

    ``count`` is the number of accelerators (or of CPUs-only slots where there is none). A pool may override
    operator, location, administrators, log store, certifications, accepts and the stamp of its backend; it never
    raises their assurance.
    """

    name: str
    accelerator: str | None = None
    count: int | None = None
    price_per_hour: money.Money | None = None
    """Per accelerator and hour; for a pool without accelerators per node and hour."""
    interconnect: str | None = None
    in_service_since: dt.date | None = None
    pue: float | None = None
    operator: str | None = None
    location: Location | None = None
    admin_from: tuple[str, ...] | None = None
    log_store: Location | None = None
    certifications: tuple[Certification, ...] | None = None
    accepts: Accepts | None = None
    facts: facts.FactStamp | None = None
    cpu_milli: int | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """A registered place and the adapter that reaches it. ``settings`` is the adapter's own, as JSON text."""

    name: str
    adapter: str
    settings: str = "{}"
    operator: str | None = None
    service: str | None = None
    location: Location = field(default_factory=Location)
    admin_from: tuple[str, ...] = ()
    log_store: Location = field(default_factory=Location)
    log_retention_days: int | None = None
    certifications: tuple[Certification, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    accepts: Accepts = field(default_factory=Accepts)
    pools: tuple[Pool, ...] = ()
    carbon: Carbon | None = None
    facts: facts.FactStamp = field(default_factory=facts.FactStamp)
    seal: tuple[tuple[str, int], ...] = ()
    """Level by objective of the Commission's Cloud Sovereignty Framework: ``SOV-1`` ... ``SOV-8``, 0..4."""
    china_state_funded: bool | None = None
    attestation: AttestationClaim | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What a backend proved itself by when it was first met, by digest, and what became of that."""

    pinned: ids.Digest
    since: dt.datetime
    changed_to: ids.Digest | None = None
    """Another identity that answered since and that nobody confirmed (``NO_DIGEST``: it proves nothing any more)."""
    changed_at: dt.datetime | None = None
    contradicts: tuple[str, ...] = ()
    """Other backends of this identity that claim other facts."""
    agrees: tuple[str, ...] = ()
    """Other backends of this identity with the same facts."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An attempt at a site was seen in another country than its document says, and nobody has looked at it yet.

    ``expected`` and ``seen`` are countries; ``source`` is where the second was read, by ``assurance``.
    """

    expected: str | None
    seen: str
    source: str
    assurance: facts.Assurance
    node: str
    attempt: ids.AttemptKey
    at: dt.datetime


ATTESTATION_MISSING = "attestation.missing"


@dataclass(frozen=True, slots=True)
class Unattested:
    """An attempt at a site was to be attested and was not, and nobody has looked at it yet.

    ``code`` is ``attestation.missing``, where no result came in time, or names what was wrong with the one that came:
    then somebody brought a proof that does not hold.
    """

    code: str
    detail: str
    attempt: ids.AttemptKey
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Blame:
    """A result that the site's operator answered for: a dated fact from one verified job.

    ``finding`` is a word of ``verification.decisions.Finding``; ``receipt`` the digest of what it rests on.
    """

    job: str
    run: str
    site: ids.SiteName
    finding: str
    at: dt.datetime
    receipt: ids.Digest


@dataclass(frozen=True, slots=True)
class Frozen:
    """A stop of new placements that somebody called, and why. What is None does not narrow it."""

    backend: str | None
    operator: str | None
    country: str | None
    reason: str
    by: str
    """Id of the token."""
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Site:
    """What is judged: one pool of one backend, with every override already applied.

    ``operator`` is None when the named operator is not registered: its facts are then missing, and judged so.
    ``facts_valid_to`` is the earliest end of the stamps of site, backend and operator (the day is included).
    ``isolation_none`` marks a site that cannot keep a job from the control plane's own secrets: it takes its
    owner's jobs only.
    """

    name: ids.SiteName
    backend: str
    pool: str
    adapter: str
    operator_name: str | None
    operator: Operator | None
    service: str | None
    location: Location
    admin_from: tuple[str, ...]
    log_store: Location
    log_retention_days: int | None
    certifications: tuple[Certification, ...]
    evidence: tuple[Evidence, ...]
    accepts: Accepts
    accelerator: str | None
    """Slug of the catalogue; None: no accelerator."""
    accelerator_memory_gb: int | None
    accelerator_watts: int | None
    count: int | None
    interconnect: str | None
    in_service_since: dt.date | None
    price_per_hour: money.Money | None
    pue: float | None
    carbon: Carbon | None
    facts: facts.FactStamp
    facts_valid_to: dt.date | None
    capabilities: frozenset[str] = frozenset()
    isolation_none: bool = False
    owner_tenant: str | None = None
    accelerator_model: Accelerator | None = None
    """The catalogue's entry; None where there is no accelerator or the catalogue does not know its name."""
    seal: tuple[tuple[str, int], ...] = ()
    china_state_funded: bool | None = None
    attestation: AttestationClaim | None = None
    attested: Attested | None = None
    """What was verified; None: nothing."""
    screening: listings.Screening | None = None
    """What the sanctions and entity lists in force say about the operator; None: none is in force."""
    claims: tuple[claims.Claim, ...] = ()
    """Signed claims on the documents that this site rests on: backend, operator, control plane."""
    identity: Identity | None = None
    """None: it was not met yet, or its adapter cannot tell."""
    elsewhere: Elsewhere | None = None
    """None: whatever was seen of it agrees with its document, or nothing was seen."""
    unattested: Unattested | None = None
    """None: whatever was to be attested here was."""
    frozen: Frozen | None = None
    """None: nobody stopped new placements here."""
    blames: tuple[Blame, ...] = ()
    """Wrong results that its operator answered for, oldest first."""
    digest: ids.Digest = ids.NO_DIGEST
    """Digest of everything above that policy or placement reads; computed where the site is made."""
