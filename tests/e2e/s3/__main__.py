"""The S3 server of the tests, by hand: ``python -m tests.e2e.s3 doctor | build``."""

import argparse
import sys
from collections.abc import Sequence

from tests.e2e.kube import building as kube_building
from tests.e2e.s3 import building


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.s3", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="say what is missing, one line each")
    commands.add_parser("build", help="build the server into the cache")
    if parser.parse_args(argv).command == "doctor":
        lines = building.missing()
        print("\n".join(lines) or "nothing is missing")
        return 1 if lines else 0
    try:
        building.ensure()
    except kube_building.BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
