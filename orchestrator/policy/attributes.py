"""What rules may read: the attributes of a job and of a site, as flat, hashable values.

Documents have many shapes; rules read these two. ``conversions`` makes them from documents, ``compact`` from cases.
Nothing is judged here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field

from orchestrator.domain import claims, facts, listings
from orchestrator.policy import constraints, dated

EVERY_REGIME = frozenset(listings.REGIMES)
"""The sanctions regimes that bind whoever states none."""
UNKNOWN = "unknown"
"""The place nobody stated. It is a member of no set, so whatever needs to know the place is refused."""


@dataclass(frozen=True, slots=True)
class Place:
    """A country where something of the job lies or is administered from, and the document path that says so."""

    code: str
    path: str


@dataclass(frozen=True, slots=True)
class Paper:
    """A certificate, safeguard or licence.

    ``in_scope`` is False for a certificate of another service or region, ``assured`` for one that is known less well
    than the job demands: neither counts.
    """

    kind: str
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    in_scope: bool = True
    source: str | None = None
    assurance: facts.Assurance = facts.Assurance.DECLARED
    assured: bool = True

    def valid(self, day: dt.date) -> bool:
        """Say whether it counts on ``day``; the last day named is included."""
        started = self.valid_from is None or self.valid_from <= day
        return self.in_scope and self.assured and started and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Licence:
    """An export licence: where the item may go with it, to whom (nobody named: anybody there), and until when."""

    destinations: frozenset[str]
    end_users: frozenset[str] = frozenset()
    valid_to: dt.date | None = None
    ref: str | None = None

    def valid(self, day: dt.date) -> bool:
        """Say whether it counts on ``day``; the last day named is included."""
        return self.valid_to is None or day <= self.valid_to


@dataclass(frozen=True, slots=True)
class ExportItem:
    """A controlled item in a data set or a model. ``owner`` says in what; ``territory`` is its controller's country."""

    owner: str
    regime: str
    item: str
    territory: str | None = None
    licences: tuple[Licence, ...] = ()


@dataclass(frozen=True, slots=True)
class Directive:
    """A dated overlay that names models and parties. Both days are included; None: open."""

    id: str
    models: frozenset[str] = frozenset()
    parties: frozenset[str] = frozenset()
    start: dt.date | None = None
    end: dt.date | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Attested:
    """The result of verifying what a site attests: kind of enclave, when. ``age_hours`` stands in for a moment."""

    tee: str
    verified: bool = False
    at: dt.datetime | None = None
    age_hours: float | None = None
    until: dt.datetime | None = None
    """When the verifier lets it end; None: it does not say."""
    covers: frozenset[str] = frozenset()
    """Documents whose facts it attests, all of them: ``backend``, ``operator``, ``controlPlane``."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A country that reaches the operator: by law, by its parent, owner, administrators. ``code`` None: unknown."""

    code: str | None
    path: str
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class DataAttributes:
    """One data set that the job reads, as rules see it. Rules about data quantify over these, never over a mix."""

    name: str = ""
    classes: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    count: int = 0
    sensitive_count: int = 0
    safeguards: tuple[Paper, ...] = ()
    controller_country: str | None = None
    controller_operator: str | None = None
    ciio: bool | None = None
    primary_db: str | None = None
    sdf_localised: bool | None = None
    already: tuple[tuple[str, int, int], ...] = ()
    """(country of subjects, persons, of these sensitive) that the ledger and the job's other data sets add."""
    stamp: facts.FactStamp = field(default_factory=facts.FactStamp)

    def persons(self, country: str) -> int:
        """Return how many persons count against a threshold of ``country``: already, and with this data set."""
        return self.count + sum(persons for code, persons, _ in self.already if code == country)

    def sensitive(self, country: str) -> int:
        """Return the same for persons whose data is sensitive."""
        return self.sensitive_count + sum(number for code, _, number in self.already if code == country)


@dataclass(frozen=True, slots=True)
class TenantAttributes:
    """The tenant, as rules see it."""

    name: str = ""
    parent_hq: str | None = None
    sector: str | None = None
    us_person: bool | None = None
    us_only_users: bool | None = None


