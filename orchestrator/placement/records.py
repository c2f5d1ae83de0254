"""Decisions as they are stored: bits, numbers and digests, no sentences.

``record`` writes what one class of jobs was decided on in one cycle; ``read`` gives back the rows, so that
``explanations`` can make the same sentences years later. What a record says does not change while nothing that
matters changed: amounts of free room and times of day are left out, so equal decisions have equal digests and a plan
can be submitted "as decided".
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.domain import decisions, ids, offers, sites
from orchestrator.evidence import canonical
from orchestrator.placement import columns, contents, requirements, rows, select
from orchestrator.placement.filters import registry

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """What a site's backend said of itself that does not change from cycle to cycle."""

    offered: bool = False
    total: offers.Room | None = None
    node: offers.Room | None = None
    isolation_none: bool = False
    cordoned: bool = False
    nodes_max: int | None = None


@dataclass(frozen=True, slots=True)
class Sites:
    """All sites of a table as contents. ``facts`` is the digest of what documents say, ``shapes`` of ``Standing``."""

    facts: decisions.Content
    shapes: decisions.Content
    each: tuple[decisions.Content, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy in force as a decision names it. ``rules`` lists rule ids in the order of their bits."""

    digest: ids.Digest
    evaluator: str
    packs: tuple[tuple[str, str], ...] = ()
    off: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    first_bit: int = 0
    mode: str = ""
    """``one-person`` where one token could state facts, write policy and submit; "": from before that was said."""
    engine: str = ""
    """Library that judged the house's own rules, with its version; "": there were none, or it was not said yet."""


@dataclass(frozen=True, slots=True)
class Past:
    """A stored decision read back: one row a site, with its bits."""

    policy: Policy
    versions: decisions.Versions
    question: requirements.Question
    rows: tuple[rows.Row, ...]
    filter_bits: tuple[int, ...]
    policy_bits: tuple[int, ...]
    denied: tuple[bool, ...]
    order: tuple[int, ...]
    scores: Mapping[str, tuple[int, ...]]
    totals: tuple[int, ...]


Known = Mapping[ids.SiteName, tuple[sites.Site, decisions.Content]]
"""Sites whose contents were made before."""


def sites_of(table: columns.Columns, known: Known = MappingProxyType({})) -> Sites:
    """Return the contents of every site of the table; made once for each version of it.

    What is ``known`` of the very same value is taken over: one changed document leaves nearly all sites as they are.
    """
    each = tuple(
        found[1]
        if (found := known.get(row.site.name)) is not None and found[0] is row.site
        else contents.site_content(row.site)
        for row in table.items
    )
    listed = [[str(row.site.name), str(c.digest)] for row, c in zip(table.items, each, strict=True)]
    return Sites(contents.content(listed), contents.content([_standing(row) for row in table.items]), each)


def record(
    selection: select.Selection,
    *,
    class_digest: ids.Digest,
    at: dt.datetime,
    facts: Sites,
    policy: Policy,
) -> tuple[decisions.Decision, tuple[decisions.Content, ...]]:
    """Return the decision and the contents it names besides those of the sites and of the class."""
    verdict = selection.verdict
    question, named_policy = contents.content(verdict.question), contents.content(policy)
    order = verdict.order
    body = canonical.dumps(
        {
            "format": FORMAT,
            "class": class_digest,
            "question": question.digest,
            "sites": facts.facts.digest,
            "shapes": facts.shapes.digest,
            "policy": named_policy.digest,
            "placement": registry.VERSION,
            "policyBits": [_pack(word) for word in verdict.judgement.bits],
            "denied": _pack(np.packbits(verdict.judgement.denied, bitorder="little")),
            "filterBits": _pack(selection.bits),
            "order": order.tolist(),
            "scores": {name: column[order].tolist() for name, column in verdict.scores.items()},
            "totals": verdict.totals[order].tolist(),
            "expires": verdict.expires.isoformat() if verdict.expires else None,
        }
    )
    decision = decisions.Decision(
        digest=canonical.digest_of_bytes(body),
        class_digest=class_digest,
        at=at,
        expires=verdict.expires,
        placeable=bool(len(selection.ranking)),
        body=body,
    )
    return decision, (question, named_policy)


def read(decision: decisions.Decision, stored: Mapping[ids.Digest, decisions.Content]) -> Past:
    """Return what a decision rests on. Raises ContentError when a content is missing or damaged."""
    body = contents.parse(decisions.Content(decision.digest, decision.body))
    if body.get("format") != FORMAT or body.get("placement") != registry.VERSION:
        raise contents.ContentError(f"written by {body.get('placement')}, which this version does not read")
    question = contents.read(requirements.Question, _find(stored, body["question"]))
    policy = contents.read(Policy, _find(stored, body["policy"]))
    listed = contents.parse(_find(stored, body["sites"]))
    shapes = contents.parse(_find(stored, body["shapes"]))
    count = len(listed)
    filter_bits = _unpack(body["filterBits"])
    words = [_unpack(word) for word in body["policyBits"]]
    denied = denied_of(body, count)
    made = [
        _row(contents.read(sites.Site, _find(stored, ids.Digest(digest))), contents.decode(Standing, shape), bits)
        for (_, digest), shape, bits in zip(listed, shapes, filter_bits, strict=True)
    ]
    return Past(
        policy=policy,
        versions=versions(policy, body["sites"]),
        question=question,
        rows=tuple(made),
        filter_bits=filter_bits,
        policy_bits=tuple(sum(word[row] << (64 * at) for at, word in enumerate(words)) for row in range(count)),
        denied=tuple(bool(flag) for flag in denied),
        order=tuple(body["order"]),
        scores={name: tuple(values) for name, values in body["scores"].items()},
        totals=tuple(body["totals"]),
    )


def denied_of(body: Mapping[str, Any], count: int) -> npt.NDArray[np.bool_]:
    """Return where policy denied, one flag a site, from the body of a decision."""
    packed = np.frombuffer(base64.b64decode(body["denied"]), np.uint8)
    return np.unpackbits(packed, count=count, bitorder="little").astype(np.bool_)


def references(decision: decisions.Decision) -> tuple[ids.Digest, ...]:
    """Return the digests of the contents that a decision names itself; the list of sites names the sites."""
    body = contents.parse(decisions.Content(decision.digest, decision.body))
    return tuple(ids.Digest(body[name]) for name in ("class", "question", "policy", "shapes", "sites"))


def site_references(listed: decisions.Content) -> tuple[ids.Digest, ...]:
    """Return the digests of the sites that a stored list of sites names."""
    return tuple(ids.Digest(digest) for _, digest in contents.parse(listed))


def versions(policy: Policy, facts: ids.Digest) -> decisions.Versions:
    """Return what stands behind an answer."""
    return decisions.Versions(policy.digest, facts, policy.evaluator, policy.packs, policy.off, policy.mode)


def _standing(row: rows.Row) -> Standing:
    return Standing(
        offered=row.offer is not None,
        total=row.offer.total if row.offer else None,
        node=row.node,
        isolation_none=row.isolation_none,
        cordoned=row.cordoned,
        nodes_max=row.backend.nodes_max if row.backend else None,
    )


def _row(site: sites.Site, standing: Standing, bits: int) -> rows.Row:
    reachable = not bits >> registry.UNREACHABLE_BIT & 1
    state = rows.BackendState(site.backend, reachable, standing.cordoned, standing.nodes_max)
    if not standing.offered or standing.total is None:
        return rows.Row(site, None, state)
    offer = offers.Offer(
        site=site.name,
        free=rows.NO_ROOM,
        total=standing.total,
        observed_at=dt.datetime.min.replace(tzinfo=dt.UTC),
        largest_node=standing.node,
        isolation_none=standing.isolation_none,
    )
    return rows.Row(site, offer, state)


def _find(stored: Mapping[ids.Digest, decisions.Content], digest: ids.Digest) -> decisions.Content:
    found = stored.get(digest)
    if found is None:
        raise contents.ContentError(f"{digest} is not stored")
    return found


def _pack(values: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def _unpack(text: str) -> tuple[int, ...]:
    return tuple(np.frombuffer(base64.b64decode(text), dtype="<u8").tolist())
