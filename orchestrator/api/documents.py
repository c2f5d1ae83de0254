"""Routes of declared documents, and of backends as an operator handles them."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import fastapi
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.api import answers, bodies, jobs, params, services
from orchestrator.domain import offers
from orchestrator.policy import cases
from orchestrator.ports import stores
from orchestrator.service import access, backends, contexts, documents, impacts, policies, problems, readers, sites
from orchestrator.wire.convert import answers as convert

router = fastapi.APIRouter(tags=["documents"])
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,18})"', re.ASCII)


@router.post("/v1/backends/{name}:check")
async def check(request: Request, name: params.Name) -> Response:
    """Probe a backend now."""
    future = await run_in_threadpool(backends.check, services.of(request).context, services.who(request), name)
    found = await asyncio.wrap_future(future)
    powers = sorted(power.value for power in found.capabilities.powers)
    body = {
        "name": name,
        "reachable": True,
        "capabilities": powers,
        "offers": [_offer(one) for one in found.found],
        "identity": dict(found.identity.values) if found.identity is not None else {},
        "identityDigest": found.digest,
        "identityPinned": found.pinned,
    }
    return answers.to_json(body)


@router.post("/v1/backends/{name}:confirm")
async def confirm(request: Request, name: params.Name) -> Response:
    """Pin what a backend proves itself by now: ``{reason, identity?}``."""
    context, who = services.of(request).context, services.who(request)
    access.require_all(who, access.CONFIRMS)
    said = bodies.read_model(bodies.IdentityConfirmation, await bodies.read_json(request))
    future = await run_in_threadpool(backends.confirm, context, who, name, reason=said.reason, identity=said.identity)
    return _document(context, who, await asyncio.wrap_future(future))


@router.post("/v1/backends/{name}:challenge")
async def challenge(request: Request, name: params.Name) -> Response:
    """Give a challenge for the backend's attestation: the newest of ``status.challenges``."""
    context, who = services.of(request).context, services.who(request)
    return _document(context, who, await run_in_threadpool(backends.challenge, context, who, name))


@router.post("/v1/backends/{name}:cordon")
async def cordon(request: Request, name: params.Name) -> Response:
    """Take a backend out of new placements."""
    return await _cordon(request, name, closed=True)


@router.post("/v1/backends/{name}:uncordon")
async def uncordon(request: Request, name: params.Name) -> Response:
    """Take it back in."""
    return await _cordon(request, name, closed=False)


@router.post("/v1/backends/{name}:drain")
async def drain(request: Request, name: params.Name) -> Response:
    """Not built yet."""
    access.require(services.who(request), access.OPERATES)
    raise jobs.unsupported("draining a backend")


@router.post("/v1/policies:test")
async def test_policies(request: Request) -> Response:
    """Judge cases by the rules in force here: ``{cases: [...]}``; or run policies' own: ``{documents: [...]}``."""
    body = await bodies.read_json(request)
    tested = await run_in_threadpool(policies.test, services.of(request).context, services.who(request), body)
    return answers.to_json(
        {
            "cases": tested.count,
            "disagree": len({one.case for one in tested.disagreements}),
            "disagreements": [_disagreement(one) for one in tested.disagreements],
        }
    )


@router.get("/v1/sites")
async def list_sites(request: Request, limit: params.Limit = 500, cursor: params.Cursor = None) -> Response:
    """Return what is judged, with what was last seen of it."""
    found, after = await run_in_threadpool(
        sites.list_page, services.of(request).context, services.who(request), limit=limit, cursor=cursor
    )
    return answers.to_json(convert.page(found, cursor=after))


@router.get("/v1/{kinds}")
async def list_documents(
    request: Request,
    kinds: params.Kinds,
    limit: params.Limit = 100,
    cursor: params.Cursor = None,
    filter: params.Filter = None,
) -> Response:
    """Return the documents of one kind in order of name."""
    context, who, kind = services.of(request).context, services.who(request), readers.kind_of(kinds)
    found, after = await run_in_threadpool(
        documents.list_page, context, who, kind, limit=limit, cursor=cursor, filter=filter
    )
    return answers.to_json(convert.page((documents.rendered(context, who, one) for one in found), cursor=after))


