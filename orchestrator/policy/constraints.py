"""The constraints of a job after its tenant's floor and tier: each source tightens, none can loosen another.

Lists that allow are kept side by side (a country must be in every one), lists that deny are united, minima take the
larger. Immunity that a job accepts against an exposure counts only if everybody who denies that exposure accepts it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain import facts, jobs, tenants

EXPOSURE = "spec.sovereignty.exposure"
CERTIFICATIONS = "spec.sovereignty.certifications"
SEAL = "spec.sovereignty.seal"
SCORE = "spec.sovereignty.sovereigntyScore"
TEE = "spec.sovereignty.tee"
MIN_ASSURANCE = "spec.sovereignty.minAssurance"


@dataclass(frozen=True, slots=True)
class Denied:
    """A country, or named set, whose exposure is denied, and the certificates accepted as immunity against it."""

    name: str
    accept: frozenset[str]


@dataclass(frozen=True, slots=True)
class Constraints:
    """What job, floor and tier ask of a place, merged."""

    countries_allow: tuple[tuple[str, ...], ...] = ()
    """Every one of these lists must hold the country."""
    countries_deny: tuple[str, ...] = ()
    exposures: tuple[Denied, ...] = ()
    certifications: tuple[str, ...] = ()
    seal: tuple[tuple[str, int], ...] = ()
    score: float | None = None
    tee: tuple[tuple[str, ...], ...] = ()
    """Every one of these lists must hold the kind."""
    min_assurance: facts.Assurance | None = None

    def asks(self) -> tuple[str, ...]:
        """Return the document paths of the constraints that a pack has to judge, sorted."""
        stated = {
            EXPOSURE: bool(self.exposures),
            CERTIFICATIONS: bool(self.certifications),
            SEAL: bool(self.seal),
            SCORE: self.score is not None,
            TEE: bool(self.tee),
            MIN_ASSURANCE: self.min_assurance is not None,
        }
        return tuple(sorted(path for path, is_stated in stated.items() if is_stated))


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of a merge; ``tier_known`` is False when the job names a tier that its tenant does not define."""

    constraints: Constraints
    tier_known: bool = True


def merge_floor(own: jobs.Sovereignty, *, tenant: tenants.Tenant | None, tier: str | None) -> Merged:
    """Merge what the job asks with the tenant's floor and the named tier."""
    parts = [own]
    known = tier is None
    if tenant is not None:
        parts.append(tenant.floor)
        chosen = [part for name, part in tenant.tiers if name == tier]
        parts += chosen
        known = known or bool(chosen)
    return Merged(merge(parts), known)


def merge(parts: Iterable[jobs.Sovereignty]) -> Constraints:
    """Return the strictest reading of several sets of constraints, in an order that does not depend on theirs."""
    parts = tuple(parts)
    accepts: dict[str, frozenset[str]] = {}
    seal: dict[str, int] = {}
    for part in parts:
        accept = frozenset(part.exposure.accept_immunity)
        for name in part.exposure.deny:
            accepts[name] = accepts.get(name, accept) & accept
        for objective, level in part.seal:
            seal[objective] = max(level, seal.get(objective, level))
    scores = [part.sovereignty_score for part in parts if part.sovereignty_score is not None]
    assurances = [part.min_assurance for part in parts if part.min_assurance is not None]
    return Constraints(
        countries_allow=tuple(
            sorted({tuple(sorted(p.countries_allow)) for p in parts if p.countries_allow is not None})
        ),
        countries_deny=tuple(sorted({name for part in parts for name in part.countries_deny})),
        exposures=tuple(Denied(name, accept) for name, accept in sorted(accepts.items())),
        certifications=tuple(sorted({scheme for part in parts for scheme in part.certifications})),
        seal=tuple(sorted(seal.items())),
        score=max(scores, default=None),
        tee=tuple(sorted({tuple(sorted(part.tee)) for part in parts if part.tee})),
        min_assurance=max(assurances, default=None),
    )
