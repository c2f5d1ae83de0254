"""The declared world as one immutable value: who asks, which places there are, what is broken.

Documents come from the store as JSON and go through ``readings`` into domain values; what cannot be read is refused.

What the system itself keeps about a document stands in its ``status`` (JSON): of a Backend ``cordoned`` and
``draining`` (true or false). Stops of new placements are documents of their own
(:mod:`~orchestrator.inventory.freezes`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain import ids, listings, modes
from orchestrator.domain import lineages as lineage_values
from orchestrator.domain import policies as policy_values
from orchestrator.domain import sites as site_values
from orchestrator.domain import tenants as tenant_values
from orchestrator.evidence import canonical
from orchestrator.inventory import (
    assembly,
    blames,
    catalogues,
    challenges,
    claimants,
    digests,
    elsewhere,
    freezes,
    identities,
    ledgers,
    lineages,
    parties,
    presentations,
    previews,
    readings,
    screeners,
    shelves,
    sightings,
    standings,
)
from orchestrator.policy import rulebook
from orchestrator.ports import stores

DEFAULT_TENANT = "default"
"""Tenant of the first administrator; owns what belongs to the installation."""
_KINDS = frozenset({*readings.CONVERTERS, freezes.KIND, lineages.KIND, ledgers.KIND, presentations.KIND})
"""What worlds are made of."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything declared, with overrides applied. Equal versions mean the same world.

    ``sites`` are in order of name. ``facts`` is the digest over all of it that policy or placement reads besides the
    rule book; it does not change when offers do.
    """

    documents_version: int = 0
    sightings_version: int = 0
    book: rulebook.RuleBook | None = None
    control_plane: tenant_values.ControlPlane | None = None
    operators: Mapping[str, site_values.Operator] = field(default_factory=dict)
    backends: Mapping[str, site_values.Backend] = field(default_factory=dict)
    data_sets: Mapping[str, Mapping[str, tenant_values.DataSet]] = field(default_factory=dict)
    """By tenant and name, each with what it inherits: as rules must see it."""
    lineages: Mapping[str, Mapping[str, lineage_values.Lineage]] = field(default_factory=dict)
    """By tenant and name of the data set, also of data sets that are not declared any more."""
    tenants: Mapping[str, tenant_values.Tenant] = field(default_factory=dict)
    queues: Mapping[str, Mapping[str, tenant_values.Queue]] = field(default_factory=dict)
    """By tenant and name; what all tenants share stands under ``""``."""
    directives: tuple[policy_values.Directive, ...] = ()
    """Every directive, in force or not, by name."""
    ledger: ledgers.Ledger | None = field(default_factory=dict)
    """What was counted towards thresholds that add up; None: some of it cannot be read."""
    sites: tuple[site_values.Site, ...] = ()
    site_index: Mapping[ids.SiteName, site_values.Site] = field(default_factory=dict)
    broken: tuple[readings.BrokenDocument, ...] = ()
    cordoned: frozenset[str] = frozenset()
    draining: frozenset[str] = frozenset()
    freezes: tuple[site_values.Frozen, ...] = ()
    """Stops of new placements that somebody called; each site has the first that covers it."""
    catalogue: catalogues.Catalogue = field(default_factory=catalogues.EmptyCatalogue)
    """Of accelerators."""
    facts: ids.Digest = ids.NO_DIGEST
    mode: modes.Mode = modes.Mode.ONE_PERSON
    """Whether one person may hold every right here."""
    screenings: Mapping[str, listings.Screening] = field(default_factory=dict)
    """What the sanctions lists in force say about each operator, by name; empty where none is in force."""
    identities: Mapping[str, site_values.Identity] = field(default_factory=dict)
    """What each backend that was met proved itself by."""
    proofs: claimants.Proofs = field(default_factory=claimants.Proofs)
    """The claims of operators and control plane, and who verifies; those of backends are in the sites."""

    def site(self, name: ids.SiteName) -> site_values.Site | None:
        """Return one site; None when it is not, or no longer, declared."""
        return self.site_index.get(name)

    def data_of(self, tenant: str) -> Mapping[str, tenant_values.DataSet]:
        """Return the data sets of a tenant by name: those of others are not there for it."""
        return self.data_sets.get(tenant, {})

    def queue(self, tenant: str, name: str) -> tenant_values.Queue | None:
        """Return the queue that a tenant means by a name: its own, else one that all share."""
        return tenant_values.queue_of(self.queues, tenant, name)

    def knows_accelerator(self, name: str) -> bool:
        """Say whether a job may ask for ``name``: the catalogue has it, or some site has just that."""
        return self.catalogue.accelerator(name) is not None or any(site.accelerator == name for site in self.sites)

    def closed(self, site: site_values.Site) -> bool:
        """Say whether the site takes nothing new: cordoned, draining or frozen."""
        return site.backend in self.cordoned or site.backend in self.draining or site.frozen is not None


class Inventory:
    """Makes the world, once for each version of the documents and of what is seen. Thread-safe."""

    def __init__(
        self,
        store: previews.Documents,
        book: rulebook.RuleBook | Callable[[], rulebook.RuleBook] | None,
        catalogue: catalogues.Catalogue,
        seen: sightings.Sightings,
        *,
        owner_tenant: str = DEFAULT_TENANT,
        lists: Callable[[], screeners.Screener | None] = lambda: None,
        trust: Callable[[], claimants.Claimants] = lambda: claimants.NOBODY,
        look: Callable[[], object] = lambda: None,
    ) -> None:
        self._store = store
        self._book = book
        self._catalogue = catalogue
        self._seen = seen
        self._owner_tenant = owner_tenant
        self._lists = lists
        self._trust = trust
        self.look = look
        """Reads the trust list again if its file changed: whoever declares something is judged by what stands there."""
        self._screener: screeners.Screener | None = None
        self._claimants: claimants.Claimants = claimants.NOBODY
        self._lock = threading.Lock()
        self._world: World | None = None
        self._base: rulebook.RuleBook | None = None
        self._judging: tuple[rulebook.RuleBook, list[policy_values.CedarPolicy], rulebook.RuleBook] | None = None
        self._shelf = shelves.Shelf(store)
        self._made: dict[str, tuple[tuple[object, ...], tuple[site_values.Site, ...]]] = {}

    @property
    def sightings(self) -> sightings.Sightings:
        """Return the record of what was last seen."""
        return self._seen

    def world(self) -> World:
        """Return the world as it is declared now. Cheap while nothing changed; never waits for a backend."""
        book, screener, trusted = self._current_book(), self._lists(), self._trust()
        marks = (self._store.documents_version(), self._seen.version)
        known = self._world
        if known is not None and self._is_made_of(known, marks, book, screener, trusted):
            return known
        with self._lock:
            # Versions are read before what they stand for: a change in between only makes the next caller look again.
            known = self._world
            marks = (self._store.documents_version(), self._seen.version)
            if known is None or not self._is_made_of(known, marks, book, screener, trusted):
                if self._screener is not screener or self._claimants is not trusted:
                    self._world = None  # nobody may take the world of the old lists for one of the new
                    self._screener, self._claimants = screener, trusted
                    self._made.clear()
                self._world = known = self._make(marks, book)
                self._base = book
            return known

    def imagine(self, changed: Sequence[stores.Document], gone: Sequence[tuple[str, str, str]] = ()) -> World:
        """Return the world as it would be with other documents, and without some; nothing of it is kept."""
        overlay = previews.Overlay(self._store, changed, gone)
        owner, lists, trust = self._owner_tenant, self._lists, self._trust
        made = Inventory(overlay, self._book, self._catalogue, self._seen, owner_tenant=owner, lists=lists, trust=trust)
        return made.world()

    def verifier(self) -> claimants.Claimants:
        """Return who verifies claims now."""
        return self._trust()

    def screener(self) -> screeners.Screener | None:
        """Return what screens operators now; None: no sanctions list is in force."""
        return self._lists()

    def _is_made_of(
        self,
        world: World,
        marks: tuple[int, int],
        book: rulebook.RuleBook | None,
        screener: screeners.Screener | None,
        trusted: claimants.Claimants,
    ) -> bool:
        same = (world.documents_version, world.sightings_version) == marks
        return same and self._base is book and self._screener is screener and self._claimants is trusted

    def _current_book(self) -> rulebook.RuleBook | None:
        book = self._book
        return book() if callable(book) else book

    def _make(self, marks: tuple[int, int], book: rulebook.RuleBook | None) -> World:
        self._shelf.update(_KINDS)
        stored = [one.document for one in self._shelf.documents]
        by_kind: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
        owned: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in readings.OWNED}
        broken = list(self._shelf.lost)
        for document, value in ((one.document, one.value) for one in self._shelf.documents):
            if document.kind not in by_kind:
                continue
            if isinstance(value, readings.BrokenDocument):
                broken.append(value)
            elif document.kind in readings.OWNED:
                owned[document.kind].setdefault(document.tenant, {})[document.name] = value
            else:
                by_kind[document.kind][document.name] = value
        statuses = {(d.kind, d.name): readings.status(d) for d in stored if d.status != "{}"}
        owners = {d.name: d.tenant or self._owner_tenant for d in stored if d.kind == "Backend"}
        shown = presentations.Presented(
            by_kind[presentations.KIND],
            not any(one.kind == presentations.KIND for one in broken),
            challenges.of_statuses(statuses),
        )
        by_kind["Operator"], control_plane, proofs = claimants.prove(
            self._claimants, shown, by_kind["Operator"], next(iter(by_kind["ControlPlane"].values()), None)
        )
        by_kind["Tenant"] = {name: parties.tenant(one, self._screener) for name, one in by_kind["Tenant"].items()}
        screenings = self._screenings(by_kind["Operator"], statuses)
        control_plane = parties.control_plane(control_plane, by_kind["Operator"], screenings)
        by_kind["ControlPlane"] = {control_plane.name: control_plane} if control_plane is not None else {}
        met = identities.of_statuses(by_kind["Backend"], statuses)
        strayed, blamed = elsewhere.of_statuses(statuses), blames.of_statuses(statuses)
        stopped = any(one.kind == freezes.KIND for one in broken)
        frozen = freezes.in_force(by_kind[freezes.KIND].values(), lost=stopped)
        all_sites = self._sites(
            by_kind["Backend"], by_kind["Operator"], owners, screenings, proofs, met, strayed, frozen, blamed
        )
        declared = [by_kind["Policy"][name] for name in sorted(by_kind["Policy"])]
        directives = tuple(each for each in declared if isinstance(each, policy_values.Directive))
        rules = [each for each in declared if isinstance(each, policy_values.CedarPolicy)]
        rules += [readings.unreadable(each) for each in broken if each.kind == "Policy"]
        for one in broken:
            if one.kind == "Tenant":
                # Without its document a tenant would have no floor: every job of it would be judged too mildly.
                by_kind["Tenant"][one.name] = tenant_values.Tenant(one.name, problem=readings.told(one))
        inherited = readings.inheriting(owned["DataSet"], owned[lineages.KIND], by_kind["Tenant"], broken)
        data_sets = parties.data_sets(inherited, screenings, self._screener)
        return World(
            documents_version=marks[0],
            sightings_version=marks[1],
            book=self._book_with(book, rules),
            control_plane=control_plane,
            operators=by_kind["Operator"],
            backends=by_kind["Backend"],
            data_sets=data_sets,
            lineages=owned[lineages.KIND],
            tenants=by_kind["Tenant"],
            queues=owned["Queue"],
            directives=directives,
            ledger=None if self._shelf.lost else self._shelf.ledger,
            sites=all_sites,
            site_index={site.name: site for site in all_sites},
            broken=tuple(broken),
            cordoned=readings.flagged(statuses, "cordoned"),
            draining=readings.flagged(statuses, "draining"),
            freezes=frozen,
            catalogue=self._catalogue,
            facts=_facts(all_sites, directives, data_sets, by_kind),
            screenings=screenings,
            identities=met,
            proofs=proofs,
            mode=standings.mode_of(next((d for d in stored if d.kind == standings.KIND), None)),
        )

    def _book_with(
        self, book: rulebook.RuleBook | None, rules: Sequence[policy_values.CedarPolicy]
    ) -> rulebook.RuleBook | None:
        """Return the packs with the house's own rules: the same book as before while neither changed."""
        if book is None:
            return None
        known = self._judging
        if known is None or known[0] is not book or known[1] != rules:
            self._judging = known = (book, list(rules), rulebook.with_policies(book, rules))
        return known[2]

    def _screenings(
        self,
        operators_: Mapping[str, site_values.Operator],
        statuses: Mapping[tuple[str, str], Mapping[str, Any]],
    ) -> Mapping[str, listings.Screening]:
        """Return what lists and people say about each operator; empty where no list is in force."""
        if self._screener is None:
            return {}
        return {
            name: self._screener.of(operator, screeners.answers_of(statuses.get(("Operator", name), {})))
            for name, operator in operators_.items()
        }

    def _sites(
        self,
        declared: Mapping[str, site_values.Backend],
        operators_: Mapping[str, site_values.Operator],
        owners: Mapping[str, str],
        screenings: Mapping[str, listings.Screening],
        proofs: claimants.Proofs,
        met: Mapping[str, site_values.Identity],
        strayed: Mapping[str, elsewhere.Marks],
        frozen: tuple[site_values.Frozen, ...],
        blamed: Mapping[str, tuple[site_values.Blame, ...]],
    ) -> tuple[site_values.Site, ...]:
        screener = self._screener

        def screen(operator: site_values.Operator | None) -> listings.Screening:
            assert screener is not None  # noqa: S101 -- only asked where there is one
            return screener.of(None) if operator is None else screenings[operator.name]

        made: dict[str, tuple[tuple[object, ...], tuple[site_values.Site, ...]]] = {}
        for name, backend in declared.items():
            seen = sightings.facts_of(self._seen.of(name))
            owner = owners[name]
            named = {pool.operator for pool in (*backend.pools, *seen.pools)} | {backend.operator}
            runs = sorted(map(str, named))
            shown = proofs.presented if backend.attestation is not None else None
            key = (
                *(backend, seen, owner, shown, proofs.control_plane, met.get(name), strayed.get(name), frozen),
                proofs.plane if shown is not None else None,
                *(
                    (operators_.get(each), screenings.get(each), proofs.operators.get(each), blamed.get(each))
                    for each in runs
                ),
            )
            known = self._made.get(name)
            if known is not None and known[0] == key:
                made[name] = known
                continue
            made[name] = (
                key,
                assembly.sites_of(
                    backend,
                    operators=operators_,
                    seen=seen,
                    catalogue=self._catalogue,
                    owner_tenant=owner,
                    screen=screen if screener is not None else None,
                    proofs=proofs,
                    identity=met.get(name),
                    marks=strayed.get(name),
                    frozen=frozen,
                    blamed=blamed,
                ),
            )
        self._made = made
        return tuple(sorted((s for _, found in made.values() for s in found), key=lambda site: site.name))


def _facts(
    all_sites: tuple[site_values.Site, ...],
    directives: tuple[policy_values.Directive, ...],
    data_sets: Mapping[str, Mapping[str, tenant_values.DataSet]],
    by_kind: Mapping[str, Mapping[str, Any]],
) -> ids.Digest:
    """Return the digest of all that policy or placement reads besides the rule book."""
    facts = {
        "sites": digests.of_sites(all_sites),
        "directives": digests.plain(directives),
        "DataSet": digests.plain([data for whose in sorted(data_sets) for _, data in sorted(data_sets[whose].items())]),
        **{kind: digests.plain([by_kind[kind][name] for name in sorted(by_kind[kind])]) for kind in readings.JUDGED},
    }
    return canonical.digest(facts)
