"""Routes of tokens, of the journal, and of the server itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import fastapi
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from orchestrator.api import answers, bodies, openapi, params, services
from orchestrator.domain import journal as journal_values
from orchestrator.domain import obligations
from orchestrator.ports import stores
from orchestrator.service import access, changes, checkpoints, contexts, expiries, journal, problems, screenings
from orchestrator.telemetry import metrics
from orchestrator.wire.convert import answers as convert

router = fastapi.APIRouter(tags=["administration"])

_PAGE = 500
_POLL_S = 0.2
_COMMENT_EVERY = 75
"""A comment after so many empty polls: proxies cut connections that stay silent."""


@router.post("/v1/tokens", status_code=201)
async def create_token(request: Request) -> Response:
    """Make a token; its secret is in this answer and nowhere else."""
    given, who = services.of(request), services.who(request)
    access.require(who, access.ADMINISTERS)
    wish = bodies.read_model(bodies.TokenRequest, await bodies.read_json(request))
    expires = bodies.moment(wish.expires, now=given.context.clock.now(), path="expires")
    made = await run_in_threadpool(
        given.tokens.create, who, tenant=wish.tenant, roles=wish.roles, expires=expires, note=wish.note
    )
    body = {
        "id": made.token.id,
        "token": made.text,
        "tenant": made.token.tenant,
        "roles": list(made.token.roles),
        "expires": None if made.token.expires_at is None else convert.timestamp(made.token.expires_at),
    }
    return answers.to_json(body, status=201, headers={"Cache-Control": "no-store"})


@router.get("/v1/tokens")
async def list_tokens(request: Request) -> Response:
    """Return all tokens, without their secrets."""
    found = await run_in_threadpool(services.of(request).tokens.list, services.who(request))
    return answers.to_json(convert.page(map(_token, found)))


@router.delete("/v1/tokens/{id}", status_code=204)
async def revoke_token(request: Request, id: params.Name) -> Response:
    """Revoke a token at once; twice is fine."""
    await run_in_threadpool(services.of(request).tokens.revoke, services.who(request), id)
    return Response(status_code=204)


@router.get("/v1/events")
async def events(
    request: Request,
    after: params.After = None,
    follow: params.Flag = True,
    limit: params.Limit = _PAGE,
    cursor: params.Cursor = None,
    last: params.LastEvent = None,
    accept: params.Accept = None,
) -> Response:
    """Return the journal as server-sent events, from after ``Last-Event-ID``; or a page as JSON."""
    given, who = services.of(request), services.who(request)
    services.check_room(given)
    start = after if after is not None else _number(cursor if cursor is not None else last)
    found, at = await run_in_threadpool(journal.events, given.context, who, after=start, limit=limit)
    if accept is not None and accept.startswith("application/json"):
        more = str(at) if at > start else None
        return answers.to_json(convert.page(map(_event, found), cursor=more))
    return StreamingResponse(
        _stream(request, found, at, follow=follow),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


async def _stream(request: Request, found: Any, at: int, *, follow: bool) -> AsyncIterator[bytes]:
    given, who = services.of(request), services.who(request)
    silent = 0
    with services.stream(given):
        while True:
            for link in found:
                data = answers.dump(_event(link))
                yield f"id: {link.seq}\nevent: {link.entry.kind}\ndata: {data}\n\n".encode("utf-8", "replace")
            head = given.context.store.head().seq
            if given.stopping() or (not follow and at >= head):
                return
            if at >= head:
                found = ()
                silent += 1
                if silent % _COMMENT_EVERY == 0:
                    yield b": still here\n\n"
                await asyncio.sleep(_POLL_S)
            try:
                given.tokens.authenticate(services.token_of(request))
            except problems.ServiceError:
                return
            if given.context.store.head().seq <= at:
                continue
            found, at = await run_in_threadpool(journal.events, given.context, who, after=at, limit=_PAGE)


@router.get("/v1/log/checkpoint")
async def checkpoint(request: Request, since: params.Sizes = None) -> Response:
    """Return the newest signed head of the journal; ``since`` asks for proof that it goes on from so many entries."""
    given = services.of(request)
    found = await run_in_threadpool(given.checkpoints.newest, services.who(request), since=bodies.sizes(since))
    return answers.to_json(_head(found))


@router.post("/v1/log:rotateKey")
async def rotate_key(request: Request) -> Response:
    """Let a new key sign the log, by an entry of the journal that both keys sign."""
    given = services.of(request)
    return answers.to_json(_head(await run_in_threadpool(given.checkpoints.rotate, services.who(request))))


@router.post("/v1/log:verify")
async def verify(request: Request) -> Response:
    """Check the whole chain of the journal."""
    found = await run_in_threadpool(journal.verify, services.of(request).context, services.who(request))
    return answers.to_json({"entries": found.entries, "ok": found.first_bad is None, "firstBad": found.first_bad})


@router.get("/healthz")
async def health(request: Request) -> Response:
    """Say that the process answers."""
    return answers.to_json({"status": "ok"})


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """Say whether the server can work, and whether one person holds every right; tells a stranger no more than that."""
    given = services.of(request)
    if given.unready():
        return answers.to_json({"status": "unready"}, status=503)
    mode = await run_in_threadpool(lambda: given.tokens.mode)
    return answers.to_json({"status": "ok", "mode": mode.value})


@router.get("/metrics")
async def read_metrics(request: Request) -> Response:
    """Return what Prometheus scrapes."""
    given = services.of(request)
    access.require(services.who(request), access.WATCHES)
    health_now = await run_in_threadpool(given.context.store.health)
    given.metrics.phases(health_now.counts)
    head = health_now.journal.seq if health_now.journal is not None else 0
    given.metrics.store(journal_entries=head, queue_depth=health_now.queue_depth)
    given.metrics.lists(await run_in_threadpool(screenings.days_left, given.context))
    given.metrics.facts(await run_in_threadpool(expiries.seconds_left, given.context))
    held, back = await run_in_threadpool(_waiting_for_people, given.context)
    given.metrics.packs(len(given.context.packs_failed()))
    given.metrics.held(held, clock_is_back=back)
    given.metrics.tables(given.context.tables.count)
    owed = await run_in_threadpool(given.context.store.count_obligations)
    given.metrics.obligations({state.value: owed.get(state, 0) for state in obligations.State})
    return Response(given.metrics.render(), media_type=metrics.CONTENT_TYPE)


def _waiting_for_people(context: contexts.Context) -> tuple[int, bool]:
    return changes.held(context), changes.clock_is_back(context)


@router.get("/openapi.json")
async def read_openapi(request: Request) -> Response:
    """Return the description of this API."""
    body = await run_in_threadpool(openapi.document, request.scope["app"])
    return Response(body, media_type="application/json")


def _number(text: str | None) -> int:
    if text is None or not text.strip():
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise problems.ServiceError(
            problems.Kind.MALFORMED, "request.malformed", "Last-Event-ID and cursor are numbers of entries"
        )
    return int(text)


def _head(found: checkpoints.Signed) -> dict[str, Any]:
    return {
        "size": found.size,
        "hash": found.hash,
        "signed": True,
        "note": found.note,
        "origin": found.origin,
        "key": found.key,
        "firstKey": found.first_key,
        "rotations": [entry.as_json() for entry in found.rotated],
        "consistency": [one.as_json() for one in found.consistency],
    }


def _event(link: journal_values.ChainedEntry) -> dict[str, Any]:
    entry = link.entry
    return {
        "seq": link.seq,
        "kind": entry.kind,
        "subject": entry.subject,
        "at": convert.timestamp(entry.at),
        "actor": entry.actor,
        "tenant": entry.tenant,
        "body": dict(entry.body),
        "hash": link.hash,
    }


def _token(token: stores.Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "tenant": token.tenant,
        "roles": list(token.roles),
        "createdAt": convert.timestamp(token.created_at),
        "expires": None if token.expires_at is None else convert.timestamp(token.expires_at),
        "revokedAt": None if token.revoked_at is None else convert.timestamp(token.revoked_at),
        "note": token.note,
    }
