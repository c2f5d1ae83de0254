"""Plans and explanations as a person reads them. The answer is data; every sentence in it comes from the server."""

from __future__ import annotations

import collections
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.cli.rendering import tables
from orchestrator.cli.rendering.columns import cell, short_digest
from orchestrator.cli.style import paint

Item = Mapping[str, Any]
DIGEST_DIGITS = 6
WIDTH, TEXT_MIN = 120, 60
"""Where sentences are wrapped; they keep at least so much room beside a long code."""
HARD = "\N{NO-BREAK SPACE}"
MANY, TALLIED = 20, 4
"""Above so many sites the refusals are counted below the table; so many codes are named."""
PRICE, GRAMS = 3, 4
"""Columns of figures."""


def plan(answer: Item, document: Item, *, source: str | None, wide: bool = False) -> str:
    """Return the table of a plan: every site, the chosen one first, each refused one with every code."""
    name = document.get("metadata", {}).get("name", "job")
    sites = ordered(answer)
    lines = [_first_line(answer, f"{name}: {summary(document)}", len(sites)), ""]
    currency = next((str(site["price"]).split()[-1] for site in sites if site.get("price")), "EUR")
    heading = ["SITE", "COUNTRY", "OPERATOR (PARENT)", f"{currency}/H", "gCO2/H", "RTT", "START", "ANSWER"]
    rows = [heading, *([*_numbers(site), _answer(site, answer, wide=wide)] for site in sites)]
    known = [index for index in range(len(heading)) if wide or any(row[index] != "-" for row in rows[1:])]
    right = frozenset(known.index(index) for index in (PRICE, GRAMS) if index in known)
    table = tables.aligned([[tables.clean(row[index]) for index in known] for row in rows], right=right)
    marks = [" ", *(mark(site, answer) for site in sites)]
    lines += [f"{sign} {line}".rstrip() for sign, line in zip(marks, table, strict=True)]
    if not sites:
        lines.append("  no site is registered: comity apply -f backend.yaml, or comity init")
    if len(sites) > MANY:
        lines += tally(sites)
    lines += halted(answer)
    lines += verification(answer)
    digest = str(answer.get("digest", "")).removeprefix("sha256:")[:DIGEST_DIGITS]
    if answer.get("placeable") and source:
        lines.append(f"plan {digest}   submit as decided: comity submit -f {source} --plan {digest}")
    else:
        lines.append(f"plan {digest}")
        lines += nearest(answer)
    return "\n".join(lines)


def tally(sites: Sequence[Item]) -> list[str]:
    """Return how many sites are refused, and the codes that refuse most of them."""
    refused = [site for site in sites if not site.get("allowed")]
    counted = collections.Counter(str(reason.get("code")) for site in refused for reason in denials(site))
    if not counted:
        return []
    named = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:TALLIED]
    text = ", ".join(f"{code} {count}" for code, count in named)
    others = len(counted) - len(named)
    more = f", and {others} other codes" if others else ""
    return [tables.clean(f"{len(refused)} of {len(sites)} refused: {text}{more}")]


def explain(answer: Item, document: Item, *, backend: str | None = None) -> str:
    """Return every site with every reason, its facts and remedies, then the nearest change."""
    name = document.get("metadata", {}).get("name", "job")
    sites = [site for site in ordered(answer) if backend in (None, site.get("backend"), site.get("site"))]
    decided = "as decided" if answer.get("of") == "decision" else "as it would be decided now"
    lines = [_first_line(answer, f"{name}: {summary(document)}, {decided}", len(sites)), ""]
    for site in sites:
        lines += _explained(site, answer)
    if not sites:
        lines.append(f"no site of {backend!r}" if backend else "no site is registered")
    return "\n".join([*lines, *halted(answer), *verification(answer), *nearest(answer)])


def summary(document: Item) -> str:
    """Return what a job asks for, in one line."""
    spec = document.get("spec", {})
    accelerators = (spec.get("resources") or {}).get("accelerators") or {}
    nodes = int(spec.get("nodes") or 1)
    what = f"{nodes} node{'s' if nodes > 1 else ''}"
    if accelerators:
        what += f" x {accelerators.get('count') or 1} {'|'.join(accelerators.get('anyOf') or [])}"
    if array := spec.get("array"):
        what += f", array of {array.get('size')}"
    if verified := spec.get("verification"):
        what += f", run {verified.get('replicas')} times and compared"
    data = spec.get("data")
    if data == "none":
        return f"{what}, no data"
    reads = ", ".join(str(read.get("name")) for read in (data or {}).get("reads") or [])
    return f"{what}, data {reads}" if reads else f"{what}, no data declared"


