"""Routes that carry bytes: logs, outputs, archives of working folders."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO

import fastapi
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from orchestrator.api import answers, params, services
from orchestrator.service import access, blobs, logs, outputs, problems
from orchestrator.wire.convert import answers as convert

router = fastapi.APIRouter(tags=["files"])

_POLL_FIRST_S, _POLL_LAST_S = 0.02, 0.5
_PIECE = 256 * 1024
_SPOOL_BYTES = 2**20


@router.get("/v1/jobs/{id}/logs")
async def read_logs(
    request: Request,
    id: params.JobId,
    cursor: params.Cursor = None,
    node: params.Node = None,
    attempt: params.Attempt = None,
    limit: params.Bytes = _PIECE,
    follow: params.Flag = False,
    accept: params.Accept = None,
) -> Response:
    """Return what a job wrote: a page with ``Accept: application/json``, else a stream of its bytes."""
    given, who = services.of(request), services.who(request)
    services.check_room(given)

    async def piece(after: str | None) -> logs.Piece:
        future = logs.read(given.context, who, id, cursor=after, node=node, attempt=attempt, limit=limit)
        return await asyncio.wrap_future(future)

    first = await piece(cursor)
    if accept is not None and accept.startswith("application/json"):
        chunks = [{"data": base64.b64encode(one.data).decode(), "node": one.node} for one in first.chunks]
        return answers.to_json({"chunks": chunks, "cursor": first.cursor, "ended": first.ended})

    async def stream() -> AsyncIterator[bytes]:
        with services.stream(given):
            now, pause = first, _POLL_FIRST_S
            while True:
                for chunk in now.chunks:
                    yield chunk.data
                if now.ended or given.stopping() or (not follow and not now.chunks):
                    return
                pause = _POLL_FIRST_S if now.chunks else min(pause * 1.5, _POLL_LAST_S)
                if not now.chunks:
                    await asyncio.sleep(pause)
                try:
                    given.tokens.authenticate(services.token_of(request))
                    now = await piece(now.cursor)
                except problems.ServiceError as error:
                    if not follow or error.kind is not problems.Kind.UNAVAILABLE:
                        return
                    await asyncio.sleep(_POLL_LAST_S)
                    now = logs.Piece((), now.cursor, False)

    return StreamingResponse(stream(), media_type="text/plain; charset=utf-8", headers=_NO_SNIFF)


@router.get("/v1/jobs/{id}/outputs")
async def list_outputs(request: Request, id: params.JobId) -> Response:
    """Return the files that a job left."""
    future = outputs.list_files(services.of(request).context, services.who(request), id)
    found = await asyncio.wrap_future(future)
    return answers.to_json(convert.page({"path": path, "size": size} for path, size in found))


@router.get("/v1/jobs/{id}/outputs/{path:path}")
async def read_output(request: Request, id: params.JobId, path: params.OutputPath) -> Response:
    """Return one file that a job left: a movement of data, judged before the first byte."""
    given, who = services.of(request), services.who(request)
    services.check_room(given)
    begun = await asyncio.wrap_future(await run_in_threadpool(outputs.read, given.context, who, id, path))

    async def stream() -> AsyncIterator[bytes]:
        piece = begun.first
        with services.stream(given):
            while piece is not None:
                yield piece
                piece = await asyncio.wrap_future(begun.next())

    return StreamingResponse(stream(), media_type="application/octet-stream", headers=_NO_SNIFF)


@router.post("/v1/blobs", status_code=201)
async def put_blob(request: Request, digest: params.Digest) -> Response:
    """Keep the archive of a working folder by the SHA-256 of its bytes."""
    given, who = services.of(request), services.who(request)
    access.require(who, access.SUBMITS)
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
        try:
            async for chunk in request.stream():
                spool.write(chunk)
        except ClientDisconnect as error:
            raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", "the body ended early") from error
        spool.seek(0)
        kept = await run_in_threadpool(blobs.put, given.context, who, digest, _chunks(spool))
    return answers.to_json({"digest": kept.digest, "size": kept.size}, status=201)


_NO_SNIFF = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
"""A browser must not read a job's bytes as a page of ours."""


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_PIECE):
        yield chunk
