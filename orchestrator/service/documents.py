"""Declaring and withdrawing documents: versioned, judged by role, and never pulled from under who refers to them."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import journal, tenants
from orchestrator.policy import loosening
from orchestrator.ports import stores
from orchestrator.service import (
    access,
    attestations,
    changes,
    contexts,
    differences,
    expiries,
    freezes,
    identities,
    impacts,
    lineages,
    loosenings,
    policies,
    problems,
    readers,
    references,
    referrers,
    screenings,
)
from orchestrator.wire import errors

PAGE_MAX = 500
FILTER_MAX = 1_024
CREATED, UPDATED, UNCHANGED = "created", "updated", "unchanged"

_WRITERS: dict[str, tuple[access.Role, ...]] = {
    "ControlPlane": (access.Role.FACTS,),
    "Operator": (access.Role.FACTS,),
    "Backend": (access.Role.FACTS, access.Role.OPERATE),
    "DataSet": (access.Role.STEWARD,),
    "Tenant": (access.Role.POLICY,),
    "Queue": (access.Role.OPERATE,),
    "Policy": (access.Role.POLICY,),
}
"""Kind -> roles that are all needed to write it."""

_OWNED = frozenset({"DataSet", "Queue"})
"""Kinds whose names are a tenant's own: another tenant's document of that name is another document, and unseen."""


class Match(enum.Enum):
    """A precondition without a version."""

    ANY = "any"
    NEW = "new"
    """``If-None-Match: *``: it must not exist yet."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A document after a PUT, or as it would be. ``hits`` names who refers to it; ``loosens``: what is allowed now that
    was refused before."""

    document: stores.Document
    change: str
    hits: tuple[str, ...] = ()
    loosens: tuple[loosening.Loosening, ...] = ()
    impact: impacts.Impact | None = None
    """What it would do to live jobs; of a dry run only."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A document that is withdrawn, or would be."""

    hits: tuple[str, ...] = ()
    loosens: tuple[loosening.Loosening, ...] = ()
    impact: impacts.Impact | None = None
    """As of :class:`Applied`."""


def put(
    context: contexts.Context,
    who: access.Principal,
    kind: str,
    name: str,
    data: object,
    *,
    match: int | Match = Match.ANY,
    dry_run: bool = False,
    reason: str | None = None,
) -> Applied:
    """Declare a document. Raises ServiceError: invalid, another version than ``match``, another tenant's.

    ``reason``: why it loosens what it loosens, for the journal.
    """
    _may_write(who, kind, name)
    read = readers.read(data)
    wrong = []
    if read.kind != kind:
        wrong.append(errors.DocumentError(f"is not {kind}, as the path says", "kind"))
    if read.name != name:
        wrong.append(errors.DocumentError(f"is not {access.shown(name)}, as the path says", "metadata.name"))
    if wrong:
        raise problems.invalid(wrong)
    if kind == "Backend" and (unknown := _unknown_accelerators(context, read.model)):
        raise problems.invalid(unknown)
    tenant = _whose(who, kind, read.model)
    body = readers.normal_form(read, tenant=who.tenant)
    context.inventory.look()
    if kind == "Policy":
        policies.admit(context, read)
    for _ in range(contexts.CONFLICT_TRIES):
        old = context.store.document(kind, name, tenant=tenant)
        _check(old, kind, name, match)
        change = CREATED if old is None else UNCHANGED if old.body == body else UPDATED
        hits = () if old is None or change == UNCHANGED or not dry_run else referrers.of(context, who, old)
        new = stores.Document(kind, name, tenant, body) if old is None else dataclasses.replace(old, body=body)
        loosens = loosenings.of(old, body)
        if dry_run or change == UNCHANGED:
            judged = dry_run and change != UNCHANGED and kind in impacts.JUDGED
            return Applied(new, change, hits, loosens, impacts.of(context, [new]) if judged else None)
        entry = _entry(context, who, f"document.{change}", new, {"kind": kind, "name": name, "body": json.loads(body)})
        kept, said = _still_inherited(context, who, old, body)
        shown, gone = attestations.shown(context, old, new)
        said = (*said, *loosenings.entries(context, who, old, loosens, reason))
        changes = stores.Changes(documents=(new, *kept, *shown), delete_documents=gone, entries=(entry, *said))
        try:
            receipt = contexts.commit(context, changes)
        except stores.VersionConflictError as error:
            if match is Match.ANY:
                continue
            raise contexts.of_store(error) from error
        return Applied(receipt.documents[0], change, loosens=loosens)
    raise _busy(kind, name)


def get(context: contexts.Context, who: access.Principal, kind: str, name: str) -> stores.Document:
    """Return one document this one may see; raises ``document.not-found``."""
    document = _find(context, who, kind, name)
    if document is None:
        raise _unknown(kind, name)
    return document


