"""The words for kinds of documents, as paths and people write them. Light: no model is loaded to know a plural."""

from __future__ import annotations

from types import MappingProxyType

PLURALS = MappingProxyType(
    {
        "controlplanes": "ControlPlane",
        "operators": "Operator",
        "backends": "Backend",
        "datasets": "DataSet",
        "tenants": "Tenant",
        "queues": "Queue",
        "policies": "Policy",
        "jobs": "Job",
    }
)
"""Word of paths -> kind. A test holds it equal to the wire's own table."""

_BY_WORD = {plural: plural for plural in PLURALS} | {kind.lower(): plural for plural, kind in PLURALS.items()}
READ_ONLY = ("sites", "decisions", "obligations", "events")
"""Lists that nobody declares."""


def plural(word: str) -> str | None:
    """Return the word of paths for ``Backend``, ``backend``, ``backends``; None for another word."""
    return _BY_WORD.get(word.lower())


def known() -> tuple[str, ...]:
    """Return every word that stands for a kind."""
    return (*_BY_WORD, *READ_ONLY)