def ordered(answer: Item) -> list[Item]:
    """Return the sites: the ranking first, then what may not, by fewest reasons and name."""
    rank = {name: index for index, name in enumerate(answer.get("ranking") or [])}
    if answer.get("chosen"):
        rank[answer["chosen"]] = -1
    return sorted(
        answer.get("sites") or [],
        key=lambda site: (
            not site.get("allowed"),
            rank.get(site.get("site"), len(rank)),
            len(denials(site)),
            str(site.get("site")),
        ),
    )


def denials(site: Item) -> list[Item]:
    """Return the reasons that refuse a site."""
    return [reason for reason in site.get("reasons") or [] if reason.get("effect") == "deny"]


def mark(site: Item, answer: Item) -> str:
    """Return ``>`` for the chosen site, ``x`` for a refused one."""
    if site.get("site") == answer.get("chosen"):
        return paint(">", "green", bold=True)
    return " " if site.get("allowed") else paint("x", "red")


def halted(answer: Item) -> list[str]:
    """Return why nothing is placed anywhere now, as lines; [] as a rule."""
    lines = []
    for one in answer.get("halted") or []:
        lines.append(tables.clean(f"halted: {one.get('code')}: {one.get('message')}"))
        if one.get("remedy"):
            lines.append(f"        {remedy(one['remedy'])}")
    return lines


def verification(answer: Item) -> list[str]:
    """Return what a verified job would meet, as lines; [] for any other."""
    told = answer.get("verification")
    if not told:
        return []
    if missing := told.get("missing"):
        lines = [f"missing:  {missing}"]
    else:
        first = f"verified: {told['replicas']} runs in {told['hands']} hands, {told['quorum']} of which must agree"
        lines = [f"{first}; who gets one is drawn"]
    trusted = ", ".join((told.get("trusted") or [])[:3]) or "nobody: without a quorum it would wait"
    lines.append(f"          trusted, where they do not agree: {trusted}")
    if price := told.get("price"):
        least, expected, most = (str(price[word]) for word in ("least", "expected", "most"))
        beside = "" if told.get("pricesTrusted") else "; the price of a trusted run is not known"
        lines.append(f"          all runs together: {expected} an hour expected, {least} to {most}{beside}")
    for one in told.get("passes") or []:
        who = "one liar" if one["colluding"] == 1 else f"{one['colluding']} that collude"
        lines.append(f"          a wrong answer of {who} is accepted in {100 * one['probability']:.2g} % of jobs")
    return [tables.clean(line) for line in lines]


def nearest(answer: Item) -> list[str]:
    """Return the nearest change as lines."""
    if answer.get("placeable"):
        return [f"nearest change: none needed, {answer.get('chosen') or 'a site'} takes it"]
    changes = answer.get("nearestChange") or []
    if not changes:
        return ["nearest change: none is known"]
    lines = []
    for index, change in enumerate(changes):
        text = remedy(change)
        lines.append(f"nearest change: {text}" if index == 0 else f"           and: {text}")
    return lines


def remedy(value: Item) -> str:
    """Return a remedy in one line."""
    text = f"{value.get('kind')} {value.get('change')}"
    if value.get("until"):
        text += f", until {value['until']}"
    if value.get("dropsConstraint"):
        text += "  (gives up a sovereignty constraint)"
    return tables.clean(text)


def _first_line(answer: Item, text: str, sites: int) -> str:
    packs = (answer.get("versions") or {}).get("packs") or {}
    rules = f", {len(packs)} policies" if packs else ""
    day = str(answer.get("at", ""))[:10]
    return f"{tables.clean(text)}     as of {day}{rules}, {sites} site{'' if sites == 1 else 's'}"


def _numbers(site: Item) -> list[str]:
    operator, parent = site.get("operator"), site.get("parentHq")
    price = str(site["price"]).split()[0] if site.get("price") else "-"
    grams, rtt = site.get("gramsPerHour"), site.get("rttMs")
    return [
        str(site.get("site")),
        cell(site.get("country")),
        f"{operator} ({parent or '?'})" if operator else "-",
        price,
        "-" if grams is None else f"{grams:.0f}",
        "-" if rtt is None else f"{rtt:.0f} ms",
        _start(site),
    ]