def list_page(
    context: contexts.Context,
    who: access.Principal,
    kind: str,
    *,
    limit: int,
    cursor: str | None,
    filter: str | None = None,
) -> tuple[Sequence[stores.Document], str | None]:
    """Return documents in order of name and tenant, after ``cursor`` (what the page before ended with).

    ``filter`` keeps those that have all of some labels: ``label=team:radiology;label=site:paris``.
    """
    labels = _labels(filter or "")
    after = ("", "") if cursor is None else tuple(cursor.partition("/")[::2])
    found = [d for d in context.store.documents(kind) if (d.name, d.tenant) > after and visible(who, d)]
    if labels:
        found = [one for one in found if _has(one, labels)]
    page = found[: min(limit, PAGE_MAX)]
    return page, f"{page[-1].name}/{page[-1].tenant}" if len(found) > len(page) else None


def delete(
    context: contexts.Context,
    who: access.Principal,
    kind: str,
    name: str,
    *,
    match: int | Match = Match.ANY,
    dry_run: bool = False,
    reason: str | None = None,
) -> Deleted:
    """Withdraw a document; refused while others refer to it, with the list. A dry run returns what refers to it."""
    _may_write(who, kind, name)
    for _ in range(contexts.CONFLICT_TRIES):
        old = _find(context, who, kind, name)
        if old is None:
            raise _unknown(kind, name)
        _check(old, kind, name, match)
        hits = referrers.of(context, who, old)
        loosens = loosenings.of(old, None)
        if dry_run:
            judged = kind in impacts.JUDGED and not hits
            return Deleted(hits, loosens, impacts.of(context, [], [old.key]) if judged else None)
        if hits:
            text = f"{kind} {name} is still referred to by: {', '.join(hits[:20])}"
            raise problems.ServiceError(
                problems.Kind.CONFLICT, "document.referenced", text, details={"referrers": list(hits)}
            )
        entry = _entry(context, who, "document.deleted", old, {"kind": kind, "name": name})
        kept, said = _still_inherited(context, who, old, "{}")
        said = (*said, *loosenings.entries(context, who, old, loosens, reason))
        gone = stores.Changes(documents=kept, delete_documents=((*old.key, old.version),), entries=(entry, *said))
        try:
            contexts.commit(context, gone)
        except stores.VersionConflictError:
            continue
        return Deleted(loosens=loosens)
    raise _busy(kind, name)


def set_status(
    context: contexts.Context, who: access.Principal, kind: str, name: str, members: dict[str, Any], *, word: str
) -> stores.Document:
    """Change members of a document's status, or take those away that are None: what the system keeps about it, not
    what was declared."""
    for _ in range(contexts.CONFLICT_TRIES):
        old = _find(context, who, kind, name)
        if old is None:
            raise _unknown(kind, name)
        status = {key: value for key, value in (json.loads(old.status) | members).items() if value is not None}
        text = json.dumps(status, sort_keys=True, separators=(",", ":"))
        if text == old.status:
            return old
        new = dataclasses.replace(old, status=text)
        entry = _entry(context, who, word, old, {"kind": kind, "name": name, **members})
        try:
            return contexts.commit(context, stores.Changes(documents=(new,), entries=(entry,))).documents[0]
        except stores.VersionConflictError:
            continue
    raise _busy(kind, name)


def rendered(context: contexts.Context, who: access.Principal, document: stores.Document) -> dict[str, Any]:
    """Return the document as JSON with its status; settings of a backend only for who operates it."""
    body: dict[str, Any] = json.loads(document.body)
    if document.kind == "Backend" and not who.has(access.Role.OPERATE) and "settings" in body.get("spec", {}):
        del body["spec"]["settings"]
    status: dict[str, Any] = json.loads(document.status)
    status["version"] = document.version
    if document.kind == "Backend":
        status["conditions"] = [_reachable(context, document.name), *identities.conditions(context, document.name)]
    if document.kind == "DataSet":
        status |= lineages.shown(context, document.tenant, document.name)
    if document.kind == "Operator":
        status |= screenings.shown(context, document.name)
    status |= attestations.carried(context, document.kind, document.name)
    if document.kind == "ControlPlane":
        wrong = [
            *freezes.conditions(context),
            *differences.conditions(context),
            *screenings.conditions(context),
            *attestations.conditions(context),
        ]
        status |= {"conditions": wrong} if wrong else {}
    if document.kind == "Policy":
        status["conditions"] = policies.conditions(context, document)
    if held := [*changes.conditions(context, document), *expiries.conditions(context, document)]:
        status["conditions"] = [*status.get("conditions", []), *held]
    for word, at in (("createdAt", document.created_at), ("updatedAt", document.updated_at)):
        if at is not None:
            status[word] = at.isoformat().replace("+00:00", "Z")
    return body | {"status": status}


def _reachable(context: contexts.Context, name: str) -> dict[str, Any]:
    """Return the condition that says whether a backend answers, and what is wrong with it or its adapter."""
    sighting = context.inventory.sightings.of(name)
    since = sighting.unreachable_since or sighting.seen_at
    return {
        "type": "Reachable",
        "status": sighting.reachable,
        "reason": sighting.error_code or ("Answers" if sighting.reachable else "NotAskedYet"),
        "message": sighting.error_message,
        "since": None if since is None else since.isoformat().replace("+00:00", "Z"),
    }