@router.get("/v1/{kinds}/{name}")
async def read_document(request: Request, kinds: params.Kinds, name: params.Name) -> Response:
    """Return one document; its version stands in ``ETag``."""
    context, who, kind = services.of(request).context, services.who(request), readers.kind_of(kinds)
    found = await run_in_threadpool(documents.get, context, who, kind, name)
    return _document(context, who, found)


@router.put("/v1/{kinds}/{name}")
async def put_document(
    request: Request,
    kinds: params.Kinds,
    name: params.Name,
    dryRun: params.Flag = False,  # noqa: N803 -- a word of the API
    reason: params.Reason = None,
    if_match: params.IfMatch = None,
    if_none_match: params.IfNoneMatch = None,
) -> Response:
    """Declare a document."""
    context, who, kind = services.of(request).context, services.who(request), readers.kind_of(kinds)
    data = await bodies.read_json(request)
    match = _match(if_match, if_none_match)
    found = await run_in_threadpool(
        documents.put, context, who, kind, name, data, match=match, dry_run=dryRun, reason=reason
    )
    status = 201 if found.change == documents.CREATED and not dryRun else 200
    body = {
        "document": documents.rendered(context, who, found.document),
        "change": found.change,
        "hits": list(found.hits),
        "loosens": [one.as_json() for one in found.loosens],
        **_impact(who, found.impact),
    }
    return answers.to_json(body, status=status, headers={} if dryRun else _etag(found.document))


@router.delete("/v1/{kinds}/{name}")
async def delete_document(
    request: Request,
    kinds: params.Kinds,
    name: params.Name,
    dryRun: params.Flag = False,  # noqa: N803 -- a word of the API
    reason: params.Reason = None,
    if_match: params.IfMatch = None,
) -> Response:
    """Withdraw a document; refused while others refer to it."""
    context, who, kind = services.of(request).context, services.who(request), readers.kind_of(kinds)
    match = _match(if_match, None)
    found = await run_in_threadpool(
        documents.delete, context, who, kind, name, match=match, dry_run=dryRun, reason=reason
    )
    body: dict[str, Any] = {"change": "deleted", "referrers": list(found.hits)}
    body |= _impact(who, found.impact)
    if found.loosens:
        body["loosens"] = [one.as_json() for one in found.loosens]
    return answers.to_json(body if dryRun else {**body, "deleted": name})


async def _cordon(request: Request, name: str, *, closed: bool) -> Response:
    context, who = services.of(request).context, services.who(request)
    found = await run_in_threadpool(backends.cordon, context, who, name, closed=closed)
    return _document(context, who, found)


def _impact(who: access.Principal, found: impacts.Impact | None) -> dict[str, Any]:
    return {} if found is None else {"impact": impacts.shown(who, found)}


def _document(context: contexts.Context, who: access.Principal, document: stores.Document) -> Response:
    return answers.to_json(documents.rendered(context, who, document), headers=_etag(document))


def _etag(document: stores.Document) -> dict[str, str]:
    return {"ETag": f'"{document.version}"'}


def _match(if_match: str | None, if_none_match: str | None) -> int | documents.Match:
    if if_none_match is not None:
        if if_none_match.strip() != "*" or if_match is not None:
            raise _malformed("If-None-Match may only be *, and not together with If-Match")
        return documents.Match.NEW
    if if_match is None or if_match.strip() == "*":
        return documents.Match.ANY
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise _malformed("If-Match must be an ETag of this server")
    return int(found[1])


def _disagreement(one: cases.Disagreement) -> dict[str, Any]:
    answered = {
        word: {"decision": answer.decision, "rules": list(answer.rules)}
        for word, answer in (("expected", one.expected), ("got", one.got))
    }
    return {"case": one.case, "title": one.title, "site": one.site, **answered}


def _malformed(text: str) -> problems.ServiceError:
    return problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", text)


def _offer(offer: offers.Offer) -> dict[str, Any]:
    return sites.offer_document(offer)
