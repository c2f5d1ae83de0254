"""Which trust list was in force last, as stored: one document of the store's own kind ``TrustInForce``.

Nobody declares or reads that kind over HTTP. It holds a digest for each issuer and every revocation, so that a start
tells what changed since the last one, and nothing where nothing did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain import ids, trust
from orchestrator.evidence import canonical
from orchestrator.inventory import digests
from orchestrator.ports import stores

KIND = "TrustInForce"
NAME = "installation"
VERSION = 1


@dataclass(frozen=True, slots=True)
class InForce:
    """A list by its parts: ``issuers`` maps ids to digests, ``revocations`` are as the journal has them."""

    digest: str = ids.NO_DIGEST
    issuers: Mapping[str, str] = field(default_factory=dict)
    revocations: tuple[Mapping[str, Any], ...] = ()


def of_list(found: trust.TrustList) -> InForce:
    """Return a list by its parts."""
    issuers = {each.id: str(canonical.digest(digests.plain(each))) for each in found.issuers}
    return InForce(found.digest, issuers, tuple(revocation(each) for each in found.revocations))


def revocation(one: trust.Revocation) -> dict[str, Any]:
    """Return a revocation as the journal has it."""
    found: dict[str, Any] = {"issuer": one.issuer, "from": one.on.isoformat(), "by": one.by, "why": one.why}
    return found | {name: value for name, value in (("key", one.key), ("claim", one.claim)) if value is not None}


def of_document(document: stores.Document | None) -> InForce:
    """Return what is stored; nothing where there is none, or it cannot be read: then everything is told anew."""
    try:
        value = json.loads(document.body) if document is not None else None
        if value is None or value["v"] != VERSION:
            return InForce()
        issuers = {str(id): str(digest) for id, digest in value["issuers"].items()}
        return InForce(str(value["digest"]), issuers, tuple(dict(one) for one in value["revocations"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return InForce()


def to_document(found: InForce, *, version: int) -> stores.Document:
    """Return the document to commit over the one read at ``version`` (0: there is none)."""
    value = {
        "v": VERSION,
        "digest": found.digest,
        "issuers": dict(found.issuers),
        "revocations": [dict(one) for one in found.revocations],
    }
    return stores.Document(KIND, NAME, "", canonical.dumps(value).decode(), version)