@dataclass(frozen=True, slots=True)
class JobAttributes:
    """A job as rules see it: its class. Equal values are judged alike.

    ``places`` are locations that every site of the job shares: the control plane's, and where its outputs stay.
    ``asks`` are the document paths of constraints that some pack has to judge; ``unjudgeable`` pairs a document path
    with the sentence that says why nobody can judge it (a tier that does not exist, a data set nobody registered).
    ``train_flop`` is what the training of this model lineage adds up to with this job, in operations.
    """

    workload: str | None = None
    tenant: TenantAttributes | None = None
    data: tuple[DataAttributes, ...] = ()
    data_stated: bool = True
    places: tuple[Place, ...] = ()
    constraints: constraints.Constraints = field(default_factory=constraints.Constraints)
    asks: tuple[str, ...] = ()
    unjudgeable: tuple[tuple[str, str], ...] = ()
    control_plane_stamp: facts.FactStamp = field(default_factory=facts.FactStamp)
    control_plane_gaps: tuple[str, ...] = ()
    """What the control plane's document leaves out of where it lies and who administers it."""
    model: str | None = None
    train_flop: float | None = None
    operations: float | None = None
    """What this job alone adds to the training: read by no rule, counted when it is placed."""
    ai_act: str | None = None
    exports: tuple[ExportItem, ...] = ()
    directives: tuple[Directive, ...] = ()
    bound_by: frozenset[str] = EVERY_REGIME
    """Sanctions regimes that bind the tenant or the control plane, as they state."""
    barred: frozenset[str] = frozenset()
    """Those that a blocking law, which one of them states, forbids to obey."""
    seats: tuple[str, ...] = ()
    """Where sits whoever a sanctions regime may bind besides the operator: tenant, control plane, their persons."""
    listed_parties: tuple[str, ...] = ()
    """Entries of lists that the tenant, or somebody named by its data, may be."""

    def boundaries(self) -> frozenset[dt.date]:
        """Return the days on which a paper of the job's data, a licence or a directive starts or ends."""
        windows = [(paper.valid_from, paper.valid_to) for data in self.data for paper in data.safeguards]
        windows += [(None, licence.valid_to) for item in self.exports for licence in item.licences]
        windows += [(directive.start, directive.end) for directive in self.directives]
        return frozenset(day for start, end in windows for day in dated.changes(start, end))


@dataclass(frozen=True, slots=True)
class SiteAttributes:
    """A site as rules see it. What nobody stated is None. ``places`` are the locations of I.3 that the site states."""

    name: str = ""
    country: str | None = None
    subdivision: str | None = None
    region: str | None = None
    region_pinned: bool | None = None
    service: str | None = None
    places: tuple[Place, ...] = ()
    admin_from: tuple[str, ...] = ()
    operator: str | None = None
    legal_country: str | None = None
    parent_hq: str | None = None
    frameworks: frozenset[str] = frozenset()
    reach: tuple[Reach, ...] = ()
    owners_coverage: float | None = None
    certs: tuple[Paper, ...] = ()
    evidence: tuple[Paper, ...] = ()
    accepts_countries: tuple[str, ...] | None = None
    accepts_deny_classes: frozenset[str] = frozenset()
    accepts_types: frozenset[str] | None = None
    facts_valid_to: dt.date | None = None
    log_store_country: str | None = None
    log_retention_days: int | None = None
    listed: bool | None = None
    """By the operator's document, or by a list of any regime."""
    listed_percent: float | None = None
    stated_listed: bool | None = None
    """By the operator's document alone, which names no regime: it binds everybody."""
    stated_listed_percent: float | None = None
    listed_by: frozenset[str] = frozenset()
    """Regimes whose lists name the operator, or owners who together hold 50 %."""
    bound_by: frozenset[str] = EVERY_REGIME
    """Sanctions regimes that bind the operator, as it states."""
    barred: frozenset[str] = frozenset()
    """Those that a blocking law, which the operator states, forbids to obey."""
    seats: tuple[str, ...] = ()
    """Where sits whoever a regime may bind here: site, operator, its parent, administrators; US for a US person."""
    affiliates_percent: float | None = None
    """What owners on sanctions and export lists hold together; None: no list was asked."""
    us_person: bool | None = None
    covered_person: bool | None = None
    supp8: str | None = None
    accelerator: str | None = None
    """Name of the accelerator; None: the site has none."""
    vendor_hq: str | None = None
    tpp: float | None = None
    ear_class: str | None = None
    """``a``, ``b``, ``a-nondc``; None: not controlled, or not known (then ``tpp`` is None too)."""
    is_informed: bool = False
    us_subject: bool = True
    accelerator_mark: str | None = None
    in_service_since: dt.date | None = None
    state_funded: bool | None = None
    seal: tuple[tuple[str, int], ...] = ()
    attested: Attested | None = None
    assurance: facts.Assurance = facts.Assurance.DECLARED
    backend_stamp: facts.FactStamp = field(default_factory=facts.FactStamp)
    operator_stamp: facts.FactStamp = field(default_factory=facts.FactStamp)
    claims: tuple[claims.Claim, ...] = ()
    """Signed claims that the site rests on; a flaw of one of them refuses on the days on which it stands."""
    blames: int = 0
    """Wrong results of verified jobs that the operator answered for."""
    blamed_on: dt.date | None = None
    """When it answered for the last one; None: never."""

    def boundaries(self) -> frozenset[dt.date]:
        """Return the days on which the stamp, a certificate, a licence or a claim of the site starts or ends."""
        days = [dated.changes(None, self.facts_valid_to)]
        days += [dated.changes(flaw.first, flaw.last) for claim in self.claims for flaw in claim.flaws]
        days += [dated.changes(paper.valid_from, paper.valid_to) for paper in (*self.certs, *self.evidence)]
        return frozenset(day for pair in days for day in pair)


def assured(site: SiteAttributes, level: facts.Assurance) -> SiteAttributes:
    """Return the site as a job reads it that demands ``level``: papers known less well do not count."""
    return dataclasses.replace(
        site,
        certs=tuple(_assured(paper, level) for paper in site.certs),
        evidence=tuple(_assured(paper, level) for paper in site.evidence),
    )


def _assured(paper: Paper, level: facts.Assurance) -> Paper:
    return paper if paper.assurance >= level else dataclasses.replace(paper, assured=False)
