"""Identifiers. All are text; ``NewType`` keeps them from being mixed up."""

from __future__ import annotations

import re
from typing import NewType

JobId = NewType("JobId", str)
"""ULID, 26 characters, upper case; an array element is ``<ulid>[<index>]``."""

AttemptKey = NewType("AttemptKey", str)
"""``<ulid lower>[-<index>]-<attempt>``: idempotency key and remote name; legal as a Kubernetes name."""

SiteName = NewType("SiteName", str)
"""``<backend>/<pool>``."""

Digest = NewType("Digest", str)
"""``sha256:<64 hex>`` of a canonical form (RFC 8785)."""

NO_DIGEST = Digest("")
"""Not computed yet."""

Term = NewType("Term", int)
"""Number of the controller's lease; compared in every commit and just before every effect."""

NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
"""Kubernetes' rule for label values, not empty: 63 characters, alphanumeric ends."""

_NAME = re.compile(NAME_PATTERN, re.ASCII)


def is_name(text: str) -> bool:
    """Say whether ``text`` may be the name of a document."""
    return bool(_NAME.fullmatch(text)) and not text.endswith("\n")


def element_id(parent: JobId, index: int) -> JobId:
    """Return the id of element ``index`` of the array ``parent``."""
    return JobId(f"{parent}[{index}]")


def split_element(job: JobId) -> tuple[JobId, int | None]:
    """Return ``(parent, index)`` of an element's id, or ``(job, None)`` for any other job."""
    if job.endswith("]") and "[" in job:
        parent, _, index = job[:-1].partition("[")
        if index.isdecimal():
            return JobId(parent), int(index)
    return job, None


def attempt_key(job: JobId, number: int) -> AttemptKey:
    """Return the key of attempt ``number`` (from 1) of ``job``."""
    parent, index = split_element(job)
    middle = "" if index is None else f"-{index}"
    return AttemptKey(f"{parent.lower()}{middle}-{number}")
