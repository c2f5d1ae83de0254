"""Small typed views of what the API answers. Each keeps the whole document beside the fields a program needs most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from orchestrator.domain import jobs

JsonObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as the API shows it."""

    id: str
    name: str
    phase: jobs.Phase
    reason: str
    exit_code: int | None
    signal: int | None
    site: str | None
    attempts: Sequence[Mapping[str, Any]]
    conditions: Sequence[Mapping[str, Any]]
    document: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> JobView:
        """Read a job's document."""
        metadata, status = document.get("metadata", {}), document.get("status", {})
        attempts = status.get("attempts") or []
        last = attempts[-1] if attempts else {}
        return cls(
            id=metadata.get("id", ""),
            name=metadata.get("name", ""),
            phase=jobs.Phase(status.get("phase", jobs.Phase.QUEUED.value)),
            reason=status.get("reason") or "",
            exit_code=status.get("exitCode"),
            signal=status.get("signal"),
            site=last.get("site"),
            attempts=attempts,
            conditions=status.get("conditions") or [],
            document=document,
        )

    @property
    def warnings(self) -> Sequence[str]:
        """Return what the server wants a person to know."""
        return [str(text) for text in self.document.get("warnings") or []]

    def condition(self, type_: str) -> Mapping[str, Any] | None:
        """Return the condition of this type if it is true now."""
        for condition in self.conditions:
            if condition.get("type") == type_ and condition.get("status") in (True, "True"):
                return condition
        return None


@dataclass(frozen=True, slots=True)
class PlanView:
    """Where a job would go, and why nowhere else."""

    digest: str
    placeable: bool
    chosen: str | None
    sites: Sequence[Mapping[str, Any]]
    document: Mapping[str, Any] = field(repr=False)

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
        return [str(text) for text in self.document.get("warnings") or []]

    @property
    def can_wait(self) -> bool:
        """Say whether waiting alone could help: some site is refused only for reasons whose remedy is WAIT."""
        return self.placeable or any(_only_wait(site) for site in self.sites)


def _only_wait(site: Mapping[str, Any]) -> bool:
    denials = [reason for reason in site.get("reasons", []) if reason.get("effect") == "deny"]
    return all((reason.get("remedy") or {}).get("kind") == "WAIT" for reason in denials)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; ``cursor`` None: the last one."""

    items: Sequence[JsonObject]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event. ``id`` resumes the stream right after it."""

    id: str
    kind: str
    body: JsonObject


@dataclass(frozen=True, slots=True)
class LogPage:
    """What a log said after a cursor. ``chunks`` are (rank, bytes); ``ended``: nothing will follow."""

    chunks: Sequence[tuple[int, bytes]]
    cursor: str
    ended: bool


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that a job left."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A new token; ``secret`` is shown once and stored nowhere."""

    id: str
    secret: str = field(repr=False)
    tenant: str
    roles: Sequence[str]
    expires: str | None
