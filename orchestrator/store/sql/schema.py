"""The tables. ``HEAD`` names the migration they are equal to; a test compares both roads to the last character.

Jobs that are over live apart from those that are not, so that the hot table stays small. ``state`` (one row) holds
what every commit reads and moves: the journal's head and the counters. Moments are microseconds since 1970 UTC,
but the journal keeps the text that its hashes cover.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

HEAD = "0004"
"""Newest revision of ``store/migrations``."""
KNOWN = ("0001", "0002", "0003", "0004")
"""Every revision from which a migration leads here, oldest first."""

metadata = sa.MetaData()


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


specs = sa.Table(
    "specs",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

spec_labels = sa.Table(
    "spec_labels",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("spec_digest", sa.Text, sa.ForeignKey("specs.digest"), primary_key=True),
    sqlite_with_rowid=False,
)

live_jobs = sa.Table("live_jobs", metadata, *_job_columns(), sqlite_with_rowid=False)
finished_jobs = sa.Table("finished_jobs", metadata, *_job_columns(), sqlite_with_rowid=False)

for _table, _short in ((live_jobs, "live"), (finished_jobs, "finished")):
    # Naming another dialect here (``postgresql_where``) would load all of it; whoever opens one adds its conditions.
    _top = _table.c.parent.is_(None)
    sa.Index(f"ix_{_short}_tenant_phase", _table.c.tenant, _table.c.phase, _table.c.id, sqlite_where=_top)
    sa.Index(f"ix_{_short}_phase", _table.c.phase, _table.c.id, sqlite_where=_top)
    sa.Index(f"ix_{_short}_name", _table.c.name, _table.c.tenant, _table.c.id, sqlite_where=_top)
    _element = _table.c.parent.is_not(None)
    sa.Index(f"ix_{_short}_parent", _table.c.parent, _table.c.idx, sqlite_where=_element)

job_counts = sa.Table(
    "job_counts",
    metadata,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("phase", sa.Text, primary_key=True),
    sa.Column("jobs", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

journal = sa.Table(
    "journal",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("tenant", sa.Text),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("prev", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Index("ix_journal_subject", "subject", "seq"),
)

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
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

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("request_digest", sa.Text, nullable=False),
    sa.Column("job", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

contents = sa.Table(
    "contents",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("class_digest", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.BigInteger),
    sa.Column("placeable", sa.Boolean, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

placements = sa.Table(
    "placements",
    metadata,
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

obligations = sa.Table(
    "obligations",
    metadata,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("due_at", sa.BigInteger),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("ix_obligations_due", "state", "due_at"),
    sa.Index("ix_obligations_tenant", "tenant", "state", "job", "code"),
    sqlite_with_rowid=False,
)

state = sa.Table(
    "state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("head_seq", sa.BigInteger, nullable=False),
    sa.Column("head_hash", sa.LargeBinary, nullable=False),
    sa.Column("queue_seq", sa.BigInteger, nullable=False),
    sa.Column("documents_version", sa.BigInteger, nullable=False),
    sa.Column("head_mac", sa.LargeBinary),
)

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("term", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("ttl", sa.BigInteger, nullable=False),
    sa.Column("renewals", sa.BigInteger, nullable=False),
)

versions = sa.Table(
    "alembic_version",
    metadata,
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table, made here too so that a fresh database needs no Alembic."""
