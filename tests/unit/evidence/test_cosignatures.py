"""Witnesses: a line on a note that says who saw it when; nothing else passes as one."""

import pytest

from orchestrator.evidence import checkpoints, cosignatures, notes
from tests.property.evidence import logs

LOG, ONE, TWO = logs.Key(1), logs.Key(2), logs.Key(3)
WITNESS = notes.Verifier("witness.example/eu-1", ONE.public, notes.COSIGNATURE)
NOTE = notes.parse(logs.Log().add(logs.entry(1)).note(LOG))


def test_a_cosignature_is_found_and_the_log_still_reads() -> None:
    """The line is the witness's, with its time; the log's own signature is untouched."""
    signed = cosignatures.sign(NOTE, ONE, WITNESS, seconds=1_700_000_000)
    again = notes.parse(signed.render())
    assert cosignatures.find(again, (WITNESS,)) == (
        [cosignatures.Cosignature(WITNESS.name, 1_700_000_000, WITNESS)],
        [],
    )
    assert checkpoints.verify(signed.render(), origin=logs.ORIGIN, public_key=LOG.public).size == 1


def test_a_newer_line_of_the_same_witness_takes_the_place_of_the_older() -> None:
    """One line a witness."""
    signed = cosignatures.sign(cosignatures.sign(NOTE, ONE, WITNESS, seconds=1), ONE, WITNESS, seconds=2)
    assert [one.seconds for one in cosignatures.find(signed, (WITNESS,))[0]] == [2]


def test_what_is_signed_is_as_c2sp_writes_it() -> None:
    """``cosignature/v1``, the time, the text of the note; key hash of kind 4; time as eight bytes before it."""
    line = cosignatures.sign(NOTE, ONE, WITNESS, seconds=7).lines[-1]
    assert line.blob[:8] == bytes(7) + b"\x07"
    assert notes.signs(ONE.public, line.blob[8:], b"cosignature/v1\ntime 7\n" + NOTE.text.encode())
    assert line.key_hash == notes.key_hash(WITNESS.name, ONE.public, kind=b"\x04")


def test_an_unknown_witness_says_nothing_and_a_false_one_is_told() -> None:
    """A line of a key that nobody named counts for nothing; one that claims a named key and does not fit is wrong."""
    signed = cosignatures.sign(NOTE, ONE, WITNESS, seconds=7)
    assert cosignatures.find(signed, ())[0][0].by is None
    line = signed.lines[-1]
    later = notes.Line(line.name, line.key_hash, (8).to_bytes(8, "big") + line.blob[8:])
    assert cosignatures.find(notes.Note(NOTE.text, (*NOTE.lines, later)), (WITNESS,)) == ([], [WITNESS.name])


def test_a_key_is_one_word_and_reads_back() -> None:
    """NAME+HASH+KEY, with the hash held to name, kind and key."""
    assert notes.parse_verifier(WITNESS.text()) == WITNESS
    name, hash_, key = WITNESS.text().split("+", 2)
    for wrong in (f"other+{hash_}+{key}", f"{name}+00000000+{key}", f"{name}+{hash_}", f"{name}+{hash_}+AAAA", ""):
        with pytest.raises(notes.NoteError):
            notes.parse_verifier(wrong)
