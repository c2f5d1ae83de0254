"""What a change of rules would do, as data, as a page, and as Markdown for a merge request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.cli.rendering import tables

Answers = Sequence[Mapping[str, Any]]
_SHOWN = 20


def replayed(report: Any) -> dict[str, Any]:
    """Return a replay as plain data."""
    return {
        "placements": report.placements,
        "same": report.same,
        "refused": report.refused,
        "elsewhere": report.elsewhere,
        "unreadable": report.unreadable,
        "whyUnreadable": report.why_unreadable or None,
        "codes": dict(report.codes.most_common()),
        "examples": [
            {
                "job": one.job,
                "tenant": one.tenant,
                "site": one.site,
                "placedAt": one.placed_at.isoformat(),
                "refused": list(one.refused),
                "shut": list(one.shut),
                "opened": list(one.opened),
            }
            for one in report.examples
        ],
    }


def replay_page(report: Any) -> list[str]:
    """Return a replay as a person reads it."""
    alike = f"{report.placements} placements: {report.same} come out alike, {report.refused} would be refused"
    lines = [f"{alike}, {report.elsewhere} stay while other sites open or shut"]
    if report.unreadable:
        lines.append(f"{report.unreadable} cannot be judged, their records are gone: {report.why_unreadable}")
    if report.codes:
        rows = [["CODE", "PLACEMENTS"], *([code, str(count)] for code, count in report.codes.most_common())]
        lines += ["", *tables.aligned(rows, right=frozenset({1}))]
    refused = [one for one in report.examples if one.refused]
    if refused:
        rows = [["JOB", "TENANT", "SITE", "PLACED", "WOULD BE REFUSED BY"]]
        rows += [
            [one.job, one.tenant, one.site, f"{one.placed_at:%Y-%m-%d}", ", ".join(one.refused)]
            for one in refused[:_SHOWN]
        ]
        lines += ["", *tables.aligned(rows)]
    others = [one for one in report.examples if not one.refused]
    if others:
        rows = [["JOB", "SITE", "OPENED", "SHUT"]]
        rows += [
            [one.job, one.site, ", ".join(one.opened) or "-", ", ".join(one.shut) or "-"] for one in others[:_SHOWN]
        ]
        lines += ["", *tables.aligned(rows)]
    return lines


def difference(changes: Iterable[Any], answers: Answers, report: Any) -> dict[str, Any]:
    """Return a comparison as plain data."""
    return {
        "changes": [{"kind": one.kind, "name": one.name, "before": one.before, "after": one.after} for one in changes],
        "cases": {"count": len(answers), "changed": [dict(one) for one in _changed(answers)]},
        "replay": replayed(report) if report is not None else None,
    }


def _changed(answers: Answers) -> list[Mapping[str, Any]]:
    return [one for one in answers if one["before"] != one["after"]]


def _sign(one: Any) -> str:
    return "added" if one.before is None else "removed" if one.after is None else "changed"


def diff_page(changes: Sequence[Any], answers: Answers, report: Any) -> list[str]:
    """Return a comparison as a person reads it."""
    lines = [f"{len(changes)} differences in rules and dated facts"]
    if changes:
        rows = [["WHAT", "NAME", "CHANGE"], *([one.kind, one.name, _sign(one)] for one in changes)]
        lines += ["", *tables.aligned(rows)]
    changed = _changed(answers)
    lines += ["", f"{len(answers)} cases, {len(changed)} get another answer"]
    for one in changed:
        lines += [f"{one['case']}: {one['title']}", f"  before {one['before']}", f"  after  {one['after']}"]
    if report is not None:
        lines += ["", *replay_page(report)]
    return lines


def markdown(changes: Sequence[Any], answers: Answers, report: Any) -> list[str]:
    """Return a comparison as Markdown."""
    changed = _changed(answers)
    lines = ["## Policy change", "", f"- {len(changes)} differences in rules and dated facts"]
    lines += [f"- {len(answers)} cases, **{len(changed)}** get another answer"]
    if report is not None:
        lines += [f"- {report.placements} recorded placements, **{report.refused}** would be refused"]
        lines += [f"- {report.unreadable} placements could not be judged"] if report.unreadable else []
    if changes:
        lines += ["", "| what | name | change |", "|---|---|---|"]
        lines += [f"| {one.kind} | `{_cell(one.name)}` | {_sign(one)} |" for one in changes]
    if changed:
        lines += ["", "| case | before | after |", "|---|---|---|"]
        lines += [
            f"| {_cell(one['case'])} {_cell(one['title'])} | {_cell(one['before'])} | {_cell(one['after'])} |"
            for one in changed
        ]
    if report is not None and report.codes:
        lines += ["", "| code | placements |", "|---|---:|"]
        lines += [f"| `{_cell(code)}` | {count} |" for code, count in report.codes.most_common()]
    return [*lines, "", "Engineering, not legal advice."]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
