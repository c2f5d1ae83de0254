"""What was asked of a verified job, and what one hand gave back. Values only; ``decisions`` compares them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from orchestrator.domain import executions, ids, jobs
from orchestrator.evidence import canonical

REPLICAS_MAX = 100
"""Most replicas of one job (as in the documents' schema)."""


class Role(enum.Enum):
    """Who ran it."""

    __hash__ = object.__hash__

    REPLICA = "replica"
    """A site that the policy allows; counts for a quorum."""
    REFEREE = "referee"
    """A site that the tenant trusts; does not count for a quorum, and outranks one."""


class Seal(enum.Enum):
    """Whether a replica fixed its answer before it could see another one (``sealing``)."""

    __hash__ = object.__hash__

    NONE = "none"
    KEPT = "kept"
    BROKEN = "broken"
    """It opened another answer than it had sealed, or a seal that is another's."""


class Answer(enum.Enum):
    """How two results compare. What could not be compared is UNKNOWN: no agreement, and nobody's fault."""

    __hash__ = object.__hash__

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Request:
    """What a job asks. ``subject`` is the digest of what was to run (:func:`subject`).

    ``quorum`` is more than half of ``replicas``, so that no two answers can both have one; at least 2 where there is
    more than one replica. ``sealed``: only results with a kept seal count. ``referees`` bounds the runs on trusted
    sites. Raises ValueError.
    """

    subject: ids.Digest
    replicas: int = 1
    quorum: int = 1
    distinct: frozenset[jobs.Distinct] = frozenset()
    sealed: bool = False
    referees: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.replicas <= REPLICAS_MAX:
            raise ValueError(f"replicas: 1 to {REPLICAS_MAX}")
        if not self.replicas < 2 * self.quorum <= 2 * self.replicas:
            raise ValueError("quorum: more than half of the replicas, and at most all of them")
        if self.referees < 2:
            raise ValueError("referees: at least 2, since nobody is blamed on the word of one run alone")


def request(wanted: jobs.Verification, subject: ids.Digest) -> Request:
    """Return what a job asks, of the subject that was to run. Raises ValueError."""
    return Request(subject, wanted.replicas, wanted.quorum, wanted.distinct, referees=jobs.REFEREES)


@dataclass(frozen=True, slots=True)
class Result:
    """What one run left. ``name`` is unique within a job (the attempt).

    ``operator`` is whoever has the last word over the site (the ultimate parent: two subsidiaries are one hand), and
    ``country`` that of the site; None: not known. ``subject`` is the digest of what the site says it ran, None: it
    does not say. ``outputs`` None: it failed, or nobody knows what it left.
    """

    name: str
    operator: str | None
    country: str | None
    subject: ids.Digest | None
    outputs: tuple[executions.OutputFile, ...] | None
    role: Role = Role.REPLICA
    seal: Seal = Seal.NONE

    def hand(self, field: jobs.Distinct) -> str | None:
        """Return the value in which it must differ from others."""
        match field:
            case jobs.Distinct.OPERATOR:
                return self.operator
            case jobs.Distinct.COUNTRY:
                return self.country

    def answer(self) -> ids.Digest | None:
        """Return the digest of the outputs; None where there are none, or one of them has no digest."""
        return answer(self.outputs)


Relation = Callable[[Result, Result], Answer]
"""How two results compare. Must be symmetric; ``decisions`` asks for each pair in one order only."""


def subject(*, spec: ids.Digest, inputs: Iterable[tuple[str, ids.Digest]], image: ids.Digest | None) -> ids.Digest:
    """Return the digest of what is to run: the job's spec, its inputs by path, and its image.

    ``image`` is the digest of the manifest that the platform runs, not that of an index of several platforms: two
    honest sites with different machines would otherwise differ in it.
    """
    return canonical.digest({"spec": spec, "inputs": sorted([path, digest] for path, digest in inputs), "image": image})


def answer(outputs: Sequence[executions.OutputFile] | None) -> ids.Digest | None:
    """Return the digest of outputs, whatever their order; None where there are none or one of them has no digest."""
    if not outputs or any(one.sha256 is None for one in outputs):
        return None
    return canonical.digest(sorted([one.path, one.size_bytes, one.sha256] for one in outputs))


def exact(left: Result, right: Result) -> Answer:
    """Compare by digest: the same files with the same bytes."""
    mine, other = left.answer(), right.answer()
    if mine is None or other is None:
        return Answer.UNKNOWN
    return Answer.SAME if mine == other else Answer.DIFFERENT
