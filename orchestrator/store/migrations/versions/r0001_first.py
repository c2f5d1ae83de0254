"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_GENESIS = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def upgrade() -> None:
    """Make everything."""
    _make_jobs()
    _make_records()
    _make_declared()
    state = op.create_table(
        "state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("head_seq", sa.BigInteger, nullable=False),
        sa.Column("head_hash", sa.LargeBinary, nullable=False),
        sa.Column("queue_seq", sa.BigInteger, nullable=False),
        sa.Column("documents_version", sa.BigInteger, nullable=False),
    )
    lease = op.create_table(
        "lease",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("ttl", sa.BigInteger, nullable=False),
        sa.Column("renewals", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(state, [{"id": 1, "head_seq": 0, "head_hash": _GENESIS, "queue_seq": 0, "documents_version": 0}])
    op.bulk_insert(lease, [{"id": 1, "holder": "", "term": 0, "expires_at": 0, "ttl": 0, "renewals": 0}])


def _job_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("queue", sa.Text),
        sa.Column("site", sa.Text),
        sa.Column("parent", sa.Text),
        sa.Column("idx", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("queue_seq", sa.BigInteger, nullable=False),
        sa.Column("spec_digest", sa.Text, sa.ForeignKey("specs.digest"), nullable=False),
        sa.Column("submitted_at", sa.BigInteger, nullable=False),
        sa.Column("submitted_by", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    ]


def _make_jobs() -> None:
    op.create_table(
        "specs",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "spec_labels",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("spec_digest", sa.Text, sa.ForeignKey("specs.digest"), primary_key=True),
        sqlite_with_rowid=False,
    )
    top, element = sa.text("parent IS NULL"), sa.text("parent IS NOT NULL")
    for short in ("live", "finished"):
        table = f"{short}_jobs"
        op.create_table(table, *_job_columns(), sqlite_with_rowid=False)
        for name, columns, where in (
            ("tenant_phase", ["tenant", "phase", "id"], top),
            ("phase", ["phase", "id"], top),
            ("name", ["name", "tenant", "id"], top),
            ("parent", ["parent", "idx"], element),
        ):
            op.create_index(f"ix_{short}_{name}", table, columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "job_counts",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("phase", sa.Text, primary_key=True),
        sa.Column("jobs", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _make_records() -> None:
    seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "journal",
        sa.Column("seq", seq, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("prev", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_journal_subject", "journal", ["subject", "seq"])
    op.create_table(
        "contents",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("class_digest", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("placeable", sa.Boolean, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "placements",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("placed_at", sa.BigInteger, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _make_declared() -> None:
    op.create_table(
        "documents",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("request_digest", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
