"""Obligations have a table of their own: there may be as many as jobs, and what is due is asked for all the time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table. Jobs placed before have none: their decisions list what they oblige to."""
    op.create_table(
        "obligations",
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_obligations_due", "obligations", ["state", "due_at"])
    op.create_index("ix_obligations_tenant", "obligations", ["tenant", "state", "job", "code"])
