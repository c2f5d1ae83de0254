"""A log in memory for tests: entries, tree, key and rotations, as an installation keeps them, and as an insider fakes
them."""

import dataclasses
import datetime as dt
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519

from orchestrator.domain import journal
from orchestrator.evidence import bundles, chain, checkpoints, merkle, rotations

START = dt.datetime(2026, 11, 22, 10, tzinfo=dt.UTC)
ORIGIN = "comity.dev/test"


class Key:
    """A signer for tests."""

    def __init__(self, seed: int) -> None:
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, payload: bytes) -> bytes:
        """Return the signature."""
        return self._key.sign(payload)


def entry(number: int, **body: Any) -> journal.Entry:
    """Return entry ``number`` of a story."""
    said = {"attempt": number, **body}
    return journal.Entry("job.accepted", "job/X", START + dt.timedelta(seconds=number), "controller", said, "t")


@dataclasses.dataclass
class Log:
    """A log. ``sign`` signs its head with the key given, whether that is the right one or not."""

    entries: list[journal.ChainedEntry] = dataclasses.field(default_factory=list)
    tree: merkle.Tree = dataclasses.field(default_factory=merkle.Tree)
    first: bytes = b""
    rotated: int = 0

    def add(self, *more: journal.Entry) -> "Log":
        """Append entries."""
        head = journal.ChainHead(len(self.entries), self.entries[-1].hash) if self.entries else chain.empty_head()
        for link in chain.chain(more, after=head):
            self.entries.append(link)
            self.tree.append(chain.to_bytes(link.hash))
        return self

    def rotate(self, old: Key, new: Key) -> "Log":
        """Append the entry that hands over."""
        self.rotated += 1
        body = rotations.body(ORIGIN, self.rotated, old=old.public, new=new.public, by_old=old, by_new=new)
        return self.add(journal.Entry(rotations.KIND, rotations.SUBJECT, START, "system", body))

    def note(self, key: Key, size: int | None = None) -> str:
        """Return the signed head of the first ``size`` entries."""
        size = len(self.entries) if size is None else size
        link = self.entries[size - 1].hash
        point = checkpoints.Checkpoint(ORIGIN, size, self.tree.root(size), link)
        return checkpoints.sign(point, key, key.public)

    def bundle(self, key: Key, first: Key, *, since: int = 0) -> bundles.Bundle:
        """Return the head and the rotations as a bundle without statements."""
        shown = [link for link in self.entries if link.entry.kind == rotations.KIND]
        entries = [
            bundles.Shown(
                link.seq,
                chain.to_bytes(link.hash),
                tuple(self.tree.inclusion_proof(link.seq - 1)),
                chain.to_bytes(link.previous),
                {
                    "actor": link.entry.actor,
                    "at": chain.time_text(link.entry.at),
                    "body": dict(link.entry.body),
                    "kind": link.entry.kind,
                    "subject": link.entry.subject,
                    "tenant": link.entry.tenant,
                },
            )
            for link in shown
        ]
        proofs = (bundles.Consistency(since, tuple(self.tree.consistency_proof(since))),) if since else ()
        return bundles.Bundle(self.note(key), first.public, tuple(entries), (), {}, proofs)
