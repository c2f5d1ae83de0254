"""Keys, checkpoints and heads as people hand them over: words, files, or the JSON that commands print."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

import click

from orchestrator.client import logbooks
from orchestrator.evidence import bundles, checkpoints, comparisons, encodings, notes, verification

_FILE_BYTES_MAX = 4 * 1024 * 1024


def trust(keys: Iterable[str], witnesses: Iterable[str]) -> verification.Trust:
    """Return whom ``--trust`` and ``--witness`` name. Raises UsageError."""
    return verification.Trust(frozenset(map(key, keys)), tuple(_witness(word) for word in witnesses))


def key(word: str) -> bytes:
    """Return a log's public key: 64 hexadecimal digits, ``NAME+HASH+KEY``, or a file with either."""
    text = _word(word)
    try:
        return encodings.from_hex(text, length=32)
    except ValueError:
        pass
    try:
        found = notes.parse_verifier(text)
    except notes.NoteError as error:
        raise click.UsageError(
            f"{word!r} is no key: 64 hexadecimal digits, NAME+HASH+KEY, or a file with either ({error})"
        ) from error
    if found.kind != notes.ED25519:
        raise click.UsageError(f"{word!r} is the key of a witness: name it with --witness")
    return found.public_key


def kept(path: str) -> tuple[comparisons.Kept, checkpoints.Checkpoint]:
    """Return a checkpoint that somebody kept: a signed note, or what ``comity log checkpoint -o json`` printed."""
    text = _read(path)
    try:
        later: tuple[bundles.Consistency, ...] = ()
        if text.lstrip().startswith("{"):
            answer = json.loads(text)
            later = tuple(bundles.read_consistency(each) for each in answer.get("consistency", ()))
            text = answer["note"]
        return comparisons.Kept(text, later), checkpoints.read(text)[1]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise click.UsageError(f"{path} holds no checkpoint: {error}") from error


def head(path: str) -> logbooks.Head:
    """Return a head as ``comity log checkpoint -o json`` printed it. Raises UsageError."""
    try:
        answer: Any = json.loads(_read(path))
    except ValueError as error:
        raise click.UsageError(f"{path} is not what `comity log checkpoint -o json` prints: {error}") from error
    return logbooks.of_answer(answer)


def _witness(word: str) -> notes.Verifier:
    try:
        found = notes.parse_verifier(_word(word))
    except notes.NoteError as error:
        raise click.UsageError(f"{word!r} is no witness's key: NAME+HASH+KEY, or a file with it ({error})") from error
    if found.kind != notes.COSIGNATURE:
        raise click.UsageError(f"{word!r} is no witness's key")
    return found


def _word(word: str) -> str:
    path = pathlib.Path(word)
    return _read(word).strip() if len(word) < 4096 and path.is_file() else word


def _read(path: str) -> str:
    try:
        if path == "-":
            return sys.stdin.read(_FILE_BYTES_MAX)
        with open(path, encoding="utf-8", newline="") as file:
            return file.read(_FILE_BYTES_MAX)
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{path} is no text") from error
