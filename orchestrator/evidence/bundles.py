"""A bundle: one JSON file with all that is needed to check one job's evidence without anybody's help.

    format       "comity-evidence/v1"
    checkpoint   the signed note under which everything is included
    firstKey     the log's first public key; the entries of subject ``log/key`` lead from it to the newest
    entries      entries of the journal with inclusion proofs; one that is kept back shows its link only
    statements   envelopes, each with the disclosures that open it
    records      what decisions refer to, by digest: the decision, the class of jobs, sites, the rule book
    consistency  proofs that the log goes on from checkpoints that somebody kept

Reading is bounded in bytes, depth and members, takes no duplicate or unknown member, and runs nothing. No member is
without a check in ``verification``: what cannot be checked does not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain import ids
from orchestrator.evidence import canonical, chain, commitments, dsse, encodings

FORMAT = "comity-evidence/v1"
BYTES_MAX = 64 * 1024 * 1024
MEMBERS_MAX = 4_000_000
DEPTH_MAX = 64
PROOF_STEPS_MAX = 128
_MEMBERS = {"format", "checkpoint", "firstKey", "entries", "statements", "records", "consistency"}
_ENTRY = {"actor", "at", "body", "kind", "subject", "tenant"}


class BundleError(ValueError):
    """The file is no bundle, or larger than one may be; ``where`` is the path inside it."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}" if where else what)


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry in its place. ``entry`` and ``previous`` None: kept back, only its link is shown."""

    seq: int
    link: bytes
    proof: tuple[bytes, ...]
    previous: bytes | None = None
    entry: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in a bundle."""
        proof = [encodings.to_base64(step) for step in self.proof]
        if self.entry is None or self.previous is None:
            return {"seq": self.seq, "hash": chain.to_digest(self.link), "proof": proof}
        return {
            "seq": self.seq,
            "previous": chain.to_digest(self.previous),
            "entry": dict(self.entry),
            "proof": proof,
        }

    def kept_back(self) -> Shown:
        """Return it without what it says: every proof stays."""
        return Shown(self.seq, self.link, self.proof)


@dataclass(frozen=True, slots=True)
class Stated:
    """An envelope and what of it is opened."""

    envelope: dsse.Envelope
    opened: tuple[commitments.Disclosure, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in a bundle."""
        return {"envelope": self.envelope.as_json(), "disclosures": [one.as_json() for one in self.opened]}


@dataclass(frozen=True, slots=True)
class Consistency:
    """Proof (RFC 9162) that the log goes on from its first ``old`` entries."""

    old: int
    proof: tuple[bytes, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in a bundle and in answers."""
        return {"from": self.old, "proof": [encodings.to_base64(step) for step in self.proof]}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle read; nothing of it is verified but its form."""

    note: str
    first_key: bytes
    entries: tuple[Shown, ...]
    statements: tuple[Stated, ...]
    records: Mapping[str, Any] = field(default_factory=dict)
    consistency: tuple[Consistency, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the bundle as JSON."""
        return {
            "format": FORMAT,
            "checkpoint": self.note,
            "firstKey": self.first_key.hex(),
            "entries": [entry.as_json() for entry in self.entries],
            "statements": [stated.as_json() for stated in self.statements],
            "records": dict(self.records),
            "consistency": [one.as_json() for one in self.consistency],
        }


def dumps(bundle: Bundle) -> bytes:
    """Return the file's bytes: JSON on one line, members sorted. What is hashed in it the reader makes canonical."""
    text = json.dumps(bundle.as_json(), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode() + b"\n"


def loads(data: bytes) -> Bundle:
    """Read a file. Raises BundleError."""
    value = load_json(data)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BundleError("", f"not a bundle of format {FORMAT}")
    if set(value) != _MEMBERS:
        raise BundleError("", f"missing or unknown: {', '.join(sorted(set(value) ^ _MEMBERS))[:200]}")
    where = "checkpoint"
    try:
        note = _text(value[where])
        first = encodings.from_hex(value[where := "firstKey"], length=32)
        where = "entries"
        entries = tuple(read_shown(each) for each in _list(value["entries"]))
        where = "statements"
        statements = tuple(_stated(each) for each in _list(value["statements"]))
        where = "records"
        if not isinstance(value["records"], dict):
            raise ValueError("an object is wanted")
        where = "consistency"
        consistency = tuple(read_consistency(each) for each in _list(value[where]))
        if len({one.old for one in consistency}) != len(consistency):
            raise ValueError("two proofs from one size")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BundleError(where, str(error)) from error
    return Bundle(note, first, entries, statements, value["records"], consistency)


def load_json(data: bytes) -> Any:
    """Return the value of bounded JSON text without duplicate members. Raises BundleError."""
    if len(data) > BYTES_MAX:
        raise BundleError("", f"longer than {BYTES_MAX} bytes")
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MEMBERS_MAX:
        raise BundleError("", f"more than {MEMBERS_MAX} members")
    try:
        value = json.loads(data.decode(), object_pairs_hook=_pairs, parse_constant=_no_constant)
    except RecursionError as error:
        raise BundleError("", f"deeper than {DEPTH_MAX} levels") from error
    except ValueError as error:
        raise BundleError("", f"not JSON: {error}") from error
    _check_depth(value)
    return value


def read_shown(value: Any) -> Shown:
    """Read an entry of a bundle. Raises ValueError."""
    if not isinstance(value, dict) or type(value.get("seq")) is not int or not 1 <= value["seq"] <= canonical.INT_MAX:
        raise ValueError("an entry has a number")
    proof = read_proof(value["proof"])
    if set(value) == {"seq", "hash", "proof"}:
        return Shown(value["seq"], chain.to_bytes(_text(value["hash"])), proof)
    if set(value) != {"seq", "previous", "entry", "proof"} or set(value["entry"]) != _ENTRY:
        raise ValueError(f"entry {value['seq']} has missing or unknown members")
    words = (value["entry"][name] for name in ("actor", "at", "kind", "subject"))
    if not isinstance(value["entry"]["body"], dict) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"entry {value['seq']} is not an entry of a journal")
    previous = chain.to_bytes(_text(value["previous"]))
    link = chain.link(previous, canonical.dumps(value["entry"]))
    return Shown(value["seq"], link, proof, previous, value["entry"])


def read_consistency(value: Any) -> Consistency:
    """Read a consistency proof. Raises ValueError."""
    if set(value) != {"from", "proof"} or type(value["from"]) is not int:
        raise ValueError("a proof of consistency has from and proof")
    return Consistency(value["from"], read_proof(value["proof"]))


def read_proof(value: Any) -> tuple[bytes, ...]:
    """Read the steps of a proof. Raises ValueError."""
    steps = _list(value)
    if len(steps) > PROOF_STEPS_MAX:
        raise ValueError(f"a proof of more than {PROOF_STEPS_MAX} steps")
    return tuple(encodings.from_base64(step, length=chain.LINK_BYTES) for step in steps)


def _stated(value: Any) -> Stated:
    if set(value) != {"envelope", "disclosures"}:
        raise ValueError("a statement has envelope and disclosures")
    return Stated(dsse.parse(value["envelope"]), tuple(commitments.parse(each) for each in _list(value["disclosures"])))


def _text(value: Any) -> ids.Digest:
    if not isinstance(value, str):
        raise ValueError("text is wanted")
    return ids.Digest(value)


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise ValueError("a list is wanted")
    return value


def _pairs(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the member {key[:100]!r} stands twice")
        made[key] = value
    return made


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [item for each in level for item in _children(each)]
        if not level:
            return
    raise BundleError("", f"deeper than {DEPTH_MAX} levels")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
