"""Starts servers by forking an interpreter that has imported everything: hundreds of restarts in the time of a few.

Each line on stdin is a JSON object ``{argv, log}``; the answer on stdout is the pid of a process that runs
``comity ARGV`` in a session of its own, exactly as the entry point does.
"""

import importlib
import json
import os
import signal
import sys

PRELOADED = (
    "orchestrator.cli.commands.serve",
    "orchestrator.bootstrap.server",
    "orchestrator.settings.server",
    "backends.local",
    "backends.local.adapter",
    "uvicorn.loops.uvloop",
)


def main() -> None:
    """Serve until stdin ends."""
    entry = importlib.import_module("orchestrator.cli.main")
    for name in PRELOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    for line in sys.stdin:
        wish = json.loads(line)
        if pid := os.fork():
            sys.stdout.write(f"{pid}\n")
            sys.stdout.flush()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        log = os.open(wish["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        os.closerange(3, 64)
        os._exit(entry.run(wish["argv"]))


if __name__ == "__main__":
    main()
