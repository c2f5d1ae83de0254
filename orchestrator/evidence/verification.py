"""Checks a bundle, offline, question by question: signature, signer, inclusion, consistency, judging again.

The questions are answered apart, because they fail apart: a good signature of nobody in particular is worth nothing,
and a trusted signer may have signed two histories. What is not asked or cannot be answered says so and never counts
as a yes. Judging again needs the evaluator, which stands above this floor: it is passed in. Nothing of a bundle is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.evidence import (
    bindings,
    bundles,
    canonical,
    chain,
    checkpoints,
    comparisons,
    cosignatures,
    dsse,
    merkle,
    notes,
    rotations,
    statements,
)

Answer = comparisons.Answer
Word = comparisons.Word


_WRONG = frozenset({Word.BAD, Word.RETIRED, Word.NO, Word.DIFFERENT})


@dataclass(frozen=True, slots=True)
class Case:
    """What judging again gets. ``records`` by digest, each held to it; ``candidates`` None: kept back."""

    decision: str
    clock: str
    chosen: str
    records: Mapping[str, Any]
    plain: Mapping[str, Any]
    candidates: Any


Rejudge = Callable[[Case], Answer]


@dataclass(slots=True)
class Report:
    """All answers about one bundle. ``problems`` is everything that is wrong, the first one first."""

    signature: Answer
    signer: Answer
    included: Answer
    consistent: Answer
    rejudged: Answer
    problems: tuple[str, ...]
    checkpoint: checkpoints.Checkpoint | None = None
    key: str = ""
    cosigned: tuple[cosignatures.Cosignature, ...] = ()
    found: tuple[tuple[statements.Statement, Mapping[str, Any]], ...] = ()
    """Each statement with its opened values by path."""
    entries: tuple[bundles.Shown, ...] = ()
    records: Mapping[str, Any] = field(default_factory=dict)
    """What decisions refer to, by digest; each held to it."""

    @property
    def wrong(self) -> bool:
        """Say whether anything is wrong."""
        answers = (self.signature, self.signer, self.included, self.consistent, self.rejudged)
        return bool(self.problems) or any(answer.word in _WRONG for answer in answers)

    @property
    def verified(self) -> bool:
        """Say whether nothing is wrong and the signer is trusted."""
        return not self.wrong and self.signer.word is Word.TRUSTED


@dataclass(slots=True)
class _Findings:
    """Collects what is wrong, by question."""

    signature: list[str] = field(default_factory=list)
    included: list[str] = field(default_factory=list)
    consistent: list[str] = field(default_factory=list)

    def all(self) -> tuple[str, ...]:
        return (*self.signature, *self.included, *self.consistent)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the reader believes: public keys of logs (32 bytes) and keys of witnesses."""

    keys: frozenset[bytes] = frozenset()
    witnesses: tuple[notes.Verifier, ...] = ()


def verify(
    bundle: bundles.Bundle, trust: Trust, rejudge: Rejudge, *, against: Sequence[comparisons.Kept] = ()
) -> Report:
    """Answer every question about a bundle. Never raises for what is in it."""
    findings = _Findings()
    try:
        note, point = checkpoints.read(bundle.note)
    except checkpoints.CheckpointError as error:
        return _nothing(f"checkpoint: {error}")
    keys = _keys(bundle, point, findings)
    signer = _signer(note, point, keys, trust, findings)
    _check_entries(bundle, point, findings)
    found = _check_statements(bundle, point, keys, findings)
    consistent, same = _consistent(bundle, point, keys, trust, against, findings)
    cosigned = _cosigned((note, *same), trust, findings)
    _check_records(bundle, found, findings)
    judged = _rejudged(bundle, found, rejudge) if not findings.all() else _not_judged()
    problems = findings.all() + ((f"re-execution: {judged.why}",) if judged.word is Word.DIFFERENT else ())
    return Report(
        signature=Answer(Word.BAD, findings.signature[0]) if findings.signature else Answer(Word.GOOD),
        signer=signer,
        included=Answer(Word.NO, findings.included[0]) if findings.included else _all_included(bundle, point),
        consistent=consistent,
        rejudged=judged,
        problems=problems,
        checkpoint=point,
        key=keys.current.hex(),
        cosigned=cosigned,
        found=found,
        entries=bundle.entries,
        records=bundle.records,
    )


def _nothing(why: str) -> Report:
    bad, asked = (
        Answer(Word.BAD, why),
        Answer(Word.NOT_POSSIBLE, "needs a checkpoint that can be read"),
    )
    return Report(
        bad,
        Answer(Word.UNKNOWN),
        Answer(Word.NO, why),
        asked,
        asked,
        (why,),
    )


