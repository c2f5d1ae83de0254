"""The writer's statements, compiled once to text with positional parameters.

Compiling costs more than running on the hot road, so a statement is compiled when the store is opened and rows go
to the driver as plain tuples in the order of the table's columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from orchestrator.store.sql import dialects, schema

Rows = list[tuple[Any, ...]]
_SIZES = (1, 4, 16, 64, 256)
_T = schema


class Statements:
    """All texts for one dialect. ``find_*`` are asked with any number of keys, in slices of fixed sizes."""

    def __init__(self, dialect: dialects.Dialect) -> None:
        self._dialect = dialect.engine_dialect
        ignore = dialect.insert_or_ignore
        self.insert_spec = self._insert(_T.specs, ignore(_T.specs))
        self.insert_label = self._insert(_T.spec_labels, ignore(_T.spec_labels))
        self.insert_content = self._insert(_T.contents, ignore(_T.contents))
        self.insert_decision = self._insert(_T.decisions, ignore(_T.decisions))
        self.insert_placement = self._insert(_T.placements)
        self.insert_key = self._insert(_T.idempotency_keys)
        self.insert_entry = self._insert(_T.journal)
        self.insert_live = self._insert(_T.live_jobs)
        self.insert_finished = self._insert(_T.finished_jobs)
        self.add_count = self._insert(_T.job_counts, dialect.insert_or_add(_T.job_counts, _T.job_counts.c.jobs))
        self.update_live = self._update_job(_T.live_jobs)
        self.update_finished = self._update_job(_T.finished_jobs)
        self.delete_live = self._delete(_T.live_jobs, "id")
        self.delete_finished = self._delete(_T.finished_jobs, "id")
        self.insert_document = self._insert(_T.documents)
        self.delete_document = self._delete(_T.documents, "name", "kind", "tenant")
        self.insert_token = self._insert(_T.tokens)
        self.delete_token = self._delete(_T.tokens, "id")
        self.insert_obligation = self._insert(_T.obligations)
        self.delete_obligation = self._delete(_T.obligations, "job", "code")
        moved = ["head_seq", "head_hash", "queue_seq", "documents_version", "head_mac"]
        self.update_state = self._text(sa.update(_T.state).values({name: sa.bindparam(name) for name in moved}), moved)
        state = sa.select(*(_T.state.c[name] for name in moved), _T.lease.c.term)  # each has one row
        self.read_state = self._text(state.with_for_update(of=_T.state), None)
        self._finds: dict[tuple[str, int], str] = {}

    def find(self, table: sa.Table, columns: Sequence[str], by: str, keys: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Yield (text, parameters) of selects that together find the rows whose ``by`` is one of ``keys``."""
        start = 0
        while start < len(keys):
            left = len(keys) - start
            size = next((size for size in _SIZES if size >= left), _SIZES[-1])
            piece = tuple(keys[start : start + size])
            piece += piece[-1:] * (size - len(piece))
            name = (f"{table.name}.{by}", size)
            text = self._finds.get(name)
            if text is None:
                wanted = table.c[by].in_([sa.bindparam(f"k{index}") for index in range(size)])
                text = self._text(sa.select(*(table.c[column] for column in columns)).where(wanted), None)
                self._finds[name] = text
            yield text, piece
            start += size

    def _insert(self, table: sa.Table, insert: sa.Insert | None = None) -> str:
        names = [column.name for column in table.c]
        statement = sa.insert(table) if insert is None else insert
        return self._text(statement.values({name: sa.bindparam(name) for name in names}), names)

    def _update_job(self, table: sa.Table) -> str:
        names = ["phase", "site", "version", "state"]
        update = sa.update(table).where(table.c.id == sa.bindparam("which"))
        return self._text(update.values({name: sa.bindparam(name) for name in names}), [*names, "which"])

    def _delete(self, table: sa.Table, *names: str) -> str:
        wanted = [table.c[name] == sa.bindparam(name) for name in names]
        return self._text(sa.delete(table).where(*wanted), list(names))

    def _text(self, statement: sa.Executable, order: list[str] | None) -> str:
        compiled = statement.compile(dialect=self._dialect)  # type: ignore[attr-defined]  # every Executable here has it
        if order is not None and compiled.positiontup != order:
            raise AssertionError(f"parameters are in order {compiled.positiontup}, not {order}")
        return str(compiled)
