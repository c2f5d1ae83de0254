"""Where truth is kept: the store of ``ports.stores`` in two makes, memory and SQL, that answer the same tests.

``opening.open_store`` is the door. Importing this package loads neither SQLAlchemy nor Alembic.
"""
