"""One document or job, told whole: first what matters, then the document itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.cli.rendering import columns, documents, tables
from orchestrator.cli.rendering.columns import cell

Item = Mapping[str, Any]


def describe(kind: str, item: Item) -> str:
    """Return the text of ``comity describe``."""
    if kind == "jobs":
        return "\n".join(_job(item))
    return documents.dump(dict(item)).rstrip("\n")


def _job(item: Item) -> list[str]:
    metadata, status = item.get("metadata", {}), item.get("status", {})
    rows = [
        ("name", metadata.get("name")),
        ("id", metadata.get("id")),
        ("phase", status.get("phase")),
        ("reason", status.get("reason")),
        ("exit code", status.get("exitCode")),
        ("signal", status.get("signal")),
        ("submitted", status.get("submittedAt")),
        ("by", status.get("submittedBy")),
        ("ended", status.get("endedAt")),
    ]
    lines = tables.aligned([[f"{key}:", tables.clean(cell(value))] for key, value in rows if value not in (None, "")])
    if attempts := status.get("attempts"):
        heading = ["ATTEMPT", "SITE", "PHASE", "EXIT", "STARTED", "ENDED", "REASON"]
        table = [
            [cell(one.get(key)) for key in ("number", "site", "phase", "exitCode", "startedAt", "endedAt", "reason")]
            for one in attempts
        ]
        lines += ["", *tables.aligned([heading, *table])]
        told = [[cell(one.get("number")), tables.clean(cell(one["detail"]))] for one in attempts if one.get("detail")]
        lines += ["", *tables.aligned([["ATTEMPT", "HOW IT ENDED"], *told])] if told else []
        lines += _seen(attempts)
    if conditions := status.get("conditions"):
        heading = ["CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE"]
        table = [
            [tables.clean(cell(one.get(key))) for key in ("type", "status", "since", "reason", "message")]
            for one in conditions
        ]
        lines += ["", *tables.aligned([heading, *table])]
    if owed := status.get("obligations"):
        table = [[tables.clean(text) for text in row] for row in columns.rows("obligations", owed, wide=False)]
        lines += ["", *tables.aligned([row[1:] for row in table])]
    lines += ["", "spec:", *(f"  {line}" for line in documents.dump(_short(item.get("spec", {}))).splitlines())]
    return lines


def _seen(attempts: Sequence[Item]) -> list[str]:
    """Return where attempts were seen, one line a node, and which program said so; [] where nobody saw anything."""
    table = []
    for one in attempts:
        seen = one.get("seen") or {}
        by = seen.get("adapter") or {}
        said = f"{by['distribution']} {by['version']}" if by else None
        for node in seen.get("nodes") or ():
            level = f"{node.get('source') or 'no source'}, {node.get('assurance')}" if node.get("country") else None
            image = (node.get("imageDigest") or "")[:19] or None
            row = (one.get("number"), node.get("rank"), node.get("node"), node.get("country"), level, image, said)
            table.append([tables.clean(cell(value)) for value in row])
        if result := seen.get("attestation"):
            covers = ", ".join(result.get("covers") or ()) or "no facts"
            until, what = f"{covers}; to {result.get('until')}", f"attested {result.get('tee')}"
            row = (one.get("number"), None, what, result.get("country"), until, None, result.get("verifier"))
            table.append([tables.clean(cell(value)) for value in row])
    heading = ["SEEN", "RANK", "NODE", "COUNTRY", "SOURCE", "IMAGE", "BY"]
    return ["", *tables.aligned([heading, *table])] if table else []


def _short(spec: Item) -> dict[str, Any]:
    """Return the spec with the content of files told by its size: nobody reads base64."""
    files = spec.get("files")
    if not isinstance(files, Mapping):
        return dict(spec)
    told = {}
    for name, source in files.items():
        content = source.get("content") if isinstance(source, Mapping) else None
        told[name] = f"{len(str(content)) * 3 // 4 - str(content).count('=')} bytes" if content is not None else source
    return {**spec, "files": told}
