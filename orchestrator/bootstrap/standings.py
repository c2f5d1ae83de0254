"""How the installation stood at the last start and how it stands now: said aloud, stored, journaled where it loosened.

Whoever starts the server decides whether one person may hold every right; the decision stays until a start says
otherwise, so that a forgotten flag never loosens it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from orchestrator.domain import journal, modes
from orchestrator.inventory import standings
from orchestrator.policy import loosening, rulebook
from orchestrator.ports import stores
from orchestrator.service import contexts

SYSTEM = "system"
_START = "found, or said, when the server started"
_AGAIN = "packs were read again: somebody who may signal the server's process asked for it (SIGHUP)"
_TOGETHER = "one token may hold facts, policy and submit again"
_SAID = {
    modes.Mode.ONE_PERSON: (
        "one-person mode: a token may state facts, write policy and submit jobs, and every record says so; "
        "with more people: comity serve --no-one-person"
    ),
    modes.Mode.SEPARATE_ROLES: "separate roles: no token holds two of facts, policy and submit",
}


def said(mode: modes.Mode) -> str:
    """Return the sentence about a mode for whoever starts the server."""
    return _SAID[mode]


def settle(
    context: contexts.Context,
    book: rulebook.RuleBook | None,
    one_person: bool | None,
    *,
    before: rulebook.RuleBook | None = None,
) -> modes.Mode:
    """Store and journal how the installation stands; return the mode in force. Raises StoreError.

    Args:
        context: of the use cases.
        book: the packs that were just loaded.
        one_person: what the start says; None: it stays as it was, and is on at the first start, because the first
            token is everybody's.
        before: the packs that were in force until now, where they were read again while the server runs.
    """
    document = context.store.document(standings.KIND, standings.NAME)
    old = _read(document)
    wanted = {True: modes.Mode.ONE_PERSON, False: modes.Mode.SEPARATE_ROLES, None: old.mode}[one_person]
    packs = old.packs if book is None else tuple(name for name, _ in book.versions)
    new = dataclasses.replace(old, mode=wanted, packs=packs)
    again = before is not None and book is not None
    found = [*(loosening.of_books(before, book) if before and book else loosening.of_packs(old.packs, packs))]
    if document is not None and new == old and not found:
        return wanted
    entries = []
    if wanted is not old.mode:
        entries.append(_entry(context, "mode.changed", {"from": old.mode.value, "to": wanted.value}))
        if wanted is modes.Mode.ONE_PERSON:
            found.append(loosening.Loosening("roles.together", "mode", _TOGETHER))
    if found:
        entries.append(_entry(context, loosening.WORD, _loosened(found, _AGAIN if again else _START)))
    changed = standings.to_document(new, version=document.version if document is not None else 0)
    context.store.commit(stores.Changes(documents=(changed,), entries=tuple(entries)))
    return wanted


def _loosened(found: Iterable[loosening.Loosening], why: str) -> dict[str, object]:
    return {"loosens": [one.as_json() for one in found], "reason": why}


def _entry(context: contexts.Context, word: str, body: dict[str, object]) -> journal.Entry:
    return journal.Entry(word, "server", context.clock.now(), SYSTEM, body)


def _read(document: stores.Document | None) -> standings.Standing:
    """Return what is stored. What cannot be read is strict, and written over by what this start finds."""
    if document is None:
        return standings.Standing()
    try:
        return standings.of_document(document)
    except ValueError:
        return standings.Standing(modes.Mode.SEPARATE_ROLES)
