"""A checked bundle as people and programs read it: the answers, and one page that says what is not proved.

Everything from the bundle is somebody else's text: control characters are taken out before it is shown.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator.cli.rendering import tables
from orchestrator.cli.style import paint
from orchestrator.evidence import comparisons, statements, verification

WIDTH = 100
_GOOD = frozenset({comparisons.Word.GOOD, comparisons.Word.TRUSTED, comparisons.Word.YES, comparisons.Word.SAME})
_OPEN = frozenset({comparisons.Word.NOT_ASKED, comparisons.Word.NOT_POSSIBLE, comparisons.Word.UNKNOWN})
CITED_MAX = 12

NOT_PROVED = (
    "that what was declared is true: facts without evidence are the word of whoever declared them",
    "that the law was followed: no rule in force refused, which is engineering, not legal advice",
    "that the job did nothing else: only what the journal and the backend's adapter reported is stated",
    "that nothing was left out before the first checkpoint that somebody outside kept",
)
"""What no bundle proves, whatever it holds."""


def document(report: verification.Report) -> dict[str, Any]:
    """Return the answers as data."""
    point = report.checkpoint
    return {
        "verified": report.verified,
        "verdict": verdict(report),
        "answers": {name: {"answer": answer.word.value, "detail": answer.why} for name, answer in _questions(report)},
        "problems": list(report.problems),
        "log": None if point is None else {"origin": point.origin, "size": point.size, "key": report.key},
        "cosignatures": [
            {"name": one.name, "at": _time(one.seconds), "trusted": one.by is not None} for one in report.cosigned
        ],
        "statements": [
            {"type": one.kind, "job": one.job, "attempt": one.attempt, "opened": dict(opened), "signed": _plain(one)}
            for one, opened in report.found
        ],
    }


def answers(report: verification.Report, file: str) -> str:
    """Return one line an answer, and the verdict."""
    rows = [[name, _word(answer), _clean(answer.why)] for name, answer in _questions(report)]
    lines = [_clean(f"{file}: {_about(report)}"), ""]
    lines += tables.aligned(rows, margin="  ")
    lines += [f"  cosigned       {line}" for line in _cosigned(report)]
    return "\n".join([*lines, "", verdict(report)])


def verdict(report: verification.Report) -> str:
    """Return the last line."""
    if report.wrong:
        return f"WRONG: {_clean(report.problems[0]) if report.problems else 'see above'}"
    if not report.verified:
        return "consistent, signer unknown: name the log's key with --trust"
    if report.rejudged.word is not comparisons.Word.SAME:
        return "verified; the decision was not judged again"
    return "verified"


def page(report: verification.Report, file: str) -> str:
    """Return one page for people who were not there."""
    lines = ["EVIDENCE OF A PLACEMENT", "=" * 23, "", *_wrapped(f"File: {file}"), *_wrapped(f"About: {_about(report)}")]
    lines += ["", "1. What was checked, offline, by this program", ""]
    for name, answer in _questions(report):
        lines += _wrapped(f"{name}: {answer.word.value}{f' ({answer.why})' if answer.why else ''}", margin="   ")
    lines += _wrapped(f"Verdict: {verdict(report)}.", margin="   ")
    lines += ["", "2. Who decided"]
    if report.checkpoint is not None:
        lines += _wrapped(
            f"The log {report.checkpoint.origin}, with the key {report.key}, whose checkpoint of "
            f"{report.checkpoint.size} entries holds everything below.",
            margin="   ",
        )
    lines += [line for text in _cosigned(report) for line in _wrapped(f"Cosigned by {text}.", margin="   ")]
    for statement, opened in report.found:
        try:
            decided = statement.kind == statements.DECISION
            lines += _decided(report, statement, opened) if decided else _observed(statement, opened)
        except (AttributeError, KeyError, TypeError, ValueError):
            # Whoever signed it wrote something else than this program does.
            lines += ["", f"   What statement {statement.attempt} opens has another form and is not shown."]
    lines += ["", "What is NOT proved", ""]
    for text in (*_unproved(report), *NOT_PROVED):
        lines += _wrapped(f"- {text}", margin="   ", more="     ")
    return "\n".join(lines)


def _questions(report: verification.Report) -> tuple[tuple[str, comparisons.Answer], ...]:
    return (
        ("signature", report.signature),
        ("signer", report.signer),
        ("included", report.included),
        ("log consistent", report.consistent),
        ("re-execution", report.rejudged),
    )


def _about(report: verification.Report) -> str:
    jobs = sorted({statement.job for statement, _ in report.found})
    count = len({statement.attempt for statement, _ in report.found})
    return f"job {', '.join(jobs) or 'unknown'}, {count} attempt{'' if count == 1 else 's'}"


_MODES = {
    "one-person": "One-person mode: one token could state facts, write policy and submit.",
    "separate-roles": "Roles were separate: no token held two of facts, policy and submit.",
}


def _decided(report: verification.Report, statement: statements.Statement, opened: Mapping[str, Any]) -> list[str]:
    plain = statement.predicate
    lines = ["", f"3. What was decided (attempt {statement.attempt})", ""]
    lines += _wrapped(f"On {plain['policyClock']} the job was placed at {plain['chosen']}.", margin="   ")
    if plain.get("mode"):
        lines += _wrapped(_MODES.get(plain["mode"], f"Roles: {plain['mode']}."), margin="   ")
    on = ", ".join(f"{pack['id']} {pack['version']}" for pack in plain["packs"])
    lines += _wrapped(f"Rules in force: {on or 'none'}.", margin="   ")
    for name, words in (("off", "packsOff"), ("failed to load", "packsFailed"), ("not installed", "packsAbsent")):
        lines += _wrapped(f"Packs {name}: {', '.join(plain[words]) or 'none'}.", margin="   ")
    sites = opened.get("candidates")
    if not isinstance(sites, list):
        return [*lines, "   The answers of the sites are kept back."]
    for site in sites:
        codes = sorted({why["code"] for why in site["reasons"] if why["effect"] == "deny"})
        said = "no rule in force refused" if site["allowed"] else f"refused: {', '.join(codes) or 'not recorded why'}"
        where = site.get("country") or "country unknown"
        lines += _wrapped(f"{site['site']} ({where}): {said}", margin="   ", more="     ")
    chosen = [site for site in sites if site["site"] == plain["chosen"]]
    others = [site for site in sites if site["site"] != plain["chosen"]]
    lines += _listed("Sources of the facts about the chosen place:", _stamps(report, plain))
    lines += _listed("Facts and caveats that the choice rests on:", _cited(chosen))
    lines += _listed("Facts that refused the other places:", _cited(others))
    for duty in opened.get("obligations") or ():
        lines += _wrapped(f"Duty: {duty['code']}: {duty['message']}", margin="   ", more="     ")
    return lines


def _stamps(report: verification.Report, plain: Mapping[str, Any]) -> list[str]:
    """Return source and dates of what was declared about the chosen site and its operator."""
    listed = report.records.get(plain["factsDigest"])
    digests = dict(listed) if isinstance(listed, list) else {}
    site = report.records.get(digests.get(plain["chosen"], ""))
    if not isinstance(site, Mapping):
        return ["kept back"]
    operator = site.get("operator") or {}
    found = [
        ("site", site.get("facts")),
        (f"operator {site.get('operator_name')}", operator.get("facts")),
    ]
    lines = []
    for name, stamp in found:
        said = stamp or {}
        dates = f"as of {said.get('as_of') or 'no date'}, valid to {said.get('valid_to') or 'no date'}"
        lines.append(f"{name}: {said.get('source') or 'no source'}, {dates}")
    for paper in site.get("certifications") or ():
        dates = f"valid to {paper.get('valid_to') or 'no date'}"
        lines.append(f"certificate {paper.get('scheme')}: {paper.get('evidence') or 'no evidence'}, {dates}")
    return lines


def _cited(sites: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the facts that reasons cite, and the caveats."""
    seen = []
    for site in sites:
        for why in site["reasons"]:
            for fact in why.get("facts") or () if why["effect"] != "caveat" else ():
                dates = f"as of {fact.get('asOf') or 'no date'}, valid to {fact.get('validTo') or 'no date'}"
                source = f"{fact.get('assurance') or 'no assurance'}, {fact.get('source') or 'no source'}"
                seen.append(f"{why['code']}: {fact['path']} = {fact['value']} ({source}, {dates})")
            if why["effect"] == "caveat" and site["allowed"]:
                seen.append(f"{why['code']}: {why['message']}")
    return list(dict.fromkeys(seen))


