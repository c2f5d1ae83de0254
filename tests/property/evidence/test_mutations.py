"""Whatever is changed in a bundle or in a journal is found. 10,000 random changes under ``make test-all``."""

import copy
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.domain import journal
from orchestrator.evidence import bundles, canonical, chain, comparisons
from tests.golden.bundles import samples

FULL = os.environ.get("COMITY_TEST_SIZE") == "full"
BUNDLES, JOURNALS, PARTS = (5_000, 5_000, 10) if FULL else (500, 500, 5)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of everything below ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


def _other(value: Any, rng: random.Random) -> Any:
    """Return something else in place of ``value``, as near as may be."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + rng.choice((1, -1, 256))
        case str() if value:
            at = rng.randrange(len(value))
            return value[:at] + rng.choice([c for c in "aB3+/ \u00e9" if c != value[at]]) + value[at + 1 :]
        case str():
            return "x"
        case None:
            return 0
        case dict():
            return {**value, "more": 1} if rng.random() < 0.5 or not value else dict(list(value.items())[1:])
        case _:
            return [*value, value[-1] if value else 1] if rng.random() < 0.5 or len(value) < 2 else value[::-1]


def _erases(container: Any, key: Any, value: Any) -> bool:
    """Say whether taking this away is the erasure that everybody may do: of a disclosure, or of a record."""
    return key in ("disclosures", "records")


@pytest.mark.parametrize("part", range(PARTS))
def test_a_changed_bundle_is_found(part: int) -> None:
    """A changed value anywhere in a bundle is refused, or found wrong; none verifies and judges the same."""
    sample = samples.sample()
    whole = sample.value()
    for number in range(BUNDLES // PARTS):
        rng = random.Random(f"{part}/{number}")
        value = copy.deepcopy(whole)
        section = rng.choice(sorted(value))
        places = [(value, section), *_places(value[section])]
        container, key = rng.choice(places)
        before = container[key]
        container[key] = after = _other(before, rng)
        if after == before or (
            isinstance(after, (list, dict)) and _erases(container, key, after) and len(after) < len(before)
        ):
            continue
        try:
            report = sample.verify(samples.dumps(value))
        except bundles.BundleError:
            continue
        assert report.wrong, (part, number, section, key, before, after)
        assert report.problems


def test_a_changed_byte_is_found() -> None:
    """Any byte changed in the file is refused or found wrong."""
    sample = samples.sample()
    for number in range(BUNDLES // 5):
        rng = random.Random(f"byte/{number}")
        at = rng.randrange(len(sample.data) - 1)
        changed = bytearray(sample.data)
        changed[at] ^= 1 << rng.randrange(7)
        try:
            assert sample.verify(bytes(changed)).wrong, (at, sample.data[at - 20 : at + 20])
        except bundles.BundleError:
            continue


def _journal(count: int) -> list[chain.Record]:
    """Return a journal as it is stored."""
    made: list[chain.Record] = []
    previous = chain.GENESIS
    for seq in range(1, count + 1):
        kind, subject, tenant = rng_word(seq, "job."), f"job/{seq % 7}", None if seq % 3 else "t"
        at, body = f"2026-11-22T10:00:{seq % 60:02}.000001Z", canonical.text({"n": seq, "word": rng_word(seq, "é")})
        link = chain.link(previous, chain.record_bytes(kind, subject, tenant, at, "controller", body))
        made.append((seq, kind, subject, tenant, at, "controller", body, previous, link))
        previous = link
    return made


def rng_word(seq: int, start: str) -> str:
    """Return a word that depends on ``seq``."""
    return start + random.Random(seq).choice(("placed", "ended", 'with "quotes"', "\u2028"))


def test_a_changed_journal_is_found_and_the_first_bad_entry_named() -> None:
    """A changed, lost, doubled or moved entry breaks the chain just there; a lost tail is seen from the head."""
    whole = _journal(200)
    head = journal.ChainHead(200, chain.to_digest(whole[-1][8]))
    assert chain.verify_records(whole, head=head) is None
    for number in range(JOURNALS):
        rng = random.Random(f"journal/{number}")
        records, at = list(whole), rng.randrange(len(whole))
        match rng.choice(("change", "lose", "double", "swap", "cut")):
            case "change":
                row = list(records[at])
                column = rng.randrange(len(row))
                row[column] = row[column] + b"x" if isinstance(row[column], bytes) else _other(row[column], rng)
                if row == list(records[at]):
                    continue
                records[at], wanted = tuple(row), at + 1
            case "lose":
                del records[at]
                wanted = at + 1
            case "double":
                records.insert(at, records[at])
                wanted = at + 2
            case "swap":
                other = rng.choice([place for place in range(len(records)) if place != at])
                records[at], records[other] = records[other], records[at]
                wanted = min(at, other) + 1
            case _:
                records = records[:at]
                wanted = at + 1
        assert chain.verify_records(records, head=head) == wanted, number


def test_the_sample_itself_is_whole() -> None:
    """What the mutations start from verifies: a check that refuses everything would pass them all."""
    report = samples.sample().verify()
    assert report.verified
    assert report.rejudged.word is comparisons.Word.SAME
