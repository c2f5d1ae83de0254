"""What was observed of an attempt beside its times: nodes, adapter, files left, attestation. Nothing is decided here.

An adapter reports, the core bounds what it keeps (``bounded``) and compares it with the place that was decided on
(``check``). What nobody saw stays absent: an empty answer is never taken for agreement.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.domain import facts, ids

NODES_MAX = 4_096
"""Nodes of one attempt of which something is kept."""
OUTPUTS_MAX = 256
"""Files left by one attempt; of more than these, nothing is kept."""
NODE_MAX, SOURCE_MAX, PATH_MAX = 253, 200, 1_024
"""Characters."""
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
ADAPTERS_WORD = facts.Assurance.DOCUMENTED
"""The most that counts on an adapter's word alone."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What was seen of where one node of an attempt runs. What nobody saw is ``None``; a guess is not reported.

    ``rank`` counts from 0. ``node`` is the backend's name for the machine, at most 253 characters. ``image_digest`` is
    that of the image as it runs (``sha256:`` and 64 hex digits), not as it was asked for. ``country`` is an ISO 3166-1
    alpha-2 code in capitals, ``source`` where it was read (``label topology.kubernetes.io/region of the node``, at
    most 200 characters), ``assurance`` how well that source knows it: a label or a setting is ``DECLARED``, the answer
    of an interface that the operator runs for this ``DOCUMENTED``. More than that counts only from the core's own check
    of an attestation result, never because an adapter says so.
    """

    rank: int
    node: str
    image_digest: str | None = None
    country: str | None = None
    source: str = ""
    assurance: facts.Assurance = facts.Assurance.DECLARED


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that an attempt left: relative path, bytes, and SHA-256; ``sha256`` None: nobody read it."""

    path: str
    size_bytes: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """Which program spoke to the backend: its distribution, version, and digest of its installed files."""

    distribution: str
    version: str
    digest: ids.Digest


@dataclass(frozen=True, slots=True)
class AttestationResult:
    """A result that the core verified for one attempt: who appraised what, when, and which facts it covers.

    ``token`` is the digest of the token. ``covers`` holds document paths below the backend (``location.country``),
    each stated by the token and equal to the document; ``country`` is what it says there.
    """

    tee: str
    verifier: str
    id: str
    token: ids.Digest
    at: dt.datetime
    until: dt.datetime
    covers: tuple[str, ...] = ()
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """All of it for one attempt. ``nodes`` by rank."""

    nodes: tuple[Whereabouts, ...] = ()
    adapter: Adapter | None = None
    outputs: tuple[OutputFile, ...] | None = None
    """The files it left; None: nobody can tell."""
    attested: AttestationResult | None = None
    rounds: int = 0
    """How many attestation results were accepted: the next challenge differs from all before."""


NOTHING = Execution()


class Agreement(enum.Enum):
    """How what was seen compares with the place that was decided on."""

    AGREES = "agrees"
    """Every node was seen, in the country of the place."""
    PARTLY = "agrees in part"
    """Those that were seen agree; of others no country is known."""
    CONTRADICTS = "contradicts"
    NOT_OBSERVED = "not observed"


@dataclass(frozen=True, slots=True)
class Check:
    """A comparison: ``seen`` are the nodes with a country, by rank; ``wrong`` those in another one."""

    agreement: Agreement
    expected: str | None
    seen: tuple[Whereabouts, ...] = ()
    wrong: tuple[Whereabouts, ...] = ()

    @property
    def assurance(self) -> facts.Assurance | None:
        """Return how well the least known of what was seen is known."""
        return min((one.assurance for one in self.seen), default=None)


def check(found: Execution, expected: str | None, nodes: int) -> Check:
    """Compare what was seen of an attempt of so many nodes with the country of its place.

    The country of a verified attestation result stands for every node whose own country nobody reported: it is bound
    to the attempt, not to one of its nodes. A place without a country agrees with nothing.
    """
    seen = [one for one in found.nodes if one.country is not None]
    if found.attested is not None and found.attested.country is not None:
        seen += _attested(found.attested, {one.rank for one in seen}, found.nodes, nodes)
    if not seen:
        return Check(Agreement.NOT_OBSERVED, expected)
    wrong = tuple(one for one in seen if one.country != expected)
    whole = {one.rank for one in seen} >= set(range(nodes))
    word = Agreement.CONTRADICTS if wrong else Agreement.AGREES if whole else Agreement.PARTLY
    return Check(word, expected, tuple(sorted(seen, key=lambda one: one.rank)), wrong)