def _listed(title: str, texts: list[str]) -> list[str]:
    if not texts:
        return []
    lines = ["", f"   {title}"]
    for text in texts[:CITED_MAX]:
        lines += _wrapped(f"- {text}", margin="   ", more="     ")
    return lines + ([f"   and {len(texts) - CITED_MAX} more in the file"] if len(texts) > CITED_MAX else [])


def _observed(statement: statements.Statement, opened: Mapping[str, Any]) -> list[str]:
    lines = ["", f"4. What was observed (attempt {statement.attempt})", ""]
    for path, said in opened.items():
        if isinstance(said, Mapping) and said.get("observed"):
            shown = _SHOWN.get(path, _plainly)(said["value"])
            lines += _wrapped(f"{path}: {shown} (source: {said['source']})", margin="   ", more="     ")
    return lines


def _plainly(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plainly(item)}" for name, item in value.items() if item is not None)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _of_nodes(value: list[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['node']} (node {one['rank']})" for one in value)


def _of_files(value: list[Mapping[str, Any]]) -> str:
    return (
        ", ".join(f"{one['path']} of {one['bytes']} bytes, {one['sha256'] or 'not read'}" for one in value)
        or "no files"
    )


def _of_location(value: Mapping[str, Any]) -> str:
    """Return the comparison with each country's source: a label proves less than a verifier, and is told as such."""
    seen = "; ".join(
        f"node {one['rank']} in {one['country']} ({one['assurance']}: {one['source'] or 'no source'})"
        for one in value["nodes"]
    )
    return f"{value['result']}: decided for {value['expected'] or 'no country'}, seen {seen}"


