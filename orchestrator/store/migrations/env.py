"""What Alembic runs for each command. The transaction is the caller's: all of an upgrade or none of it."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
