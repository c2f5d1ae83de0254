"""Runs migrations on an open connection, within the caller's transaction. The only importer of Alembic's commands."""

from __future__ import annotations

import pathlib

import sqlalchemy as sa
from alembic import command, config, script


def configuration(connection: sa.Connection | None = None) -> config.Config:
    """Return Alembic's configuration, made here: no ini file has to be found."""
    made = config.Config()
    made.set_main_option("script_location", str(pathlib.Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: sa.Connection, revision: str) -> None:
    """Bring the database to ``revision``. Commits nothing."""
    command.upgrade(configuration(connection), revision)


def revisions() -> list[str]:
    """Return every revision there is, oldest first."""
    folder = script.ScriptDirectory.from_config(configuration())
    return [revision.revision for revision in reversed(list(folder.walk_revisions()))]
