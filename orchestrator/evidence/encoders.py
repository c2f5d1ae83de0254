"""Writers of compact JSON for the hot path: the standard library's, made once.

``JSONEncoder.encode`` makes a new C encoder for each value, which takes as long as writing a small one. The C encoder
keeps nothing between calls, so one is enough. Where an interpreter has none, the standard library's own is used. Values
that contain themselves raise RecursionError instead of ValueError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from json import encoder as _encoder
from typing import Any

_Write = Callable[[Any, int], Iterable[str]]


def compact(*, ascii_only: bool = True, sort_keys: bool = False, allow_nan: bool = False) -> Callable[[object], str]:
    """Return a function that gives the JSON text of a value, without spaces.

    It raises TypeError for what is no JSON, and ValueError for a NaN or an infinity unless they are allowed.
    """
    own = json.JSONEncoder(
        ensure_ascii=ascii_only, allow_nan=allow_nan, sort_keys=sort_keys, separators=(",", ":"), check_circular=False
    )
    make: Callable[..., _Write] | None = getattr(_encoder, "c_make_encoder", None)
    if make is None:
        return own.encode
    quote = _encoder.encode_basestring_ascii if ascii_only else _encoder.encode_basestring
    write = make(None, own.default, quote, None, ":", ",", sort_keys, False, allow_nan)

    def encode(value: object) -> str:
        return "".join(write(value, 0))

    return encode
