"""Which jobs are checked and which sites get the replicas: unforeseeable to an operator, repeatable by an auditor.

    draw(purpose, words) = first 64 bits of HMAC-SHA-256(key, JCS(["comity.draw.1", purpose, ...words]))

The key is the control plane's. It is fixed before it is used, by :func:`commitment` in the journal, and can be opened
once it is out of use: then each draw can be repeated. Without the key a draw cannot be told from chance, and no
operator chooses a word that goes in: the server makes job ids. HMAC: RFC 2104.
"""

from __future__ import annotations

import fractions
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.domain import ids, jobs
from orchestrator.evidence import canonical
from orchestrator.verification import hands

KEY_BYTES_MIN = 32
_RANGE = 2**64


@dataclass(frozen=True, slots=True)
class Candidate:
    """A site that the policy allows, and that has room. ``operator`` and ``country`` as in ``results.Result``."""

    site: str
    operator: str | None
    country: str | None


def draw(key: bytes, purpose: str, *words: str) -> int:
    """Return a number of 64 bits. Raises ValueError for a key that is too short."""
    if len(key) < KEY_BYTES_MIN:
        raise ValueError(f"the key has at least {KEY_BYTES_MIN} bytes")
    message = canonical.dumps(["comity.draw.1", purpose, *words])
    return int.from_bytes(hmac.digest(key, message, hashlib.sha256)[:8])


def commitment(key: bytes) -> ids.Digest:
    """Return what may be published of a key before it is used; the key is random, so it needs no salt."""
    if len(key) < KEY_BYTES_MIN:
        raise ValueError(f"the key has at least {KEY_BYTES_MIN} bytes")
    return canonical.digest(["comity.draw.1", "commitment", key.hex()])


def is_checked(key: bytes, job: str, rate: fractions.Fraction) -> bool:
    """Say whether the result of a job is run again on a trusted site. ``rate`` is 0 to 1, else ValueError.

    Whoever checks must not show it before the result is in.
    """
    if not 0 <= rate <= 1:
        raise ValueError("a rate lies between 0 and 1")
    return draw(key, "spot-check", job) * rate.denominator < rate.numerator * _RANGE


def replicas(
    key: bytes, job: str, candidates: Iterable[Candidate], count: int, distinct: frozenset[jobs.Distinct]
) -> tuple[str, ...] | None:
    """Draw ``count`` sites that differ from each other in every field of ``distinct``; None: there are not so many.

    Hands are drawn first, then a site of each: an operator with many sites is drawn no more often than one with few.
    The cheapest sites would be a set that an operator can bid itself into; a draw is not. Sites of unknown hands are
    left out where they must differ.
    """
    known = [one for one in candidates if all(_value(one, field) for field in distinct)]
    order = sorted(known, key=lambda one: _lot(key, job, one, distinct))
    taken: list[Candidate] = []
    while len(taken) < count:
        for one in order:
            rest = [other for other in order if _apart(other, (*taken, one), distinct)]
            if 1 + len(taken) + room(rest, distinct) >= count:
                taken.append(one)
                order = rest
                break
        else:
            return None
    return tuple(one.site for one in taken)


def _lot(key: bytes, job: str, one: Candidate, distinct: frozenset[jobs.Distinct]) -> tuple[int, int, str]:
    hand = one.operator if jobs.Distinct.OPERATOR in distinct else one.country if distinct else one.site
    return draw(key, "hand", job, hand or ""), draw(key, "site", job, one.site), one.site


def _apart(one: Candidate, taken: Iterable[Candidate], distinct: frozenset[jobs.Distinct]) -> bool:
    return all(
        one.site != other.site and all(_value(one, field) != _value(other, field) for field in distinct)
        for other in taken
    )


def room(found: Sequence[Candidate], distinct: frozenset[jobs.Distinct]) -> int:
    """Return how many of ``found`` can stand beside each other."""
    if not distinct:
        return len(found)
    if len(distinct) == 1:
        (field,) = distinct
        return len({_value(one, field) for one in found})
    return hands.matching((one.operator or "", one.country or "") for one in found)


def _value(one: Candidate, field: jobs.Distinct) -> str | None:
    match field:
        case jobs.Distinct.OPERATOR:
            return one.operator
        case jobs.Distinct.COUNTRY:
            return one.country
