"""The rule book: every pack in force with its dated facts, what is switched off, and what failed to load.

Built from plain data (``sources.packs`` reads the files). A pack that cannot be used never disappears: its absence
is an answer of its own (``refusals``), because a rule that silently does not run is a yes nobody gave.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain import facts, ids, policies, reasons
from orchestrator.evidence import canonical
from orchestrator.policy import attributes, constraints, counters, dated, operands, packfiles, programs, shapes, stored
from orchestrator.policy import rules as rule_shapes

CONSTRAINT_PACKS = frozenset({"exposure", "certs", "eu-seal", "tee"})
"""Packs that judge only what a job asks for: without them jobs that do not ask are judged as ever."""

PLANNED_PACKS = (
    "accepts", "certs", "cn-chips", "cn-export", "core", "directives", "eu-aiact", "eu-dora", "eu-gdpr", "eu-seal",
    "exposure", "fr-hds", "in", "ru-local", "sa", "sanctions", "tech-export", "tee", "uk-gdpr", "us-doj", "us-ear",
    "us-gp10", "vn",
)  # fmt: skip
"""Every pack of the policy table. Those that are not installed are named in a caveat of every yes."""

UNSUPPORTED = "core.unsupported"


@dataclass(frozen=True, slots=True)
class RawPack:
    """The content of a pack's files as plain data. ``locate`` turns (file, path inside it) into ``file:line``."""

    name: str
    rules: Any
    facts: Any = None
    locate: Callable[[str, shapes.Path], str] = lambda file, _path: file


