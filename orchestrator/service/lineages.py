"""Recording what data sets inherit, and taking it off again: by a named person, with a reason, on the record.

A record is durable before the job that brings it: whoever reads the data set after the submission is judged by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.domain import jobs, journal, lineages
from orchestrator.inventory import lineages as stored
from orchestrator.ports import stores
from orchestrator.service import access, contexts, problems

DECLASSIFIES = (access.Role.STEWARD,)
WORD_MAX = 1_024
"""Length of a person's name and of a reason."""


def record(context: contexts.Context, who: access.Principal, made: Sequence[jobs.Job]) -> None:
    """Make durable what the data sets that these new jobs write inherit. Raises ServiceError.

    One commit, and only where something new comes: most jobs write nothing, or what inherited the same before. Blocks
    for that commit.
    """
    writing = [(job, names) for job in made if (names := lineages.written(job.spec))]
    if not writing:
        return
    tenant = context.world().tenants.get(who.tenant)
    wanted: dict[str, list[lineages.Inheritance]] = {}
    for job, names in writing:
        if brought := lineages.brought(job, tenant):
            for name in names:
                wanted.setdefault(name, []).extend(brought)
    for _ in range(contexts.CONFLICT_TRIES if wanted else 0):
        changes = [change for name, new in wanted.items() if (change := _change(context, who, name, new)) is not None]
        if not changes:
            return
        entries = tuple(entry for _, entry in changes)
        try:
            contexts.commit(
                context, stores.Changes(documents=tuple(document for document, _ in changes), entries=entries)
            )
        except stores.VersionConflictError:
            continue
        return
    if wanted:
        raise _busy(next(iter(wanted)))


def kept(
    context: contexts.Context, who: access.Principal, name: str, dropped: Iterable[str]
) -> tuple[tuple[stores.Document, ...], tuple[journal.Entry, ...]]:
    """Return what to commit so that a declaration which drops ``derivedFrom`` does not drop what is inherited."""
    now = context.clock.now()
    found = _change(context, who, name, [lineages.Inheritance(source, now) for source in dropped])
    return ((), ()) if found is None else ((found[0],), (found[1],))


def declassify(
    context: contexts.Context, who: access.Principal, name: str, *, source: str, person: str, reason: str
) -> stores.Document:
    """Take a source off what a data set inherits; returns the data set's document. Raises ServiceError."""
    access.require(who, DECLASSIFIES)
    person, reason = _line(person, "by"), _line(reason, "reason")
    for _ in range(contexts.CONFLICT_TRIES):
        data_set = context.store.document("DataSet", name, tenant=who.tenant)
        if data_set is None:
            raise problems.not_found(f"DataSet {access.shown(name)}", "document.not-found")
        if source in json.loads(data_set.body).get("spec", {}).get("derivedFrom", ()):
            text = f"{name} declares that it is derived from {source}: apply it without, then declassify"
            raise problems.ServiceError(problems.Kind.CONFLICT, "data.declared", text)
        old, lineage = _load(context, who.tenant, name)
        if source not in lineage.sources():
            has = ", ".join(sorted(lineage.sources())) or "nothing"
            text = f"{name} does not inherit from {access.shown(source)}; it inherits from: {has}"
            raise problems.ServiceError(problems.Kind.CONFLICT, "data.not-inherited", text)
        done = lineages.Declassification(source, person, reason, who.token_id, context.clock.now())
        body: dict[str, object] = {"from": source, "person": person, "reason": reason}
        entry = _entry(context, who, "data.declassified", name, body)
        change = _document(old, lineage.without(done))
        try:
            contexts.commit(context, stores.Changes(documents=(change,), entries=(entry,)))
        except stores.VersionConflictError:
            continue
        return data_set
    raise _busy(name)


def shown(context: contexts.Context, tenant: str, name: str) -> dict[str, Any]:
    """Return what a data set inherits and what was taken off, as its status says it; empty where there is nothing."""
    _, lineage = _load(context, tenant, name)
    inherits = [
        {"from": one.source, "at": _moment(one.at), **({"job": one.job} if one.job else {})} for one in lineage.inherits
    ]
    off = [
        {"from": one.source, "by": one.person, "reason": one.reason, "at": _moment(one.at)}
        for one in lineage.declassified
    ]
    found = {"inherits": inherits, "declassified": off}
    return {word: members for word, members in found.items() if members}


def _change(
    context: contexts.Context, who: access.Principal, name: str, new: Sequence[lineages.Inheritance]
) -> tuple[stores.Document, journal.Entry] | None:
    old, lineage = _load(context, who.tenant, name)
    try:
        grown = lineage.adding(new)
    except lineages.TooManySourcesError as error:
        raise problems.ServiceError(problems.Kind.CONFLICT, "data.too-many-sources", str(error)) from error
    if grown is lineage:
        return None
    added = [one for one in grown.inherits if one not in lineage.inherits]
    body: dict[str, object] = {"from": [one.source for one in added]}
    if job := next((one.job for one in new if one.job), None):
        body["job"] = job
    return _document(old, grown), _entry(context, who, "data.inherited", name, body)


def _load(context: contexts.Context, tenant: str, name: str) -> tuple[stores.Document | None, lineages.Lineage]:
    document = context.store.document(stored.KIND, name, tenant=tenant)
    if document is None:
        return None, lineages.Lineage(tenant, name)
    try:
        return document, stored.of_document(document)
    except ValueError as error:
        text = f"the lineage of {name} cannot be read, so nothing may be written to it"
        raise problems.ServiceError(problems.Kind.UNAVAILABLE, "data.lineage-broken", text) from error


def _document(old: stores.Document | None, lineage: lineages.Lineage) -> stores.Document:
    version = old.version if old is not None else 0
    return stores.Document(stored.KIND, lineage.name, lineage.tenant, stored.body(lineage), version)


def _entry(
    context: contexts.Context, who: access.Principal, word: str, name: str, body: dict[str, object]
) -> journal.Entry:
    return journal.Entry(word, f"dataset/{name}", context.clock.now(), who.token_id, body, who.tenant)


def _line(text: str, path: str) -> str:
    """Return a line that says something."""
    line = text.strip()
    if not line or len(line) > WORD_MAX or not line.isprintable():
        what = "name the person who answers for it" if path == "by" else "say why, in one line"
        raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", f"{path}: {what}")
    return line


def _moment(at: Any) -> str:
    return str(at.isoformat().replace("+00:00", "Z"))


def _busy(name: str) -> problems.ServiceError:
    return problems.ServiceError(problems.Kind.UNAVAILABLE, "store.busy", f"DataSet {name} changes too quickly")
