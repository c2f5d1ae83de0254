"""A network by hand: ``python -m tests.e2e.bacalhau doctor | build | up``.

``up`` prints the address of the API and its key, and keeps the network until it is ended.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from tests.e2e.bacalhau import building, networks
from tests.e2e.kube import building as kube_building


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.bacalhau", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="say what is missing, one line each")
    commands.add_parser("build", help="build Bacalhau into the cache")
    commands.add_parser("up", help="start a network and keep it")
    given = parser.parse_args(argv)
    if given.command == "doctor":
        lines = building.missing()
        print("\n".join(lines) or "nothing is missing")
        return 1 if lines else 0
    try:
        building.ensure()
        if given.command == "up":
            _up()
    except (kube_building.BuildError, networks.NetworkError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _up() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    network = networks.Network()
    network.start()
    try:
        print(network.url, network.key, network.folder, flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        network.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
