"""May jobs stay where they are? Each judged again at its own site, and what refuses it told by class.

Three classes, because they are treated differently: a place about which nobody said anything new, whose facts merely
grew old (*stale*); a place that a sanctions list or an urgent directive names (*at once*); anything else. Pure: the
same answer for the loop, which acts on it, and for a dry run, which only tells.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain import ids, jobs, policies, reasons, sites
from orchestrator.placement import columns, select
from orchestrator.placement.filters import countries, isolation, registry, sanctions
from orchestrator.policy import evaluator
from orchestrator.scheduler import caches, classes, snapshots, worlds

STALE = ("core.stale-facts", "sanctions.list-stale", "claim.expired")
"""Codes that say no more than that something is too old; with anything after a colon."""
FOLLOWS = "core.assurance"
"""What an expired claim takes with it: facts are known less well than the job demands. Stale beside one of STALE."""
ATTESTATION = "tee.attestation"
"""Stale where a verified result is there, and only its age is wrong."""
AT_ONCE = ("sanctions.listed-party", "sanctions.embargo")
DIRECTIVE = "directive."
UNJUDGEABLE = "core.unjudgeable"

_STALE_BITS = sum(1 << bit for bit, item in enumerate(registry.FILTERS) if isinstance(item, sanctions.ListsStale))
_HARD_BITS = sum(
    1 << bit
    for bit, item in enumerate(registry.FILTERS)
    if isinstance(item, (countries.Countries, isolation.Isolation))
)
"""Filters that bind a running job too; the others only decide where it starts."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What refuses a job at the site where it is; no code: it may stay."""

    site: ids.SiteName
    codes: tuple[str, ...] = ()
    stale: bool = False
    """Nothing but age refuses it."""
    at_once: bool = False
    """A sanctions list names the place, or an immediate directive holds: nobody waits for a second look."""
    detail: str = ""

    @property
    def message(self) -> str:
        """Return a sentence for a condition."""
        return self.detail or f"{self.site} may not have it any more: {', '.join(self.codes)}"


@dataclass(frozen=True, slots=True)
class Standings:
    """Every job that could be judged. One whose site is not known just now is left out: that is no wrongdoing."""

    of: Mapping[ids.JobId, Standing] = field(default_factory=dict)
    until: dt.datetime | None = None
    """First moment at which time alone may change any of it; None: never."""


def judge(world: worlds.World, all_sites: Sequence[sites.Site], here: Iterable[jobs.Job], at: dt.datetime) -> Standings:
    """Judge jobs again at the sites of their current attempts."""
    memory = caches.Cache()
    snapshot = snapshots.Snapshot(at=at, term=ids.Term(0), world=world, sites=all_sites)
    table = memory.refresh(snapshot)
    urgent = frozenset(f"{DIRECTIVE}{one.name}" for one in _urgent(world.directives))
    found: dict[ids.JobId, Standing] = {}
    known: dict[tuple[ids.Digest, int], Standing] = {}
    ends: dt.datetime | None = None
    for job in here:
        row = table.index.get(job.attempt.site) if job.attempt is not None else None
        if job.attempt is None or row is None:
            continue
        try:
            kind = memory.class_of(classes.kind_of(job.tenant, job.spec))
            verdict = memory.verdict(kind, at)
            if (kind.digest, row) not in known:
                known[kind.digest, row] = _standing(verdict, table, row, urgent)
        except Exception as error:  # noqa: BLE001 - what cannot be judged is not allowed
            text = f"{type(error).__name__} while judging the job again"
            found[job.id] = Standing(job.attempt.site, (UNJUDGEABLE,), detail=text)
            continue
        found[job.id] = known[kind.digest, row]
        if verdict.expires is not None:
            ends = min(ends, verdict.expires) if ends is not None else verdict.expires
    return Standings(found, ends)


def placeable(snapshot: snapshots.Snapshot, waiting: Iterable[jobs.Job]) -> frozenset[ids.JobId]:
    """Return those of the jobs that some site may take, were it free and in reach. What breaks is not placeable."""
    memory, at = caches.Cache(), snapshot.at
    memory.refresh(snapshot)
    found: set[ids.JobId] = set()
    for job in waiting:
        try:
            verdict = memory.verdict(memory.class_of(classes.kind_of(job.tenant, job.spec)), at)
        except Exception:  # noqa: BLE001, S112 - what cannot be judged goes nowhere
            continue
        if verdict.permitted.any():
            found.add(job.id)
    return frozenset(found)


def _urgent(directives: Iterable[policies.Directive]) -> Iterable[policies.Directive]:
    return (one for one in directives if one.immediate)


def _standing(verdict: select.Verdict, table: columns.Columns, row: int, urgent: frozenset[str]) -> Standing:
    item, codes = table.items[row], list[str]()
    if bool(verdict.judgement.denied[row]):
        judgement = verdict.judgement
        said = judgement.reasons(row) if isinstance(judgement, evaluator.Judgement) else ()
        codes += [one.code for one in said if one.effect is reasons.Effect.DENY] or ["core.denied"]
    bits = int(verdict.bits[row])
    for bit, each in enumerate(registry.FILTERS):
        if bits & (_HARD_BITS | _STALE_BITS) & 1 << bit:
            reason = each.check(verdict.question, item)
            codes.append(reason.code if reason is not None else each.name)
    if not codes:
        return Standing(item.site.name)
    found = tuple(sorted(set(codes)))
    return Standing(
        item.site.name,
        found,
        stale=_only_stale(found, item.site),
        at_once=any(code in urgent or _is(code, AT_ONCE) for code in found),
    )


def _only_stale(codes: Sequence[str], site: sites.Site) -> bool:
    aged = [_is(code, STALE) or (code == ATTESTATION and _only_old(site.attested)) for code in codes]
    if all(aged):
        return True
    claims = any(_is(code, ("claim.expired",)) for code in codes)
    return claims and all(old or _is(code, (FOLLOWS,)) for code, old in zip(codes, aged, strict=True))


def _only_old(attested: sites.Attested | None) -> bool:
    return attested is not None and attested.verified


def _is(code: str, words: Iterable[str]) -> bool:
    return any(code == word or code.startswith(f"{word}:") for word in words)
