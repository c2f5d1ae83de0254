"""Do the parts of a bundle belong together? Statements with their openings, with the journal's entries, with records.

Each function returns what is wrong, in words; nothing is trusted, and nothing is raised for what a bundle holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.evidence import bundles, chain, checkpoints, commitments, observations, statements

PLACED, ENDED = "job.placed", "job.ended"


def unfit(opened: Sequence[commitments.Disclosure], statement: statements.Statement) -> list[str]:
    """Return which openings are not what the statement committed to."""
    wrong = [f"{one.path} is not what was committed to" for one in opened if not commitments.fits(one, statement.held)]
    paths = [one.path for one in opened]
    if paths != sorted(set(paths)):
        wrong.append("what is opened is not in order of path, each once")
    return wrong


def untied(
    statement: statements.Statement, point: checkpoints.Checkpoint, entries: Mapping[int, bundles.Shown]
) -> list[str]:
    """Return where a statement and the journal's entries disagree."""
    log = statement.predicate["log"]
    wrong = [f"entry {seq} is missing" for seq in log["entries"] if seq not in entries]
    if log["origin"] != point.origin:
        wrong.append(f"is of the log {log['origin']}")
    placed = entries.get(log["placed"])
    if placed is None:
        return [*wrong, f"entry {log['placed']}, which placed the attempt, is missing"]
    if chain.to_digest(placed.link) != log["link"]:
        wrong.append(f"entry {placed.seq} is not the one it was made for")
    if placed.entry is None:
        return wrong
    said, body = placed.entry, placed.entry["body"]
    pairs = [("job", f"job/{statement.job}", said["subject"]), ("attempt", statement.attempt, body.get("attempt"))]
    pairs.append(("kind", PLACED, said["kind"]))
    if statement.kind == statements.DECISION:
        plain = statement.predicate
        pairs += [("clock", plain["policyClock"], said["at"]), ("chosen", plain["chosen"], body.get("site"))]
        pairs.append(("decision", plain["decision"], body.get("decision")))
    return wrong + [
        f"{name} is {mine!r:.100}, and entry {placed.seq} says {theirs!r:.100}"
        for name, mine, theirs in pairs
        if mine != theirs
    ]


def unlike(statement: statements.Statement, opened: Mapping[str, Any], entries: Sequence[bundles.Shown]) -> list[str]:
    """Return where what a statement opens of an end, or of what was seen until then, is not what the journal holds."""
    if statement.kind != statements.EXECUTION:
        return []
    said = opened.get("exit")
    value = said.get("value") if isinstance(said, dict) else None
    wrong = []
    for shown in entries:
        body = shown.entry["body"] if shown.entry is not None and shown.entry["kind"] == ENDED else {}
        if not isinstance(body, dict) or body.get("attempt") != statement.attempt:
            continue
        if "execution" in body:
            wrong += _unseen(opened, body["execution"], shown.seq)
        if isinstance(value, dict):
            wrong += [
                f"{name} is {value.get(name)!r:.40}, and entry {shown.seq} says {body.get(name)!r:.40}"
                for name in ("exitCode", "signal")
                if value.get(name) != body.get(name)
            ]
    return wrong


def _unseen(opened: Mapping[str, Any], digest: object, seq: int) -> list[str]:
    """Return whether nodes, adapter, files and attestation that are opened, all of them, are not those of the end."""
    said = [opened.get(path) for path in observations.FIXED]
    if not all(isinstance(one, dict) for one in said):
        return []  # some of it is kept back: only its commitment is known
    values = {path: one.get("value") for path, one in zip(observations.FIXED, said, strict=True) if one is not None}
    try:
        found = observations.digest_of(values)
    except (TypeError, ValueError):
        return [f"what was seen of the attempt has no digest, and entry {seq} says {digest!r:.80}"]
    return [] if found == digest else [f"what was seen of the attempt is {found}, and entry {seq} says {digest!r:.80}"]


def incomplete(
    found: Sequence[tuple[statements.Statement, Mapping[str, Any]]], entries: Sequence[bundles.Shown]
) -> list[str]:
    """Return what is missing or doubled: each placed attempt has one decision and one execution."""
    made = [(statement.predicate["log"]["placed"], statement.kind) for statement, _ in found]
    placed = [shown.seq for shown in entries if shown.entry is not None and shown.entry["kind"] == PLACED]
    wanted = {(seq, kind) for kind in (statements.DECISION, statements.EXECUTION) for seq in placed}
    wrong = [f"no {kind} for the placement of entry {seq}" for seq, kind in sorted(wanted - set(made))]
    if made != sorted(set(made)):
        wrong.append("statements are not in order of entry and kind, each once")
    if not made:
        wrong.append("no statement at all")
    if len({statement.job for statement, _ in found}) > 1:
        wrong.append("statements about several jobs")
    return wrong


def references(plain: Mapping[str, Any], records: Mapping[str, Any]) -> set[Any]:
    """Return the digests that a decision leads to."""
    found = {plain["decision"], plain["policy"]}
    body = records.get(plain["decision"])
    if isinstance(body, dict):
        found |= {body[name] for name in ("class", "question", "policy", "shapes", "sites") if _is_text(body.get(name))}
        listed = records.get(str(body.get("sites")))
        if isinstance(listed, list):
            found |= {each[1] for each in listed if isinstance(each, list) and len(each) == 2 and _is_text(each[1])}
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)
