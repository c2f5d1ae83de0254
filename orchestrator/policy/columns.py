"""The table of rules read column by column: one rule over all sites at once.

A leaf that reads an attribute of the site is evaluated once per distinct value and spread through the codes. A rule
that runs over locations is evaluated over (distinct attributes x distinct places), packed into words, and met with
the words of each site's own places. A leaf that raises marks the values it raised for; the caller denies them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from orchestrator.policy import attributes, dated, instances, operands, rules, table

Truth = bool | table.Bools


class _Arrays:
    """Truth values that are plain where they are the same for every site."""

    def both(self, left: Truth, right: Truth) -> Truth:
        if isinstance(left, bool):
            return right if left else False
        if isinstance(right, bool):
            return left if right else False
        return left & right

    def either(self, left: Truth, right: Truth) -> Truth:
        if isinstance(left, bool):
            return True if left else right
        if isinstance(right, bool):
            return True if right else left
        return left | right

    def negate(self, value: Truth) -> Truth:
        return not value if isinstance(value, bool) else ~value


ARRAYS = _Arrays()


class ColumnReader:
    """Judges rules for one job over one table at one moment ``at`` of one day."""

    def __init__(
        self, job: attributes.JobAttributes, sites: table.SiteTable, day: dated.DayFacts, at: dt.datetime
    ) -> None:
        self.job = job
        self.sites = sites
        self.day = day
        self.at = at
        self.shared = tuple(sorted({place.code for place in job.places}))

    def read(self, rule: rules.Rule) -> tuple[Truth, Truth]:
        """Return (where the rule fires, where it could not be judged)."""
        fires: Truth = False
        broken: Truth = False
        for binding in instances.bindings(rule, self.job, self.day):
            one, bad = self._remembered(rule, binding)
            fires = ARRAYS.either(fires, one)
            broken = ARRAYS.either(broken, bad)
        return fires, broken

    def _remembered(self, rule: rules.Rule, binding: operands.Binding | None) -> tuple[Truth, Truth]:
        """Judge one binding of a rule, remembered by what it binds and what else the rule reads of the job."""
        if binding is None:
            return False, True
        try:
            key: Hashable = (
                rule,
                self.day,
                self.at if rule.hours else None,
                self.shared if rule.per_location else (),
                *[binding[scope] for scope in rule.for_each],
                *[operand.read(self.job) for operand in rule.job_operands],
            )
            known = self.sites.outcomes.get(key)
        except Exception:  # noqa: BLE001 - reading it again below turns it into a refusal
            return self._judged(rule, binding)
        if known is None:
            known = self._judged(rule, binding)
            self.sites.outcomes.keep(key, known)
        return known

    def _judged(self, rule: rules.Rule, binding: operands.Binding) -> tuple[Truth, Truth]:
        instance = instances.guarded(rule, binding, self.day, self.at)
        if instance is None:
            return False, False
        if instance.problem is not None:
            return False, True
        return self._located(rule, instance) if rule.per_location else self._body(rule, instance)

    def _body(self, rule: rules.Rule, instance: instances.Instance) -> tuple[Truth, Truth]:
        errors: list[Truth] = []

        def leaf_truth(leaf: rules.Leaf) -> Truth:
            if leaf.site is None:
                lut, bad = self._values(leaf, instance.binding, (None,), (None,))
                errors.extend([True] if bad is not None else [])
                return bool(lut[0, 0])
            spread, bad = self._spread(leaf, instance.binding)
            errors.extend([bad] if bad is not None else [])
            return spread

        fires: Truth = instances.combine(rule.body, leaf_truth, ARRAYS)
        broken = _any(errors)
        return ARRAYS.both(fires, ARRAYS.negate(broken)), broken

    def _spread(self, leaf: rules.Leaf, binding: operands.Binding) -> table.Spread:
        column = self.sites.columns[leaf.site.name if leaf.site else ""]
        key = self._key(leaf, binding, ())

        def make() -> table.Spread:
            values = column.values
            lut, bad = self.sites.lut(
                key, len(values), lambda start: self._values(leaf, binding, values[start:], (None,))
            )
            codes = column.codes
            return lut[:, 0].take(codes), None if bad is None else bad[:, 0].take(codes)

        return self.sites.spread(key, make)

    def _key(self, leaf: rules.Leaf, binding: operands.Binding, places: Sequence[str]) -> Hashable:
        try:
            # Sets are those of the day: the frozen day itself is part of the key.
            return (
                leaf,
                self.day,
                self.at if leaf.predicate.timed else None,
                places,
                *[arg.read(binding[arg.scope]) for arg in leaf.fixed],
            )
        except Exception:  # noqa: BLE001 - reading it again below turns it into a refusal
            return object()

    def _located(self, rule: rules.Rule, instance: instances.Instance) -> tuple[Truth, Truth]:
        own = self._over(rule, instance, self.sites.locations, shared=False)
        if not self.shared:
            return own
        common = self._over(rule, instance, self.shared, shared=True)
        return ARRAYS.either(own[0], common[0]), ARRAYS.either(own[1], common[1])

    def _over(
        self, rule: rules.Rule, instance: instances.Instance, places: Sequence[str], *, shared: bool
    ) -> tuple[Truth, Truth]:
        """Evaluate over places x combinations; a shared place concerns every site, others only sites that have it."""
        fires, broken, combined = self._grid(rule, instance, places)
        return self._meet(fires, combined, len(places), shared), self._meet(broken, combined, len(places), shared)

    def _grid(
        self, rule: rules.Rule, instance: instances.Instance, places: Sequence[str]
    ) -> tuple[Truth, Truth, table.Combined]:
        names = tuple(operand.name for operand in rule.location_operands)
        combined = self.sites.combined(names)
        errors: list[Truth] = []

        def leaf_truth(leaf: rules.Leaf) -> Truth:
            lut, bad = self._over_places(leaf, instance.binding, places)
            rows = combined.parts[leaf.site.name] if leaf.site else None
            if bad is not None:
                errors.append(bad if rows is None else bad[rows])
            return lut if rows is None else lut[rows]

        fires: Truth = instances.combine(rule.body, leaf_truth, ARRAYS)
        broken = _any(errors)
        return ARRAYS.both(fires, ARRAYS.negate(broken)), broken, combined

    def _over_places(self, leaf: rules.Leaf, binding: operands.Binding, places: Sequence[str]) -> table.Lut:
        values: Sequence[Any] = self.sites.columns[leaf.site.name].values if leaf.site else (None,)

        def make(start: int) -> table.Lut:
            return self._values(leaf, binding, values[start:], places if leaf.location else (None,))

        return self.sites.lut(self._key(leaf, binding, (*places, "")), len(values), make)

    def firings(self, rule: rules.Rule) -> Iterator[tuple[operands.Binding, str | None, Truth]]:
        """Yield what each firing of a rule binds, the place, and the sites; in the order of the row reader."""
        for instance in instances.instances(rule, self.job, self.day, self.at):
            if instance.problem is not None:
                continue
            if not rule.per_location:
                fires = self._remembered(rule, instance.binding)[0]
                if fires is not False:
                    yield instance.binding, None, fires
                continue
            places = sorted({*self.sites.locations, *self.shared})
            fires, _, combined = self._grid(rule, instance, places)
            if not np.any(fires):
                continue
            grid = np.broadcast_to(np.asarray(fires), (combined.size, len(places)))
            for number in np.flatnonzero(grid.any(axis=0)).tolist():
                yield instance.binding, places[number], grid[:, number].take(combined.codes) & self._at(places[number])

    def weak(self, rule: rules.Rule) -> Iterator[tuple[tuple[str, str], Truth]]:
        """Yield (set, value) of each weakly known fact that a rule looked up with success, and the sites."""
        for instance in instances.instances(rule, self.job, self.day, self.at):
            for leaf in rules.leaves(rule.body) if instance.problem is None else ():
                looked_up = rules.looked_up(leaf)
                for name in [arg.name for arg in leaf.args if isinstance(arg, rules.SetRef)] if looked_up else ():
                    marked = {value for value, member in self.day.sets[name].members.items() if member.mark is not None}
                    found = self._weak_place if leaf.location else self._weak_word
                    for value, mask in found(rule, leaf, instance.binding, marked):
                        yield (name, value), mask

    def _weak_place(
        self, _rule: rules.Rule, leaf: rules.Leaf, binding: operands.Binding, marked: set[str]
    ) -> Iterator[tuple[str, Truth]]:
        for place in sorted(marked & {*self.sites.locations, *self.shared}):
            lut, _ = self._over_places(leaf, binding, (place,))
            holds: table.Bools = lut[:, 0]
            if leaf.site is not None:
                holds = holds.take(self.sites.columns[leaf.site.name].codes)
            yield place, holds & self._at(place)

    def _weak_word(
        self, rule: rules.Rule, leaf: rules.Leaf, binding: operands.Binding, marked: set[str]
    ) -> Iterator[tuple[str, Truth]]:
        assert leaf.site is not None  # noqa: S101 - that is what was looked up
        column = self.sites.columns[leaf.site.name]
        for value in sorted(marked & {each for each in column.values if isinstance(each, str)}):
            lut, _ = self._values(leaf, binding, (value,), (None,))
            if lut[0, 0]:
                mask: table.Bools = column.codes == column.index[value]
                yield value, mask & self._somewhere() if rule.per_location else mask

    def _somewhere(self) -> table.Bools:
        """Say which sites are met with any place at all."""
        if self.shared:
            return np.ones(len(self.sites), dtype=np.bool_)
        met: table.Bools = (self.sites.location_words != 0).any(axis=1)
        return met

    def _at(self, place: str) -> table.Bools:
        """Say which sites a place concerns."""
        if place in self.shared:
            return np.ones(len(self.sites), dtype=np.bool_)
        word, shift = divmod(self.sites.locations.index(place), 64)
        here: table.Bools = (self.sites.location_words[:, word] >> np.uint64(shift) & np.uint64(1)) != 0
        return here

    def _meet(self, value: Truth, combined: table.Combined, count: int, shared: bool) -> Truth:
        if value is False or count == 0 or not np.any(value):
            return False
        grid = np.broadcast_to(np.asarray(value), (combined.size, count))
        if shared:
            everywhere: table.Bools = grid.any(axis=1).take(combined.codes)
            return everywhere
        padded = np.zeros((combined.size, table.words_for(count) * 64), dtype=np.bool_)
        padded[:, :count] = grid
        words = table.pack(padded)
        own = self.sites.location_words
        met: table.Bools
        if words.shape[1] == 1:
            met = (own[:, 0] & words[:, 0].take(combined.codes)) != 0
        else:
            met = ((own & words[combined.codes]) != 0).any(axis=1)
        return met

    def _values(
        self, leaf: rules.Leaf, binding: operands.Binding, site_values: Sequence[Any], places: Sequence[Any]
    ) -> table.Lut:
        """Evaluate a leaf for every (value of its site attribute, place); where it raises it counts as broken."""
        clock = self.at if leaf.predicate.timed else self.day.day
        args: list[Any] = []
        site_at = place_at = -1
        out = np.zeros((len(site_values), len(places)), dtype=np.bool_)
        bad: table.Bools | None = None
        try:
            for position, arg in enumerate(leaf.args):
                if isinstance(arg, operands.Operand) and arg.scope == operands.SITE:
                    site_at = position
                    args.append(None)
                elif isinstance(arg, operands.Operand) and arg.scope == operands.LOCATION:
                    place_at = position
                    args.append(None)
                else:
                    args.append(instances.value_of(arg, binding, self.day))
        except Exception:  # noqa: BLE001 - whatever a rule meets must become a refusal
            return out, np.ones_like(out)
        predicate = leaf.predicate.test
        for row, site_value in enumerate(site_values):
            if site_at >= 0:
                args[site_at] = site_value
            for number, place in enumerate(places):
                if place_at >= 0:
                    args[place_at] = place
                try:
                    out[row, number] = predicate(clock, *args)
                except Exception:  # noqa: BLE001 - whatever a rule meets must become a refusal
                    bad = np.zeros_like(out) if bad is None else bad
                    bad[row, number] = True
        return out, bad


def _any(errors: list[Truth]) -> Truth:
    broken: Truth = False
    for error in errors:
        broken = ARRAYS.either(broken, error)
    return broken
