"""Names of documents are unique within a tenant: the key of a document is its name, kind and tenant.

Queues were kept without one; theirs is the tenant that the document itself names.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COLUMNS = ("name", "kind", "tenant", "body", "version", "status", "created_at", "updated_at")


def upgrade() -> None:
    """Make the table anew, since a key cannot be changed, and bring every row over."""
    op.rename_table("documents", "documents_0001")
    made = op.create_table(
        "documents",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    old = sa.table("documents_0001", *(sa.column(name) for name in _COLUMNS))
    rows = [dict(zip(_COLUMNS, row, strict=True)) for row in op.get_bind().execute(sa.select(old))]
    for row in rows:
        if row["kind"] == "Queue":
            row["tenant"] = json.loads(row["body"]).get("spec", {}).get("tenant") or ""
    if rows:
        op.bulk_insert(made, rows)
    op.drop_table("documents_0001")
