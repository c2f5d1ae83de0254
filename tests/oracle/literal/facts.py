"""What the rules ask of a compact case: plain dictionaries in, plain answers out. A missing key is an unknown fact.

Where a rule says "in", an unknown value is not in; where it says "not" or "outside", an unknown value is outside.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from tests.oracle.literal import tables

Case = Mapping[str, Any]

DENY = "deny"
OBLIGE = "oblige"
WAIVED = "waived"

Finding = tuple[str, str]
"""Effect and code; of a waived rule the code is followed by a blank, "by" and what waived it."""


def day(value: Any) -> dt.date:
    """Return a day, which may be written as text."""
    return dt.date.fromisoformat(value) if isinstance(value, str) else value


def operator(backend: Case) -> Case:
    """Return what is known of the operator."""
    return backend.get("operator") or {}


def parent(backend: Case) -> str | None:
    """Return where the operator's ultimate parent sits."""
    return operator(backend).get("parent_hq")


def tenant(job: Case) -> Case:
    """Return what is known of the tenant."""
    return job.get("tenant") or {}


def data_sets(job: Case) -> list[Case]:
    """Return the data sets that the job reads."""
    return list(job.get("data") or ())


def classes(data: Case) -> set[str]:
    """Return the classes of a data set."""
    return set(data.get("classes") or ())


def subjects(data: Case) -> set[str]:
    """Return where the persons of a data set are."""
    return set(data.get("subjects") or ())


def safeguards(data: Case) -> set[str]:
    """Return the safeguards of a data set."""
    return set(data.get("safeguards") or ())


def is_personal(data: Case) -> bool:
    """Return whether the data set is personal."""
    return bool(classes(data) & tables.PERSONAL)


def count(data: Case) -> int:
    """Return the number of persons, none if not stated."""
    return data.get("count") or 0


def sensitive_count(data: Case) -> int:
    """Return the number of persons with sensitive data, none if not stated."""
    return data.get("sensitive_count") or 0


def locations(backend: Case) -> list[str]:
    """Return L: every place where something of the job would be, as far as stated."""
    stated: Iterable[str | None] = (
        backend.get("country"),
        *(backend.get("admin_from") or ()),
        *(backend.get("stores") or ()),
    )
    return sorted({place for place in stated if place is not None})


def by_objective(levels: Mapping[Any, int] | None) -> dict[int, int | None]:
    """Return levels by the number of their objective, which files write as a number or as text."""
    return {int(objective): level for objective, level in (levels or {}).items()}


def evidence(backend: Case) -> set[str]:
    """Return the kinds of evidence that the backend holds."""
    return set(backend.get("evidence") or ())


def has_certificate(backend: Case, scheme: str, at: dt.date) -> bool:
    """Return whether a certificate is present and not past its end; no end stated is no end."""
    held = backend.get("certs") or {}
    if scheme not in held:
        return False
    end = held[scheme]
    return end is None or at <= day(end)


def ear_class(accelerator: Case) -> str | None:
    """Return "a", "b", "a-nondc" or None."""
    tpp, density = accelerator.get("tpp"), accelerator.get("pd")
    if tpp is None:
        return None
    if accelerator.get("datacenter") is False:
        return "a-nondc" if tpp >= 4800 else None
    if tpp >= 4800:
        return "a"
    if tpp >= 1600 and (density is None or density >= 5.92):
        return "a"
    if density is not None and 2400 <= tpp < 4800 and 1.6 <= density < 5.92:
        return "b"
    if density is not None and tpp >= 1600 and 3.2 <= density < 5.92:
        return "b"
    return None
