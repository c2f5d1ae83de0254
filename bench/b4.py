"""B4: jobs from the first POST to the end of the last, durable and journalled on the way.

``local_per_s``: real processes, ``/bin/true`` under the local backend's runner, which outlives the server.
``simulated_per_s``: the same path with a backend whose jobs end at once, so that the control plane alone is measured.
"""

from __future__ import annotations

import time

from bench import figures, servers

JOBS_LOCAL, JOBS_SIMULATED = 600, 6_000
BATCH = 200
TIMEOUT_S = 180.0


@figures.figure("B4", "end to end throughput of short jobs")
def measure(options: figures.Options) -> figures.Result:
    """Measure both backends, alternating."""
    local: list[float] = []
    isolated: list[float] = []
    simulated: list[float] = []
    for _ in range(options.repeats):
        count = options.size(JOBS_LOCAL, 100)
        with servers.comity("local", settings={"isolation": "none"}) as server:
            local.append(_run(server, count))
        with servers.comity("local") as server:
            isolated.append(_run(server, count))
        pools = [{"name": "cpu", "count": 4_096}]
        with servers.comity("simulated", settings={"runTime": 0}, pools=pools) as server:
            simulated.append(_run(server, options.size(JOBS_SIMULATED, 500)))
    strong = figures.metric(isolated, "/s", target=None, better="higher")
    return figures.Result(
        {
            "local_per_s": figures.metric(local, "/s", target=500, better="higher"),
            "simulated_per_s": figures.metric(simulated, "/s", target=3_000, better="higher"),
        },
        bound_by="local: fork and exec of the runner and of the job, and the files of an attempt, all on the cores "
        "that the server needs too. simulated: one Python interpreter, some four changes of state a job, each a row "
        "and a journal entry",
        known={
            "HyperQueue": "473-497/s (real processes, not durable)",
            "Slurm": "51-56/s",
            "Parsl": "722/s (no process, not durable)",
            "Dask": "545/s (no process, not durable)",
            "Ray": "2,050-2,250/s (no process, not durable)",
        },
        loses=(
            "where a call of a Python function in a warm worker is enough, Ray, Parsl and Dask start no process at all",
        ),
        notes=(
            f"batches of {BATCH} documents; from the first byte sent until no job lives",
            (
                "local with isolation none, as the peers run; with the isolation that the machine offers by default: "
                f"{strong.median:g}/s [{strong.min:g} .. {strong.max:g}]"
            ),
        ),
    )


def _run(server: servers.Server, count: int) -> float:
    """Return jobs a second; raises RuntimeError where one did not succeed."""
    client = server.connect()
    client.call("POST", "/v1/jobs", servers.job("warm", "/bin/true"))
    client.until_none_lives(timeout_s=TIMEOUT_S)
    size = min(BATCH, count)
    documents = [servers.job(f"job-{number}", "/bin/true") for number in range(size)]
    request = server.request("POST", "/v1/jobs:batch", {"documents": documents})
    begun = time.perf_counter()
    for _ in range(count // size):
        client.send(request)
    client.until_none_lives(timeout_s=TIMEOUT_S)
    seconds = time.perf_counter() - begun
    bad = client.call("GET", "/v1/jobs?filter=phase=FAILED,CANCELLED&limit=1")["items"]
    if bad:
        raise RuntimeError(f"a job did not succeed: {bad[0]['status']}")
    client.close()
    return count // size * size / seconds
