"""The head of the journal is authenticated with a key that is not in the database (docs/adr/0019)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table anew with one column more, as a fresh one has it. The column is empty until the next commit."""
    op.rename_table("state", "state_before")
    op.create_table(
        "state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("head_seq", sa.BigInteger, nullable=False),
        sa.Column("head_hash", sa.LargeBinary, nullable=False),
        sa.Column("queue_seq", sa.BigInteger, nullable=False),
        sa.Column("documents_version", sa.BigInteger, nullable=False),
        sa.Column("head_mac", sa.LargeBinary),
    )
    moved = "id, head_seq, head_hash, queue_seq, documents_version"
    op.execute(f"INSERT INTO state ({moved}) SELECT {moved} FROM state_before")  # noqa: S608 -- constants
    op.drop_table("state_before")
