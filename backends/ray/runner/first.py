"""The first process of the runner: Ray's child, which takes its signals. The second (``guard``) does the work.

The second ends everything when the first is gone: Ray killed it, or the node's Ray died.
"""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Sequence
from typing import NoReturn

from backends.ray.runner import guard, processes, words


def main(arguments: Sequence[str]) -> NoReturn:
    """Take ``OPTIONS -- COMMAND...``: options as JSON, see ``render.runner_options``."""
    options, command = json.loads(arguments[0]), list(arguments[2:])
    processes.prctl(processes.PR_SET_CHILD_SUBREAPER, 1)
    first = os.getpid()
    second = os.fork()
    if second == 0:
        code = words.WORDS["setup-failed"]
        try:
            os.setsid()
            processes.prctl(processes.PR_SET_PDEATHSIG, signal.SIGTERM)
            processes.prctl(processes.PR_SET_CHILD_SUBREAPER, 1)
            if os.getppid() == first:
                code = guard.Guard(options, command).run()
        finally:
            processes.leave(code)

    def pass_on(number: int, _frame: object) -> None:
        processes.send({second}, number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == second:
            break
    for _ in range(processes.KILL_ROUNDS):  # the guard was killed itself: what it had comes to us
        left = processes.below(first)
        if not left:
            break
        processes.send(left, signal.SIGKILL)
        select.select([], [], [], 0.01)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
    processes.leave(processes.code_of(status))
