"""What is declared: tenants, queues, data sets, the control plane, the rule book, tables. It changes with documents."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.domain import jobs, policies, sites
from orchestrator.domain import tenants as declared
from orchestrator.placement import records, requirements
from orchestrator.policy import evaluator, rulebook, tallies
from orchestrator.policy.cedar import engine


def _as_written(name: str) -> tuple[str, ...]:
    return (name,)


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Everything declared, as of one version of the documents. Made anew whenever a document or a pack changes.

    ``accelerators`` resolves a name as written (``H100``) to slugs of the catalogue; () for a name nobody knows.
    Queues and data sets are by tenant and name; queues that all share stand under ``""``.
    """

    rulebook: rulebook.RuleBook
    tenants: Mapping[str, declared.Tenant] = field(default_factory=dict)
    queues: Mapping[str, Mapping[str, declared.Queue]] = field(default_factory=dict)
    data_sets: Mapping[str, Mapping[str, declared.DataSet]] = field(default_factory=dict)
    control_plane: declared.ControlPlane | None = None
    operators: Mapping[str, sites.Operator] = field(default_factory=dict)
    directives: tuple[policies.Directive, ...] = ()
    mode: str = ""
    """Whether one person may hold every right (``domain.modes``); "": nobody said."""
    ledger: tallies.View | None = tallies.NOTHING
    """What was counted towards thresholds that add up; None: it cannot be read."""
    tables: requirements.Tables = requirements.NO_TABLES
    accelerators: Callable[[str], tuple[str, ...]] = _as_written

    def visible_data(self, tenant: str) -> Mapping[str, declared.DataSet]:
        """Return the data sets that belong to a tenant: another's count as not registered."""
        return self.data_sets.get(tenant, {})

    def priority(self, tenant: str, queue: str | None, name: str | None) -> int:
        """Return the number of a priority in a tenant's queue; higher goes first."""
        known = declared.queue_of(self.queues, tenant, queue)
        return known.priority(name) if known else 0

    def weight(self, tenant: str, queue: str | None) -> int:
        """Return the weight of a tenant's queue against others."""
        known = declared.queue_of(self.queues, tenant, queue)
        return known.weight if known else 1

    def sets_on(self, day: dt.date) -> requirements.CountrySets:
        """Return the country sets of the fact base on a day."""
        return _Sets(self.rulebook, day)

    def policy(self) -> records.Policy:
        """Return the policy in force as a decision names it."""
        book = self.rulebook
        return records.Policy(
            digest=book.digest,
            evaluator=evaluator.EVALUATOR_VERSION,
            packs=book.versions,
            off=book.off,
            rules=evaluator.names(book),
            first_bit=evaluator.FIRST_RULE,
            mode=self.mode,
            engine=engine.version() if book.user else "",
        )


@dataclass(frozen=True, slots=True)
class _Sets:
    book: rulebook.RuleBook
    day: dt.date

    def countries(self, names: Iterable[str]) -> tuple[Collection[str], tuple[str, ...]]:
        """See ``requirements.CountrySets``."""
        return self.book.countries(names, self.day)

    def nearest(self, name: str) -> str | None:
        """See ``requirements.CountrySets``."""
        return self.book.nearest_country(name, self.day)


def share_of(tenant: str, spec: jobs.JobSpec) -> str:
    """Return whose share of the whole a job uses: its queue's, else its tenant's."""
    return f"{tenant}/{spec.queue or ''}"