@dataclass(frozen=True, slots=True, eq=False)
class RuleBook:
    """Packs, facts and parameters in force. ``rules`` is the table: a rule's index is its bit in a judgement."""

    packs: tuple[packfiles.Pack, ...]
    resting: tuple[packfiles.Pack, ...]
    """Packs that are switched off, previews among them: read, and judging nothing."""
    off: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    facts: dated.FactBase
    origins: Mapping[str, str]
    """The pack that each dated set comes from."""
    rules: tuple[rule_shapes.Rule, ...]
    caveats: tuple[rule_shapes.Rule, ...]
    counters: tuple[counters.Counter, ...]
    """What adds up towards thresholds, by id."""
    judged: frozenset[str]
    """Document paths of constraints that some rule in force judges."""
    digest: ids.Digest
    """Of ``body``."""
    body: bytes
    """Everything that the book was made from, as canonical JSON: what is stored for a decision. See ``decode``."""
    facts_digest: ids.Digest
    changes: tuple[dt.date, ...]
    """Every day on which a dated fact or a rule starts or ends, sorted."""
    user: tuple[policies.CedarPolicy, ...] = ()
    """Policies of the house's own, judged beside the table; by name."""
    program: programs.Program = field(init=False, repr=False)
    """The table as the column reader walks it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "program", programs.prepare(self.rules))

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """Return (pack, version) of every pack in force."""
        return tuple((pack.name, pack.version) for pack in self.packs)

    @property
    def public_sets(self) -> tuple[str, ...]:
        """Return the names of the sets of countries that jobs and policies may name, sorted."""
        return tuple(sorted(each.public for each in self.facts.sets.values() if each.public))

    @property
    def absent(self) -> tuple[str, ...]:
        """Return the packs of the policy table that are not installed at all."""
        present = {pack.name for pack in self.packs} | set(self.off) | {name for name, _ in self.failed}
        return tuple(name for name in PLANNED_PACKS if name not in present)

    def boundaries(self, after: dt.datetime) -> tuple[dt.datetime, ...]:
        """Return the moments after ``after`` at which a dated fact or a rule changes, soonest first."""
        return tuple(moment for moment in map(midnight, self.changes) if moment > after)

    def countries(self, names: Iterable[str], day: dt.date) -> tuple[frozenset[str], tuple[str, ...]]:
        """Return the codes that country names and public sets stand for on ``day``, and the unknown names."""
        return self.facts.on(day).countries(names)

    def nearest_country(self, name: str, day: dt.date) -> str | None:
        """Return the country code or public set that ``name`` was probably meant to be, or None."""
        return self.facts.on(day).nearest(name)

    def refusals(self, job: attributes.JobAttributes, day: dt.date) -> tuple[tuple[str, str], ...]:
        """Return (code, sentence) of everything about this job that nobody here can judge: it denies every site."""
        found = [(f"{UNSUPPORTED}:{path}", sentence) for path, sentence in job.unjudgeable]
        for path in job.asks:
            if path not in self.judged:
                found.append((f"{UNSUPPORTED}:{path}", self._why_unjudged(path)))
        for path, name in operands.unknown_names(job, self.facts.on(day)):
            meant = self.nearest_country(name, day)
            hint = f"; did you mean {meant}?" if meant else ""
            found.append((f"{UNSUPPORTED}:{path}", f"{name!r} is neither a country code nor a known set{hint}"))
        for name, problem in self.failed:
            if name not in CONSTRAINT_PACKS:
                found.append(
                    (f"{UNSUPPORTED}:packs.{name}", f"the pack {name} should be in force but failed: {problem}")
                )
        return tuple(sorted(set(found))) if found else ()

    def _why_unjudged(self, path: str) -> str:
        pack = _JUDGES.get(path)
        failed = dict(self.failed)
        if pack in failed:
            return f"the pack {pack} that judges {path} failed to load: {failed[pack]}"
        if pack in self.off:
            return f"the pack {pack} that judges {path} is switched off"
        return f"no pack that judges {path} is installed"


_JUDGES = {
    constraints.EXPOSURE: "exposure",
    constraints.CERTIFICATIONS: "certs",
    constraints.SEAL: "eu-seal",
    constraints.SCORE: "eu-seal",
    constraints.TEE: "tee",
}


def midnight(day: dt.date) -> dt.datetime:
    """Return the start of a day, UTC."""
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def build(
    packs: Sequence[RawPack],
    *,
    countries: Iterable[str],
    off: Iterable[str] = (),
    on: Iterable[str] = (),
    failed: Mapping[str, str] | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> RuleBook:
    """Build the book. A pack with a problem goes to ``failed`` (and then denies); ``core`` cannot be switched off.

    Args:
        packs: content of every pack that was found; one that appears in ``off`` gives facts but no rules.
        countries: the ISO 3166-1 alpha-2 codes.
        off: packs that the house switched off.
        on: previews that the house switched on; the others are off.
        failed: packs that could not even be read, with the problem.
        parameters: values that replace parameters of packs, by pack and name.
    """
    switched_off = frozenset(off) - {"core"}
    ordered = [
        RawPack(pack.name, stored.plain(pack.rules), stored.plain(pack.facts), pack.locate)
        for pack in sorted(packs, key=lambda pack: pack.name)
    ]
    given = stored.plain(parameters or {})
    building = _Building(countries, failed or {})
    for raw in ordered:
        building.add(raw, given.get(raw.name, {}))
    building.finish()
    switched_off |= {pack.name for _raw, pack, _reader in building.read if pack.preview} - frozenset(on)
    for name in switched_off:
        building.problems.pop(name, None)
    broken = {name: "; ".join(texts) for name, texts in sorted(building.problems.items())}
    return _assembled(ordered, building, switched_off, broken, given)


def decode(body: bytes) -> RuleBook:
    """Return the book that was stored as ``body``: it judges and says what it did then. Raises ``ValueError``.

    Packs that had failed stay failed, with the problem as it was worded then.
    """
    try:
        raw = json.loads(body)
        ordered = [RawPack(name, rules, facts_) for name, rules, facts_ in raw["packs"]]
        building = _Building(raw["countries"], {})
        for pack in ordered:
            building.add(pack, raw["parameters"].get(pack.name, {}))
        building.finish()
        book = _assembled(ordered, building, frozenset(raw["off"]), raw["failed"], raw["parameters"])
        return with_policies(book, [_policy(row) for row in raw.get("policies", ())])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a rule book: {error}") from error


def with_policies(book: RuleBook, declared: Iterable[policies.CedarPolicy]) -> RuleBook:
    """Return the book with policies of the house's own; its digest and its stored form cover their text and dates."""
    user = tuple(sorted(declared, key=lambda policy: policy.name))
    if user == book.user:
        return book
    raw = json.loads(book.body)
    raw.pop("policies", None)
    if user:
        raw["policies"] = [
            [policy.name, policy.text, *(day and day.isoformat() for day in (policy.start, policy.end)), policy.problem]
            for policy in user
        ]
    body = canonical.dumps(raw)
    windows = {day for policy in (*user, *book.user) for day in dated.changes(policy.start, policy.end)}
    return dataclasses.replace(
        book,
        user=user,
        body=body,
        digest=canonical.digest_of_bytes(body),
        changes=tuple(sorted({*book.changes, *windows})),
    )


def _policy(row: Sequence[Any]) -> policies.CedarPolicy:
    name, text, start, end, problem = row
    return policies.CedarPolicy(name, text, _day(start), _day(end), problem)


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)


