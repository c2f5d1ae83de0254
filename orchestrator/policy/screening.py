"""Screening: what the lists in force say about an operator and its owners. Pure: no clock, no files.

Identifiers decide: an LEI, a SWIFT code, or a registration number of the same country is the party. A name that is
equal or alike only asks: it stops new placements until a person has answered. An answer is bound to the entry and to
the party as they were; when either changes it is asked again.

Ownership (the 50 % rules of OFAC, the EU and the UK, read strictly as 50 % or more, added up over all listed owners):
direct shares only, as the operator's document states them. What nobody states the owner of is never assumed to be
unlisted: it is ``unknown_percent``, and who asks for better has it as a caveat.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.domain import ids, listings, sites
from orchestrator.evidence import canonical
from orchestrator.policy import names

HITS_MAX = 64
"""Hits kept of one party: more say nothing more, and a name that meets everything must not fill memory."""

_CERTAIN = frozenset({"lei", "swift", "imo"})
"""Kinds whose value alone names one party in the world."""
_NATIONAL = frozenset({"registration", "tax", "other"})
"""Kinds that a country gives: the same number may name others elsewhere. Publishers do not tell them apart well."""
_PLAIN = re.compile(r"[^0-9A-Z]")


@dataclass(frozen=True, slots=True)
class Party:
    """Who is looked for: an operator, or one of its owners. ``percent`` None: the operator itself."""

    name: str
    names: tuple[str, ...]
    identifiers: tuple[listings.Identifier, ...] = ()
    country: str | None = None
    percent: float | None = None

    @property
    def digest(self) -> ids.Digest:
        """Return the digest of what an answer about this party rests on."""
        numbers = sorted([one.kind, one.value, one.country or ""] for one in self.identifiers)
        return canonical.digest([sorted(self.names), numbers, self.country])


@dataclass(frozen=True, slots=True)
class _Found:
    snapshot: listings.Snapshot
    entry: listings.Entry


class Index:
    """All entries of all lists in force, by identifier and by name. Made once for each set of lists; only read."""

    def __init__(self, lists: listings.Loaded) -> None:
        self.lists = lists
        self._numbers: dict[tuple[str, str], list[_Found]] = defaultdict(list)
        self._names: list[tuple[names.Name, str, _Found]] = []
        self._joined: dict[str, list[int]] = defaultdict(list)
        self._keys: dict[str, list[int]] = defaultdict(list)
        self._words: dict[frozenset[str], list[int]] = defaultdict(list)
        for snapshot in lists.snapshots:
            for entry in snapshot.entries:
                self._add(_Found(snapshot, entry))

    def _add(self, found: _Found) -> None:
        for number in found.entry.identifiers:
            self._numbers[_family(number.kind), plain_number(number.value)].append(found)
        if found.entry.kind in (listings.Kind.VESSEL, listings.Kind.AIRCRAFT):
            return  # no operator or owner is a ship: by number only
        for text in dict.fromkeys((*found.entry.names, *found.entry.aliases)):
            name = names.normal(text)
            if not name.words:
                continue
            position = len(self._names)
            self._names.append((name, text, found))
            self._joined[name.joined].append(position)
            self._words[frozenset(name.words)].append(position)
            for key in name.keys:
                self._keys[key].append(position)

    def find(self, party: Party) -> tuple[listings.Hit, ...]:
        """Return every entry that is or may be the party; the best reason for each, certain ones first."""
        best: dict[tuple[str, str], tuple[int, listings.Hit]] = {}
        for rank, hit in (*self._by_number(party), *self._by_name(party)):
            where = (hit.list, hit.entry)
            if where not in best or rank < best[where][0]:
                best[where] = (rank, hit)
        ordered = sorted(best.values(), key=lambda one: (one[0], one[1].list, one[1].entry))
        return tuple(hit for _, hit in ordered[:HITS_MAX])

    def _by_number(self, party: Party) -> list[tuple[int, listings.Hit]]:
        hits = []
        for number in party.identifiers:
            for found in self._numbers.get((_family(number.kind), plain_number(number.value)), ()):
                for theirs in found.entry.identifiers:
                    how = _same_number(number, theirs)
                    if how is not None:
                        hits.append((_RANKS[how], _hit(found, party, how, theirs.value)))
        return hits

    def _by_name(self, party: Party) -> list[tuple[int, listings.Hit]]:
        hits = []
        for text in party.names:
            name = names.normal(text)
            for position in self._candidates(name):
                theirs, written, found = self._names[position]
                how = names.alike(name, theirs)
                if how is not None:
                    hits.append((_RANKS[how], _hit(found, party, how, written)))
        return hits

    def _candidates(self, name: names.Name) -> set[int]:
        """Return the names worth comparing: equal as one word, equal words, or sharing enough keys."""
        found = {*self._joined.get(name.joined, ()), *self._words.get(frozenset(name.words), ())}
        shared = Counter(position for key in name.keys for position in self._keys.get(key, ()))
        need = min(2, len(name.keys))
        return found | {position for position, count in shared.items() if count >= need}


_IDENTIFIED = ("lei", "swift", "imo", "registration")
_RANKS = {how: rank for rank, how in enumerate((*_IDENTIFIED, "answer", "number", "name", "similar-name"))}


def _family(kind: str) -> str:
    return "national" if kind in _NATIONAL else kind


def _same_number(ours: listings.Identifier, theirs: listings.Identifier) -> str | None:
    """Return how two numbers match: a kind of ``_IDENTIFIED``, ``number`` (country not known: ask), or None."""
    if _family(ours.kind) != _family(theirs.kind) or plain_number(ours.value) != plain_number(theirs.value):
        return None
    if ours.kind in _CERTAIN:
        return ours.kind
    if ours.country is None or theirs.country is None:
        return "number"
    return "registration" if ours.country == theirs.country else None


def plain_number(value: str) -> str:
    """Return a number without what people put between its signs."""
    return _PLAIN.sub("", value.upper())


def _hit(found: _Found, party: Party, how: str, matched: str) -> listings.Hit:
    entry = found.entry
    return listings.Hit(
        list=found.snapshot.list,
        regime=entry.regime,
        entry=entry.id,
        entry_name=entry.names[0],
        party=party.name,
        by=how,
        matched=matched,
        percent=party.percent,
        reach=entry.reach,
        programs=entry.programs,
        entry_digest=entry_digest(entry),
        party_digest=party.digest,
    )


def entry_digest(entry: listings.Entry) -> ids.Digest:
    """Return the digest of what an answer about this entry rests on: who it names, and the publisher's remarks."""
    numbers = sorted([one.kind, one.value, one.country or ""] for one in entry.identifiers)
    names_ = sorted({*entry.names, *entry.aliases})
    return canonical.digest([entry.id, entry.regime, names_, numbers, sorted(entry.countries), entry.remarks])


