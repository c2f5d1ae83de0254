"""May this tenant's jobs run where nothing keeps them from the control plane's secrets?"""

from __future__ import annotations

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class Isolation(base.Filter):
    """``fit.isolation``: the site cannot isolate a job, so it takes the jobs of its owner's tenant only.

    A site without isolation whose owner nobody stated takes none. Give the backend isolation.
    """

    name = "fit.isolation"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        return table.bools["isolation_none"] & ~table.member("owner", (question.requirement.tenant,))

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        owner, tenant = row.site.owner_tenant, question.requirement.tenant
        if not row.isolation_none or (owner == tenant and owner):
            return None
        return base.deny(
            self.name,
            f"{row.site.name} cannot isolate jobs and takes those of tenant {owner or '(none stated)'} only",
            remedy=base.fix_backend(f"isolate jobs at {row.site.backend}, or run it for tenant {tenant}"),
            cited=(base.cite_offer("offer.isolationNone", "true"),),
        )
