"""The last look before an effect: does the term hold, and does the placement stand as it was decided?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.control import batches, dispatcher, identities, planning, policy_clock, whereabouts
from orchestrator.domain import decisions, ids
from orchestrator.inventory import worlds
from orchestrator.ports import environment, stores


@dataclass(frozen=True, slots=True)
class Guard:
    """Asked from the executor's threads, just before each submit and stop."""

    store: stores.Store
    clock: environment.Clock
    inventory: worlds.Inventory
    planner: planning.Planner
    times: policy_clock.PolicyClock
    halted: Callable[[], str] = lambda: ""

    def check_term(self, term: ids.Term) -> None:
        """Raise DroppedError where another controller acts now."""
        if self.store.current_term() != term:
            raise batches.DroppedError("loop.stale-term", "another controller acts now", stale=True)

    def check(self, placement: decisions.Placement, stamp: planning.Stamp, term: ids.Term) -> None:
        """Raise DroppedError where the placement does not stand any more."""
        self.check_term(term)
        now = self.clock.now()
        if self.times.is_back(now):
            raise batches.DroppedError(dispatcher.CLOCK_WENT_BACK, "the clock is behind a time that was seen before")
        if self.halted():
            raise batches.DroppedError(dispatcher.TABLES_DIFFER, "the tables are not what the journal says")
        if placement.expires is not None and now >= placement.expires:
            raise batches.DroppedError("VerdictExpired", "a dated fact changed between decision and launch")
        world = self.inventory.world()
        current = self.planner.stamp(world, now)
        if placement.policy and placement.policy != current.policy:
            raise batches.DroppedError("RulesChanged", "rules changed between decision and launch")
        if current != stamp:
            raise batches.DroppedError(dispatcher.FACTS_CHANGED, "facts changed between decision and launch")
        site = world.site(placement.site)
        if site is not None and site.identity is not None and site.identity.changed_to is not None:
            raise batches.DroppedError(identities.CHANGED, f"another answers in the place of {site.backend}")
        if site is not None and site.elsewhere is not None:
            raise batches.DroppedError(whereabouts.CODE, f"an attempt at {site.name} was seen in another country")
        if site is None or world.closed(site):
            raise batches.DroppedError("SiteClosed", f"{placement.site} takes nothing new any more")
