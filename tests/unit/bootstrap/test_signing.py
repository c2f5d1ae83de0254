"""Keys and notes in a state folder: rotations that a crash cuts off, and files that somebody damaged."""

import pathlib

import pytest

from orchestrator.bootstrap import signing, states
from orchestrator.domain import journal
from orchestrator.evidence import rotations, tiles
from orchestrator.ports import stores
from orchestrator.service import checkpoints, problems
from orchestrator.store import memory
from orchestrator.telemetry import clocks
from tests.property.evidence import logs


def rotated(store: memory.MemoryStore, keyring: signing.Keyring) -> bytes:
    """Write the entry of a rotation, as a server does before it is killed; return the new key."""
    old, new = keyring.current, keyring.prepare()
    body = rotations.body("comity.dev/x", 1, old=old.public, new=new.public, by_old=old.signer, by_new=new.signer)
    entry = journal.Entry(rotations.KIND, rotations.SUBJECT, clocks.SystemClock().now(), "system", body)
    store.commit(stores.Changes(entries=(entry,)))
    return new.public


@pytest.fixture
def store() -> memory.MemoryStore:
    """Give an empty store."""
    return memory.MemoryStore(clocks.SystemClock())


def test_a_rotation_cut_off_after_its_entry_is_finished(tmp_path: pathlib.Path, store: memory.MemoryStore) -> None:
    """The journal names the new key, so it is the one; the installation keeps its name."""
    keyring = signing.Keyring(tmp_path)
    name = signing.installation(keyring, store)
    new = rotated(store, keyring)
    again = signing.Keyring(tmp_path)
    assert signing.installation(again, store) == name
    assert again.current.public == new
    assert not (tmp_path / signing.NEXT).exists()


def test_a_rotation_cut_off_before_its_entry_is_dropped(tmp_path: pathlib.Path, store: memory.MemoryStore) -> None:
    """The journal knows nothing of the next key, so the old one goes on."""
    keyring = signing.Keyring(tmp_path)
    old = keyring.current.public
    keyring.prepare()
    again = signing.Keyring(tmp_path)
    signing.installation(again, store)
    assert again.current.public == old
    assert not (tmp_path / signing.NEXT).exists()


def test_a_key_that_the_journal_does_not_name_is_refused(tmp_path: pathlib.Path, store: memory.MemoryStore) -> None:
    """An old key put back does not sign."""
    keyring = signing.Keyring(tmp_path)
    kept = (tmp_path / signing.KEY).read_bytes()
    rotated(store, keyring)
    keyring.adopt()
    (tmp_path / signing.KEY).write_bytes(kept)
    with pytest.raises(states.StateError, match="not the key that the journal names last"):
        signing.installation(signing.Keyring(tmp_path), store)


class _Context:
    """As much of a context as heads need."""

    def __init__(self, store: memory.MemoryStore) -> None:
        self.store = store


def book(tmp_path: pathlib.Path, store: memory.MemoryStore) -> checkpoints.Checkpoints:
    """Return the heads of a state folder, as a process that has just started."""
    keyring, shelf = signing.Keyring(tmp_path), signing.Shelf(tmp_path)
    return checkpoints.Checkpoints(_Context(store), keyring, origin="comity.dev/x", shelf=shelf)  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", [b"", b"\x00" * 320, b"\xff" * 31])
def test_damaged_tiles_are_made_again(tmp_path: pathlib.Path, store: memory.MemoryStore, damage: bytes) -> None:
    """Tiles are a cache: whatever stands in the file, the head is the same."""
    store.commit(stores.Changes(entries=tuple(logs.entry(n) for n in range(2 * tiles.TILE + 9))))
    assert book(tmp_path, store).seal() == 2 * tiles.TILE + 9
    whole = (tmp_path / signing.TILES).read_bytes()
    assert len(whole) == 64
    note = (tmp_path / signing.NOTE).read_text()
    (tmp_path / signing.TILES).write_bytes(damage)
    store.commit(stores.Changes(entries=(logs.entry(1),)))
    assert book(tmp_path, store).seal() == 2 * tiles.TILE + 10
    assert (tmp_path / signing.TILES).read_bytes() == whole
    assert (tmp_path / signing.NOTE).read_text() != note


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"x", b"comity.dev/x\n1\n"])
def test_a_damaged_note_stops_signing(tmp_path: pathlib.Path, store: memory.MemoryStore, damage: bytes) -> None:
    """The note is no cache: without it nobody knows what was signed, so a person has to look."""
    store.commit(stores.Changes(entries=(logs.entry(1),)))
    book(tmp_path, store).seal()
    (tmp_path / signing.NOTE).write_bytes(damage)
    with pytest.raises(problems.ServiceError, match="not ours") as caught:
        book(tmp_path, store).seal()
    assert caught.value.code == "log.inconsistent"
