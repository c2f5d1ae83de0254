"""The hash chain: its bytes are fixed, and every edit names the first bad entry."""

import datetime as dt
import hashlib
import random
from dataclasses import replace

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain import ids, journal
from orchestrator.evidence import canonical, chain

AT = dt.datetime(2026, 11, 22, 10, 0, 0, 5, tzinfo=dt.UTC)


def make(count: int) -> list[journal.ChainedEntry]:
    """Return a chain."""
    entries = [
        journal.Entry("job.submitted", f"job/{n}", AT, "tok", {"n": n, "name": "é"}, None if n % 2 else "acme")
        for n in range(count)
    ]
    return chain.chain(entries, after=chain.empty_head())


def record(link: journal.ChainedEntry) -> chain.Record:
    """Return a link as stored."""
    e = link.entry
    return (
        link.seq, e.kind, e.subject, e.tenant, chain.time_text(e.at), e.actor, canonical.text(e.body),
        chain.to_bytes(link.previous), chain.to_bytes(link.hash),
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.text(), st.text(), st.none() | st.text(), st.text(), st.dictionaries(st.text(), st.text() | st.integers(0, 9))
)
def test_entry_is_canonical(kind: str, subject: str, tenant: str | None, actor: str, body: dict[str, object]) -> None:
    """The canonical entry, put together from parts, is the RFC 8785 form of the whole."""
    whole = {
        "actor": actor, "at": "2026-11-22T10:00:00.000005Z", "body": body, "kind": kind, "subject": subject,
        "tenant": tenant,
    }  # fmt: skip
    entry = journal.Entry(kind, subject, AT, actor, body, tenant)
    assert chain.entry_bytes(entry) == rfc8785.dumps(whole)  # type: ignore[arg-type]


def test_link_is_fixed() -> None:
    """A link is SHA-256 over domain, previous link and canonical entry, so that auditors can compute it."""
    (link,) = make(1)
    body = (
        b'{"actor":"tok","at":"2026-11-22T10:00:00.000005Z","body":{"n":0,"name":"\xc3\xa9"},'
        b'"kind":"job.submitted","subject":"job/0","tenant":"acme"}'
    )
    wanted = hashlib.sha256(b"comity/journal-link/v1\n" + hashlib.sha256(b"").digest() + body).hexdigest()
    assert link.hash == "sha256:" + wanted


def test_time_zone_does_not_matter() -> None:
    """The same moment in another zone has the same form; one without a zone has none."""
    there = AT.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30)))
    assert chain.time_text(there) == chain.time_text(AT)
    assert chain.time_of(chain.time_text(AT)) == AT
    with pytest.raises(ValueError, match="zone"):
        chain.time_text(AT.replace(tzinfo=None))


def test_whole_chain_holds() -> None:
    """An untouched chain verifies in one piece, in two, and as stored."""
    links = make(20)
    head = journal.ChainHead(20, links[-1].hash)
    assert chain.verify(links, head=head) is None
    assert chain.verify(links[10:], after=journal.ChainHead(10, links[9].hash), head=head) is None
    assert chain.verify_records(map(record, links), head=head) is None
    assert chain.verify([], head=chain.empty_head()) is None


def test_edits_name_the_first_bad_entry() -> None:
    """A change of any field of any entry, a gap, a swap and a lost tail are found at their place."""
    links = make(12)
    head = journal.ChainHead(12, links[-1].hash)
    rng = random.Random(7)
    other = ids.Digest("sha256:" + "0" * 64)
    for _ in range(200):
        at = rng.randrange(12)
        link = links[at]
        bad = rng.choice([
            replace(link, entry=replace(link.entry, kind="x")),
            replace(link, entry=replace(link.entry, subject="x")),
            replace(link, entry=replace(link.entry, at=link.entry.at + dt.timedelta(microseconds=1))),
            replace(link, entry=replace(link.entry, actor="x")),
            replace(link, entry=replace(link.entry, body={"n": at})),
            replace(link, entry=replace(link.entry, body={"n": float("nan")})),
            replace(link, entry=replace(link.entry, tenant="null")),
            replace(link, seq=link.seq + 1),
            replace(link, previous=other),
            replace(link, hash=other),
        ])  # fmt: skip
        edited = [*links[:at], bad, *links[at + 1 :]]
        assert chain.verify(edited, head=head) == at + 1
    assert chain.verify([*links[:3], *links[4:]]) == 4
    assert chain.verify([links[1], links[0], *links[2:]]) == 1
    assert chain.verify(links[:9], head=head) == 10
    assert chain.verify(links, head=journal.ChainHead(9, links[8].hash)) == 9


def test_rewritten_history_is_found_by_the_head() -> None:
    """A chain made anew from the start is consistent in itself, and still not that of the signed head."""
    links = make(5)
    forged = chain.chain([replace(link.entry, actor="mallory") for link in links], after=chain.empty_head())
    assert chain.verify(forged) is None
    assert chain.verify(forged, head=journal.ChainHead(5, links[-1].hash)) == 5


def test_moved_borders_between_columns_are_found() -> None:
    """Text moved from one column into the next does not give the same hash."""
    entry = journal.Entry("k", "s", AT, "a", {"a": "x", "body": {}, "z": 1})
    (link,) = chain.chain([entry], after=chain.empty_head())
    row = list(record(link))
    whole = f'{row[4]}","body":{row[6]}'
    at, _, body = whole.rpartition('","body":')
    assert at != row[4]
    row[4], row[6] = at, body
    assert chain.verify_records([tuple(row)]) == 1  # type: ignore[list-item]


def test_wrong_types_are_bad_entries() -> None:
    """A stored value of the wrong type is a bad entry, not a crash."""
    good = record(make(1)[0])
    for column in range(1, 9):
        row = list(good)
        row[column] = 5
        assert chain.verify_records([tuple(row)]) == 1  # type: ignore[list-item]
