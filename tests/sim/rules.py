"""What people declare while the simulation runs, and what it means: the plain truth that invariants compare with.

Everything that may refuse a site here is one question in ``refusals``, answered from what was declared without asking
the evaluator. Faults 33 to 35 of the scoreboard: rules tightened between decision and launch, and while a job runs;
documents that cannot be read, that poison whoever judges by them, whose proof is none, or that say another country than
before; packs that are damaged while a process runs, or when it begins.
"""

from __future__ import annotations

import collections
import datetime as dt
import json
import random
from typing import Any

from orchestrator.domain import changes, ids, jobs, listings
from orchestrator.inventory import changes as stored_changes
from orchestrator.inventory import screeners
from orchestrator.ports import stores
from tests.sim import bundles

STAMP = {"source": "test", "asOf": "2026-01-01", "validTo": "2030-12-31", "assurance": "documented"}
MODELS = ("m1", "m2")
LEIS = {"host": "969500INVENTEDHOST08", "abroad": "969500INVENTEDAWAY21"}
STALE_FACTS, STALE_LIST, LISTED, COUNTRY, POISON = "stale-facts", "stale-list", "listed", "country", "poison"
URGENT, DIRECTIVE, GONE, UNKNOWN = "urgent-directive", "directive", "gone", "unknown-country"
FORGED, UNREADABLE, PACKS = "forged", "unreadable", "packs"
FAULT_35 = frozenset({POISON, UNKNOWN, COUNTRY, FORGED, UNREADABLE, PACKS, GONE})
"""What refuses where policy, facts or packs are not what they should be, or a backend is declared elsewhere."""
AGE = frozenset({STALE_FACTS, STALE_LIST})
AT_ONCE = frozenset({LISTED, URGENT})
_WHEN = '@id("a") forbid(principal, action, resource) when {{ {} }};'
POISONS: tuple[dict[str, object], ...] = (
    {"engine": "prolog", "text": "x"},
    {"engine": "cedar", "text": "forbid (principal"},
    {"engine": "cedar", "text": '@id("a") forbid(principal, action, resource) when { 9223372036854775807 + 1 == 0 };'},
    {"engine": "cedar", "text": "// " + "x" * 70_000},
    {"engine": "cedar", "text": "".join(f'@id("r{n}") forbid(principal, action, resource);' for n in range(129))},
    {"engine": "cedar", "text": _WHEN.format("(" * 40 + "true" + ")" * 40)},
    {"engine": "cedar", "text": _WHEN.format('resource.cuntry == "FR"')},
    {"engine": "cedar", "text": '@id("a") permit(principal, action, resource);'},
    {"engine": "cedar", "text": "\0"},
    {"engine": "cedar", "text": ["forbid"]},
    {"engine": "cedar"},
    {"engine": None, "text": "x"},
    {},
)
"""An engine that nobody has, a text that is cut off, a rule whose evaluation fails; too long, too many rules, too deep,
a word that nobody knows, one that permits, no text at all, nothing."""
FIRST_POISONS = 3
"""Drawn in every history; the others where documents lie, so that older seeds stay the histories that they were."""


