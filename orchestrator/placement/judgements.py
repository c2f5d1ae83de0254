"""What placement is told about policy: bits, and which sites are denied. ``policy.evaluator.Judgement`` is one."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

import numpy as np
import numpy.typing as npt

from orchestrator.domain import obligations, reasons, sites
from orchestrator.placement import columns


class Judgement(Protocol):
    """May each site take the job? Rows are in the order of site names, as in ``columns.Columns``."""

    @property
    def bits(self) -> npt.NDArray[np.uint64]:
        """``bits[word, row]``: what fired at each site."""

    @property
    def denied(self) -> columns.Bools:
        """Where something denies."""

    @property
    def obliged(self) -> columns.Bools:
        """Where something obliges."""

    def owed(self, row: int, /) -> tuple[obligations.Duty, ...]:
        """Return what placing a job at the site in ``row`` obliges to: one duty a code."""

    @property
    def expires(self) -> dt.datetime | None:
        """First moment at which a dated fact could change any of it."""


class Explains(Protocol):
    """Policy's sentences about one site, for the job and the day that the caller bound."""

    def __call__(self, position: int, site: sites.Site, /) -> tuple[reasons.Reason, ...]:
        """Return every reason for and against the site: denials, duties, caveats."""
