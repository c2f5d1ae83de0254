"""The declared world as the scheduler reads it: for the loop that places, and for answers that must say the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from orchestrator.inventory import ledgers, worlds
from orchestrator.placement import requirements
from orchestrator.policy import rulebook
from orchestrator.scheduler import worlds as scheduler_worlds


def day_of(world: worlds.World, at: dt.datetime) -> dt.date | None:
    """Return the day by which the ledger is frozen: what was counted falls out of its window as days pass. None: no
    day changes anything."""
    return at.astimezone(dt.UTC).date() if world.ledger else None


def of(
    world: worlds.World,
    book: rulebook.RuleBook,
    at: dt.datetime,
    *,
    tables: requirements.Tables,
    accelerators: Callable[[str], tuple[str, ...]],
) -> scheduler_worlds.World:
    """Return what is declared, and what was counted as of a day."""
    return scheduler_worlds.World(
        rulebook=book,
        tenants=world.tenants,
        queues=world.queues,
        data_sets=world.data_sets,
        control_plane=world.control_plane,
        operators=world.operators,
        directives=world.directives,
        mode=world.mode.value,
        ledger=ledgers.view(world.ledger, book, at),
        tables=tables,
        accelerators=accelerators,
    )
