"""Archives of working folders: kept once by the digest of their bytes, sent to a backend only after placement there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.domain import ids
from orchestrator.ports import stores
from orchestrator.service import access, contexts, problems

BYTES_MAX = 64 * 2**20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_known: dict[str, None] = {}
"""Digests that were found to exist: blobs are never taken away, and reading one is not cheap."""
_KNOWN_MAX = 4096


def put(context: contexts.Context, who: access.Principal, digest: str, chunks: Iterator[bytes]) -> stores.Blob:
    """Keep an archive; raises ``request.malformed`` when the bytes are not those of the digest."""
    access.require(who, access.SUBMITS)
    if not _DIGEST.fullmatch(digest):
        raise _malformed("digest must be sha256: and 64 hexadecimal digits")
    try:
        return context.store.put_blob(ids.Digest(digest), chunks)
    except ValueError as error:
        raise _malformed("the bytes do not have this digest") from error
    except stores.StoreError as error:
        raise contexts.of_store(error) from error


def exists(context: contexts.Context, digest: ids.Digest) -> bool:
    """Say whether an archive was sent."""
    key = f"{id(context.store)}/{digest}"
    if key in _known:
        return True
    if context.store.blob(digest) is None:
        return False
    if len(_known) >= _KNOWN_MAX:
        _known.clear()
    _known[key] = None
    return True


def _malformed(text: str) -> problems.ServiceError:
    return problems.ServiceError(problems.Kind.MALFORMED, "request.malformed", text)