def _start(site: Item) -> str:
    starts_in = site.get("startsIn")
    if starts_in is None:
        return "-"
    return "now" if starts_in in ("0s", "") else f"~{starts_in}"


def _answer(site: Item, answer: Item, *, wide: bool) -> str:
    if not site.get("allowed"):
        found = denials(site)
        if wide:
            return "; ".join(f"{reason.get('code')}: {reason.get('message')}" for reason in found)
        return ", ".join(str(reason.get("code")) for reason in found) or "refused"
    allowed = [one for one in answer.get("sites") or [] if one.get("allowed")]
    duties = [str(reason.get("code")) for reason in site.get("reasons") or [] if reason.get("effect") == "oblige"]
    with_duty = f", with a duty: {', '.join(duties)}" if duties else ""
    if site.get("site") == answer.get("chosen"):
        if len(allowed) == 1:
            return f"chosen: the only one that no rule refuses{with_duty}"
        best = "cheapest" if _is_cheapest(site, allowed) else "best"
        return f"chosen: {best} of {len(allowed)} that no rule refuses{with_duty}"
    return f"no rule refuses{_dearer(site, answer)}{with_duty}"


def _is_cheapest(site: Item, allowed: Sequence[Item]) -> bool:
    prices = [str(one["price"]).split() for one in allowed if one.get("price")]
    if len(prices) < len(allowed) or len({currency for _, currency in prices}) != 1:
        return False
    return float(str(site["price"]).split()[0]) < min(
        float(str(one["price"]).split()[0]) for one in allowed if one is not site
    )


def _dearer(site: Item, answer: Item) -> str:
    chosen = next((one for one in answer.get("sites") or [] if one.get("site") == answer.get("chosen")), None)
    if chosen is None or not chosen.get("price") or not site.get("price"):
        return ""
    (own, own_currency), (best, best_currency) = str(site["price"]).split(), str(chosen["price"]).split()
    if own_currency != best_currency or float(own) == float(best):
        return ""
    return "; dearer than the chosen" if float(own) > float(best) else "; cheaper than the chosen"


def _explained(site: Item, answer: Item) -> list[str]:
    refused = denials(site)
    if refused:
        verdict = paint(f"refused, {len(refused)} reason{'' if len(refused) == 1 else 's'}", "red")
    else:
        verdict = paint("chosen", "green") if site.get("site") == answer.get("chosen") else "no rule refuses"
    lines = [f"{tables.clean(str(site.get('site')))}: {verdict}"]
    reasons = site.get("reasons") or []
    indent = max((len(str(reason.get("code"))) for reason in reasons), default=0) + 4
    for reason in reasons:
        effect = "" if reason.get("effect") == "deny" else f"{reason.get('effect')}: "
        code = tables.clean(str(reason.get("code"))).ljust(indent - 2)
        sentence = f"{effect}{tables.clean(str(reason.get('message')))}{HARD}{HARD}[{reason.get('basis')}]"
        wrapped = textwrap.wrap(sentence, max(TEXT_MIN, WIDTH - indent)) or [""]
        first, *rest = [line.replace(HARD, " ") for line in wrapped]
        lines += [f"  {code}{first}", *(" " * indent + line for line in rest)]
        facts = [_fact(fact) for fact in reason.get("facts") or []]
        lines += tables.aligned(facts, margin=" " * indent)
        if reason.get("remedy"):
            lines.append(" " * indent + remedy(reason["remedy"]))
    return [*lines, ""]


def _fact(fact: Item) -> Sequence[str]:
    stamp = [
        str(fact["assurance"]) if fact.get("assurance") else "",
        str(fact["source"]) if fact.get("source") else "no source named",
        f"as of {fact['asOf']}" if fact.get("asOf") else "",
        f"valid to {fact['validTo']}" if fact.get("validTo") else "",
    ]
    words = ", ".join(part for part in stamp if part)
    return [tables.clean(f"{fact.get('path')} = {fact.get('value')}"), tables.clean(words)]


def decision_line(answer: Item) -> str:
    """Return the digest that names a decision, short."""
    return short_digest(str(answer.get("digest", "")))
