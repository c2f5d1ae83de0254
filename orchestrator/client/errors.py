"""What can go wrong between a program and a control plane, as a caller tells it apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ClientError(Exception):
    """Base of everything this package raises on purpose."""


class UnreachableError(ClientError):
    """No answer from the server. ``sent`` says whether the request may have reached it."""

    def __init__(self, server: str, cause: str, *, sent: bool = False) -> None:
        super().__init__(f"no control plane answers at {server}: {cause}")
        self.server = server
        self.cause = cause
        self.sent = sent


class ProblemError(ClientError):
    """The server answered with a problem (RFC 9457). ``code`` is stable, ``errors`` holds one entry a defect."""

    def __init__(
        self,
        *,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        document: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail or title}")
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.document = dict(document or {})


class ProtocolError(ClientError):
    """Something answered, and it does not speak this API."""


class ResolutionError(ClientError):
    """Files, folders or variables that a job names could not be read. ``problems`` are (path in document, what)."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {what}" for path, what in problems))
        self.problems = tuple(problems)
