"""Whether one person may hold every right, or rights that check each other are held apart."""

from __future__ import annotations

import enum


class Mode(enum.Enum):
    """Said when the server starts, in every decision and in every entry about a change by a person."""

    ONE_PERSON = "one-person"
    """One token may state facts, write policy and submit: nobody checks anybody."""
    SEPARATE_ROLES = "separate-roles"
    """No token holds two of these three, the administrator's neither."""
