"""B3: durable submit over HTTP: the answer comes after the row and its journal entry are on the disk.

``single_per_s``, ``p99_ms``: one document a request, 64 keep-alive clients in a closed loop, no two documents the same.
``single_ratio_to_floor``: the same requests to the bare script of :mod:`bench.floor`, alternating, repeat by repeat.
``bulk_distinct_per_s``: ``POST /v1/jobs:batch`` of 1,000 distinct documents. ``bulk_array_per_s``: one array of 1,000
elements a request; each element has an id that can be read and cancelled, which is checked before measuring.

The whole server runs, control loop included. Its only site is full, so jobs queue up as they do when a cluster is busy.
The client is C (``programs/load.c``), because it shares the cores with the server.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench import compiled, figures, servers

CLIENTS = 64
BATCH, BATCH_QUICK = 1_000, 50
BATCH_CLIENTS = 4
NUMBER = "@@@@@@@@"
"""What the load generator replaces by a new number each time."""


def document(name: str, **spec: object) -> dict[str, object]:
    """Return a Job document of some 300 bytes; different each time it is sent."""
    return servers.job(
        name,
        *("python", "train.py", "--seed", NUMBER),
        env={"RUN": NUMBER, "LEVEL": "info"},
        resources={"cpus": "2", "memory": "4Gi"},
        sovereignty={"countries": {"allow": ["EEA", "CH"], "deny": ["US"]}},
        **spec,
    )


@figures.figure("B3", "durable submit over HTTP")
def measure(options: figures.Options) -> figures.Result:
    """Measure our server and the floor, alternating, each repeat with fresh processes."""
    seconds, warm_s = (3.0, 1.0) if not options.quick else (0.5, 0.2)
    size = options.size(BATCH, BATCH_QUICK)
    found: dict[str, list[float]] = {name: [] for name in ("single", "ratio", "p99", "bulk", "template", "array")}
    floors: list[float] = []
    for _ in range(options.repeats):
        with servers.floor() as server:
            floors.append(_send(server, document(f"job-{NUMBER}"), CLIENTS, warm_s, seconds).rate)
        with servers.comity("simulated", settings={"runTime": "1h"}, pools=[{"name": "cpu", "count": 1}]) as server:
            single = _send(server, document(f"job-{NUMBER}"), CLIENTS, warm_s, seconds)
            found["single"].append(single.rate)
            found["p99"].append(single.p99_ms)
            found["ratio"].append(single.rate / floors[-1])
        with servers.comity("simulated", settings={"runTime": "1h"}, pools=[{"name": "cpu", "count": 1}]) as server:
            batch = {"documents": [document(f"job-{NUMBER}") for _ in range(size)]}
            found["bulk"].append(size * _send(server, batch, BATCH_CLIENTS, warm_s, seconds, "/v1/jobs:batch").rate)
        with servers.comity("simulated", settings={"runTime": "1h"}, pools=[{"name": "cpu", "count": 1}]) as server:
            template = {
                "template": document("job-${n}"),
                "parameters": [{"n": NUMBER} for _ in range(size)],
            }
            rate = _send(server, template, BATCH_CLIENTS, warm_s, seconds, "/v1/jobs:batch").rate
            found["template"].append(size * rate)
        with servers.comity("simulated", settings={"runTime": "1h"}, pools=[{"name": "cpu", "count": 1}]) as server:
            array = document(f"sweep-{NUMBER}", array={"size": size})
            _check_elements(server)
            found["array"].append(size * _send(server, array, BATCH_CLIENTS, warm_s, seconds).rate)
    higher: figures.Better = "higher"
    floor = figures.metric(floors, "/s", target=None, better=higher)
    templates = figures.metric(found["template"], "/s", target=None, better=higher)
    return figures.Result(
        {
            "single_per_s": figures.metric(found["single"], "/s", target=2_500, better=higher),
            "single_ratio_to_floor": figures.metric(found["ratio"], "", target=0.6, better=higher),
            "bulk_distinct_per_s": figures.metric(found["bulk"], "/s", target=12_000, better=higher),
            "bulk_array_per_s": figures.metric(found["array"], "/s", target=50_000, better=higher),
            "p99_ms": figures.metric(found["p99"], "ms", target=100, better="lower"),
        },
        bound_by="one Python interpreter: parsing HTTP, reading the document into a job, making its rows and its "
        "journal entry. The disk is not the bound: what waits is committed together",
        peers={
            "floor": {"what": "bench/floor.py", "per_s": {"median": floor.median, "min": floor.min, "max": floor.max}}
        },
        known={
            "Slurm sbatch": "344/s (4 clients)",
            "procrastinate": "1,275/s",
            "SQLite FULL, one row a commit": "4,200/s",
            "PostgreSQL, 8 connections": "10,900/s",
        },
        loses=(
            "raw PostgreSQL inserts without HTTP, validation and journal are several times faster than a single submit",
        ),
        notes=(
            f"{CLIENTS} keep-alive clients in a closed loop; every document differs; the answer follows the fsync",
            (
                f"a template with {size} sets of parameters: {templates.median:g} jobs/s "
                f"[{templates.min:g} .. {templates.max:g}], each a row of its own"
            ),
            f"an array of {size} elements is one row until its elements start; each can be read and cancelled at once",
        ),
    )


def _send(
    server: servers.Server,
    body: Mapping[str, object],
    clients: int,
    warm_s: float,
    seconds: float,
    path: str = "/v1/jobs",
) -> compiled.Load:
    request = server.request("POST", path, body)
    return compiled.load(server.port, request, connections=clients, warm_s=warm_s, seconds=seconds)


def _check_elements(server: servers.Server) -> None:
    """Raise RuntimeError unless any element of an array can be read and cancelled."""
    client = server.connect()
    made = client.call("POST", "/v1/jobs", servers.job("sweep", "true", array={"size": BATCH}))
    client.call("GET", f"/v1/jobs/{made['id']}[{BATCH - 1}]")
    client.call("POST", f"/v1/jobs/{made['id']}[{BATCH - 1}]:cancel")
    client.close()
