"""What a cluster is recognised by over the restarts of its head (ADR 0024).

Without external Redis a restarted head has a new cluster id. Its successor is the same cluster only if both knew the
token: a head that checks no token proves nothing, and is recognised by its id alone. Kept in the adapter's state
folder: ids, and a salted digest of the token.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import pathlib
import secrets
from dataclasses import asdict, dataclass

from backends.ray import client

_FILE = "cluster.json"
_ROUNDS = 20_000


@dataclass(frozen=True, slots=True)
class Lineage:
    """``first`` is the id that everybody knows the cluster by, ``now`` that of its newest head."""

    first: str
    now: str
    salt: str
    token: str


def recognise(folder: str, greeting: client.Greeting, token: str | None) -> str:
    """Return the id that a head is recognised by, and remember it. Raises OSError."""
    path = pathlib.Path(folder) / _FILE
    known = _read(path)
    proof = token if greeting.checks_token else None
    if known is not None and greeting.cluster == known.now:
        return known.first
    if known is None:
        salt = secrets.token_hex(16)
        _write(path, Lineage(greeting.cluster, greeting.cluster, salt, _digest(proof, salt)))
        return greeting.cluster
    if proof is not None and known.token and hmac.compare_digest(_digest(proof, known.salt), known.token):
        _write(path, Lineage(known.first, greeting.cluster, known.salt, known.token))
        return known.first
    return greeting.cluster


def _digest(token: str | None, salt: str) -> str:
    if token is None:
        return ""
    return hashlib.pbkdf2_hmac("sha256", token.encode(), bytes.fromhex(salt), _ROUNDS).hex()


def _read(path: pathlib.Path) -> Lineage | None:
    try:
        found = json.loads(path.read_text("utf-8"))
        made = Lineage(**found)
        bytes.fromhex(made.salt)
        return made if all(isinstance(text, str) for text in asdict(made).values()) and made.first else None
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return None


def _write(path: pathlib.Path, lineage: Lineage) -> None:
    """Write whole or not at all."""
    part = path.with_name(f"{_FILE}.{secrets.token_hex(4)}")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(lineage), file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, path)
