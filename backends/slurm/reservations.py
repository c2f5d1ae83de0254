"""Maintenance windows: which nodes a site keeps for itself, from when until when, and whom that makes wait. Pure.

Slurm starts nothing whose time limit would reach into a window of the nodes that it needs.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.slurm import settings, wire

REASON = "Maintenance"
HOSTS_MAX = 100_000
_GROUP = re.compile(r"(?P<head>[^\[\],]*)\[(?P<list>[0-9,-]+)\](?P<tail>[^\[\],]*)|(?P<plain>[^\[\],]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """A reservation for maintenance. Times in seconds since 1970."""

    name: str
    nodes: frozenset[str]
    start_s: int
    end_s: int

    @property
    def until(self) -> str:
        """Return when it ends, to be read."""
        return f"{dt.datetime.fromtimestamp(self.end_s, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"

    @property
    def text(self) -> str:
        """Return what it is, in words."""
        start = dt.datetime.fromtimestamp(self.start_s, dt.UTC)
        return f"maintenance {self.name} from {start:%Y-%m-%dT%H:%M:%SZ} until {self.until}"


def windows(found: Sequence[Mapping[str, Any]]) -> list[Window]:
    """Return the maintenance windows among reservations, the first to begin first."""
    made = []
    for one in found:
        flags = one.get("flags")
        words = flags if isinstance(flags, list) else re.split(r"[\s,]+", flags) if isinstance(flags, str) else []
        end_s = wire.plain(one.get("end_time"))
        if "MAINT" in {str(word).upper() for word in words} and 0 < end_s < 2**33:
            name, nodes = str(one.get("name", ""))[:64], frozenset(hosts(str(one.get("node_list") or "")))
            made.append(Window(name, nodes, wire.plain(one.get("start_time")), end_s))
    return sorted(made, key=lambda window: window.start_s)


def ahead(
    listed: Sequence[Window], share: settings.Share, names: frozenset[str], until_s: float | None, now_s: float
) -> Window | None:
    """Return the window that keeps a job off every one of its nodes: the last of those that its time reaches into.

    :param names: nodes that it could run on.
    :param until_s: when it would be over if it began now; None: it has no limit.
    """
    reached = [
        window
        for window in listed
        if window.name != share.reservation and window.end_s > now_s and (until_s is None or window.start_s < until_s)
    ]
    kept = frozenset[str]().union(*(window.nodes for window in reached))
    if not reached or not names or not names <= kept:
        return None
    # Where parts of it come back one after the other, the first of them is what is waited for.
    return min((one for one in reached if one.nodes & names), key=lambda window: window.end_s)


def hosts(text: str) -> list[str]:
    """Return the names of a list of Slurm's, in its order: ``de-1,fr-[1-2,07-10]``; at most ``HOSTS_MAX``."""
    made: dict[str, None] = {}
    for group in _GROUP.finditer(text):
        if group["plain"]:
            made[group["plain"]] = None
            continue
        for part in group["list"].split(","):
            low, _, high = part.partition("-")
            if not low or (high and not high.isdigit()) or len(made) + int(high or low) - int(low) > HOSTS_MAX:
                continue
            for number in range(int(low), int(high or low) + 1):
                made[f"{group['head']}{number:0{len(low)}d}{group['tail']}"] = None
    return list(made)
