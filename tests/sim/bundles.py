"""What is wrong with a bundle of facts or packs: tokens that prove nothing, documents and a folder that cannot be read.

Tokens are the same in every process, so that a seed is one history.
"""

from __future__ import annotations

import functools
import json
import pathlib
import shutil
import tempfile
from typing import Any

from joserfc import jwk

from orchestrator.bootstrap import packs as keepers
from orchestrator.inventory import claimants
from orchestrator.policy import rulebook
from orchestrator.sources import packs
from tests import tokens

UNSIGNED, STRANGER, TAMPERED, CONTRADICTS, CUT = "unsigned", "a stranger's", "tampered", "contradicts", "cut off"
FORGED = (UNSIGNED, STRANGER, TAMPERED, CONTRADICTS, CUT)
UNREADABLE: dict[str, tuple[dict[str, object], ...]] = {
    "Tenant": ({"floor": {"countries": 7}}, {"flor": {}}, {"floor": []}),
    "Operator": ({"legalCountry": 7}, {}, {"nobody": "knows"}),
}
"""Specs of documents that nobody can read: without a floor, and without an owner, nothing is known."""


def _issuer(id: str, seed: int) -> tokens.Issuer:
    raw = bytes([seed]) * 32
    public = tokens.ed25519.Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    made = {"kty": "OKP", "crv": "Ed25519", "x": tokens.base64url(public), "d": tokens.base64url(raw)}
    return tokens.Issuer(id, key=jwk.OKPKey.import_key(made))


LISTED, UNLISTED = _issuer("did:web:certs.example", 1), _issuer("did:web:nobody.example", 2)


@functools.cache
def trusting() -> claimants.Claimants:
    """Return who verifies claims, by a list that names one issuer."""
    return claimants.Claimants(tokens.trusting(LISTED.trusted()), audience=tokens.HERE)


def forged(kind: str, backend: str, country: str) -> str:
    """Return a claim about where a backend stands, and something is wrong with it."""
    elsewhere = "DE" if country != "DE" else "SG"
    said = {"facts": {"location.country": elsewhere if kind == CONTRADICTS else country}}
    if kind == STRANGER:
        return UNLISTED.claim("location", f"backend/{backend}", certifies=said)
    token = LISTED.claim("location", f"backend/{backend}", certifies=said)
    head, body, signature = token.split(".")
    match kind:
        case "unsigned":
            return f"jws:{tokens.base64url(json.dumps({'alg': 'none'}).encode())}.{body}."
        case "tampered":
            return f"{head}.{body}.{signature[:-4]}AAAA"
        case "cut off":
            return f"{head}.{body}"
        case _:
            return token


@functools.cache
def good() -> rulebook.RuleBook:
    """Return the shipped rules, read once."""
    return packs.load()


@functools.cache
def damaged() -> rulebook.RuleBook:
    """Return what is read from a folder whose first pack was cut off while it was written."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "packs"
        shutil.copytree(packs.BUILT_IN, copy)
        rules = copy / "core" / "rules.yaml"
        rules.write_text(rules.read_text()[:5000])
        return packs.load(copy)


class Keeper(keepers.PackKeeper):
    """The keeper of packs as a process has it, without a folder: it reads what the folder would give."""

    def __init__(self, is_damaged: Any) -> None:
        self._is_damaged = is_damaged
        super().__init__(None, off=(), on=(), log=_Silent())

    def _read(self) -> rulebook.RuleBook:
        return damaged() if self._is_damaged() else good()


class _Silent:
    """Writes no log."""

    def info(self, event: str, **more: object) -> None:
        """Drop it."""
