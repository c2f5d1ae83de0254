"""Random compact cases from one seed, biased to where the rules change their minds.

A case is a harmless base on which one to three themes are laid, now and then many; a theme puts one pack into play,
mostly at a threshold, a border day or a waiver. A little noise on top keeps the packs from being asked one at a time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from random import Random
from typing import Any

from tests.oracle.literal import palette, themes

Job = dict[str, Any]
Backend = dict[str, Any]
Case = tuple[Job, Backend, str]

TODAY = "2026-11-22"
ALL_BORDERS = sorted({day for days in themes.BORDERS.values() for day in days})


def a_day(rng: Random, chosen: list[themes.Theme]) -> str:
    """Return a day: today mostly, else at or beside a border of the themes or of the others, else any."""
    kind = rng.random()
    if kind < 0.45:
        return TODAY
    if kind < 0.9:
        own = [day for theme in chosen for day in themes.BORDERS.get(theme, ())]
        borders = own if own and rng.random() < 0.7 else ALL_BORDERS
        border = dt.date.fromisoformat(rng.choice(borders))
        return str(border + dt.timedelta(days=rng.choice((-1, -1, 0, 0, 1))))
    return str(dt.date(2024, 1, 1) + dt.timedelta(days=rng.randrange(2000)))


def a_case(rng: Random) -> Case:
    """Return one job against one backend at one day."""
    number = rng.choice((1, 1, 1, 2, 2, 3)) if rng.random() < 0.96 else rng.randint(4, 20)
    chosen = rng.sample(themes.ALL, number)
    at = a_day(rng, chosen)
    job: Job = {}
    backend = palette.base(rng)
    for theme in chosen:
        theme(rng, at, job, backend)
    themes.noise(rng, at, job, backend)
    if rng.random() < 0.1:
        themes.nothing_known(rng, at, job, backend)
    return job, backend, at


def cases(seed: int, number: int) -> Iterator[Case]:
    """Yield cases; the same seed yields the same cases."""
    rng = Random(seed)
    for _ in range(number):
        yield a_case(rng)
