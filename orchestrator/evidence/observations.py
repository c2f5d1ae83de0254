"""What was observed of an attempt, in the form that statements open and that the journal fixes by one digest. Pure.

The journal's entry of an attempt's end holds ``fingerprint``; a statement opens the values it is made of. So who has
the log, and the statement, sees whether what is shown is what was known when the attempt ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.domain import executions, ids
from orchestrator.evidence import canonical, chain

NODE, ADAPTER, OUTPUTS, ATTESTATION = "node", "adapterVersion", "outputDigests", "attestation"
FIXED = (ADAPTER, ATTESTATION, NODE, OUTPUTS)
"""Paths of an execution's statement whose values the fingerprint is made of."""


def values(found: executions.Execution) -> dict[str, Any]:
    """Return the values of ``FIXED`` by path; None where nobody saw anything."""
    adapter, result = found.adapter, found.attested
    return {
        ADAPTER: adapter
        and {"digest": adapter.digest, "distribution": adapter.distribution, "version": adapter.version},
        ATTESTATION: result and _result(result),
        NODE: [node(one) for one in found.nodes] or None,
        OUTPUTS: None if found.outputs is None else [output(one) for one in found.outputs],
    }


def node(one: executions.Whereabouts) -> dict[str, Any]:
    """Return one node as a value."""
    return {
        "assurance": one.assurance.word,
        "country": one.country,
        "imageDigest": one.image_digest,
        "node": one.node,
        "rank": one.rank,
        "source": one.source,
    }


def output(one: executions.OutputFile) -> dict[str, Any]:
    """Return one file as a value."""
    return {"bytes": one.size_bytes, "path": one.path, "sha256": one.sha256}


def location(found: executions.Check) -> dict[str, Any] | None:
    """Return a comparison of countries as a value; None where none was seen."""
    if found.agreement is executions.Agreement.NOT_OBSERVED:
        return None
    return {
        "assurance": found.assurance.word if found.assurance is not None else None,
        "expected": found.expected,
        "nodes": [
            {"assurance": one.assurance.word, "country": one.country, "rank": one.rank, "source": one.source}
            for one in found.seen
        ],
        "result": found.agreement.value,
    }


def fingerprint(found: executions.Execution) -> ids.Digest | None:
    """Return the digest over all of it; None where nothing was observed."""
    return None if found == executions.NOTHING else digest_of(values(found))


def digest_of(found: Mapping[str, Any]) -> ids.Digest:
    """Return the digest of values by path, as a statement opens them."""
    return canonical.digest({path: found.get(path) for path in FIXED})


def _result(one: executions.AttestationResult) -> dict[str, Any]:
    return {
        "at": chain.time_text(one.at),
        "country": one.country,
        "covers": list(one.covers),
        "id": one.id,
        "tee": one.tee,
        "token": one.token,
        "until": chain.time_text(one.until),
        "verifier": one.verifier,
    }
