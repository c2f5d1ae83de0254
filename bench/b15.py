"""B15: what it costs to have Comity: the command line's cold start, an idle server's memory, an adapter's import.

``cli_cold_ms``: the slower of ``comity --help`` and ``comity get jobs`` (with a server running), a new process each,
median of a repeat. ``server_rss_mib``: VmRSS of a server with the local backend, idle after its first rounds.
``adapter_import_ms``: the slower of what a process pays that lists adapters (the entry point, in a bare interpreter)
and of what the server pays for building one (the modules, beside everything the server has loaded), slowest adapter.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import threading
import time

from bench import compiled, figures, servers

ADAPTERS = ("local", "simulated")
ROOT = pathlib.Path(__file__).parents[1]
IDLE_S = 3.0
_ENTRY = "import time; t = time.perf_counter(); import backends.{0}; backends.{0}.plugin"
_MODULES = (
    "import time; import orchestrator.bootstrap.server; import backends.{0}; backends.{0}.plugin.settings_schema(); "
    "t = time.perf_counter(); import backends.{0}.adapter"
)
_SAY = "; print((time.perf_counter() - t) * 1e3)"


@figures.figure("B15", "footprint: command line, server, adapters")
def measure(options: figures.Options) -> figures.Result:
    """Measure all three."""
    help_ms: list[float] = []
    get_ms: list[float] = []
    bare_ms: list[float] = []
    memory: list[float] = []
    entries: list[float] = []
    modules: list[float] = []
    count = options.size(9, 3)
    for _ in range(options.repeats):
        with servers.comity("local") as server:
            environment = _environment(server)
            threading.Event().wait(0.2 if options.quick else IDLE_S)
            memory.append(server.resident_mib())
            help_ms.append(_cold_ms(["-m", "orchestrator.cli", "--help"], environment, server.folder, count))
            get_ms.append(_cold_ms(["-m", "orchestrator.cli", "get", "jobs"], environment, server.folder, count))
            bare_ms.append(_cold_ms(["-c", "pass"], environment, server.folder, count))
            entries.append(max(_import_ms(_ENTRY, name, environment, count) for name in ADAPTERS))
            modules.append(max(_import_ms(_MODULES, name, environment, options.size(2, 1)) for name in ADAPTERS))
    lower: figures.Better = "lower"
    cold = [max(pair) for pair in zip(help_ms, get_ms, strict=True)]
    imports = [max(pair) for pair in zip(entries, modules, strict=True)]
    middle = [
        figures.metric(some, "ms", target=None, better=lower) for some in (help_ms, get_ms, bare_ms, entries, modules)
    ]
    said_help, said_get, said_bare, said_entry, said_modules = (each.median for each in middle)
    return figures.Result(
        {
            "cli_cold_ms": figures.metric(cold, "ms", target=150, better=lower),
            "server_rss_mib": figures.metric(memory, "MiB", target=120, better=lower),
            "adapter_import_ms": figures.metric(imports, "ms", target=50, better=lower),
        },
        bound_by="the interpreter's own start and the modules it reads; the libraries of the server, 82 MiB before any "
        "line of Comity",
        known={
            "SkyPilot": "import 2.4-3.2 s, 159 MB resident",
            "Parsl": "import 1.0 s, 48 MB",
            "Dask": "import 0.7 s, 59 MB",
        },
        loses=("Parsl and Dask need no server beside them, and hold less memory than ours does idle",),
        notes=(
            f"comity --help {said_help:g} ms, comity get jobs {said_get:g} ms, the bare interpreter {said_bare:g} ms",
            f"an adapter's entry point {said_entry:g} ms; its modules beside a server's {said_modules:g} ms",
        ),
    )


def _environment(server: servers.Server) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COMITY_")}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH", "")]))
    own = {"COMITY_SERVER": f"http://127.0.0.1:{server.port}", "COMITY_TOKEN": server.token, "PYTHONPATH": path}
    return {**kept, **own}


def _cold_ms(arguments: list[str], environment: dict[str, str], folder: pathlib.Path, count: int) -> float:
    """Return the median milliseconds of a process from its start to its end."""
    samples = []
    for number in range(count + 1):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], env=environment, cwd=folder, check=True, capture_output=True)
        if number:
            samples.append((time.perf_counter() - begun) * 1e3)
    return figures.percentile(samples, 50)


def _import_ms(code: str, adapter: str, environment: dict[str, str], count: int) -> float:
    """Return the median milliseconds that an import took, as a new process each says."""
    samples = []
    for _ in range(count):
        done = subprocess.run(
            [sys.executable, "-c", code.format(adapter) + _SAY],
            env=environment, cwd=compiled.GROUND, check=True, capture_output=True, text=True,
        )  # fmt: skip
        samples.append(float(done.stdout))
    return figures.percentile(samples, 50)
