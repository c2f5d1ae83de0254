"""Runs in the peer's environment: reads pools from stdin, times SkyPilot's optimizer, prints JSON."""

# ruff: noqa: PLC0415 - SkyPilot reads its catalogue when it is imported
# mypy: ignore-errors
# The peer is not installed beside the project, so nothing here can be checked.

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path

COLUMNS = (
    *("InstanceType", "AcceleratorName", "AcceleratorCount", "vCPUs", "MemoryGiB"),
    *("Price", "Region", "GpuInfo", "SpotPrice"),
)


def main() -> None:
    """Write the catalogue before SkyPilot is imported, so that it downloads nothing."""
    wanted = json.load(sys.stdin)
    folder = Path.home() / ".sky" / "catalogs" / "v8" / "lambda"
    folder.mkdir(parents=True)
    with (folder / "vms.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for row in wanted["rows"]:
            slug = row["accelerator"]
            table.writerow([f"gpu_8x_{slug.lower()}", slug, 8.0, 192.0, 2048.0, row["price"], row["region"], "", ""])
    common = folder.parent / "common"
    common.mkdir()
    slugs = sorted({row["accelerator"] for row in wanted["rows"]} | set(wanted["accelerators"]))
    (common / "accelerators.csv").write_text("AcceleratorName,Clouds\n" + "".join(f"{s},lambda\n" for s in slugs))
    import sky
    from sky import check, clouds
    from sky.optimizer import Optimizer

    check.get_cached_enabled_clouds_or_refresh = lambda *_args, **_kwargs: [clouds.Lambda()]
    seconds = []
    chosen = ""
    for number in range(wanted["repeats"] + 1):
        with sky.Dag() as dag:
            task = sky.Task(run="true")
            resources = {sky.Resources(cloud=clouds.Lambda(), accelerators={n: 8}) for n in wanted["accelerators"]}
            task.set_resources(resources)
        start = time.perf_counter()
        Optimizer.optimize(dag, quiet=True)
        if number:
            seconds.append(time.perf_counter() - start)
        chosen = str(task.best_resources.region)
    print(json.dumps({"version": sky.__version__, "seconds": seconds, "chosen": chosen}))


if __name__ == "__main__":
    main()