def _assembled(
    ordered: Sequence[RawPack],
    building: _Building,
    switched_off: frozenset[str],
    broken: Mapping[str, str],
    given: Mapping[str, Any],
) -> RuleBook:
    left_out = switched_off | set(broken)
    on = tuple(pack for _raw, pack, _reader in building.read if pack.name not in left_out)
    table = tuple(sorted((rule for pack in on for rule in pack.rules), key=lambda rule: rule.id))
    windows = {day for rule in table for day in dated.changes(rule.start, rule.end)}
    codes = [member.value for member in building.sets[dated.ISO].members]
    body = canonical.dumps(
        {
            "packs": [[raw.name, raw.rules, raw.facts] for raw in ordered],
            "countries": codes,
            "off": sorted(switched_off),
            "failed": dict(broken),
            "parameters": given,
        }
    )
    return RuleBook(
        packs=on,
        resting=tuple(pack for _raw, pack, _reader in building.read if pack.name in switched_off),
        off=tuple(sorted(switched_off)),
        failed=tuple(sorted(broken.items())),
        facts=building.base,
        origins=building.origins,
        rules=tuple(rule for rule in table if rule.effect is not reasons.Effect.CAVEAT),
        caveats=tuple(rule for rule in table if rule.effect is reasons.Effect.CAVEAT),
        counters=tuple(sorted((each for pack in on for each in pack.counters), key=lambda each: each.rule.id)),
        judged=frozenset(path for rule in table for path in rule.needs),
        digest=canonical.digest_of_bytes(body),
        body=body,
        facts_digest=canonical.digest([[[raw.name, raw.facts] for raw in ordered], codes]),
        changes=tuple(sorted(windows | building.base.boundaries())),
    )


class _Building:
    """Collects packs and their problems; one with a problem gives no rules, but the facts it could give stay."""

    def __init__(self, countries: Iterable[str], failed: Mapping[str, str]) -> None:
        self.problems: dict[str, list[str]] = {name: [text] for name, text in failed.items()}
        self.sets: dict[str, dated.DatedSet] = {dated.ISO: _iso(countries)}
        self.read: list[tuple[RawPack, packfiles.Pack, rule_shapes.RuleReader]] = []
        self.base = dated.FactBase(self.sets)
        self.origins: dict[str, str] = {}
        self._names: set[str] = set()

    def add(self, raw: RawPack, parameters: Mapping[str, Any]) -> None:
        if raw.name in self._names:
            self._blame(raw.name, ["two packs have this name"])
            return
        self._names.add(raw.name)
        try:
            for found in packfiles.read_facts(raw.name, raw.facts):
                if found.name in self.sets:
                    raise shapes.PackError([(("sets",), f"the set {found.name!r} is defined twice")])
                self.sets[found.name] = found
                self.origins[found.name] = raw.name
        except shapes.PackError as error:
            self._blame(raw.name, _located(raw, "facts.yaml", error))
        try:
            self.read.append((raw, *packfiles.read_rules(raw.name, raw.rules, parameters)))
        except shapes.PackError as error:
            self._blame(raw.name, _located(raw, "rules.yaml", error))

    def finish(self) -> None:
        try:
            self.base.on(dt.date(2000, 1, 1))
        except dated.FactError as error:
            # Which pack is to blame is unclear, so core carries it: everything is denied until it is mended.
            self._blame("core", [str(error)])
            self.base = dated.FactBase({dated.ISO: self.sets[dated.ISO]})
        for raw, pack, reader in self.read:
            unknown = [
                (path, f"the set {name!r} is not known") for path, name in reader.sets if name not in self.base.sets
            ]
            if unknown:
                self._blame(pack.name, _located(raw, "rules.yaml", shapes.PackError(unknown)))
        if "core" not in {pack.name for _raw, pack, _reader in self.read}:
            self.problems.setdefault("core", ["the pack is missing"])

    def _blame(self, name: str, texts: list[str]) -> None:
        self.problems.setdefault(name, []).extend(texts)


def _iso(countries: Iterable[str]) -> dated.DatedSet:
    stamp = facts.FactStamp(source="ISO 3166-1", assurance=facts.Assurance.DOCUMENTED)
    members = tuple(dated.Member(code, stamp) for code in sorted(countries))
    return dated.DatedSet(dated.ISO, "Countries", stamp, members)


def _located(raw: RawPack, file: str, error: shapes.PackError) -> list[str]:
    return [f"{raw.locate(file, path)}: {shapes.render_path(path)}: {text}" for path, text in error.problems]
