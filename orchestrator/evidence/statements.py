"""Statements about one attempt, in in-toto's form (Statement v1): what was decided, and what was observed.

A predicate says plainly only digests, versions, times and numbers of entries; every value that somebody may want to
keep back stands as a salted commitment (``commitments``). The payload is canonical JSON and is read only as such.
Which members a predicate has is fixed here; what they mean is written in docs/evidence.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.evidence import canonical, commitments

TYPE = "https://in-toto.io/Statement/v1"
DECISION = "https://comity.dev/decision/v1"
EXECUTION = "https://comity.dev/execution/v1"

_MEMBERS: Mapping[str, frozenset[str]] = {
    DECISION: frozenset(
        {"attempt", "chosen", "commitments", "decision", "evaluator", "factsDigest", "job", "log", "packs"}
        | {"packsAbsent", "packsFailed", "packsOff", "placement", "policy", "policyClock"}
    ),
    EXECUTION: frozenset({"attempt", "commitments", "job", "log"}),
}
_MAY = {DECISION: frozenset({"mode", "engine"}), EXECUTION: frozenset[str]()}
"""Members that statements of earlier versions do not have."""
_LOG = frozenset({"entries", "link", "origin", "placed"})


class StatementError(ValueError):
    """The payload is no statement of a kind that is known here."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement read back. ``predicate`` has exactly the members of its kind."""

    kind: str
    subjects: Mapping[str, str]
    predicate: Mapping[str, Any]

    @property
    def job(self) -> str:
        """Return the id of the job."""
        return str(self.predicate["job"])

    @property
    def attempt(self) -> int:
        """Return the number of the attempt."""
        return int(self.predicate["attempt"])

    @property
    def held(self) -> Mapping[str, Any]:
        """Return the commitments by path."""
        found: Mapping[str, Any] = self.predicate["commitments"]
        return found


def payload(
    kind: str, plain: Mapping[str, Any], hidden: Sequence[commitments.Disclosure], subjects: Mapping[str, str]
) -> bytes:
    """Return a statement's canonical bytes. ``subjects``: name -> SHA-256 in hexadecimal. Raises ValueError."""
    predicate = {**plain, "commitments": {one.path: one.commitment() for one in hidden}}
    if set(predicate) - _MAY[kind] != _MEMBERS[kind]:
        raise ValueError(f"{kind} has other members than {sorted(predicate)}")
    listed = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects.items())]
    return canonical.dumps({"_type": TYPE, "subject": listed, "predicateType": kind, "predicate": predicate})


def parse(data: bytes) -> Statement:
    """Read a payload. Raises StatementError, also where it is not in its canonical form."""
    try:
        value = json.loads(data)
        if canonical.dumps(value) != data:
            raise StatementError("not in canonical form")
        if set(value) != {"_type", "subject", "predicateType", "predicate"} or value["_type"] != TYPE:
            raise StatementError("not an in-toto statement v1")
        kind, predicate = value["predicateType"], value["predicate"]
        if kind not in _MEMBERS:
            raise StatementError(f"a predicate of unknown type {str(kind)[:100]!r}")
        _check(kind, predicate)
        subjects = {each["name"]: each["digest"]["sha256"] for each in value["subject"]}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise error if isinstance(error, StatementError) else StatementError(f"malformed statement: {error}") from error
    return Statement(kind, subjects, predicate)


def _check(kind: str, predicate: Any) -> None:
    if set(predicate) - _MAY[kind] != _MEMBERS[kind] or set(predicate["log"]) != _LOG:
        raise StatementError(f"{kind} with other members")
    log = predicate["log"]
    numbers = [predicate["attempt"], log["placed"], *log["entries"]]
    if any(type(number) is not int or number < 1 for number in numbers):
        raise StatementError("attempts and entries are named by numbers")
    words = (
        "job",
        "chosen",
        "decision",
        "engine",
        "evaluator",
        "factsDigest",
        "mode",
        "placement",
        "policy",
        "policyClock",
    )
    if not all(isinstance(predicate[name], str) for name in words if name in predicate):
        raise StatementError(f"one of {', '.join(words)} is no text")
    lists = [predicate[name] for name in ("packsAbsent", "packsFailed", "packsOff") if name in predicate]
    if not all(isinstance(each, list) and all(isinstance(one, str) for one in each) for each in lists):
        raise StatementError("packs are named by lists of words")
    packs = predicate.get("packs", [])
    if not isinstance(packs, list) or not all(isinstance(one, dict) and {"id", "version"} <= set(one) for one in packs):
        raise StatementError("a pack in force has id and version")
    if not all(isinstance(one, str) for one in (*predicate["commitments"].values(), log["origin"], log["link"])):
        raise StatementError("commitments and links are digests")
