"""The SQL store: SQLAlchemy Core tables, one writer with group commit, readers that never wait for it.

What is SQLite's alone stands in ``dialects``; all else is Core, so that PostgreSQL needs a second dialect only.
"""
