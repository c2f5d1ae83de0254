"""May the lists in force be relied on, and did a person look at the names that match?"""

from __future__ import annotations

from orchestrator.domain import facts, reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class ListsStale(base.Filter):
    """``sanctions.list-stale:<list>``: a sanctions or entity list is too old to be relied on, or cannot be read.

    Nobody can say whether the operator is on it, and unknown means no. It stops new placements; what runs has a grace.
    Import a newer copy (``comity policy lists import``); the last good copy stays in force until then. Without any list
    configured nothing is refused, and every answer says so.
    """

    name = "sanctions.list-stale"
    form = "sanctions.list-stale:<list>"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        stale: columns.Bools = table.ints["lists_to"] < question.day.toordinal()
        return stale if stale.any() else None

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        return next(iter(self.every(question, row)), None)

    def every(self, question: requirements.Question, row: rows.Row) -> tuple[reasons.Reason, ...]:
        """Return one reason a list."""
        found = row.site.screening
        if found is None:
            return ()
        known = {one.list: one for one in found.consulted}
        return tuple(
            self._reason(name, known[name].fresh_to.isoformat() if name in known else None)
            for name in found.stale(question.day)
        )

    def _reason(self, name: str, to: str | None) -> reasons.Reason:
        state = f"was good until {to}" if to else "has no copy that can be read"
        fetch = f"comity policy lists import --list {name} FILE"
        return reasons.Reason(
            code=f"{self.name}:{name}",
            effect=reasons.Effect.DENY,
            basis=reasons.Basis.DILIGENCE,
            message=f"the list {name} {state}: nobody knows whether the operator is on it",
            facts=(reasons.FactCitation(f"lists.{name}.freshTo", to or "none"),),
            remedy=reasons.Remedy(reasons.RemedyKind.CHANGE_POLICY, f"import a copy of today: {fetch}"),
        )


class Review(base.Filter):
    """``sanctions.review``: the name of the operator, or of an owner, is that of a listed party or like it.

    A name alone decides nothing: a person looks, and answers (``comity policy lists answer``). Until then nothing new
    is placed there; what runs goes on. Each open match is cited, with list and entry.
    """

    name = "sanctions.review"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        day = question.day.toordinal()
        open_: columns.Bools = (table.ints["clear_from"] > day) | (table.ints["clear_to"] < day)
        return open_ if open_.any() else None

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        hits = row.site.screening.open(question.day) if row.site.screening else ()
        if not hits:
            return None
        first = hits[0]
        more = f" (and {len(hits) - 1} more)" if len(hits) > 1 else ""
        whom = "the operator" if first.percent is None else f"its owner {first.party}"
        answer = f"comity policy lists answer {first.list}:{first.entry} --operator {row.site.operator_name}"
        return reasons.Reason(
            code=self.name,
            effect=reasons.Effect.DENY,
            basis=reasons.Basis.DILIGENCE,
            message=f"{whom} may be {first.entry_name!r} of {first.list}{more}: a person has to look",
            facts=tuple(
                reasons.FactCitation(
                    f"lists.{hit.list}.{hit.entry}",
                    f"{hit.entry_name} ({hit.by} of {hit.party}: {hit.matched})",
                    source=f"{hit.list}, regime {hit.regime}",
                    assurance=facts.Assurance.DOCUMENTED,
                )
                for hit in hits
            ),
            remedy=reasons.Remedy(reasons.RemedyKind.FIX_BACKEND, f"look at both and record the answer: {answer} ..."),
        )
