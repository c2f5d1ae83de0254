"""What a client remembers of logs, and the forks it shouts about; witnesses, who do the same for others."""

import pathlib

import pytest

from orchestrator.client import errors, logbooks, witnesses
from orchestrator.evidence import checkpoints, cosignatures, notes
from tests.property.evidence import logs

KEY, NEXT, FRESH = logs.Key(1), logs.Key(2), logs.Key(9)
SERVER = "http://127.0.0.1:7070"


def story(size: int, *, lie: int = 0) -> logs.Log:
    """Return a log of ``size`` entries; entry ``lie`` says something else."""
    return logs.Log().add(*(logs.entry(n, lie=True) if n == lie else logs.entry(n) for n in range(1, size + 1)))


def head(log: logs.Log, key: logs.Key = KEY, *, since: int = 0) -> logbooks.Head:
    """Return a log's head as a client reads it."""
    return logbooks.of_bundle(log.bundle(key, KEY, since=since))


@pytest.fixture
def book(tmp_path: pathlib.Path) -> logbooks.Logbook:
    """Give a logbook that has seen ten entries."""
    made = logbooks.Logbook(tmp_path)
    made.take(SERVER, head(story(10)))
    return made


def test_a_head_that_goes_on_is_remembered(book: logbooks.Logbook) -> None:
    """With proof, the newer head takes the place of the older; the same head again is fine."""
    book.take(SERVER, head(story(17), since=10))
    book.take(SERVER, head(story(17)))
    known = book.remembered(SERVER)
    assert known is not None
    assert known.point.size == 17
    assert book.remembered("http://other:7070") is None


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (lambda: head(story(10, lie=4)), "two different histories of 10 entries"),
        (lambda: head(story(17, lie=4), since=10), "does not go on"),
        (lambda: head(story(7)), "had 10 entries and shows 7"),
        (lambda: logbooks.of_bundle(story(17).bundle(FRESH, FRESH, since=10)), "was signed by the key"),
    ],
)
def test_a_fork_is_kept_and_shouted(book: logbooks.Logbook, tmp_path: pathlib.Path, shown, words: str) -> None:
    """Another history, a shorter one, another key without a rotation: both signed heads are kept in a file."""
    other = shown()
    with pytest.raises(logbooks.ForkError, match="FORKED LOG") as caught:
        book.take(SERVER, other)
    assert words in str(caught.value)
    kept = caught.value.path.read_text(encoding="utf-8")
    assert story(10).note(KEY) in kept
    assert other.note in kept
    known = book.remembered(SERVER)
    assert known is not None
    assert known.note == story(10).note(KEY)


def test_another_log_at_the_same_address_is_a_fork(book: logbooks.Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is suddenly another log has forgotten all it signed."""
    monkeypatch.setattr(logs, "ORIGIN", "comity.dev/other")
    with pytest.raises(logbooks.ForkError, match=r"comity\.dev/other now"):
        book.take(SERVER, head(story(10)))


def test_no_proof_is_not_consent(book: logbooks.Logbook) -> None:
    """A longer head without a proof is refused and not remembered."""
    with pytest.raises(errors.ProtocolError, match="does not prove"):
        book.take(SERVER, head(story(17)))
    known = book.remembered(SERVER)
    assert known is not None
    assert known.point.size == 10


def test_a_rotation_in_between_is_followed(book: logbooks.Logbook) -> None:
    """The new key is believed, because the old one handed over in the log."""
    log = story(12).rotate(KEY, NEXT)
    book.take(SERVER, head(log, NEXT, since=10))
    with pytest.raises(errors.ProtocolError):
        head(log, KEY)


def test_a_rotation_that_is_not_in_the_log_is_refused() -> None:
    """Where a key ends is proven, not told: a rotation at another place does not read."""
    made = story(12).rotate(KEY, NEXT).add(logs.entry(14)).bundle(NEXT, KEY)
    moved = logs.dataclasses.replace(made, entries=(logs.dataclasses.replace(made.entries[0], seq=14),))
    with pytest.raises(errors.ProtocolError, match="not in the log"):
        logbooks.of_bundle(moved)


def test_a_memory_that_cannot_be_read_is_not_forgotten(book: logbooks.Logbook, tmp_path: pathlib.Path) -> None:
    """A damaged file stops the client: forgetting would be what an attacker wants."""
    (path,) = (tmp_path / logbooks.KNOWN).glob("*.json")
    path.write_text("{")
    with pytest.raises(errors.ClientError, match="restore it"):
        book.take(SERVER, head(story(10)))


def test_a_witness_cosigns_what_goes_on(tmp_path: pathlib.Path) -> None:
    """Its line is its own, the key stays, and the next head goes on from the one before."""
    mine = witnesses.Witness(tmp_path, name="witness.example/1")
    first = mine.cosign(head(story(10)), trusted=KEY.public, seconds=1)
    again = witnesses.Witness(tmp_path)
    assert again.verifier == mine.verifier
    assert again.sizes() == [10]
    second = again.cosign(head(story(17), since=10), trusted=KEY.public, seconds=2)
    assert (first.since, second.since, second.size) == (0, 10, 17)
    found, bad = cosignatures.find(notes.parse(second.note), (mine.verifier,))
    assert ([one.seconds for one in found], bad) == ([2], [])
    assert checkpoints.verify(second.note, origin=logs.ORIGIN, public_key=KEY.public).size == 17
    assert (tmp_path / witnesses.KEY).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "shown",
    [
        lambda: head(story(10, lie=3)),
        lambda: head(story(17, lie=3), since=10),
        lambda: head(story(17)),
        lambda: head(story(7)),
    ],
)
def test_a_witness_signs_no_two_histories(tmp_path: pathlib.Path, shown) -> None:
    """Another history, no proof, or fewer entries: refused, and what was cosigned stays."""
    mine = witnesses.Witness(tmp_path, name="witness.example/1")
    mine.cosign(head(story(10)), trusted=KEY.public, seconds=1)
    with pytest.raises(witnesses.WitnessError, match="not cosigned"):
        mine.cosign(shown(), trusted=KEY.public, seconds=2)
    assert mine.sizes() == [10]


def test_a_witness_signs_only_for_the_key_it_trusts(tmp_path: pathlib.Path) -> None:
    """A log of another key is a stranger."""
    mine = witnesses.Witness(tmp_path, name="witness.example/1")
    with pytest.raises(witnesses.WitnessError, match="the key you trust"):
        mine.cosign(head(story(10)), trusted=FRESH.public, seconds=1)


def test_a_witness_is_named_once(tmp_path: pathlib.Path) -> None:
    """A folder without a witness asks for a name; a bad name is refused."""
    with pytest.raises(witnesses.WitnessError, match="--name"):
        witnesses.Witness(tmp_path)
    with pytest.raises(witnesses.WitnessError, match="no space"):
        witnesses.Witness(tmp_path, name="two words")
