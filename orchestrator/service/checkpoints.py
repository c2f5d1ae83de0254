"""Signed heads of the journal: "it has this many entries and these hashes", in a form that tools of others read.

One checkpoint seals every batch of commits since the one before (``seal``), so that what is signed lags little behind
what is written and costs the writer nothing. Before the first one of a process the journal is held to the last one
that was signed: a history that was rewritten meanwhile is not signed, it is refused until a person looks.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.domain import ids, journal
from orchestrator.evidence import bundles, chain, checkpoints, rotations, tiles
from orchestrator.ports import environment, stores
from orchestrator.service import access, contexts, problems

_PAGE = 10_000
_KEYS_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Key:
    """A key pair of the log. ``public``: 32 raw bytes."""

    signer: environment.Signer
    public: bytes


class Keyring(Protocol):
    """The log's own key, and how it is replaced: in two steps, with the entry of the journal between them."""

    @property
    def current(self) -> Key:
        """Return the key that signs now."""

    def prepare(self) -> Key:
        """Make the next key and keep it where a crash does not lose it; it does not sign checkpoints yet."""

    def adopt(self) -> None:
        """Let the prepared key take over; the old one is destroyed."""


class Shelf(Protocol):
    """What outlives the process besides the journal: the last signed note, and the tree's tiles (a cache)."""

    def note(self) -> str:
        """Return the last note kept; "" if there is none."""

    def keep_note(self, note: str) -> None:
        """Keep a note in place of the last one."""

    def tiles(self) -> bytes:
        """Return the hashes of full tiles that were kept."""

    def keep_tiles(self, hashes: bytes, *, after: int) -> None:
        """Keep the hashes of the tiles that follow the first ``after``; what stood there goes."""


class NoShelf:
    """Keeps the note in memory: for tests, and for a state that nobody wants to outlive."""

    def __init__(self) -> None:
        self._note = ""

    def note(self) -> str:
        """See ``Shelf``."""
        return self._note

    def keep_note(self, note: str) -> None:
        """See ``Shelf``."""
        self._note = note

    def tiles(self) -> bytes:
        """See ``Shelf``."""
        return b""

    def keep_tiles(self, hashes: bytes, *, after: int) -> None:
        """See ``Shelf``."""


@dataclass(frozen=True, slots=True)
class Signed:
    """The newest head. ``note`` is a C2SP signed note; ``key`` is the public key, 32 bytes in hexadecimal.

    ``consistency`` leads from each size that was asked for. ``rotated`` are the entries by which the
    log's key changed, from ``first_key`` on.
    """

    size: int
    hash: ids.Digest
    note: str
    origin: str
    key: str
    first_key: str
    consistency: tuple[bundles.Consistency, ...]
    rotated: tuple[bundles.Shown, ...]


@dataclass(frozen=True, slots=True)
class Proven:
    """Entries with their inclusion proofs under one signed head."""

    head: Signed
    entries: tuple[bundles.Shown, ...]