def visible(who: access.Principal, document: stores.Document) -> bool:
    """Say whether this one may know of a document."""
    match document.kind:
        case "DataSet":
            return document.tenant == who.tenant
        case "Queue":
            return document.tenant in (tenants.SHARED, who.tenant) or who.is_admin
        case "Tenant":
            return document.name == who.tenant or who.is_admin
        case _:
            return True


def _labels(text: str) -> dict[str, str]:
    """Return the labels that a filter wants. Raises ServiceError ``request.malformed``."""
    wanted: dict[str, str] = {}
    for part in text.split(";") if text else ():
        word, equals, value = part.partition("=")
        key, colon, member = value.partition(":")
        if word.strip() != "label" or not equals or not colon or len(text) > FILTER_MAX:
            said = f"filter: write label=KEY:VALUE, several with ; between, at most {FILTER_MAX} characters"
            raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", said)
        wanted[key] = member
    return wanted


def _has(document: stores.Document, labels: dict[str, str]) -> bool:
    found = json.loads(document.body).get("metadata", {}).get("labels", {})
    return all(found.get(key) == value for key, value in labels.items())


def _find(context: contexts.Context, who: access.Principal, kind: str, name: str) -> stores.Document | None:
    """Return the document that this one means by a name: the own tenant's, else one that all share.

    An administrator sees every tenant's queues, and means one of them where no other has the name.
    """
    whose = (who.tenant, tenants.SHARED) if kind in _OWNED else (tenants.SHARED,)
    for tenant in whose:
        document = context.store.document(kind, name, tenant=tenant)
        if document is not None:
            return document if visible(who, document) else None
    if kind not in _OWNED:
        return None
    found = [one for one in context.store.documents(kind) if one.name == name and visible(who, one)]
    if len(found) > 1:
        text = f"{kind} {name} is a name of several tenants: {', '.join(one.tenant for one in found[:20])}"
        raise problems.ServiceError(problems.Kind.CONFLICT, "document.ambiguous", text)
    return found[0] if found else None


def _whose(who: access.Principal, kind: str, model: Any) -> str:
    """Return the tenant to which a document that is declared belongs; ``""``: the installation.

    Refuses a queue for another tenant in one way, whether or not there is such a queue or such a tenant.
    """
    if kind == "Queue":
        named: str | None = model.spec.tenant
        if named not in (None, who.tenant) and not who.is_admin:
            text = "only an administrator declares queues of another tenant: leave spec.tenant out, or name your own"
            raise problems.ServiceError(problems.Kind.FORBIDDEN, "document.tenant", text)
        return named or tenants.SHARED
    return who.tenant if kind in _OWNED else tenants.SHARED


def _still_inherited(
    context: contexts.Context, who: access.Principal, old: stores.Document | None, body: str
) -> tuple[Sequence[stores.Document], Sequence[journal.Entry]]:
    """Return what to commit beside a declaration so that sources it drops stay: only a person declassifies."""
    if old is None or old.kind != "DataSet":
        return (), ()
    before, after = (json.loads(text).get("spec", {}).get("derivedFrom", []) for text in (old.body, body))
    return lineages.kept(context, who, old.name, [name for name in before if name not in after])


def _unknown_accelerators(context: contexts.Context, backend: Any) -> list[errors.DocumentError]:
    """Return an error for each declared pool whose accelerator nobody knows: no document gives figures of its own."""
    world = context.world()
    return [
        references.unknown_accelerator(f"spec.pools[{index}].accelerator", pool.accelerator, world)
        for index, pool in enumerate(backend.spec.pools)
        if pool.accelerator is not None and not world.knows_accelerator(pool.accelerator)
    ]


def _may_write(who: access.Principal, kind: str, name: str) -> None:
    access.require_all(who, _WRITERS[kind])
    if kind == "Tenant" and not who.is_admin and name != who.tenant:
        raise _unknown(kind, name)


def _check(old: stores.Document | None, kind: str, name: str, match: int | Match) -> None:
    version = old.version if old is not None else 0
    if (match is Match.NEW and old is not None) or (isinstance(match, int) and match != version):
        text = f"{kind} {name} is at version {version}" if old is not None else f"{kind} {name} does not exist"
        raise problems.ServiceError(problems.Kind.STALE, "document.version", text)


def _entry(
    context: contexts.Context, who: access.Principal, word: str, document: stores.Document, body: dict[str, Any]
) -> journal.Entry:
    # Settings may hold what nobody should read; the journal keeps everything else of a declared document.
    if document.kind == "Backend" and isinstance(declared := body.get("body"), dict):
        declared.get("spec", {}).pop("settings", None)
    subject = f"{document.kind.lower()}/{document.name}"
    tenant = document.name if document.kind == "Tenant" else document.tenant
    body = {**body, "mode": who.mode.value}
    return journal.Entry(word, subject, context.clock.now(), who.token_id, body, tenant or None)


def _unknown(kind: str, name: str) -> problems.ServiceError:
    return problems.not_found(f"{kind} {access.shown(name)}", "document.not-found")


def _busy(kind: str, name: str) -> problems.ServiceError:
    return problems.ServiceError(problems.Kind.UNAVAILABLE, "store.busy", f"{kind} {name} changes too quickly")
