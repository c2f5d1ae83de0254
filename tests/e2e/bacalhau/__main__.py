"""A network by hand: ``python -m tests.e2e.bacalhau doctor | build | up``.

``up`` prints the address of the API and its key, and keeps the network until it is ended.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from tests.e2e import demonstrations
from tests.e2e.bacalhau import building, networks
from tests.e2e.kube import building as kube_building


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.bacalhau", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="say what is missing, one line each")
    commands.add_parser("build", help="build Bacalhau into the cache")
    up = commands.add_parser("up", help="start a network and keep it")
    up.add_argument(
        "--for-demo", action="store_true", help="print what `comity demo` registers, as JSON; end with stdin"
    )
    given = parser.parse_args(argv)
    if given.command == "doctor":
        lines = building.missing()
        print("\n".join(lines) or "nothing is missing")
        return 1 if lines else 0
    problem = "; ".join(building.missing())
    if problem:
        print(problem, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        building.ensure()
        if given.command == "up":
            _up(for_demo=given.for_demo)
    except (kube_building.BuildError, networks.NetworkError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _up(*, for_demo: bool) -> None:
    # An end that is asked for meanwhile waits until every part is known by its process; a start is bounded.
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    network = networks.Network()
    try:
        network.start()
        signal.signal(signal.SIGTERM, _interrupt)
        if asked:
            return
        if for_demo:
            demonstrations.bacalhau(network)
            return
        print(network.url, network.key, network.folder, flush=True)
        threading.Event().wait()
    finally:
        network.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
