"""Is the site in a country that the job allows?"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base


class Countries(base.Filter):
    """``countries.<C>``: the site lies in C, which is on a list that denies or missing from one that allows.

    Lists come from the job, its tenant's floor and its tier; each must agree. Members are ISO 3166-1 codes and named
    sets, resolved on the day of the decision. ``countries.unknown``: a list was given and nobody stated the country.
    ``countries.unknown-set``: a list names something that is neither a code nor a set, so it denies everything.
    """

    name = "countries"
    form = "countries.<C>"

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        if question.unknown_sets:
            everywhere: columns.Bools = np.ones(len(table), dtype=np.bool_)
            return everywhere
        if question.allowed is not None:
            return ~table.member("country", question.allowed - question.denied)
        if question.requirement.countries_deny:
            return table.member("country", question.denied) | ~table.bools["country_stated"]
        return None

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        country = row.site.location.country
        cited = (base.cite(row.site, "backend.location.country", country),)
        if question.unknown_sets:
            names = ", ".join(question.unknown_sets)
            meant = dict(question.meant)
            message = f"the job's country lists name {names}, which is neither a country nor a known set"
            changes = [f"{name} to {meant[name]}" if name in meant else name for name in question.unknown_sets]
            remedy = base.change_job(f"correct {', '.join(changes)} in spec.sovereignty.countries")
            return base.deny(f"{self.name}.unknown-set", message, remedy=remedy, cited=cited)
        if question.allowed is None and not question.requirement.countries_deny:
            return None
        if not country:
            remedy = base.fix_backend(f"state location.country of {row.site.backend}")
            return base.deny(f"{self.name}.unknown", "nobody stated the site's country", remedy=remedy, cited=cited)
        if country in question.denied:
            message, change = f"the job denies {country}", f"stop denying {country}"
        elif question.allowed is not None and country not in question.allowed:
            message, change = f"{country} is not among the countries that the job allows", f"allow {country}"
        else:
            return None
        remedy = base.change_job(change, drops_constraint=True)
        return base.deny(f"{self.name}.{country}", message, remedy=remedy, cited=cited)

    def reads(self, row: rows.Row) -> Hashable:
        """See the base."""
        site = row.site
        return site.location.country, None if site.location.country else site.backend, site.facts
