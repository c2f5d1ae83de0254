"""The peer of B1: SkyPilot's optimizer over the same pools, in an environment of its own.

Installed by ``python3 -m venv .venv-peers && .venv-peers/bin/pip install skypilot==0.14.1``. It finds the cheapest
pool with the accelerators; it is not asked about countries, exposure, certificates, data or distance, which it does
not know, and it does not say why a pool was rejected. Its catalogue is read and warm before the clock starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import figures
from orchestrator.domain import sites

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
NAMES = {"nvidia-h100-sxm": "H100", "nvidia-h200-sxm": "H200", "amd-mi300x": "MI300X"}
"""The accelerators that the job of B1 takes; others keep their slug."""
TIMEOUT_S = 900


def measure(pools: Sequence[sites.Site], options: figures.Options) -> object:
    """Return its milliseconds per decision, or why it was not run."""
    if not PYTHON.exists():
        return "peer not installed: python3 -m venv .venv-peers && .venv-peers/bin/pip install skypilot==0.14.1"
    rows = [
        {
            "region": str(site.name).replace("/", "-"),
            "accelerator": NAMES.get(site.accelerator or "", site.accelerator),
            "price": (site.price_per_hour.micro if site.price_per_hour else 0) * 8 / 1e6,
        }
        for site in pools
    ]
    wanted = {"rows": rows, "accelerators": sorted(NAMES.values()), "repeats": options.repeats}
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"], "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
        try:
            done = subprocess.run(
                [str(PYTHON), str(ROOT / "bench" / "skypilot_runner.py")],
                input=json.dumps(wanted),
                capture_output=True,
                text=True,
                env=environment,
                timeout=TIMEOUT_S,
                check=True,
            )
        except subprocess.SubprocessError as error:
            return f"peer failed: {(getattr(error, 'stderr', '') or str(error))[-400:]}"
    found = json.loads(done.stdout.splitlines()[-1])
    times = figures.metric([s * 1e3 for s in found["seconds"]], "ms", target=None, better="lower")
    return {
        "version": found["version"],
        "pools": len(rows),
        "candidates": sum(row["accelerator"] in NAMES.values() for row in rows),
        "ms": {"median": times.median, "min": times.min, "max": times.max},
        "chosen": found["chosen"],
    }
