"""What a use case answers instead of a result: a stable code, a sentence, and what kind of "no" it is."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from orchestrator.wire import errors


class Kind(enum.Enum):
    """What kind of "no"; the API gives each its status."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "notFound"
    CONFLICT = "conflict"
    STALE = "stale"
    """A precondition (``If-Match``) does not hold."""
    INVALID = "invalid"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    FULL = "full"


class ServiceError(Exception):
    """A use case that did not happen. ``details`` are further members of the problem, JSON values."""

    def __init__(
        self,
        kind: Kind,
        code: str,
        message: str,
        *,
        errors: Sequence[errors.DocumentError] = (),
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.errors = tuple(errors)
        self.details = dict(details or {})


def not_found(what: str, code: str) -> ServiceError:
    """Return the one answer for what does not exist and for what is another tenant's."""
    return ServiceError(Kind.NOT_FOUND, code, f"{what} is not known here")


def invalid(found: Sequence[errors.DocumentError]) -> ServiceError:
    """Return ``document.invalid`` with every error."""
    count = len(found)
    first = found[0].render() if count == 1 else f"{count} errors"
    return ServiceError(Kind.INVALID, errors.INVALID, first, errors=found)