def parties(operator: sites.Operator) -> tuple[Party, ...]:
    """Return the operator and each of its owners, as their document states them."""
    numbers = (listings.Identifier("lei", operator.lei),) if operator.lei else ()
    own = Party(operator.name, (operator.name,), numbers, operator.legal_country)
    held: dict[str, Party] = {}
    for one in operator.owners.list:
        # One owner may stand there twice, with two parcels: they are one share.
        known = held.get(one.name)
        percent = one.percent + ((known.percent or 0.0) if known else 0.0)
        country = one.country if known is None or known.country == one.country else None
        held[one.name] = Party(one.name, (one.name,), (), country, percent)
    return (own, *held.values())


def screen(
    operator: sites.Operator,
    index: Index,
    answers: Iterable[listings.Answer] = (),
) -> listings.Screening:
    """Return what the lists in force say about an operator. Nothing here depends on the day.

    ``answers`` are what people said about this operator; of several about one match the last one counts.
    A clearing answer may begin and end: it is kept beside its match (``answered``), and who knows the day asks
    ``Screening.open``. Whom a regime binds is judged by the rules.
    """
    lists = index.lists
    said = {(one.list, one.entry, one.party): one for one in answers}
    identified: list[listings.Hit] = []
    reviews: list[listings.Hit] = []
    answered: list[listings.Answer] = []
    for party in parties(operator):
        for hit in index.find(party):
            answer = said.get((hit.list, hit.entry, hit.party))
            if answer is not None and (answer.entry_digest, answer.party_digest) != (
                hit.entry_digest,
                hit.party_digest,
            ):
                answer = None
            if hit.by in _IDENTIFIED:
                identified.append(hit)  # a number is no matter of opinion: no answer takes it away
            elif answer is not None and answer.same:
                identified.append(dataclasses.replace(hit, by="answer"))
                answered.append(answer)
            else:
                reviews.append(hit)
                if answer is not None:
                    answered.append(answer)
    return listings.Screening(
        consulted=tuple(
            listings.Consulted(one.list, one.regime, one.digest, one.as_of, one.fresh_to) for one in lists.snapshots
        ),
        missing=lists.missing,
        identified=tuple(identified),
        reviews=tuple(reviews),
        answered=tuple(answered),
        owned_percent=_share(identified, (listings.Reach.OWNED,)),
        affiliates_percent=_share(identified, (listings.Reach.OWNED, listings.Reach.AFFILIATES)),
        unknown_percent=_unknown(operator.owners),
    )


