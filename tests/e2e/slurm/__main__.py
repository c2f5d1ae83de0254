"""A cluster by hand: ``python -m tests.e2e.slurm doctor | build | up | down | run COMMAND``.

``up`` prints the address of slurmrestd and the cluster's folder, and keeps the cluster until it is ended.
"""

import argparse
import os
import secrets
import signal
import sys
import threading
from collections.abc import Sequence

from tests.e2e import demonstrations
from tests.e2e.kube import processes
from tests.e2e.slurm import clusters, packages, places, runs


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.slurm", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="say what is missing, one line each")
    commands.add_parser("build", help="unpack Debian's packages into the cache; nothing is installed")
    up = commands.add_parser("up", help="start a cluster and keep it")
    up.add_argument("--forget", type=int, default=300, help="MinJobAge, seconds")
    up.add_argument("--ids", type=int, nargs=2, default=clusters.Spec().ids, help="FirstJobId and MaxJobId")
    up.add_argument("--suite", default="", help="of Debian, as trixie; default: that of this machine")
    up.add_argument("--line", action="append", default=[], help="one more line of slurm.conf")
    up.add_argument("--run", default=secrets.token_hex(3), help="name of the run, which `down` takes; default: random")
    up.add_argument(
        "--for-demo", action="store_true", help="print what `comity demo` registers, as JSON; end with stdin"
    )
    up.add_argument("--while-used", action="store_true", help=argparse.SUPPRESS)
    down = commands.add_parser("down", help="end runs and remove what dead ones left")
    down.add_argument("run", nargs="?", help="default: every run of this user")
    run = commands.add_parser("run", help="run a command inside a cluster: sinfo, squeue, scontrol, ...")
    run.add_argument("run", help="name of the run")
    run.add_argument("--user", default="", help=f"default: root; {', '.join(clusters.USERS)}")
    run.add_argument("words", nargs=argparse.REMAINDER)
    given = parser.parse_args(argv)
    actions = {"doctor": _doctor, "build": _build, "up": _up, "down": _down, "run": _run}
    return actions[given.command](given)


def _doctor(_: argparse.Namespace) -> int:
    lines = packages.missing()
    print("\n".join(lines) or "nothing is missing")
    return 1 if lines else 0


def _build(_: argparse.Namespace) -> int:
    problem = packages.install()
    if problem is not None:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


def _up(given: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    code, run = 0, None
    try:
        problem = packages.install(given.suite) or "; ".join(packages.missing(given.suite))
        if problem:
            raise runs.RunError(problem)
        run = runs.Run(given.run)
        spec = clusters.Spec(forget_s=given.forget, ids=tuple(given.ids), lines=tuple(given.line), suite=given.suite)
        cluster = run.start(spec)
        if given.for_demo:
            demonstrations.slurm(cluster)
            raise KeyboardInterrupt
        print(f"{given.run} {cluster.url} {cluster.folder}", flush=True)
        if given.while_used:
            run.users.wait_until_unused()
        else:
            threading.Event().wait()
    except runs.RunError as error:
        if run is not None:
            run.fail(str(error))
        print(error, file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        pass
    remaining = run.stop() if run is not None else []
    for line in remaining:
        print(f"not removed: {line}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or (1 if remaining else 0))  # the thread that takes connections waits for ever


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _down(given: argparse.Namespace) -> int:
    remaining = runs.down(given.run)
    for line in remaining:
        print(f"not removed: {line}", file=sys.stderr)
    return 1 if remaining else 0


def _run(given: argparse.Namespace) -> int:
    try:
        cluster = clusters.Cluster.load(places.runs() / given.run / "cluster.json")
        print(cluster.run(*given.words, user=given.user), end="")
    except (OSError, processes.ProcessError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
