"""The key that signs checkpoints: Ed25519, made at first start, kept in the state folder for its owner only."""

from __future__ import annotations

import hashlib
import pathlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from orchestrator.bootstrap import states

KEY = "log.key"
_RAW, _RAW_PUBLIC = serialization.Encoding.Raw, serialization.PublicFormat.Raw


class FileSigner:
    """Implements ``ports.environment.Signer``."""

    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes(_RAW, _RAW_PUBLIC)

    @property
    def key_id(self) -> str:
        """Return the id of the public key."""
        return f"sha256:{hashlib.sha256(self.public_key).hexdigest()}"

    def sign(self, payload: bytes) -> bytes:
        """Return the signature."""
        return self._key.sign(payload)


def signer(folder: pathlib.Path) -> FileSigner:
    """Return the installation's signer, making its key if there is none; raises StateError."""
    path = folder / KEY
    try:
        raw = bytes.fromhex(path.read_text(encoding="ascii"))
        return FileSigner(ed25519.Ed25519PrivateKey.from_private_bytes(raw))
    except FileNotFoundError:
        key = ed25519.Ed25519PrivateKey.generate()
        states.write_private(path, key.private_bytes_raw().hex().encode())
        return FileSigner(key)
    except (OSError, ValueError) as error:
        raise states.StateError(
            f"{path} cannot be read as a key: restore it, or move it away to begin a new log"
        ) from error
