"""The atlas of examples, read and asked as ``comity plan --with examples/atlas`` does."""

from __future__ import annotations

import datetime as dt
import functools
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from orchestrator.bootstrap import offline
from orchestrator.cli import documents

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "examples" / "atlas"
GOLDEN = FOLDER / "golden" / "answers.yaml"


class Golden(NamedTuple):
    """What stands in the file of golden answers for one job."""

    job: str
    tenant: str
    chosen: str | None
    placeable: list[str]
    duties: dict[str, list[str]]
    refused: dict[str, list[str]]


@functools.cache
def day() -> dt.datetime:
    """Return the day of the golden answers."""
    found: dt.date = _golden()["at"]
    return dt.datetime(found.year, found.month, found.day, tzinfo=dt.UTC)


def goldens() -> Iterator[Golden]:
    """Return the golden answers."""
    for one in _golden()["answers"]:
        yield Golden(
            one["job"],
            one["tenant"],
            one["chosen"],
            one["placeable"],
            _by_site(one.get("duties")),
            _by_site(one.get("refused")),
        )


@functools.cache
def declared() -> tuple[documents.SourceDocument, ...]:
    """Return every document of the folder itself."""
    return tuple(documents.read([str(FOLDER)]))


def of_kind(kind: str) -> dict[str, Mapping[str, Any]]:
    """Return the specs of one kind by name, as written."""
    return {one.name: one.data["spec"] for one in declared() if one.kind == kind}


def job(name: str) -> dict[str, Any]:
    """Return the document of a job."""
    return documents.read([str(FOLDER / "jobs" / f"{name}.yaml")])[0].data


@functools.cache
def ask(name: str, tenant: str) -> Mapping[str, Any]:
    """Return the answer to a job of a tenant on the day of the golden answers."""
    world = offline.read([one.data for one in declared()], tenant=tenant, at=day())
    return offline.plan(job(name), world, tenant=tenant, at=day())


def codes(site: Mapping[str, Any], effect: str) -> list[str]:
    """Return the codes of one effect at one site."""
    return sorted({reason["code"] for reason in site["reasons"] if reason["effect"] == effect})


@functools.cache
def _golden() -> Any:
    return yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))


def _by_site(groups: list[dict[str, list[str]]] | None) -> dict[str, list[str]]:
    return {site: sorted(group["codes"]) for group in groups or () for site in group["sites"]}
