"""Is the backend still what it was when it was first met, and nobody else's?"""

from __future__ import annotations

from orchestrator.domain import reasons, sites
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class IdentityChanged(base.Filter):
    """``identity.changed``: what answers under the backend's name is not what was pinned at the first contact.

    Nobody knows whether its facts still hold, so nothing new starts there; what runs is left, and not believed to be
    over by what the stranger says. Look at it (``comity backend check``), then confirm (``comity backend confirm``).
    """

    name = "identity.changed"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        found = table.bools["identity_changed"]
        return found.copy() if found.any() else None

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        identity = row.site.identity
        if identity is None or identity.changed_to is None:
            return None
        path = f"backends.{row.site.backend}.status"
        when = identity.changed_at.isoformat() if identity.changed_at else None
        return reasons.Reason(
            code=self.name,
            effect=reasons.Effect.DENY,
            basis=reasons.Basis.DILIGENCE,
            message=f"{row.site.backend} is not what was pinned at the first contact",
            facts=(
                reasons.FactCitation(f"{path}.identity.digest", identity.pinned, f"seen {identity.since.isoformat()}"),
                reasons.FactCitation(
                    f"{path}.identityChanged.digest", identity.changed_to or "none", when and f"seen {when}"
                ),
            ),
            remedy=base.fix_backend(f"look at it, then: comity backend confirm {row.site.backend} --reason ..."),
        )


class SeenElsewhere(base.Filter):
    """``identity.elsewhere``: an attempt at this site was seen in another country than the document says.

    The attempt was stopped, and nothing new starts there until a person has looked: at the node, at whoever named its
    country, and at the document. Then correct the document, or confirm (``comity backend confirm``).
    """

    name = "identity.elsewhere"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        found = table.bools["elsewhere"]
        return found.copy() if found.any() else None

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        mark = row.site.elsewhere
        if mark is None:
            return None
        path = f"backends.{row.site.backend}.status.elsewhere.{row.site.pool}"
        return reasons.Reason(
            code=self.name,
            effect=reasons.Effect.DENY,
            basis=reasons.Basis.DILIGENCE,
            message=f"{row.site.name} says that it lies in {mark.expected}, and {mark.node} was seen in {mark.seen}",
            facts=(
                base.cite(row.site, "backend.location.country", row.site.location.country),
                reasons.FactCitation(
                    f"{path}.seen",
                    mark.seen,
                    f"{mark.source}, of attempt {mark.attempt}",
                    mark.at.date(),
                    None,
                    mark.assurance,
                ),
            ),
            remedy=base.fix_backend(
                f"find out where {mark.node} stands; correct the document, or: comity backend confirm "
                f"{row.site.backend} --reason ..."
            ),
        )


class Unattested(base.Filter):
    """``identity.unattested``: an attempt at this site was to be attested, and was not.

    Where no result came in time, jobs that ask for attestation go elsewhere. Where one came that does not hold (a
    nonce shown before, an issuer nobody trusts ...), no job starts there: somebody brought a proof that is none. Until
    a person has looked (``comity backend confirm``).
    """

    name = "identity.unattested"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        found = table.bools["unattested" if question.requirement.attested else "misattested"]
        return found.copy() if found.any() else None

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        mark = row.site.unattested
        if mark is None or (mark.code == sites.ATTESTATION_MISSING and not question.requirement.attested):
            return None
        path = f"backends.{row.site.backend}.status.unattested.{row.site.pool}.code"
        return reasons.Reason(
            code=self.name,
            effect=reasons.Effect.DENY,
            basis=reasons.Basis.DILIGENCE,
            message=f"attempt {mark.attempt} at {row.site.name} was not attested: {mark.detail}",
            facts=(
                reasons.FactCitation(path, mark.code, f"attempt {mark.attempt}", mark.at.date()),
                base.cite_offer("adapter.capabilities", ", ".join(sorted(row.site.capabilities)) or None),
            ),
            remedy=base.fix_backend(
                f"mend attestation there, then: comity backend confirm {row.site.backend} --reason ..."
            ),
        )


class IdentityShared(base.Filter):
    """``identity.shared:<other>``: two backends prove themselves by one identity, and their documents claim different
    facts about it.

    At least one of them is wrong about its place, and nobody knows which: both take nothing new until one is withdrawn
    or their facts agree.
    """

    name = "identity.shared"
    form = "identity.shared:<other>"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        found = table.bools["identity_shared"]
        return found.copy() if found.any() else None

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        return next(iter(self.every(question, row)), None)

    def every(self, question: requirements.Question, row: rows.Row) -> tuple[reasons.Reason, ...]:
        """Return one reason for each other backend."""
        identity = row.site.identity
        if identity is None:
            return ()
        name = row.site.backend
        return tuple(
            reasons.Reason(
                code=f"{self.name}:{other}",
                effect=reasons.Effect.DENY,
                basis=reasons.Basis.DILIGENCE,
                message=f"{name} and {other} are one and the same, and their documents say different things about it",
                facts=(reasons.FactCitation(f"backends.{name}.status.identity.digest", identity.pinned),),
                remedy=base.fix_backend(f"withdraw {name} or {other}, or declare the same facts for both"),
            )
            for other in identity.contradicts
        )
