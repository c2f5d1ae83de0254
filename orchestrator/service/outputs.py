"""Files that a job left, and copying one out: a movement of data, judged like any other.

What is read here passes through the control plane and goes to a person. So it happens only when the rules let the
job's data be where the control plane is: the same rule book is asked about a site that stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from orchestrator.domain import jobs, reasons
from orchestrator.ports import backends
from orchestrator.service import access, contexts, movements, problems
from orchestrator.service import jobs as job_service

PATH_MAX = 1024
FILES_MAX = 10_000
CHUNK_BYTES_MAX = 2**20


@dataclass(frozen=True, slots=True)
class Stream:
    """One file on its way: ``next`` yields a piece through the bulkhead, None at its end."""

    first: bytes | None
    next: Callable[[], Future[bytes | None]]


def list_files(context: contexts.Context, who: access.Principal, id: str) -> Future[Sequence[tuple[str, int]]]:
    """Return (path, size in bytes) of what the last attempt left. Names only: content is judged when it moves."""
    access.require(who, access.SUBMITS)
    _, attempt = _finished(context, who, id)
    backend = attempt.site.partition("/")[0]

    def there(adapter: backends.BackendAdapter) -> Sequence[tuple[str, int]]:
        return list(_copies(adapter, backend).list_outputs(_ref(attempt)))[:FILES_MAX]

    return contexts.call_backend(context, backend, there)


def read(context: contexts.Context, who: access.Principal, id: str, path: str) -> Future[Stream]:
    """Begin to read one file. Raises ``outputs.refused`` with reasons, ``outputs.not-found``."""
    access.require(who, access.SUBMITS)
    job, attempt = _finished(context, who, id)
    checked = check_path(path)
    refuse(movements.to_control_plane(context, job))
    movements.record(context, who, job, checked)
    backend = attempt.site.partition("/")[0]

    def step(pieces: Iterator[bytes]) -> bytes | None:
        return next(iter(pieces), None)

    def begin(adapter: backends.BackendAdapter) -> tuple[Iterator[bytes], bytes | None]:
        pieces = iter(_copies(adapter, backend).read_output(_ref(attempt), checked))
        return pieces, step(pieces)

    def stream(begun: tuple[Iterator[bytes], bytes | None]) -> Stream:
        pieces, first = begun
        return Stream(first, lambda: contexts.call_backend(context, backend, lambda _: step(pieces)))

    return contexts.chain(contexts.call_backend(context, backend, begin), stream)


def check_path(path: str) -> str:
    """Return a relative path that stays below the job's outputs; raises ``outputs.not-found`` for any other."""
    parts = path.split("/")
    bad = not path or len(path) > PATH_MAX or any(part in ("", ".", "..") for part in parts)
    if bad or "\\" in path or any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise problems.not_found("this output", "outputs.not-found")
    return path


def refuse(found: Sequence[reasons.Reason]) -> None:
    """Raise ``outputs.refused`` with the reasons, if there are any."""
    if found:
        codes = ", ".join(reason.code for reason in found)
        text = f"the rules do not let this job's data come to where the control plane is: {codes}"
        if any(reason.code.startswith("core.missing:") for reason in found):
            text += "; declare the ControlPlane with its location and its operator"
        raise problems.ServiceError(problems.Kind.INVALID, "outputs.refused", text, details={"reasons": tuple(found)})


def _finished(context: contexts.Context, who: access.Principal, id: str) -> tuple[jobs.Job, jobs.Attempt]:
    job = job_service.load_holding(context, who, id)
    if job.attempt is None:
        hint = f" (name an element, as in {job.id}[0])" if job.array_state is not None else ""
        raise problems.not_found(f"an output of job {job.id}{hint}", "outputs.not-found")
    return job, job.attempt


def _copies(adapter: backends.BackendAdapter, backend: str) -> backends.Copies:
    if not isinstance(adapter, backends.Copies):
        text = f"backend {backend} gives no files back (fit.capability:copies)"
        raise problems.ServiceError(problems.Kind.UNSUPPORTED, "backend.no-copies", text)
    return adapter


def _ref(attempt: jobs.Attempt) -> backends.AttemptRef:
    return backends.AttemptRef(attempt.key, attempt.handle, attempt.submitted_at)