class Checkpoints:
    """Keeps the Merkle tree's upper part, so that a checkpoint costs what was written since the last one."""

    def __init__(self, context: contexts.Context, keyring: Keyring, *, origin: str, shelf: Shelf | None = None) -> None:
        self.origin = origin
        self._context = context
        self._keyring = keyring
        self._shelf = shelf or NoShelf()
        self._lock = threading.Lock()
        self._tree: tiles.TileTree | None = None
        self._hash = chain.empty_head().hash
        self._sealed = -1
        self._kept = 0
        """How many tiles the shelf has."""

    @property
    def key(self) -> Key:
        """Return the key that signs now."""
        return self._keyring.current

    def newest(self, who: access.Principal, *, since: Sequence[int] = ()) -> Signed:
        """Sign the head there is now; ``since`` asks for proofs that it goes on from so many entries."""
        access.require(who, access.AUDITS)
        with self._lock:
            return self._head(since)

    def seal(self) -> int:
        """Sign what was committed since the last checkpoint and keep the note; returns the number of entries sealed.

        For the server's own thread. Raises ServiceError, StoreError.
        """
        with self._lock:
            tree = self._advance()
            if tree.size > self._sealed:
                self._sign(tree)
            return tree.size

    def prove(self, links: Sequence[journal.ChainedEntry], *, since: Sequence[int] = ()) -> Proven:
        """Return inclusion proofs for entries under a head that holds them all; the caller has checked who asks."""
        with self._lock:
            head = self._head(since)
            tree = self._advanced()
            return Proven(head, tuple(self._shown(tree, link, head.size) for link in links))

    def rotate(self, who: access.Principal) -> Signed:
        """Let a new key take over, by an entry that both keys sign, and sign a head with it."""
        access.require(who, access.ADMINISTERS)
        with self._lock:
            self._advance()
            old, new = self._keyring.current, self._keyring.prepare()
            number = len(self._rotations()) + 1
            body = rotations.body(
                self.origin, number, old=old.public, new=new.public, by_old=old.signer, by_new=new.signer
            )
            now = self._context.clock.now()
            entry = journal.Entry(rotations.KIND, rotations.SUBJECT, now, who.token_id, body)
            contexts.commit(self._context, stores.Changes(entries=(entry,)))
            self._keyring.adopt()
            return self._head(())

    def _head(self, since: Sequence[int]) -> Signed:
        tree = self._advance()
        note = self._sign(tree)
        rotated = self._rotations()
        keys = self._keys(rotated)
        return Signed(
            size=tree.size,
            hash=self._hash,
            note=note,
            origin=self.origin,
            key=keys.current.hex(),
            first_key=keys.all[0].hex(),
            consistency=self._consistency(tree, since),
            rotated=tuple(self._shown(tree, link, tree.size) for link in rotated),
        )

    def _consistency(self, tree: tiles.TileTree, since: Sequence[int]) -> tuple[bundles.Consistency, ...]:
        """Prove from each size. Who asks about more than there is has been shown another history: it gets the head."""
        try:
            return tuple(
                bundles.Consistency(size, tuple(tree.consistency_proof(size)))
                for size in sorted(set(since))
                if 0 < size <= tree.size
            )
        except tiles.TileError as error:
            raise _inconsistent(str(error)) from error

    def _shown(self, tree: tiles.TileTree, link: journal.ChainedEntry, size: int) -> bundles.Shown:
        try:
            proof = tuple(tree.inclusion_proof(link.seq - 1, size))
        except tiles.TileError as error:
            raise _inconsistent(str(error)) from error
        entry = link.entry
        shown = {
            "actor": entry.actor,
            "at": chain.time_text(entry.at),
            "body": dict(entry.body),
            "kind": entry.kind,
            "subject": entry.subject,
            "tenant": entry.tenant,
        }
        return bundles.Shown(link.seq, chain.to_bytes(link.hash), proof, chain.to_bytes(link.previous), shown)

    def _sign(self, tree: tiles.TileTree) -> str:
        checkpoint = checkpoints.Checkpoint(self.origin, tree.size, tree.root(), self._hash)
        key = self._keyring.current
        note = checkpoints.sign(checkpoint, key.signer, key.public)
        if tree.size != self._sealed:
            try:
                self._shelf.keep_note(note)
            except OSError as error:
                # What is signed and not remembered could be signed otherwise after a restart.
                text = f"the signed head cannot be kept in the state folder: {error.strerror or error}"
                raise problems.ServiceError(problems.Kind.UNAVAILABLE, "log.not-kept", text) from error
            self._sealed = tree.size
        return note

    def _advanced(self) -> tiles.TileTree:
        assert self._tree is not None  # noqa: S101 - `_advance` made it
        return self._tree

    def _advance(self) -> tiles.TileTree:
        """Bring the tree up to the journal's head; on the first call, hold the journal to what was signed last."""
        head = self._context.store.head().seq
        if self._tree is None:
            self._tree = self._first(head)
        tree = self._tree
        self._grow(tree, head)
        if tree.tiles > self._kept:
            try:
                self._shelf.keep_tiles(tree.kept(self._kept), after=self._kept)
                self._kept = tree.tiles
            except OSError:
                pass  # only a cache: the next process reads the journal instead
        return tree

    def _first(self, head: int) -> tiles.TileTree:
        kept = self._shelf.tiles()[: head // tiles.TILE * 32]
        tree = tiles.TileTree(self._read, kept)
        self._kept = tree.tiles
        self._grow(tree, head)
        note = self._shelf.note()
        if not note:
            return tree
        try:
            last = checkpoints.read(note)[1]
            key = self._keys(self._rotations()).at(last.size)
            last = checkpoints.verify(note, origin=self.origin, public_key=key)
        except (checkpoints.CheckpointError, rotations.RotationError) as error:
            raise _inconsistent(f"the checkpoint kept in the state folder is not ours: {error}") from error
        if last.size > tree.size:
            raise _inconsistent(f"{last.size} entries were signed, and the journal has {tree.size}")
        if kept and tree.root(last.size) != last.root:
            # The tiles are only a cache: let the journal itself speak before anybody is accused.
            tree = tiles.TileTree(self._read)
            self._grow(tree, head)
            self._kept = 0
        if tree.root(last.size) != last.root:
            raise _inconsistent(f"the first {last.size} entries are not those that were signed")
        self._sealed = last.size
        return tree

    def _grow(self, tree: tiles.TileTree, head: int) -> None:
        store = self._context.store
        while tree.size < head:
            links = store.links(after=tree.size, limit=min(_PAGE, head - tree.size))
            if not links:
                break
            tree.extend(links)
            self._hash = chain.to_digest(links[-1])

    def _read(self, start: int, count: int) -> Sequence[bytes]:
        return self._context.store.links(after=start, limit=count)

    def _rotations(self) -> Sequence[journal.ChainedEntry]:
        found = self._context.store.entries(subject=rotations.SUBJECT, limit=_KEYS_PAGE)
        return [link for link in found if link.entry.kind == rotations.KIND]

    def _keys(self, rotated: Sequence[journal.ChainedEntry]) -> rotations.Keys:
        first = bytes.fromhex(str(rotated[0].entry.body["old"])) if rotated else self._keyring.current.public
        return rotations.chain(self.origin, first, [(link.seq, link.entry.body) for link in rotated])


def _inconsistent(what: str) -> problems.ServiceError:
    text = f"the journal is not the one that was signed: {what}; `comity log verify` looks closer"
    return problems.ServiceError(problems.Kind.UNAVAILABLE, "log.inconsistent", text)
