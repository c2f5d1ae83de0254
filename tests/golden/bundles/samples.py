"""The kept bundles, and the ways in which tests read them."""

import functools
import json
import pathlib
from typing import Any, NamedTuple

from orchestrator.bootstrap import verifications
from orchestrator.evidence import comparisons, verification

FOLDER = pathlib.Path(__file__).parent


class Sample(NamedTuple):
    """A bundle with the keys and the checkpoint that somebody kept."""

    data: bytes
    first: str
    current: str
    kept: str

    def trust(self, *keys: str) -> verification.Trust:
        """Return trust in these keys (none: in the current one)."""
        return verification.Trust(frozenset(bytes.fromhex(key) for key in keys or (self.current,)))

    def verify(self, data: bytes | None = None, *keys: str, against: str | None = None) -> verification.Report:
        """Return the answers about these bytes, compared with the checkpoint kept."""
        notes = [comparisons.Kept(against or self.kept)]
        return verifications.verify(self.data if data is None else data, self.trust(*keys), against=notes)

    def value(self) -> Any:
        """Return the bundle as JSON, to be changed."""
        return json.loads(self.data)


def names() -> list[str]:
    """Return the names of all kept bundles."""
    return sorted(path.parent.name for path in FOLDER.glob("*/evidence.json"))


@functools.cache
def sample(name: str | None = None) -> Sample:
    """Return one of them, the last by default."""
    folder = FOLDER / (name or names()[-1])
    keys = json.loads((folder / "keys.json").read_text(encoding="utf-8"))
    kept = (folder / "kept.note").read_text(encoding="utf-8")
    return Sample((folder / "evidence.json").read_bytes(), keys["first"], keys["current"], kept)


def dumps(value: Any) -> bytes:
    """Return JSON as bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
