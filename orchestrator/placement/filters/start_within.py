"""Would the job start soon enough?"""

from __future__ import annotations

import datetime as dt

from orchestrator.domain import reasons
from orchestrator.placement import columns, requirements, rows
from orchestrator.placement.filters import base, full


class StartWithin(base.Filter):
    """``limits.start-within``: the site queues, and one would wait longer there than ``limits.startWithin``.

    Concerns sites that queue by themselves; a wait that the site does not state is too long. Where there is room now
    nothing waits; where there is none and no queue, ``capacity.full`` answers. Raise the limit, or wait.
    """

    name = "limits.start-within"
    momentary = True

    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """See the class."""
        limit = question.requirement.start_within
        if limit is None:
            return None
        late = table.wait_us > limit // dt.timedelta(microseconds=1)
        return late & table.bools["queues"] & full.lacks_room(question, table)

    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """See the class."""
        limit = question.requirement.start_within
        if limit is None or not row.queues or rows.holds(row.free, question.requirement.room):
            return None
        wait = rows.starts_in(row, question)
        if wait is not None and wait <= limit:
            return None
        stated = "for a time it does not state" if wait is None else f"about {wait}"
        return base.deny(
            self.name,
            f"the job would wait {stated} at {row.site.name}; it is to start within {limit}",
            remedy=base.wait("wait until there is room") if wait is None else base.change_job(f"allow {wait}"),
            cited=(base.cite_offer("offer.queue.expectedWait", wait),),
        )

    def recall(self, row: rows.Row) -> reasons.Reason:
        """See the class."""
        return base.deny(
            self.name,
            f"the job would have waited too long at {row.site.name}",
            remedy=base.wait("wait until there is room"),
        )