def _not_judged() -> Answer:
    return Answer(Word.NOT_POSSIBLE, "needs a bundle in which nothing else is wrong")


def _all_included(bundle: bundles.Bundle, point: checkpoints.Checkpoint) -> Answer:
    return Answer(Word.YES, f"{len(bundle.entries)} entries under the checkpoint of {point.size}")


def _keys(bundle: bundles.Bundle, point: checkpoints.Checkpoint, findings: _Findings) -> rotations.Keys:
    """Return the log's keys as far as they hold together."""
    rotated = [
        (shown.seq, shown.entry["body"])
        for shown in bundle.entries
        if shown.entry is not None and shown.entry["subject"] == rotations.SUBJECT
    ]
    try:
        return rotations.chain(point.origin, bundle.first_key, rotated)
    except rotations.RotationError as error:
        findings.signature.append(f"keys: {error}")
        return rotations.Keys(point.origin, (bundle.first_key,))


def _signer(
    note: notes.Note, point: checkpoints.Checkpoint, keys: rotations.Keys, trust: Trust, findings: _Findings
) -> Answer:
    """Check the checkpoint's signature, and say whether its signer is trusted."""
    counts = keys.at(point.size)
    own = [line for line in note.lines if line.name == point.origin]
    by = next((key for key in reversed(keys.all) if comparisons.signed(note, own, point.origin, key)), None)
    if by is None:
        findings.signature.append("checkpoint: no signature of the log's own key fits")
        return Answer(Word.UNKNOWN, "nobody in particular signed the checkpoint")
    if by != counts:
        end = keys.ends[keys.all.index(by)] if by in keys.all[: len(keys.ends)] else 0
        text = f"the key {by.hex()[:16]} was retired by entry {end} and signed a checkpoint of {point.size} entries"
        findings.signature.append(f"checkpoint: {text}")
        return Answer(Word.RETIRED, text)
    if by in trust.keys:
        return Answer(Word.TRUSTED, f"key {by.hex()}")
    earlier = [key for key in keys.all[: keys.all.index(by)] if key in trust.keys]
    if earlier:
        return Answer(Word.TRUSTED, f"key {by.hex()}, which the trusted key {earlier[-1].hex()[:16]} handed over to")
    return Answer(Word.UNKNOWN, f"key {by.hex()} is not among those you trust")


def _check_entries(bundle: bundles.Bundle, point: checkpoints.Checkpoint, findings: _Findings) -> None:
    before, jobs = 0, set()
    for shown in bundle.entries:
        if shown.seq <= before:
            findings.included.append(f"entry {shown.seq}: out of order")
        before = shown.seq
        fits = merkle.verify_inclusion(
            data=shown.link, index=shown.seq - 1, size=point.size, proof=shown.proof, root=point.root
        )
        if not fits:
            findings.included.append(f"entry {shown.seq}: not included under the checkpoint of {point.size} entries")
        if shown.seq == point.size and chain.to_digest(shown.link) != point.link:
            findings.included.append(f"entry {shown.seq}: is not the head that the checkpoint names")
        if shown.entry is not None and shown.entry["subject"] != rotations.SUBJECT:
            jobs.add(shown.entry["subject"])
    if len(jobs) > 1:
        findings.included.append(f"entries of several subjects: {', '.join(sorted(map(str, jobs)))[:200]}")


def _check_statements(
    bundle: bundles.Bundle, point: checkpoints.Checkpoint, keys: rotations.Keys, findings: _Findings
) -> tuple[tuple[statements.Statement, Mapping[str, Any]], ...]:
    found: list[tuple[statements.Statement, Mapping[str, Any]]] = []
    entries = {shown.seq: shown for shown in bundle.entries}
    for number, stated in enumerate(bundle.statements, 1):
        where = f"statement {number}"
        one = stated.envelope.payload_type == dsse.IN_TOTO and len(stated.envelope.signatures) == 1
        if not one or not dsse.verify(stated.envelope, keys.current):
            findings.signature.append(f"{where}: its signature does not fit the log's key")
        try:
            statement = statements.parse(stated.envelope.payload)
        except statements.StatementError as error:
            findings.signature.append(f"{where}: {error}")
            continue
        where = f"{where} ({statement.kind.rsplit('/', 2)[1]}, attempt {statement.attempt})"
        findings.signature += [f"{where}: {text}" for text in bindings.unfit(stated.opened, statement)]
        values = {one.path: one.value for one in stated.opened}
        findings.included += [f"{where}: {text}" for text in bindings.untied(statement, point, entries)]
        findings.included += [f"{where}: {text}" for text in bindings.unlike(statement, values, bundle.entries)]
        found.append((statement, values))
    findings.included += bindings.incomplete(found, bundle.entries)
    return tuple(found)


