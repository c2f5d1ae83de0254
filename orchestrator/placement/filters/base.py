"""What a filter is: one question about a job and a site, answered with a reason, row by row or for all sites at once.

Both readings must agree: ``check`` gives a reason exactly where ``refused`` is True (a property test holds them to
it). A filter that a job does not concern answers ``None`` for the whole column, which costs nothing.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Hashable
from typing import ClassVar

from orchestrator.domain import facts, reasons, sites
from orchestrator.placement import columns, requirements, rows


class Filter(abc.ABC):
    """One question. The docstring of a subclass is its manual page."""

    name: ClassVar[str]
    """The code of its reasons, or what they start with."""
    form: ClassVar[str] = ""
    """What its codes look like where they have instances (``a.<C>``); "": they are its name."""
    momentary: ClassVar[bool] = False
    """Whether the answer changes with offers and reachability, not only with documents."""
    priced: ClassVar[bool] = False
    """Whether it reads price limit, objective or exchange rates; any other is remembered without them."""

    @abc.abstractmethod
    def refused(self, question: requirements.Question, table: columns.Columns) -> columns.Bools | None:
        """Return for each site whether it is refused; None: none is."""

    @abc.abstractmethod
    def check(self, question: requirements.Question, row: rows.Row) -> reasons.Reason | None:
        """Return why the site of ``row`` is refused; None: it is not."""

    def every(self, question: requirements.Question, row: rows.Row) -> tuple[reasons.Reason, ...]:
        """Return all reasons for which the site of ``row`` is refused, for a filter that may have several."""
        reason = self.check(question, row)
        return () if reason is None else (reason,)

    def reads(self, row: rows.Row) -> Hashable:
        """Return all that ``every`` reads of a row: rows that agree in it share reasons; None: nothing is shared.

        Only for filters that are not momentary.
        """
        return None

    def recall(self, row: rows.Row) -> reasons.Reason:
        """Return the reason of a stored decision. Only momentary filters are asked: their offers were not stored."""
        raise NotImplementedError(f"{self.name} is answered by its check")


def deny(
    code: str, message: str, *, remedy: reasons.Remedy, cited: tuple[reasons.FactCitation, ...] = ()
) -> reasons.Reason:
    """Return a refusal on the house's authority: plain fitting, or the job's own limit."""
    return reasons.Reason(code, reasons.Effect.DENY, reasons.Basis.HOUSE, message, cited, remedy)


def wait(change: str) -> reasons.Remedy:
    """Return the remedy of waiting."""
    return reasons.Remedy(reasons.RemedyKind.WAIT, change)


@functools.lru_cache(maxsize=4096)
def change_job(change: str, *, drops_constraint: bool = False) -> reasons.Remedy:
    """Return the remedy of asking for something else."""
    return reasons.Remedy(reasons.RemedyKind.CHANGE_JOB, change, drops_constraint=drops_constraint)


def fix_backend(change: str) -> reasons.Remedy:
    """Return the remedy of the operator."""
    return reasons.Remedy(reasons.RemedyKind.FIX_BACKEND, change)


def cite(site: sites.Site, path: str, value: object) -> reasons.FactCitation:
    """Cite a fact of a site's document with the stamp of that document."""
    stamp = site.facts
    text = "none" if value is None else str(value)
    return reasons.FactCitation(path, text, stamp.source, stamp.as_of, stamp.valid_to, stamp.assurance)


def cite_offer(path: str, value: object) -> reasons.FactCitation:
    """Cite what a backend said about itself."""
    text = "none" if value is None else str(value)
    return reasons.FactCitation(path, text, "the backend", None, None, facts.Assurance.DECLARED)


def gigabytes(count: int) -> str:
    """Write an amount of memory: ``64.0 GiB``."""
    return f"{count / 2**30:.1f} GiB"
