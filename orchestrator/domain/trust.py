"""Whom the installation's operator trusts to certify what: issuers, their keys, the kinds of facts, what is taken back.

Read from a file that people review (``sources.trust``); nothing is verified here. Days are UTC, both ends included.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from orchestrator.domain import ids

ALGORITHMS = ("Ed25519", "ES256", "RS256")
"""Signatures that are accepted, as RFC 9864 and RFC 7518 name them; ``EdDSA`` is read as Ed25519."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of an issuer: ``jwk`` is its RFC 7517 form as JSON, ``algorithm`` the only one it is used with."""

    id: str
    jwk: str
    algorithm: str
    first: dt.date | None = None
    last: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may certify ``kinds`` of facts: ``location``, ``certification/hds-v2``, ``certification/*`` ..."""

    id: str
    kinds: tuple[str, ...]
    keys: tuple[Key, ...]
    by: str
    """The person who trusts it."""
    why: str
    first: dt.date | None = None
    last: dt.date | None = None

    def certifies(self, kind: str) -> bool:
        """Say whether it is trusted for a kind of fact."""
        return any(_covers(each, kind) for each in self.kinds)


@dataclass(frozen=True, slots=True)
class Revocation:
    """What does not count from the day ``on``: all of an issuer, one of its keys, or one claim by its id."""

    issuer: str
    on: dt.date
    by: str
    why: str
    key: str | None = None
    claim: str | None = None


@dataclass(frozen=True, slots=True)
class TrustList:
    """The list in force. ``subjects`` maps names that issuers use (URLs, DIDs) to ours (``operator/NAME`` ...)."""

    issuers: tuple[Issuer, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    subjects: tuple[tuple[str, str], ...] = ()
    as_of: dt.date | None = None
    digest: ids.Digest = ids.NO_DIGEST

    def issuer(self, id: str) -> Issuer | None:
        """Return an issuer by its id."""
        return next((each for each in self.issuers if each.id == id), None)

    def ours(self, subject: str) -> str:
        """Return our name for a subject that an issuer names its own way."""
        return dict(self.subjects).get(subject, subject)

    def revoked(self, issuer: str, key: str | None, claim: str | None) -> Revocation | None:
        """Return the earliest revocation that concerns a claim."""
        found = [
            each
            for each in self.revocations
            if each.issuer == issuer
            and (each.key is None or each.key == key)
            and (each.claim is None or each.claim == claim)
        ]
        return min(found, key=lambda each: each.on, default=None)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The list in force, and what is wrong with the file: then ``trusted`` is the last good one, or nobody."""

    trusted: TrustList = TrustList()
    problem: str | None = None


def _covers(pattern: str, kind: str) -> bool:
    return pattern == kind or (pattern.endswith("/*") and kind.startswith(pattern[:-1]) and len(kind) >= len(pattern))
