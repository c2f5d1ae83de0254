"""Small typed views of what the API answers. Each keeps the whole document beside the fields a program needs most.

Named tuples and plain words, because the command line must start at once: dataclasses and the domain's modules cost
30 ms to import. A test holds the words here equal to the domain's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

JsonObject: TypeAlias = dict[str, Any]

SUCCEEDED, FAILED, CANCELLED = "SUCCEEDED", "FAILED", "CANCELLED"
TERMINAL = frozenset({SUCCEEDED, FAILED, CANCELLED})
"""Phases that nothing leaves."""


class JobView(NamedTuple):
    """A job as the API shows it."""

    id: str
    name: str
    phase: str
    reason: str
    exit_code: int | None
    signal: int | None
    site: str | None
    attempts: Sequence[Mapping[str, Any]]
    conditions: Sequence[Mapping[str, Any]]
    document: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> JobView:
        """Read a job's document."""
        metadata, status = document.get("metadata", {}), document.get("status", {})
        attempts = status.get("attempts") or []
        last = attempts[-1] if attempts else {}
        return cls(
            id=metadata.get("id", ""),
            name=metadata.get("name", ""),
            phase=status.get("phase", "QUEUED"),
            reason=status.get("reason") or "",
            exit_code=status.get("exitCode"),
            signal=status.get("signal"),
            site=last.get("site"),
            attempts=attempts,
            conditions=status.get("conditions") or [],
            document=document,
        )

    @property
    def ended(self) -> bool:
        """Say whether nothing can follow."""
        return self.phase in TERMINAL

    @property
    def succeeded(self) -> bool:
        """Say whether the job did what it was asked to."""
        return self.phase == SUCCEEDED

    @property
    def warnings(self) -> Sequence[str]:
        """Return what the server wants a person to know."""
        return [str(text) for key in ("warnings", "notices") for text in self.document.get(key) or []]

    def condition(self, type_: str) -> Mapping[str, Any] | None:
        """Return the condition of this type if it is true now."""
        for condition in self.conditions:
            if condition.get("type") == type_ and condition.get("status") in (True, "True"):
                return condition
        return None


class PlanView(NamedTuple):
    """Where a job would go, and why nowhere else."""

    digest: str
    placeable: bool
    chosen: str | None
    sites: Sequence[Mapping[str, Any]]
    document: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> PlanView:
        """Read a plan's document."""
        return cls(
            digest=document.get("digest", ""),
            placeable=bool(document.get("placeable")),
            chosen=document.get("chosen"),
            sites=document.get("sites") or [],
            document=document,
        )

    @property
    def warnings(self) -> Sequence[str]:
        """Return what the server wants a person to know."""
        return [str(text) for key in ("warnings", "notices") for text in self.document.get(key) or []]

    @property
    def can_wait(self) -> bool:
        """Say whether waiting alone could help: some site is refused only for reasons whose remedy is WAIT."""
        return self.placeable or any(_only_wait(site) for site in self.sites)


def _only_wait(site: Mapping[str, Any]) -> bool:
    denials = [reason for reason in site.get("reasons", []) if reason.get("effect") == "deny"]
    return all((reason.get("remedy") or {}).get("kind") == "WAIT" for reason in denials)


class Page(NamedTuple):
    """One page of a list; ``cursor`` None: the last one."""

    items: Sequence[JsonObject]
    cursor: str | None


class ServerEvent(NamedTuple):
    """One server-sent event. ``id`` resumes the stream right after it."""

    id: str
    kind: str
    body: JsonObject


class LogPage(NamedTuple):
    """What a log said after a cursor. ``chunks`` are (rank, bytes); ``ended``: nothing will follow."""

    chunks: Sequence[tuple[int, bytes]]
    cursor: str
    ended: bool


class OutputFile(NamedTuple):
    """A file that a job left."""

    path: str
    size_bytes: int


class CreatedToken(NamedTuple):
    """A new token; ``secret`` is shown once and stored nowhere."""

    id: str
    secret: str
    tenant: str
    roles: Sequence[str]
    expires: str | None