def _attested(
    result: AttestationResult, known: set[int], named: Sequence[Whereabouts], nodes: int
) -> list[Whereabouts]:
    names, source = {one.rank: one.node for one in named}, f"attestation result of {result.verifier}"[:SOURCE_MAX]
    level = facts.Assurance.ATTESTED
    return [
        Whereabouts(rank, names.get(rank, ""), None, result.country, source, level)
        for rank in range(nodes)
        if rank not in known
    ]


def bounded(reported: Iterable[object], nodes: int) -> tuple[Whereabouts, ...]:
    """Return what an adapter reported of an attempt of so many nodes, by rank; what is malformed is left out.

    Its word counts for ``documented`` at most. Of two that speak of one rank the first counts, unless the other has a
    country and it has none, or another one: a contradiction is never hidden by order.
    """
    found: dict[int, list[Whereabouts]] = {}
    for one in reported:
        made = _sane(one, min(nodes, NODES_MAX))
        if made is not None and made not in found.setdefault(made.rank, []):
            found[made.rank].append(made)
    return tuple(one for rank in sorted(found) for one in _least(found[rank]))


def _sane(one: object, nodes: int) -> Whereabouts | None:
    if not isinstance(one, Whereabouts) or type(one.rank) is not int or not 0 <= one.rank < nodes:
        return None
    texts = (one.node, one.source)
    if not all(isinstance(text, str) and text.isprintable() for text in texts) or not one.node:
        return None
    country = one.country if isinstance(one.country, str) and _COUNTRY.fullmatch(one.country) else None
    image = one.image_digest if isinstance(one.image_digest, str) and _DIGEST.fullmatch(one.image_digest) else None
    level = one.assurance if isinstance(one.assurance, facts.Assurance) else facts.Assurance.DECLARED
    return Whereabouts(
        one.rank, one.node[:NODE_MAX], image, country, one.source[:SOURCE_MAX], min(level, ADAPTERS_WORD)
    )


def merged(known: tuple[Whereabouts, ...], new: tuple[Whereabouts, ...]) -> tuple[Whereabouts, ...]:
    """Return what is known of nodes after more was seen: the newest of each rank, and every other country it was in.

    So a node that moved, or an interface that says one thing and then another, leaves both; at most four of a rank.
    """
    if not new or new == known:
        return known
    ranks: dict[int, list[Whereabouts]] = {}
    for one in (*new, *known):
        mine = ranks.setdefault(one.rank, [])
        says_more = one.country is not None and one.country not in {each.country for each in mine}
        if not mine or (one in new and one not in mine) or says_more:
            mine.append(one)
    return tuple(one for rank in sorted(ranks) for one in _least(ranks[rank]))


def _least(found: list[Whereabouts]) -> list[Whereabouts]:
    """Return those of one rank without the ones that say nothing beside another one, by country, at most four."""
    telling = sorted((one for one in found if one.country is not None), key=lambda one: one.country or "")
    return (telling or found[:1])[:4]


def bounded_outputs(reported: Iterable[object] | None) -> tuple[OutputFile, ...] | None:
    """Return the files that an adapter reported, by path; None where some are malformed, or there are too many.

    A list that is not whole would look as if it were.
    """
    if reported is None:
        return None
    found: dict[str, OutputFile] = {}
    for one in reported:
        if not isinstance(one, OutputFile) or not isinstance(one.path, str) or not 0 < len(one.path) <= PATH_MAX:
            return None
        if not one.path.isprintable() or type(one.size_bytes) is not int or one.size_bytes < 0:
            return None
        digest = one.sha256 if isinstance(one.sha256, str) and _DIGEST.fullmatch(one.sha256) else None
        found.setdefault(one.path, OutputFile(one.path, one.size_bytes, digest))
    return tuple(found[path] for path in sorted(found)) if len(found) <= OUTPUTS_MAX else None
