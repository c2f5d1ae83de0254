"""The keys that sign checkpoints: Ed25519, made at first start, kept in the state folder for its owner only.

A rotation writes the next key beside the current one, then the journal's entry, then puts it in its place. After a
crash in between, the journal says which of the two counts. The old key is overwritten: nobody can steal it later.
"""

from __future__ import annotations

import hashlib
import pathlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from orchestrator.bootstrap import states
from orchestrator.evidence import rotations
from orchestrator.ports import stores
from orchestrator.service import checkpoints

KEY, NEXT = "log.key", "log.key.next"
NOTE, TILES = "log.checkpoint", "log.tiles"
_RAW, _RAW_PUBLIC = serialization.Encoding.Raw, serialization.PublicFormat.Raw
_HASH_BYTES = 32


class FileSigner:
    """Implements ``ports.environment.Signer``."""

    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes(_RAW, _RAW_PUBLIC)

    @property
    def key_id(self) -> str:
        """Return the id of the public key."""
        return key_id(self.public_key)

    def sign(self, payload: bytes) -> bytes:
        """Return the signature."""
        return self._key.sign(payload)


def key_id(public_key: bytes) -> str:
    """Return the id of a public key (32 bytes)."""
    return f"sha256:{hashlib.sha256(public_key).hexdigest()}"


class Keyring:
    """Implements ``service.checkpoints.Keyring`` in a state folder. Raises StateError."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._current = _read_or_make(folder / KEY)
        self._next: FileSigner | None = None

    @property
    def current(self) -> checkpoints.Key:
        """Return the key that signs now."""
        return checkpoints.Key(self._current, self._current.public_key)

    def prepare(self) -> checkpoints.Key:
        """Make the next key."""
        made = _make(self._folder / NEXT)
        self._next = made
        return checkpoints.Key(made, made.public_key)

    def adopt(self) -> None:
        """Put the next key in the place of the current one."""
        assert self._next is not None  # noqa: S101 - prepared before
        (self._folder / NEXT).replace(self._folder / KEY)
        self._current, self._next = self._next, None

    def recover(self, newest: bytes | None) -> None:
        """Finish or drop a rotation that a crash cut off. ``newest``: the last key that the journal names."""
        if not (self._folder / NEXT).exists():
            return
        self._next = _read_or_make(self._folder / NEXT)
        if self._next.public_key == newest:
            self.adopt()
        else:
            (self._folder / NEXT).unlink()
            self._next = None


class Shelf:
    """Implements ``service.checkpoints.Shelf`` in a state folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._note, self._tiles = folder / NOTE, folder / TILES

    def note(self) -> str:
        """Return the last note kept; bytes that are no text make a note that is not ours."""
        try:
            return self._note.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def keep_note(self, note: str) -> None:
        """Keep a note in place of the last one."""
        states.write_private(self._note, note.encode())

    def tiles(self) -> bytes:
        """Return the tiles kept; what a crash left half-written is cut off by the reader."""
        try:
            return self._tiles.read_bytes()
        except FileNotFoundError:
            return b""

    def keep_tiles(self, hashes: bytes, *, after: int) -> None:
        """Keep tiles. Not forced to the disk: it is a cache, compared with the signed root when it is read."""
        self._tiles.touch(mode=0o600, exist_ok=True)
        with open(self._tiles, "r+b") as file:
            file.seek(after * _HASH_BYTES)
            file.truncate()
            file.write(hashes)


def installation(keyring: Keyring, store: stores.Store) -> str:
    """Return the name of this installation, which its log and its marks at backends carry: of the log's first key.

    Finishes a rotation that a crash cut off. Raises StateError, StoreError.
    """
    found = [link.entry.body for link in store.entries(subject=rotations.SUBJECT) if link.entry.kind == rotations.KIND]
    keyring.recover(bytes.fromhex(str(found[-1]["new"])) if found else None)
    first = bytes.fromhex(str(found[0]["old"])) if found else keyring.current.public
    if found and keyring.current.public.hex() != found[-1]["new"]:
        raise states.StateError(
            f"{KEY} is not the key that the journal names last: restore the newest one, "
            "or move the whole state folder away to begin anew"
        )
    return key_id(first).removeprefix("sha256:")[:12]


def _read_or_make(path: pathlib.Path) -> FileSigner:
    try:
        raw = bytes.fromhex(path.read_text(encoding="ascii"))
        return FileSigner(ed25519.Ed25519PrivateKey.from_private_bytes(raw))
    except FileNotFoundError:
        return _make(path)
    except (OSError, ValueError) as error:
        raise states.StateError(
            f"{path} cannot be read as a key: restore it, or move it away to begin a new log"
        ) from error


def _make(path: pathlib.Path) -> FileSigner:
    key = ed25519.Ed25519PrivateKey.generate()
    states.write_private(path, key.private_bytes_raw().hex().encode())
    return FileSigner(key)
