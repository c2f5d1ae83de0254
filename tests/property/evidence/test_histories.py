"""An insider who rewrites the whole journal: links made again, heads signed with a fresh, a retired, or the right key.

What an insider with the right key can still do is caught only by who has seen an earlier head: that is shown too.
"""

import random

import pytest

from orchestrator.evidence import comparisons, rotations, verification
from tests.property.evidence import logs

OLD, NEW, FRESH = logs.Key(1), logs.Key(2), logs.Key(9)
SIZE, TURN = 40, 25
"""Entries of the story, and the one that rotates the key."""
CASES = 60


def story(changed: int | None = None, *, rotate: bool = True) -> logs.Log:
    """Return the log; with ``changed``, as if entry ``changed`` had said something else from the start."""
    log = logs.Log()
    for number in range(1, SIZE + 1):
        if number == TURN and rotate:
            log.rotate(OLD, NEW)
        else:
            log.add(logs.entry(number, lie=True) if number == changed else logs.entry(number))
    return log


def answers(
    log: logs.Log, key: logs.Key, *, kept: str = "", since: int = 0, trust: logs.Key = NEW
) -> verification.Report:
    """Verify the head of a log that shows its rotations and nothing else."""
    trusted = verification.Trust(frozenset({trust.public}))
    against = [comparisons.Kept(kept)] if kept else []
    bundle = log.bundle(key, OLD, since=since)
    return verification.verify(bundle, trusted, lambda _: comparisons.Answer(comparisons.Word.SAME), against=against)


def test_the_true_history_is_consistent() -> None:
    """The log as it was: signed, trusted, and going on from a head that somebody kept, before or after the turn."""
    for kept, key in ((10, OLD), (30, NEW)):
        report = answers(story(), NEW, kept=story().note(key, kept), since=kept)
        assert report.signature.word is comparisons.Word.GOOD
        assert report.signer.word is comparisons.Word.TRUSTED
        assert report.consistent.word is comparisons.Word.YES


@pytest.mark.parametrize("seed", range(CASES))
def test_a_rewritten_history_does_not_go_on_from_a_kept_head(seed: int) -> None:
    """With the right key and every link made again, a head kept from after the change gives it away."""
    rng = random.Random(seed)
    changed = rng.choice([number for number in range(1, SIZE + 1) if number != TURN])
    kept = rng.randint(changed, SIZE)
    note = story().note(OLD if kept < TURN else NEW, kept)
    report = answers(story(changed), NEW, kept=note, since=kept)
    assert report.consistent.word is comparisons.Word.NO
    assert report.wrong
    assert str(kept) in report.consistent.why


@pytest.mark.parametrize("changed", range(1, SIZE, 7))
def test_a_history_signed_with_a_fresh_key_is_nobodys(changed: int) -> None:
    """A key that the chain of keys does not lead to signs nothing, whatever the history says."""
    report = answers(story(changed), FRESH)
    assert report.signature.word is comparisons.Word.BAD
    assert report.wrong


@pytest.mark.parametrize("changed", range(1, SIZE, 7))
def test_a_history_signed_with_a_retired_key_is_refused(changed: int) -> None:
    """The old key does not count for a head that holds the entry which ended it, and that entry is named."""
    report = answers(story(changed), OLD, trust=OLD)
    assert report.signer.word is comparisons.Word.RETIRED
    assert f"entry {TURN}" in report.problems[0]


@pytest.mark.parametrize("changed", range(1, SIZE, 7))
def test_a_retired_key_that_leaves_out_its_end_is_caught(changed: int) -> None:
    """A thief of the old key forges a history without the rotation: unknown to who trusts the new key, and no
    continuation of any head that was kept after the change."""
    forged = story(changed, rotate=False)
    stranger = answers(forged, OLD)
    assert stranger.signer.word is comparisons.Word.UNKNOWN
    assert not stranger.verified
    caught = answers(forged, OLD, kept=story().note(NEW, SIZE), since=SIZE, trust=OLD)
    assert caught.wrong
    # To who trusts the old key and has kept nothing, the forgery looks right: the page for people says so.
    fooled = answers(forged, OLD, trust=OLD)
    assert fooled.signer.word is comparisons.Word.TRUSTED


def test_a_head_before_the_end_of_a_key_still_counts() -> None:
    """The old key's heads from before its end are what others kept; they stay good."""
    log = logs.Log()
    for number in range(1, TURN):
        log.add(logs.entry(number))
    report = answers(log, OLD, trust=OLD)
    assert report.signer.word is comparisons.Word.TRUSTED


@pytest.mark.parametrize("member", ["old", "new", "oldSignature", "newSignature", "number", "origin"])
def test_a_changed_rotation_names_its_entry(member: str) -> None:
    """A rotation that either key has not signed breaks the chain of keys at its entry."""
    body = rotations.body(logs.ORIGIN, 1, old=OLD.public, new=NEW.public, by_old=OLD, by_new=NEW)
    other = rotations.body(logs.ORIGIN, 1, old=FRESH.public, new=OLD.public, by_old=FRESH, by_new=OLD)
    changed = {**body, member: 2 if member == "number" else "comity.dev/other" if member == "origin" else other[member]}
    assert rotations.chain(logs.ORIGIN, OLD.public, [(7, body)]).all == (OLD.public, NEW.public)
    with pytest.raises(rotations.RotationError) as caught:
        rotations.chain(logs.ORIGIN, OLD.public, [(7, changed)])
    assert caught.value.seq == 7
