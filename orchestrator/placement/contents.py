"""Values of the domain as canonical JSON and back: what decisions refer to, content-addressed.

One codec for every frozen dataclass, driven by its annotations, so that a new field of a site is stored without a
line here. ``encode`` leaves out fields that hold their default, which keeps digests when a field is added later.
Not the format of documents that users write: that is ``wire``.
"""

from __future__ import annotations

import base64
import collections.abc
import dataclasses
import datetime as dt
import enum
import functools
import json
import types
import typing
from typing import Any, TypeVar

from orchestrator.domain import decisions, ids, sites
from orchestrator.evidence import canonical

T = TypeVar("T")

_PLAIN = frozenset({type(None), bool, int, float, str})


class ContentError(ValueError):
    """The stored text is not what the type asks for."""


def encode(value: object) -> Any:
    """Return ``value`` as JSON: dataclasses as objects, sets sorted, days and times in ISO form, bytes in base64."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (int, float, str)):
        return value.value if isinstance(value, enum.Enum) else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(item)
            for field, default in _fields(type(value))
            if (item := getattr(value, field.name)) != default or type(item) is not type(default)
        }
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value // dt.timedelta(microseconds=1)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, collections.abc.Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted((encode(item) for item in value), key=_place)
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no stored form")


def _place(item: Any) -> str:
    """Return by what the items of a set are sorted: their canonical text; words come again and again."""
    return _place_of_word(item) if type(item) is str else canonical.text(item)


_place_of_word = functools.lru_cache(maxsize=4096)(canonical.text)


def decode(kind: type[T], value: Any) -> T:
    """Return the ``kind`` that ``encode`` wrote. Raises ContentError."""
    try:
        return typing.cast("T", _decoder(typing.cast("Any", kind))(value))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ContentError(f"not a {kind.__name__}: {error}") from error


def content(value: object) -> decisions.Content:
    """Return ``value`` under the digest of its canonical form."""
    body = canonical.dumps(encode(value))
    return decisions.Content(canonical.digest_of_bytes(body), body)


def read(kind: type[T], stored: decisions.Content) -> T:
    """Return the value of a stored content. Raises ContentError, also when the digest does not match the body."""
    return decode(kind, parse(stored))


def parse(stored: decisions.Content) -> Any:
    """Return the JSON of a stored content. Raises ContentError."""
    if canonical.digest_of_bytes(stored.body) != stored.digest:
        raise ContentError(f"the body of {stored.digest} has another digest")
    return json.loads(stored.body)


def site_content(site: sites.Site) -> decisions.Content:
    """Return a site under its digest. The digest covers everything but itself."""
    return content(dataclasses.replace(site, digest=ids.NO_DIGEST))


def with_digest(site: sites.Site) -> sites.Site:
    """Return the site with its digest filled in: for whoever makes sites."""
    return dataclasses.replace(site, digest=site_content(site).digest)


_MISSING = object()


@functools.cache
def _fields(kind: type) -> tuple[tuple[dataclasses.Field[Any], object], ...]:
    found = []
    for field in dataclasses.fields(kind):
        default: object = _MISSING
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found.append((field, default))
    return tuple(found)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    # `Owners.list` shadows the built-in in its own class body, so names are resolved in the module.
    return typing.get_type_hints(kind)


Decode = typing.Callable[[Any], Any]


@functools.cache
def _decoder(kind: Any) -> Decode:
    """Return what reads a type; made once a type, for a decision reads a thousand sites."""
    kind = getattr(kind, "__supertype__", kind)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _union_decoder(typing.get_args(kind))
    if origin is not None:
        return _many_decoder(origin, typing.get_args(kind))
    if kind in (Any, object):
        return lambda value: value
    if dataclasses.is_dataclass(kind):
        return _dataclass_decoder(typing.cast("type", kind))
    if issubclass(kind, enum.Enum):
        return typing.cast("Decode", kind)
    return _plain_decoder(kind)


def _dataclass_decoder(kind: type) -> Decode:
    fields: dict[str, Decode] = {}

    def decode(value: Any) -> Any:
        if not fields:  # only now: a type may stand in itself
            fields.update({name: _decoder(hint) for name, hint in _hints(kind).items()})
        try:
            return kind(**{name: fields[name](item) for name, item in value.items()})
        except KeyError:
            unknown = set(value) - set(fields)
            if unknown:
                raise ContentError(f"{kind} has no {sorted(unknown)}") from None
            raise

    return decode


def _plain_decoder(kind: type) -> Decode:
    if kind is dt.datetime:
        return dt.datetime.fromisoformat
    if kind is dt.date:
        return dt.date.fromisoformat
    if kind is dt.timedelta:
        return lambda value: dt.timedelta(microseconds=value)
    if kind is bytes:
        return lambda value: base64.b64decode(value, validate=True)

    def decode(value: Any) -> Any:
        if type(value) is kind:
            return value
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ContentError(f"expected {kind.__name__}, not {value!r}")
        return value

    return decode


def _union_decoder(kinds: tuple[Any, ...]) -> Decode:
    allows_none = type(None) in kinds
    each = [_decoder(kind) for kind in kinds if kind is not type(None)]

    def decode(value: Any) -> Any:
        if value is None and allows_none:
            return None
        problems = []
        for one in each:
            try:
                return one(value)
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                problems.append(str(error))
        raise ContentError("; ".join(problems) or f"{value!r} is not allowed")

    return decode


def _many_decoder(origin: Any, args: tuple[Any, ...]) -> Decode:
    each = [_decoder(arg) for arg in args if arg is not Ellipsis]
    if issubclass(origin, collections.abc.Mapping):
        key_of, item_of = each
        return lambda value: {key_of(key): item_of(item) for key, item in value.items()}
    fixed = origin is tuple and not (len(args) == 2 and args[1] is Ellipsis)

    def decode(value: Any) -> Any:
        if not isinstance(value, list):
            raise ContentError(f"expected a list, not {value!r}")
        if fixed:
            return tuple(one(item) for one, item in zip(each, value, strict=True))
        items = map(each[0], value)
        return frozenset(items) if origin is frozenset else tuple(items)

    return decode
