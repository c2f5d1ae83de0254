"""Answers of people about names that match a sanctions list: named, with a reason, dated, on the record.

An answer stands in the status of its Operator and is an entry of the journal. It is bound to the entry and the party
as they were; it never takes away what a number says.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json

from orchestrator.domain import journal, listings
from orchestrator.inventory import screeners
from orchestrator.ports import stores
from orchestrator.service import access, contexts, problems

ANSWERS = (access.Role.POLICY, access.Role.FACTS)
WORD_MAX = 1_024
"""Length of a person's name and of a reason."""
ANSWERS_MAX = 256
"""Answers kept of one operator; an answer to the same match replaces the one before."""


def answer(
    context: contexts.Context,
    who: access.Principal,
    operator: str,
    *,
    list_: str,
    entry: str,
    party: str | None,
    same: bool,
    person: str,
    reason: str,
    valid_to: dt.date | None,
) -> stores.Document:
    """Keep what a person says about a match; returns the Operator. Raises ServiceError.

    ``party`` is the owner that matches; None: the operator itself, or the one party of it that does. The answer is
    bound to the entry and the party as they are now.
    """
    access.require(who, ANSWERS)
    person, reason = _line(person, "by"), _line(reason, "reason")
    hit = _match(context, operator, list_, entry, party)
    made = listings.Answer(
        list=hit.list,
        entry=hit.entry,
        party=hit.party,
        same=same,
        reason=reason,
        by=person,
        at=context.clock.now(),
        entry_digest=hit.entry_digest,
        party_digest=hit.party_digest,
        valid_to=valid_to,
        recorded=who.token_id,
    )
    for _ in range(contexts.CONFLICT_TRIES):
        change = _changed(context, operator, made)
        body = {"operator": operator, "name": hit.entry_name, **screeners.answer_document(made)}
        noted = journal.Entry("lists.answered", f"operator/{operator}", made.at, who.token_id, body)
        try:
            return contexts.commit(context, stores.Changes(documents=(change,), entries=(noted,))).documents[0]
        except stores.VersionConflictError:
            continue
    raise problems.ServiceError(problems.Kind.UNAVAILABLE, "store.busy", f"Operator {operator} changes too quickly")


def _changed(context: contexts.Context, operator: str, made: listings.Answer) -> stores.Document:
    """Return the Operator with the answer in its status; one about the same match is replaced."""
    known = context.store.document("Operator", operator)
    if known is None:
        raise problems.not_found(f"Operator {access.shown(operator)}", "document.not-found")
    status = json.loads(known.status)
    others = [one for one in status.get(screeners.ANSWERS, []) if not _is_about(one, made)]
    if len(others) >= ANSWERS_MAX:
        text = f"{operator} has {ANSWERS_MAX} answers already"
        raise problems.ServiceError(problems.Kind.CONFLICT, "lists.too-many-answers", text)
    status[screeners.ANSWERS] = [*others, screeners.answer_document(made)]
    text = json.dumps(status, sort_keys=True, separators=(",", ":"))
    return dataclasses.replace(known, status=text)


def _match(context: contexts.Context, operator: str, list_: str, entry: str, party: str | None) -> listings.Hit:
    """Return the one match that is meant. Raises ServiceError that lists those that there are."""
    world = context.world()
    if operator not in world.operators:
        raise problems.not_found(f"Operator {access.shown(operator)}", "document.not-found")
    found = world.screenings.get(operator)
    if found is None:
        text = "no sanctions list is in force, so there is nothing to answer"
        raise problems.ServiceError(problems.Kind.CONFLICT, "lists.none", text)
    # What a person said to be the same may be answered again: people correct themselves. A number may not.
    asked = [*found.reviews, *(hit for hit in found.identified if hit.by == "answer")]
    wanted = [hit for hit in asked if (hit.list, hit.entry) == (list_, entry) and party in (None, hit.party)]
    own = [hit for hit in wanted if hit.percent is None]
    if len(wanted) == 1 or own:
        return own[0] if own else wanted[0]
    there = ", ".join(sorted({f"{hit.list}:{hit.entry} ({hit.party})" for hit in wanted or asked})) or "none"
    text = f"{access.shown(f'{list_}:{entry}')} is not one match of {operator}; matches: {there[:2000]}"
    raise problems.ServiceError(problems.Kind.CONFLICT, "lists.no-match", text)


def _is_about(kept: object, made: listings.Answer) -> bool:
    if not isinstance(kept, dict):
        return False
    return (kept.get("list"), kept.get("entry"), kept.get("party")) == (made.list, made.entry, made.party)


def _line(text: str, field: str) -> str:
    """Return one line of a person's words. Raises ServiceError when there is nothing in it."""
    found = " ".join(text.split())
    if not found or len(found) > WORD_MAX:
        message = f"`{field}` needs 1 to {WORD_MAX} characters"
        raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", message)
    return found