def _of_duties(value: list[Mapping[str, Any]]) -> str:
    """Return what became of each duty: done by whom and shown by what, or since when it is late."""
    told = []
    for one in value:
        text = f"{one['code']} {one['state']}"
        if (shown := one.get("evidence")) is not None:
            text += f" on {one['at']} by {one['by']}: {shown['ref']} {shown['digest'] or 'without a digest'}"
        elif one["state"] in ("open", "overdue"):
            text += f", due {one['dueAt'] or 'while the job lives'}"
        told.append(text + (f" ({one['reason']})" if one.get("reason") else ""))
    return "; ".join(told)


_SHOWN: Mapping[str, Callable[[Any], str]] = {
    "node": _of_nodes,
    "outputDigests": _of_files,
    "locationCheck": _of_location,
    "obligations": _of_duties,
}


def _unproved(report: verification.Report) -> list[str]:
    """Return what this bundle in particular leaves open."""
    found = []
    if report.signer.word is not comparisons.Word.TRUSTED:
        found.append("who signed: no key that you trust")
    if report.consistent.word is not comparisons.Word.YES:
        found.append("that the log showed you the history it shows others: no checkpoint of your own was compared")
    if not any(one.by for one in report.cosigned):
        found.append("that anybody outside has seen this history: no cosignature of a witness that you named")
    if report.rejudged.word is not comparisons.Word.SAME:
        found.append(f"that the rules give the same answer again: {report.rejudged.why}")
    unseen = {
        path
        for statement, opened in report.found
        if statement.kind == statements.EXECUTION
        for path, said in opened.items()
        if not (isinstance(said, Mapping) and said.get("observed"))
    }
    if unseen:
        found.append(f"what nobody observed: {', '.join(sorted(unseen))}")
    for statement, opened in report.found:
        if statement.kind == statements.EXECUTION:
            found += _doubtful(statement.attempt, opened)
    kept = {path for statement, opened in report.found for path in statement.held if path not in opened}
    if kept:
        found.append(f"what is kept back, and only fixed by commitments: {', '.join(sorted(kept))}")
    return found


def _doubtful(attempt: int, opened: Mapping[str, Any]) -> list[str]:
    """Return what is open about one attempt although something was seen."""
    found = []
    try:
        check = (opened.get("locationCheck") or {}).get("value")
        if check is not None and check["result"] == "contradicts":
            found.append(f"that attempt {attempt} ran where it was decided: a node was SEEN IN ANOTHER COUNTRY")
        elif check is not None and check["assurance"] == "declared":
            found.append(f"where attempt {attempt} ran: its country is only declared, by a label or a setting")
        for one in (opened.get("obligations") or {}).get("value") or ():
            if one["state"] in ("open", "overdue"):
                found.append(f"that {one['code']} was done: it is {one['state']}")
    except (AttributeError, KeyError, TypeError):
        found.append(f"what attempt {attempt} says of its place or duties: it has another form")
    return found


def _cosigned(report: verification.Report) -> list[str]:
    return [
        f"{_clean(one.name)} at {_time(one.seconds)}{'' if one.by else ' (a witness you did not name: says nothing)'}"
        for one in report.cosigned
    ]


def _time(seconds: int) -> str:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return "no moment"


def _plain(statement: statements.Statement) -> dict[str, Any]:
    return {name: value for name, value in statement.predicate.items() if name != "commitments"}


def _word(answer: comparisons.Answer) -> str:
    colour = "green" if answer.word in _GOOD else "yellow" if answer.word in _OPEN else "red"
    return paint(answer.word.value, colour)


def _clean(text: object) -> str:
    return tables.clean(str(text))


def _wrapped(text: str, *, margin: str = "", more: str | None = None) -> list[str]:
    return textwrap.wrap(
        _clean(text), WIDTH, initial_indent=margin, subsequent_indent=margin if more is None else more
    ) or [margin]