def document(kind: str, name: str, spec: dict[str, object], version: int = 0, status: str = "{}") -> stores.Document:
    """Return a stored document."""
    body = {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return stores.Document(kind, name, "", json.dumps(body), version, status)


def operator(name: str) -> dict[str, object]:
    """Return the declaration of an operator."""
    return {"legalCountry": "FR", "ultimateParentHq": "FR", "facts": STAMP} | (
        {"lei": LEIS[name]} if name in LEIS else {}
    )


class Rules:
    """What is declared now, and ways to change it."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.screener: screeners.Screener | None = None
        self.listed: frozenset[str] = frozenset()
        self.list_fresh_to: dt.date | None = None
        self.packs_damaged = False
        """The folder of packs cannot be read whole, for a process that reads it now."""
        self.packs_lost = False
        """The process of the moment began with such a folder: it has no last good packs."""
        self.declared: collections.Counter[str] = collections.Counter()
        """What was done of fault 35, and how often."""
        self.seen: object = None
        """The mark at the beginning of the last turn."""

    # --- what it means ------------------------------------------------------------------------------------------------

    def mark(self) -> tuple[object, ...]:
        """Return something that is the same while nobody declares anything."""
        declared = self._world.store.documents()
        kept = tuple((*one.key, one.version) for one in declared if one.kind in _DECLARED)
        return (kept, id(self.screener), self.packs_lost)

    def refusals(self, backend: str, model: str | None, day: dt.date, pool: str = "p") -> frozenset[str]:
        """Return why a job must not be started at a pool of a backend on a day."""
        found: set[str] = {PACKS} if self.packs_lost else set()
        spec = self._spec("Backend", backend)
        if not isinstance(spec.get("adapter"), str):
            return frozenset({GONE})
        others = {one["name"]: one["operator"] for one in spec["pools"] if "operator" in one}
        operator = others.get(pool, spec["operator"])
        unread = {kind: self._spec(kind, name) in bundles.UNREADABLE[kind]
                  for kind, name in (("Tenant", "default"), ("Operator", operator))}  # fmt: skip
        if any(unread.values()):
            found.add(UNREADABLE)
        if str(spec["facts"]["source"]).startswith("jws:"):
            found.add(FORGED)
        floor = {} if unread["Tenant"] else self._spec("Tenant", "default").get("floor", {})
        country = spec["location"].get("country")
        if country is None:
            found.add(UNKNOWN)
        if country in floor.get("countries", {}).get("deny", ()):
            found.add(COUNTRY)
        if _day(spec["facts"]["validTo"]) < day:
            found.add(STALE_FACTS)
        if self.list_fresh_to is not None and self.list_fresh_to < day:
            found.add(STALE_LIST)
        if operator in self.listed and not unread["Operator"]:
            found.add(LISTED)
        for stored in self._world.store.documents("Policy"):
            said = json.loads(stored.body)["spec"]
            one = said.get("directive")
            if one is None:
                found.add(POISON)
            elif model in one["models"] and _day(one["from"]) <= day <= _day(one["to"]):
                found.add(URGENT if one["immediate"] else DIRECTIVE)
        return frozenset(found)

    def _spec(self, kind: str, name: str) -> dict[str, Any]:
        stored = self._world.store.document(kind, name)
        assert stored is not None
        return dict(json.loads(stored.body)["spec"])

    # --- ways to change it --------------------------------------------------------------------------------------------

    def change(self, draw: random.Random) -> None:
        """Declare something, drawn at random."""
        lies = (self._move, self._move, self._poison, self._forge, self._garble, self._packs, self._packs)
        lies = lies if self._world.lies else ()
        draw.choice((self._floor, self._floor, self._floor, self._directive, self._directive, self._facts, self._list,
                     self._poison, self._nonsense, *lies))(draw)  # fmt: skip

    def lie(self, draw: random.Random, turn: int) -> None:
        """Do one thing of fault 35, each in its turn."""
        lies = (self._forge, self._packs, self._garble, self._move, self._poison, self._nonsense)
        lies[turn % len(lies)](draw)

    def deny(self, countries: frozenset[str]) -> None:
        """Tighten (or loosen) the tenant's floor, in force at once."""
        floor = {"countries": {"deny": sorted(countries)}} if countries else {}
        self._put("Tenant", "default", self._world.tenant(floor))

    def _floor(self, draw: random.Random) -> None:
        self.deny(frozenset(draw.choice(((), ("SG",), ("DE", "SG"), ("FR",)))))

    def _directive(self, draw: random.Random) -> None:
        name = draw.choice(("d1", "d2"))
        if self._world.store.document("Policy", name) is not None and draw.random() < 0.6:
            self._withdraw("Policy", name)
            return
        today = self._world.clock.now().date()
        start = today + dt.timedelta(days=draw.choice((-1, 0, 0, 1)))
        spec = {
            "models": [draw.choice(MODELS)],
            "from": start.isoformat(),
            "to": (start + dt.timedelta(days=draw.choice((0, 2, 30)))).isoformat(),
            "immediate": draw.random() < 0.4,
        }
        self._put("Policy", name, {"engine": "directive", "directive": spec})

    def _facts(self, draw: random.Random) -> None:
        """Renew the facts of a place, or let them end soon; sometimes they have ended already."""
        name = draw.choice(("fr", "de", "sg"))
        today = self._world.clock.now().date()
        ends = draw.choice(("2030-12-31", *((today + dt.timedelta(days=days)).isoformat() for days in (-2, 0, 1, 5))))
        self.end_facts(name, ends)

    def end_facts(self, name: str, day: str) -> None:
        """Declare a backend whose facts hold to ``day``."""
        spec = json.loads(self._world._backend(name).body)["spec"]
        self._put("Backend", name, spec | {"facts": STAMP | {"validTo": day}})

    def _nonsense(self, draw: random.Random) -> None:
        """A stored backend that cannot be read: nobody knows where it is any more."""
        self.declared["a backend that cannot be read"] += 1
        self._put("Backend", draw.choice(("fr", "de", "sg")), {"adapter": 5, "location": {"country": ["FR", "SG"]}})

    def _forge(self, draw: random.Random) -> None:
        """Facts whose proof is unsigned, of nobody listed, changed, cut off, or of another country."""
        name, kind = draw.choice(("fr", "de", "sg")), draw.choice(bundles.FORGED)
        self.declared[f"a proof of facts: {kind}"] += 1
        spec = json.loads(self._world._backend(name).body)["spec"]
        token = bundles.forged(kind, name, spec["location"]["country"])
        self._put("Backend", name, spec | {"facts": STAMP | {"source": token}})

    def _garble(self, draw: random.Random) -> None:
        """A stored tenant or operator that cannot be read; or it is mended."""
        kind = draw.choice(sorted(bundles.UNREADABLE))
        name = "default" if kind == "Tenant" else draw.choice(sorted(LEIS))
        if self._spec(kind, name) in bundles.UNREADABLE[kind]:
            self._mend(kind, name)
            return
        self.declared[f"a document that cannot be read: {kind}"] += 1
        self._put(kind, name, draw.choice(bundles.UNREADABLE[kind]))

    def _mend(self, kind: str, name: str) -> None:
        self._put(kind, name, self._world.tenant({}) if kind == "Tenant" else operator(name))

    def _packs(self, draw: random.Random) -> None:
        """The folder of packs is damaged, or mended; as a rule somebody has it read again."""
        self.packs_damaged = not self.packs_damaged
        if draw.random() < 0.8:
            self.declared["damaged packs are read while running"] += self.packs_damaged and not self.packs_lost
            self.read_packs()

    def read_packs(self) -> None:
        """Have the folder read again: what is damaged changes nothing."""
        self._world.keeper.reload()
        self.packs_lost = self.packs_lost and self.packs_damaged

    def _move(self, draw: random.Random) -> None:
        """Declare a registered backend in another country, or in none: it is judged by that from then on."""
        name = draw.choice(("fr", "de", "sg"))
        country = draw.choice(("FR", "DE", "SG", None))
        self.declared["a backend in another country" if country else "a backend in no country"] += 1
        spec = json.loads(self._world._backend(name).body)["spec"]
        self._put("Backend", name, spec | {"location": {} if country is None else {"country": country}})

    def _poison(self, draw: random.Random) -> None:
        if self._world.store.document("Policy", "bad") is not None:
            self._withdraw("Policy", "bad")
        else:
            poison = draw.choice(POISONS if self._world.lies else POISONS[:FIRST_POISONS])
            self.declared[f"poison {POISONS.index(poison)}"] += 1
            self._put("Policy", "bad", poison)

    def _list(self, draw: random.Random) -> None:
        """Another copy of the list: fresh or nearly not, naming nobody or one operator."""
        whom = frozenset(draw.choice(((), (), ("abroad",), ("host",))))
        self.take_list(whom, self._world.clock.now().date() + dt.timedelta(days=draw.choice((-1, 0, 2, 7))))

    def take_list(self, whom: frozenset[str], fresh_to: dt.date | None) -> None:
        """Put a copy of the list in force; None: no list."""
        self.listed, self.list_fresh_to = whom if fresh_to is not None else frozenset(), fresh_to
        if fresh_to is None:
            self.screener = None
            return
        entries = tuple(
            listings.Entry(
                name, "un", listings.Kind.ENTITY, (f"listed {name}",),
                identifiers=(listings.Identifier("lei", LEIS[name]),),
            )
            for name in sorted(whom)
        )  # fmt: skip
        digest = ids.Digest(f"sha256:{len(entries)}{fresh_to.isoformat()}{sorted(whom)}")
        snapshot = listings.Snapshot(
            "un", "un", "xml", fresh_to - dt.timedelta(days=7), 7, digest, entries, digest=digest
        )
        self.screener = screeners.Screener(listings.Loaded(snapshots=(snapshot,)))

    def confirm(self, draw: random.Random) -> None:
        """Confirm one of the held changes, or that the clock is right."""
        store, now = self._world.store, self._world.clock.now()
        mark, version = stored_changes.clock(store)
        if mark is not None and mark.back and draw.random() < 0.5:
            right = stored_changes.ClockMark(now, False, store.head().seq)
            try:
                store.commit(stores.Changes(documents=[stored_changes.clock_document(right, version)]))
            finally:  # it may hold although nobody was told so
                mark, _ = stored_changes.clock(store)
                if mark is not None and not mark.back:
                    self._world.high = now
            return
        waiting = sorted(id for id, waits in self.held().items() if waits)
        if waiting:
            stored = store.document(stored_changes.KIND, draw.choice(waiting))
            assert stored is not None
            value = json.loads(stored.body)
            value["confirmed"] = {"by": "p", "reason": "r", "at": now.isoformat(), "recorded": "t"}
            new = stores.Document(stored.kind, stored.name, "", json.dumps(value), stored.version)
            store.commit(stores.Changes(documents=[new]))

    def quiet(self) -> None:
        """Take everything back that refuses anything."""
        self.deny(frozenset())
        for name in sorted(LEIS) if self._world.lies else ():
            self._mend("Operator", name)
        self.packs_damaged = False
        self.read_packs()
        for name in ("d1", "d2", "bad"):
            if self._world.store.document("Policy", name) is not None:
                self._withdraw("Policy", name)
        for name in ("fr", "de", "sg"):
            self.end_facts(name, "2030-12-31")
        self.take_list(frozenset(), None)

    def held(self) -> dict[str, bool]:
        """Return every kept change, and whether it waits for a person."""
        found = [stored_changes.of_document(one) for one in self._world.store.documents(stored_changes.KIND)]
        return {one.id: one.confirmed is None for one in found}

    def _put(self, kind: str, name: str, spec: dict[str, object]) -> None:
        old = self._world.store.document(kind, name)
        made = document(kind, name, spec, old.version if old else 0, old.status if old else "{}")
        self._world.store.commit(stores.Changes(documents=[made]))

    def _withdraw(self, kind: str, name: str) -> None:
        old = self._world.store.document(kind, name)
        assert old is not None
        self._world.store.commit(stores.Changes(delete_documents=[(kind, "", name, old.version)]))


def condition(job: jobs.Job, type: str) -> jobs.Condition | None:
    """Return a condition that is true."""
    found = job.condition(type)
    return found if found is not None and found.status else None


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


HELD, EXPIRED = changes.HELD, changes.EXPIRED
_DECLARED = frozenset({"ControlPlane", "Operator", "Backend", "Tenant", "Policy"})