def _check_records(
    bundle: bundles.Bundle,
    found: Sequence[tuple[statements.Statement, Mapping[str, Any]]],
    findings: _Findings,
) -> None:
    """Hold each record to its digest, and see that it belongs to a decision."""
    for digest, value in bundle.records.items():
        try:
            fits = canonical.digest(value) == digest
        except canonical.CanonicalError:
            fits = False
        if not fits:
            findings.included.append(f"record {digest[:80]}: its content has another digest")
    wanted: set[Any] = set()
    for statement, _ in found:
        if statement.kind == statements.DECISION:
            wanted |= bindings.references(statement.predicate, bundle.records)
    findings.included += [
        f"record {digest[:80]}: belongs to no decision" for digest in sorted(bundle.records) if digest not in wanted
    ]


def _cosigned(seen: Sequence[notes.Note], trust: Trust, findings: _Findings) -> tuple[cosignatures.Cosignature, ...]:
    """Return the cosignatures on the bundle's head and on kept heads of the same history."""
    found: list[cosignatures.Cosignature] = []
    for note in seen:
        fine, liars = cosignatures.find(note, trust.witnesses)
        found += [one for one in fine if one not in found]
        findings.signature += [f"checkpoint: the cosignature of {name} does not fit" for name in liars]
    return tuple(found)


def _consistent(
    bundle: bundles.Bundle,
    point: checkpoints.Checkpoint,
    keys: rotations.Keys,
    trust: Trust,
    against: Sequence[comparisons.Kept],
    findings: _Findings,
) -> tuple[Answer, list[notes.Note]]:
    """Return the answer, and the kept heads that are of the same history."""
    if not against:
        return Answer(Word.NOT_ASKED, "--against compares with a checkpoint that you kept"), []
    answers = [_compare(bundle, point, keys, trust, kept) for kept in against]
    findings.consistent += [f"log: {answer.why}" for answer in answers if answer.word is not Word.YES]
    same = [
        checkpoints.read(kept.note)[0] for kept, answer in zip(against, answers, strict=True) if answer.word is Word.YES
    ]
    for word in (Word.NO, Word.NOT_POSSIBLE):
        for answer in answers:
            if answer.word is word:
                return answer, same
    return answers[-1], same


def _compare(
    bundle: bundles.Bundle, point: checkpoints.Checkpoint, keys: rotations.Keys, trust: Trust, kept: comparisons.Kept
) -> Answer:
    try:
        note, old = checkpoints.read(kept.note)
    except checkpoints.CheckpointError as error:
        return Answer(Word.NOT_POSSIBLE, f"needs a checkpoint that can be read: {error}")
    own = [line for line in note.lines if line.name == old.origin]
    if old.origin != point.origin:
        return Answer(Word.NO, f"the checkpoint kept is of {old.origin}, the bundle of {point.origin}")
    known = {keys.at(old.size), *(trust.keys if old.size > point.size else ())}
    if not any(comparisons.signed(note, own, old.origin, key) for key in known):
        return Answer(Word.NOT_POSSIBLE, "needs a kept checkpoint that the log's key, or one you trust, has signed")
    return comparisons.compare(old, point, forward=bundle.consistency, backward=kept.later)


def _rejudged(
    bundle: bundles.Bundle, found: Sequence[tuple[statements.Statement, Mapping[str, Any]]], rejudge: Rejudge
) -> Answer:
    answers = []
    for statement, opened in found:
        if statement.kind == statements.DECISION:
            plain = statement.predicate
            case = Case(
                decision=plain["decision"],
                clock=plain["policyClock"],
                chosen=plain["chosen"],
                records=bundle.records,
                plain=plain,
                candidates=opened.get("candidates"),
            )
            answer = rejudge(case)
            answers.append(Answer(answer.word, f"attempt {statement.attempt}: {answer.why}"))
    for word in (Word.DIFFERENT, Word.NOT_POSSIBLE, Word.SAME):
        for answer in answers:
            if answer.word is word:
                return answer
    return Answer(Word.NOT_POSSIBLE, "needs a decision")
