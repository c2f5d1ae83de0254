"""What a job wrote: read at its backend, through the backend's bulkhead, a piece at a time."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from orchestrator.domain import jobs
from orchestrator.ports import backends
from orchestrator.service import access, contexts, problems
from orchestrator.service import jobs as job_service

PIECE_BYTES_MAX = 256 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """What stood after a cursor. ``ended``: the job will write nothing more, and all of it was read."""

    chunks: Sequence[backends.LogChunk]
    cursor: str
    ended: bool


def read(
    context: contexts.Context,
    who: access.Principal,
    id: str,
    *,
    cursor: str | None = None,
    attempt: int | None = None,
    node: int | None = None,
    limit: int = PIECE_BYTES_MAX,
) -> Future[Piece]:
    """Return what a job wrote after ``cursor``; without ``attempt`` its newest, and then the next ones.

    Raises ``job.not-found``; the future fails with a ServiceError for a backend that does not answer.
    """
    access.require(who, access.READS_LOGS)
    job = job_service.load_holding(context, who, id)
    number, inner = _parse(cursor)
    current = _attempt(job, attempt if attempt is not None else number)
    # One whose acceptance was never recorded (the server was killed before) may have run all the same.
    if current is None or (current.submitted_at is None and current.outcome is None):
        return _settled(Piece((), _cursor(current, None), job.phase.terminal))
    if number != current.number:
        inner = None
    ref = backends.AttemptRef(current.key, current.handle, current.submitted_at)
    backend = current.site.partition("/")[0]

    def read_there(adapter: backends.BackendAdapter) -> tuple[Sequence[backends.LogChunk], str]:
        if not isinstance(adapter, backends.StreamsLogs):
            text = f"backend {backend} keeps no logs (fit.capability:logs)"
            raise problems.ServiceError(problems.Kind.UNSUPPORTED, "backend.no-logs", text)
        return adapter.read_logs(ref, cursor=inner, node=node, limit=min(limit, PIECE_BYTES_MAX))

    def piece(found: tuple[Sequence[backends.LogChunk], str]) -> Piece:
        chunks, after = found
        over = current.phase.terminal and not chunks
        follows = attempt is None and over and current.number < job.attempts[-1].number
        if follows:
            return Piece((), _cursor(_attempt(job, current.number + 1), None), False)
        ended = over and (attempt is not None or job.phase.terminal)
        return Piece(chunks, _cursor(current, after), ended)

    return contexts.chain(contexts.call_backend(context, backend, read_there), piece)


def _attempt(job: jobs.Job, number: int | None) -> jobs.Attempt | None:
    if number is None:
        return job.attempt
    return next((one for one in job.attempts if one.number == number), None)


def _cursor(attempt: jobs.Attempt | None, inner: str | None) -> str:
    if attempt is None:
        return ""
    text = json.dumps([attempt.number, inner], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse(cursor: str | None) -> tuple[int | None, str | None]:
    if not cursor:
        return None, None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        number, inner = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
        if type(number) is int and (inner is None or type(inner) is str):
            return number, inner
    except (binascii.Error, ValueError, TypeError, RecursionError):
        pass
    raise problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", "cursor is not one of this log")


def _settled(piece: Piece) -> Future[Piece]:
    done: Future[Piece] = Future()
    done.set_result(piece)
    return done
