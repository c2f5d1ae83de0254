"""The one byte form of a JSON value (RFC 8785), and the digest over it.

Everything that is hashed or signed goes through here, so that two programs that agree on a value agree on its
digest. Small values of the hot path (text, numbers, lists and objects with ASCII keys) are written by the
standard library, whose output is the same there: it escapes what RFC 8785 escapes, and sorting by code point equals
sorting by UTF-16 unit as long as keys are ASCII. All else is left to ``rfc8785``. Not a parser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

from orchestrator.domain import ids
from orchestrator.evidence import encoders

INT_MAX = 2**53 - 1
"""Largest whole number that RFC 8785 writes as a number; beyond it a JSON reader may round."""

_encode = encoders.compact(ascii_only=False, sort_keys=True)


class CanonicalError(ValueError):
    """The value has no canonical form: not JSON, a number out of range, text that is not Unicode, too deep."""


def dumps(value: object) -> bytes:
    """Return the canonical bytes of a JSON value. Raises CanonicalError."""
    try:
        if _is_plain(value):
            return _encode(value).encode()
        plainer = _plainer(value)
        return _encode(plainer).encode() if _is_plain(plainer) else rfc8785.dumps(plainer)
    except (ValueError, RecursionError) as error:
        raise CanonicalError(str(error) or type(error).__name__) from error


def text(value: object) -> str:
    """Return the canonical form as text. Raises CanonicalError."""
    return dumps(value).decode()


def digest(value: object) -> ids.Digest:
    """Return the digest of the canonical form. Raises CanonicalError."""
    return digest_of_bytes(dumps(value))


def digest_of_bytes(data: bytes) -> ids.Digest:
    """Return the digest of bytes that are canonical already (or that are no JSON, such as an archive)."""
    return ids.Digest("sha256:" + hashlib.sha256(data).hexdigest())


def _is_plain(value: object) -> bool:
    """Say whether the standard library writes ``value`` exactly as RFC 8785 wants it.

    Exact types only: an enumeration that is also text, say, takes the slow road.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return -INT_MAX <= value <= INT_MAX  # type: ignore[operator]  # `kind` says that it is an int
    if kind is float:
        # Between these both write the shortest digits without an exponent; whole ones differ (1.0 and 1).
        return 1e-4 <= abs(value) < 1e16 and not value.is_integer()  # type: ignore[arg-type, attr-defined]
    if kind is dict:
        for key, item in value.items():  # type: ignore[attr-defined]  # `kind` says that it is a dict
            if type(key) is not str or not key.isascii():
                return False
            if type(item) is not str and not _is_plain(item):
                return False
        return True
    if kind is list or kind is tuple:
        for item in value:  # type: ignore[attr-defined]  # noqa: SIM110 -- `kind` says that it iterates; half the cost
            if type(item) is not str and not _is_plain(item):
                return False
        return True
    return False


def _plainer(value: object) -> Any:
    """Return ``value`` with every mapping as a dict, which is what ``rfc8785`` knows; it refuses what is no JSON.

    Whole floats become whole numbers, which have the same digits (RFC 8785, 3.2.2.3): one 70.0 in a site's facts would
    else send all of them down the slow road.
    """
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is float:
        whole = value.is_integer() and abs(value) <= INT_MAX  # type: ignore[attr-defined, arg-type]  # `kind` says so
        return int(value) if whole else value  # type: ignore[call-overload]
    if kind is dict or isinstance(value, Mapping):
        return {key: _plainer(item) for key, item in value.items()}  # type: ignore[attr-defined]
    if isinstance(value, (list, tuple)):
        return [_plainer(item) for item in value]
    return value
