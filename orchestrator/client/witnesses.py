"""A witness: a folder with a key of its own and the last head it has signed of each log.

It cosigns a head only when that head is signed by the log's key and goes on, with proof, from the last one it
cosigned. What it signed last is on the disk before the signature leaves, so a witness that is killed never signs two
histories. The folder belongs on another machine, or at least to another account, than the log.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ed25519

from orchestrator.client import errors, logbooks
from orchestrator.evidence import checkpoints, comparisons, cosignatures, notes

KEY, PUBLIC = "witness.key", "witness.pub"


class WitnessError(errors.ClientError):
    """The witness does not sign; the message says why."""


class Cosigned(NamedTuple):
    """A note with the witness's line, and what it goes on from (0: the first one of this log)."""

    note: str
    size: int
    since: int


class _Signer:
    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        self._key = key

    def sign(self, payload: bytes) -> bytes:
        return self._key.sign(payload)


class Witness:
    """One witness. ``name`` is given once, when the folder is made."""

    def __init__(self, folder: pathlib.Path, *, name: str | None = None) -> None:
        self._folder = folder
        self._key, self.verifier = _open(folder, name)

    def last(self, origin: str) -> checkpoints.Checkpoint | None:
        """Return the last head cosigned of a log."""
        try:
            return checkpoints.read(self._path(origin).read_text(encoding="utf-8"))[1]
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise WitnessError(f"{self._path(origin)} cannot be read: {error}; restore it") from error

    def sizes(self) -> list[int]:
        """Return the sizes of the last heads of all logs: what a server is asked to prove from."""
        found = []
        for path in sorted(self._folder.glob("log-*.note"))[:4]:
            found.append(checkpoints.read(path.read_text(encoding="utf-8"))[1].size)
        return found

    def cosign(self, head: logbooks.Head, *, trusted: bytes, seconds: int) -> Cosigned:
        """Cosign a head whose keys lead from ``trusted`` (32 bytes). Raises WitnessError."""
        if trusted not in head.keys.all:
            raise WitnessError("the head is not signed by the key you trust, nor by one that it handed over to")
        note = notes.parse(head.note)
        last = self.last(head.point.origin)
        if last is not None:
            answer = comparisons.compare(last, head.point, forward=head.consistency)
            if answer.word is not comparisons.Word.YES or head.point.size < last.size:
                why = answer.why if head.point.size >= last.size else f"{last.size} entries were cosigned already"
                raise WitnessError(f"not cosigned, {head.point.origin} does not go on from what was cosigned: {why}")
        signed = cosignatures.sign(note, _Signer(self._key), self.verifier, seconds=seconds).render()
        _write(self._path(head.point.origin), signed.encode())
        return Cosigned(signed, head.point.size, last.size if last else 0)

    def _path(self, origin: str) -> pathlib.Path:
        return self._folder / f"log-{hashlib.sha256(origin.encode()).hexdigest()[:24]}.note"


def _open(folder: pathlib.Path, name: str | None) -> tuple[ed25519.Ed25519PrivateKey, notes.Verifier]:
    try:
        if (folder / PUBLIC).exists():
            verifier = notes.parse_verifier((folder / PUBLIC).read_text(encoding="ascii").strip())
            raw = bytes.fromhex((folder / KEY).read_text(encoding="ascii"))
            key = ed25519.Ed25519PrivateKey.from_private_bytes(raw)
            if key.public_key().public_bytes_raw() != verifier.public_key:
                raise ValueError(f"{KEY} and {PUBLIC} do not belong together")
            return key, verifier
        if name is None:
            raise WitnessError(f"{folder} holds no witness yet: name one with --name, once")
        notes.check_name(name)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ed25519.Ed25519PrivateKey.generate()
        verifier = notes.Verifier(name, key.public_key().public_bytes_raw(), notes.COSIGNATURE)
        _write(folder / KEY, key.private_bytes_raw().hex().encode())
        _write(folder / PUBLIC, f"{verifier.text()}\n".encode())
    except (OSError, ValueError) as error:
        raise WitnessError(f"the witness in {folder} cannot be used: {error}") from error
    return key, verifier


def _write(path: pathlib.Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
