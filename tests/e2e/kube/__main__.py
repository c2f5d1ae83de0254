"""Clusters by hand: ``python -m tests.e2e.kube doctor | build | up --name fr --name de | down | which kubectl``.

``up`` prints one line a cluster, its name and the path of its kubeconfig, and keeps the clusters until it is ended.
"""

import argparse
import os
import secrets
import signal
import sys
import threading
from collections.abc import Sequence

from tests.e2e.kube import building, clusters, images, packages, runs

INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.kube", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="say what is missing, one line each")
    build = commands.add_parser("build", help="install packages (root, Debian) and build the tools")
    build.add_argument("module", nargs="*", help=f"default: {' '.join(building.DEFAULT)}")
    up = commands.add_parser("up", help="start clusters and keep them")
    up.add_argument("--name", action="append", help="fr, de, ...: the country is the part before a hyphen")
    up.add_argument("--nodes", type=int, default=1, help="of each cluster")
    up.add_argument("--kwok", action="store_true", help="play nodes that carry kwok's annotation")
    up.add_argument("--gate", action="append", default=[], help="feature gate, as GenericWorkload=true")
    up.add_argument("--api", action="append", default=[], help="API to serve, as scheduling.k8s.io/v1alpha2=true")
    up.add_argument("--run", default=secrets.token_hex(3), help="name of the run, which `down` takes; default: random")
    up.add_argument("--while-used", action="store_true", help=argparse.SUPPRESS)
    down = commands.add_parser("down", help="end runs and remove what dead ones left")
    down.add_argument("run", nargs="?", help="default: every run of this user")
    which = commands.add_parser("which", help="print the path of a program")
    which.add_argument("program", help="kubectl, helm, kwok, etcd, ...")
    commands.add_parser("images", help="write the images and print their references and archives")
    given = parser.parse_args(argv)
    actions = {"doctor": _doctor, "build": _build, "up": _up, "down": _down, "which": _which, "images": _images}
    return actions[given.command](given)


def _doctor(_: argparse.Namespace) -> int:
    lines = packages.missing()
    lines += [f"not built: {tool.module} (build)" for tool in building.TOOLS.values() if not building.built(tool)]
    print("\n".join(lines) or "nothing is missing")
    return 1 if lines else 0


def _build(given: argparse.Namespace) -> int:
    for problem in (packages.install(), packages.missing_go()):
        if problem is not None:
            print(problem, file=sys.stderr)
            return 1
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        building.ensure(*given.module)
    except building.BuildError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _up(given: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    specs = [
        clusters.Spec(name, nodes=given.nodes, kwok=given.kwok, gates=tuple(given.gate), apis=tuple(given.api))
        for name in given.name or ["fr"]
    ]
    run = runs.Run(given.run)
    code = 0
    try:
        building.ensure("kubernetes", *(["kwok"] if given.kwok else []))
        for cluster in run.start(specs):
            print(f"{cluster.name} {cluster.kubeconfig}", flush=True)
        if given.while_used:
            run.users.wait_until_unused()
        else:
            threading.Event().wait()
    except (runs.RunError, building.BuildError) as error:
        run.fail(str(error))
        print(error, file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        pass
    remaining = run.stop()
    for line in remaining:
        print(f"not removed: {line}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that still wait for a cluster to start have nothing to wait for any more.
    os._exit(code or (1 if remaining else 0))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _down(given: argparse.Namespace) -> int:
    remaining = runs.down(given.run)
    for line in remaining:
        print(f"not removed: {line}", file=sys.stderr)
    return 1 if remaining else 0


def _which(given: argparse.Namespace) -> int:
    try:
        path = building.program(given.program)
    except KeyError:
        print(f"no such program: {given.program}", file=sys.stderr)
        return 2
    print(path)
    return 0 if path.exists() else 1


def _images(_: argparse.Namespace) -> int:
    for short in images.PARTS:
        image = images.make(short)
        print(f"{image.name} {image.pinned} {image.archive}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
