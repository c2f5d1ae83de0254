"""Verifies an attestation result for one attempt: whose it is, for which challenge, how old, what it covers. Pure.

The challenge is a digest over the installation's audience, the attempt's key and the number of the round, so a result
counts for one attempt of one installation, once. What a result states of the place must be equal to the document, and
its verifier must be trusted for that kind of fact; what it does not state stays as well known as it was.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain import claims, executions, ids, jobs, sites, tenants
from orchestrator.evidence import canonical, profiles
from orchestrator.inventory import claimants, coverage

AGE_MAX = dt.timedelta(hours=24)
"""Oldest result that counts, as in the pack ``tee``."""
PAST_MAX = 8
"""Earlier attempts of a job, and rounds of each, whose challenges are recognised when they are shown again."""
COUNTRY = "location.country"


class RejectedError(Exception):
    """A result that does not hold. ``code`` is ``attestation.`` and a word, and for contradictions the path."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = f"attestation.{code}"
        self.detail = detail[:400]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job demands of the results for its attempts.

    ``tee``: every one of these lists must hold the kind of environment; ``place``: the result must state the country.
    """

    tee: tuple[tuple[str, ...], ...] = ()
    place: bool = False


def challenge(audience: str, key: ids.AttemptKey, round: int) -> str:
    """Return the nonce that a result for an attempt must hold: 64 hexadecimal digits."""
    return str(canonical.digest(["attempt", audience, str(key), round])).removeprefix("sha256:")


def past(audience: str, job: jobs.Job) -> frozenset[str]:
    """Return the challenges of this job that are over."""
    found: set[str] = set()
    for attempt in job.attempts[-PAST_MAX:]:
        rounds = attempt.execution.rounds + int(attempt is not job.attempt)
        found |= {challenge(audience, attempt.key, round) for round in range(max(0, rounds - PAST_MAX), rounds)}
    return frozenset(found)


def verify(
    verifier: claimants.Claimants,
    token: object,
    *,
    job: jobs.Job,
    attempt: jobs.Attempt,
    site: sites.Site,
    plane: tenants.ControlPlane | None,
    declared: sites.Backend | None,
    wanted: Wanted,
    at: dt.datetime,
) -> executions.AttestationResult:
    """Return what a token proves of an attempt. Raises RejectedError, with the first thing that is wrong."""
    opened = verifier.opened(token) if isinstance(token, str) else verifier.opened("")
    said = opened.said
    for flaw in opened.claim.flaws:
        if flaw.on(at.date()):
            raise RejectedError(flaw.fault.value, flaw.detail)
    if said is None or not said.attestation:
        raise RejectedError(claims.Fault.MALFORMED.value, "it is no attestation result: it has no eat_nonce")
    named = declared.attestation.verifier if declared is not None and declared.attestation is not None else None
    if named is not None and named != said.issuer:
        text = f"the document names the verifier {named[:100]}, the result is of {said.issuer[:100]}"
        raise RejectedError(claims.Fault.UNTRUSTED_ISSUER.value, text)
    _answers(said, verifier.audience, job, attempt)
    if not said.affirming:
        raise RejectedError(claims.Fault.NOT_AFFIRMING.value, "ear.status is not affirming throughout")
    _timely(said, at)
    tee = said.kind.removeprefix("attestation/")
    if not all(tee in each for each in wanted.tee):
        raise RejectedError("type", f"it is of {tee}, and the job asks for one of {_words(wanted.tee)}")
    covers = _covered(verifier, said, site, plane)
    if wanted.place and COUNTRY not in covers:
        raise RejectedError("uncovered", f"it does not state {COUNTRY}, which the job demands attested")
    country = said.facts.get(COUNTRY)
    return executions.AttestationResult(
        tee, said.issuer, said.id, opened.claim.digest, said.issued, ends(said), covers, country
    )


def ends(said: profiles.Said) -> dt.datetime:
    """Return when a result counts no longer: when its verifier lets it end, at the latest a day after it was made."""
    return min(said.until, said.issued + AGE_MAX)


def _answers(said: profiles.Said, audience: str, job: jobs.Job, attempt: jobs.Attempt) -> None:
    if challenge(audience, attempt.key, attempt.execution.rounds) in said.nonces:
        return
    if past(audience, job) & set(said.nonces):
        raise RejectedError(claims.Fault.REPLAYED_NONCE.value, "it answers a challenge of this job that is over")
    raise RejectedError(claims.Fault.SUBJECT_MISMATCH.value, "it answers another challenge than this attempt's")


def _timely(said: profiles.Said, at: dt.datetime) -> None:
    if said.issued > at + coverage.SKEW:
        raise RejectedError(
            claims.Fault.NOT_YET_VALID.value, f"it was made at {said.issued.isoformat()}, which is to come"
        )
    if at >= ends(said):
        raise RejectedError(claims.Fault.EXPIRED.value, f"it counted to {ends(said).isoformat()}")


def _covered(
    verifier: claimants.Claimants, said: profiles.Said, site: sites.Site, plane: tenants.ControlPlane | None
) -> tuple[str, ...]:
    """Return the facts that a result states, each equal to the document."""
    for flaw in coverage.flaws(said, verifier.trusted.issuer(said.issuer), site, plane):
        path = f":{flaw.path.removeprefix('backend.')}" if flaw.path is not None else ""
        raise RejectedError(f"{flaw.fault.value}{path}", flaw.detail)
    return tuple(sorted(said.facts))


def _words(lists: Sequence[tuple[str, ...]]) -> str:
    return "; ".join(", ".join(each) for each in lists)
