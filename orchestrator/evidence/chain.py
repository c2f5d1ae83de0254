"""The hash chain over journal entries: each link covers the one before it and the canonical entry.

    link = SHA-256("comity/journal-link/v1" LF || previous link, 32 bytes || canonical entry)

The canonical entry is the RFC 8785 form of ``{actor, at, body, kind, subject, tenant}``; ``at`` is UTC with six
digits. Places are not in it: an entry's number is its distance from the start. A changed, lost, inserted or moved
entry breaks a link; a lost tail does not, and needs the head or a signed checkpoint to be seen.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from json.encoder import encode_basestring  # the C writer of JSON strings; escapes exactly what RFC 8785 escapes

from orchestrator.domain import ids, journal
from orchestrator.evidence import canonical, encodings

DOMAIN = b"comity/journal-link/v1\n"
LINK_BYTES = 32
GENESIS = hashlib.sha256(b"").digest()
"""Stands before the first link: the hash of nothing."""

Record = tuple[int, str, str, str | None, str, str, str, bytes, bytes]
"""An entry as stored: seq, kind, subject, tenant, at, actor, canonical body, previous link, link."""

_quote = encode_basestring
_KNOWN_MAX = 10_000


def to_digest(link: bytes) -> ids.Digest:
    """Return 32 bytes as a digest."""
    return ids.Digest("sha256:" + link.hex())


def to_bytes(digest: ids.Digest) -> bytes:
    """Return a digest as 32 bytes. Raises ValueError."""
    if not digest.startswith("sha256:"):
        raise ValueError(f"not a digest: {digest[:80]!r}")
    return encodings.from_hex(digest[7:], length=LINK_BYTES)


def empty_head() -> journal.ChainHead:
    """Return the head of a journal without entries."""
    return journal.ChainHead(0, to_digest(GENESIS))


def time_text(at: dt.datetime) -> str:
    """Return a moment as the chain writes it. Raises ValueError for one without a time zone."""
    if at.tzinfo is not dt.UTC:
        if at.tzinfo is None:
            raise ValueError("a journal entry needs a time with a zone")
        at = at.astimezone(dt.UTC)
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def time_of(text: str) -> dt.datetime:
    """Return the moment that ``time_text`` wrote. Raises ValueError."""
    return dt.datetime.fromisoformat(text)


def record_bytes(kind: str, subject: str, tenant: str | None, at: str, actor: str, body: str) -> bytes:
    """Return the canonical entry from its parts; ``body`` is canonical JSON already. Raises ValueError."""
    who = "null" if tenant is None else _quote(tenant)
    text = (
        f'{{"actor":{_quote(actor)},"at":{_quote(at)},"body":{body},"kind":{_quote(kind)},'
        f'"subject":{_quote(subject)},"tenant":{who}}}'
    )
    return text.encode()


def entry_bytes(entry: journal.Entry) -> bytes:
    """Return the canonical form of an entry. Raises ValueError where it has none."""
    body = canonical.text(entry.body)
    return record_bytes(entry.kind, entry.subject, entry.tenant, time_text(entry.at), entry.actor, body)


def link(previous: bytes, canonical_entry: bytes) -> bytes:
    """Return the link (32 bytes) that follows ``previous``."""
    return hashlib.sha256(DOMAIN + previous + canonical_entry).digest()


def chain(entries: Iterable[journal.Entry], *, after: journal.ChainHead) -> list[journal.ChainedEntry]:
    """Return the entries as links after a head."""
    made: list[journal.ChainedEntry] = []
    seq, previous, raw = after.seq, after.hash, to_bytes(after.hash)
    for entry in entries:
        raw = link(raw, entry_bytes(entry))
        seq += 1
        made.append(journal.ChainedEntry(seq, entry, previous, to_digest(raw)))
        previous = made[-1].hash
    return made


def verify(
    entries: Iterable[journal.ChainedEntry],
    *,
    after: journal.ChainHead | None = None,
    head: journal.ChainHead | None = None,
) -> int | None:
    """Return the number of the first bad entry, or None. Streams; never raises for bad data.

    ``after`` is what is believed to stand before the first entry (None: nothing). With ``head`` a lost tail is
    found too: the number after the last entry that is there.
    """
    start = after or empty_head()
    seq, previous, raw = start.seq, start.hash, to_bytes(start.hash)
    for chained in entries:
        seq += 1
        try:
            raw = link(raw, entry_bytes(chained.entry))
            good = chained.seq == seq and chained.previous == previous and chained.hash == to_digest(raw)
        except (TypeError, ValueError, AttributeError):
            good = False
        if not good:
            return seq
        previous = chained.hash
    return _tail(seq, previous, head)


def verify_records(
    records: Iterable[Record], *, after: journal.ChainHead | None = None, head: journal.ChainHead | None = None
) -> int | None:
    """Return as ``verify`` does, from entries as stored: nothing is parsed, so it is several times as fast."""
    start = after or empty_head()
    seq, raw = start.seq, to_bytes(start.hash)
    sha256, quote, domain = hashlib.sha256, _quote, DOMAIN
    # Few kinds, actors and tenants stand in many entries.
    known: dict[str, str] = {}
    tenants: dict[str | None, str] = {None: "null"}
    for number, kind, subject, tenant, at, actor, body, previous, hash_ in records:
        seq += 1
        try:
            try:
                by, what, who = known[actor], known[kind], tenants[tenant]
            except KeyError:
                if len(known) > _KNOWN_MAX or len(tenants) > _KNOWN_MAX:
                    known, tenants = {}, {None: "null"}
                by, what = known.setdefault(actor, quote(actor)), known.setdefault(kind, quote(kind))
                who = "null" if tenant is None else tenants.setdefault(tenant, quote(tenant))
            text = (
                f'{{"actor":{by},"at":{quote(at)},"body":{body},"kind":{what},'
                f'"subject":{quote(subject)},"tenant":{who}}}'
            )
            made = sha256(domain + raw + text.encode()).digest()
        except (TypeError, ValueError, AttributeError):
            return seq
        if number != seq or previous != raw or hash_ != made:
            return seq
        raw = made
    return _tail(seq, to_digest(raw), head)


def _tail(seq: int, last: ids.Digest, head: journal.ChainHead | None) -> int | None:
    if head is None or (head.seq == seq and head.hash == last):
        return None
    return seq + 1 if head.seq > seq else max(head.seq, 1)
