"""The frame of every figure: how it registers, repeats, and reports.

A module ``bench/b<n>.py`` holds one figure: a function ``measure(options) -> Result`` under ``@figures.figure(...)``.
Nothing has to be listed anywhere else.
"""

from __future__ import annotations

import gc
import importlib
import math
import os
import pkgutil
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import bench

REPEATS = 5

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure. ``quick``: a fraction of the work, to see that it runs; ``peers``: also run installed peers."""

    quick: bool = False
    peers: bool = False

    @property
    def repeats(self) -> int:
        """Return how often to repeat."""
        return 2 if self.quick else REPEATS

    def size(self, full: int, quick: int) -> int:
        """Return one of two sizes."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Metric:
    """One number over all repeats. ``target`` None: measured because it explains another."""

    median: float
    min: float
    max: float
    unit: str
    target: float | None
    better: Better

    @property
    def met(self) -> bool | None:
        """Say whether the median meets the target."""
        if self.target is None:
            return None
        return self.median <= self.target if self.better == "lower" else self.median >= self.target


@dataclass(frozen=True, slots=True)
class Result:
    """What a figure measured. A metric of None: not built yet; a note says so.

    ``peers`` maps a peer that ran in the same run to its numbers, or to why it was not run; ``known`` a peer to what it
    was measured at elsewhere, another day; ``loses`` says where a peer is the better choice.
    """

    metrics: Mapping[str, Metric | None]
    bound_by: str
    peers: Mapping[str, object] = field(default_factory=dict)
    notes: Sequence[str] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    loses: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A registered figure."""

    name: str
    title: str
    measure: Callable[[Options], Result]


FIGURES: dict[str, Figure] = {}


def figure(name: str, title: str) -> Callable[[Callable[[Options], Result]], Callable[[Options], Result]]:
    """Register the function that measures a figure."""

    def register(measure: Callable[[Options], Result]) -> Callable[[Options], Result]:
        FIGURES[name] = Figure(name, title, measure)
        return measure

    return register


def load(names: Sequence[str] | None) -> list[Figure]:
    """Import the modules of the figures named (None: all there are) and return the figures in their order.

    Raises KeyError for a name that has no module.
    """
    found = {m.name.upper() for m in pkgutil.iter_modules(bench.__path__) if re.fullmatch(r"b\d+", m.name)}
    wanted = [name.upper() for name in names] if names is not None else sorted(found, key=lambda n: int(n[1:]))
    for name in wanted:
        if name not in found:
            raise KeyError(name)
        importlib.import_module(f"bench.{name.lower()}")
    return [FIGURES[name] for name in wanted]


def metric(samples: Sequence[float], unit: str, *, target: float | None, better: Better) -> Metric:
    """Return the metric of one sample a repeat."""
    return Metric(_round(statistics.median(samples)), _round(min(samples)), _round(max(samples)), unit, target, better)


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the smallest sample that ``percent`` of them do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that ``run`` took, the garbage collector as it is in production."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def settle() -> None:
    """Collect what earlier repeats left behind, so that the next one does not pay for it."""
    gc.collect()
    gc.freeze()


def machine() -> dict[str, object]:
    """Return what the numbers were measured on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _round(value: float) -> float:
    return float(f"{value:.4g}")