@dataclass(frozen=True, slots=True)
class Applied:
    """An operator's facts after screening. ``listed`` None: nobody stated it, and no list was consulted."""

    listed: bool | None
    listed_percent: float | None
    review: tuple[str, ...]
    stale: tuple[str, ...]


def nobody(index: Index) -> listings.Screening:
    """Return the screening of a site whose operator nobody registered: the lists, and nothing found."""
    consulted = (
        listings.Consulted(one.list, one.regime, one.digest, one.as_of, one.fresh_to) for one in index.lists.snapshots
    )
    return listings.Screening(tuple(consulted), index.lists.missing)


def apply(operator: sites.Operator, screening: listings.Screening, day: dt.date) -> Applied:
    """Return what is known of an operator from its document and the lists together: the stricter of both.

    ``review`` holds ``<list>:<entry>`` of each open match, ``stale`` the lists that cannot be relied on that day.
    A document never takes a hit away, and a list that is silent never takes a stated fact away.
    """
    hit = any(one.percent is None for one in screening.identified)
    listed = True if hit or operator.listed else (False if screening.consulted else operator.listed)
    shares = [] if operator.listed_ownership_percent is None else [operator.listed_ownership_percent]
    if screening.consulted:
        shares.append(screening.owned_percent)
    return Applied(
        listed=listed,
        listed_percent=max(shares, default=None),
        review=tuple(f"{one.list}:{one.entry}" for one in screening.open(day)),
        stale=screening.stale(day),
    )


def merged(operator: sites.Operator, screening: listings.Screening) -> sites.Operator:
    """Return the operator with what does not depend on the day filled in: ``listed`` and the listed owners' share."""
    applied = apply(operator, screening, dt.date.min)
    return dataclasses.replace(operator, listed=applied.listed, listed_ownership_percent=applied.listed_percent)


def listed_by(found: listings.Screening) -> frozenset[str]:
    """Return the regimes whose lists name the operator, or owners who together hold half of it.

    Shares are added up over all regimes, which is the stricter reading, and each of them then counts.
    """
    own = {hit.regime for hit in found.identified if hit.percent is None}
    if found.owned_percent >= HALF:
        own |= {hit.regime for hit in found.identified if hit.percent is not None and hit.reach is listings.Reach.OWNED}
    return frozenset(own)


HALF = 50.0
"""Percent of listed owners from which the operator itself counts as listed."""


def _share(hits: Iterable[listings.Hit], reaches: Sequence[listings.Reach]) -> float:
    """Return what listed owners hold together, each owner once, 0..100."""
    held: Mapping[str, float] = {
        hit.party: hit.percent for hit in hits if hit.percent is not None and hit.reach in reaches
    }
    return min(100.0, sum(held.values()))


def _unknown(owners: sites.Owners) -> float:
    """Return the share whose owner nobody states: all of it where no coverage is stated, whatever is listed."""
    return 100.0 if owners.coverage is None else max(0.0, 100.0 - owners.coverage)
