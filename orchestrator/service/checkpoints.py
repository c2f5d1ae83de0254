"""Signed heads of the journal: "it has this many entries and these hashes", in a form that tools of others read."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from orchestrator.domain import ids
from orchestrator.evidence import chain, checkpoints, merkle
from orchestrator.ports import environment
from orchestrator.service import access, contexts

_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Signed:
    """The newest head. ``note`` is a C2SP signed note; ``key`` is the public key, 32 bytes in hexadecimal."""

    size: int
    hash: ids.Digest
    note: str
    origin: str
    key: str


class Checkpoints:
    """Keeps the frontier of the Merkle tree, so that a checkpoint costs what was written since the last one."""

    def __init__(
        self, context: contexts.Context, signer: environment.Signer, public_key: bytes, *, origin: str
    ) -> None:
        self._context = context
        self._signer = signer
        self._public_key = public_key
        self._origin = origin
        self._lock = threading.Lock()
        self._frontier = merkle.Frontier()
        self._size = 0
        self._hash = chain.empty_head().hash

    def newest(self, who: access.Principal) -> Signed:
        """Sign the head there is now."""
        access.require(who, access.AUDITS)
        with self._lock:
            target = self._context.store.head().seq
            while self._size < target:
                links = self._context.store.entries(after=self._size, limit=min(_PAGE, target - self._size))
                if not links:
                    break
                for link in links:
                    self._frontier.append(chain.to_bytes(link.hash))
                self._size, self._hash = links[-1].seq, links[-1].hash
            checkpoint = checkpoints.Checkpoint(self._origin, self._size, self._frontier.root(), self._hash)
            note = checkpoints.sign(checkpoint, self._signer, self._public_key)
            return Signed(self._size, self._hash, note, self._origin, self._public_key.hex())
