"""Alembic migrations of the SQL store, shipped in the package and run by ``runner``; loaded only to migrate."""
