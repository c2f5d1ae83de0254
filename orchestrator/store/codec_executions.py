"""What was observed of an attempt, to JSON and back: a part of the stored state of a job (``codec``).

Members are short, and what is not there is left out: most attempts have one node and no more.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from orchestrator.domain import executions, facts, ids

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def encode(found: executions.Execution) -> dict[str, Any]:
    """Return what is stored of it."""
    out: dict[str, Any] = {}
    if found.nodes:
        out["n"] = [
            (one.rank, one.node, one.image_digest, one.country, one.source, one.assurance.value) for one in found.nodes
        ]
    if found.adapter is not None:
        out["a"] = (found.adapter.distribution, found.adapter.version, found.adapter.digest)
    if found.outputs is not None:
        out["o"] = [(one.path, one.size_bytes, one.sha256) for one in found.outputs]
    if found.attested is not None:
        result = found.attested
        times = ((result.at - _EPOCH) // _MICROSECOND, (result.until - _EPOCH) // _MICROSECOND)
        out["t"] = (result.tee, result.verifier, result.id, result.token, *times, result.covers, result.country)
    if found.rounds:
        out["r"] = found.rounds
    return out


def decode(value: dict[str, Any]) -> executions.Execution:
    """Return what ``encode`` wrote. Raises TypeError, KeyError or ValueError."""
    adapter, result = value.get("a"), value.get("t")
    return executions.Execution(
        nodes=tuple(
            executions.Whereabouts(rank, node, image, country, source, facts.Assurance(level))
            for rank, node, image, country, source, level in value.get("n", ())
        ),
        adapter=None if adapter is None else executions.Adapter(adapter[0], adapter[1], ids.Digest(adapter[2])),
        outputs=tuple(executions.OutputFile(*one) for one in value["o"]) if "o" in value else None,
        attested=None if result is None else _result(result),
        rounds=value.get("r", 0),
    )


def _result(value: list[Any]) -> executions.AttestationResult:
    tee, verifier, id, token, at, until, covers, country = value
    return executions.AttestationResult(
        tee,
        verifier,
        id,
        ids.Digest(token),
        _EPOCH + at * _MICROSECOND,
        _EPOCH + until * _MICROSECOND,
        tuple(covers),
        country,
    )
