"""B16: submissions a second to a real Ray head, by the adapter and by Ray's own client, alternating, in the same run.

The jobs wait for room that there is not: the head's acceptance is measured, not how fast it starts processes.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from backends import ray
from backends.ray import packages, parsing, pools, render, settings
from bench import figures
from orchestrator.domain import ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e import rays

COUNT = 60
THREADS = 4
"""Calls in flight: what the control loop has at most for one backend's submits."""
RUNNER = pathlib.Path(__file__).with_name("ray_sdk_runner.py")


@figures.figure("B16", "submissions to a Ray head")
def measure(options: figures.Options) -> figures.Result:
    """Measure both ways on one head."""
    own: list[float] = []
    sdk: list[float] = []
    count = options.size(COUNT, 10)
    try:
        rays.install()
    except (OSError, subprocess.SubprocessError) as error:
        missing = f"Ray {rays.VERSION} cannot be installed here: {type(error).__name__}"
        return figures.Result({"submit_per_s": None, "submit_ratio_to_sdk": None}, bound_by="", notes=(missing,))
    with _busy_head() as head, tempfile.TemporaryDirectory() as folder:
        adapter, context, wanted = _adapter(head, folder)
        _by_adapter(adapter, "warm", THREADS)
        for number in range(options.repeats):
            sdk.append(count / _by_sdk(head, context, wanted, f"sdk{number}", count))
            own.append(count / _by_adapter(adapter, f"own{number}", count))
        adapter.close()
    ratio = [mine / theirs for mine, theirs in zip(own, sdk, strict=True)]
    wins = f"Ray's own client was faster in {sum(each < 1 for each in ratio)} of {len(ratio)} repeats of this run"
    return figures.Result(
        {
            "submit_per_s": figures.metric(own, "/s", target=20, better="higher"),
            "submit_ratio_to_sdk": figures.metric(ratio, "x", target=0.8, better="higher"),
        },
        bound_by="the head: it writes each job to its store and makes an actor for it, in one process of Python",
        peers={"Ray's own client": {"submit_per_s": figures.metric(sdk, "/s", target=None, better="higher").median}},
        notes=(
            f"{count} jobs a repeat, {THREADS} calls in flight, Ray {rays.VERSION}, all on this machine",
            "the jobs wait for room: what is measured is that the head took them",
        ),
        loses=(
            *((wins,) if min(ratio) < 1 else ()),
            "Ray's own client puts no runner before the command, which so begins a little sooner (not measured)",
        ),
    )


@contextmanager
def _busy_head() -> Iterator[rays.Cluster]:
    """Give a head whose only CPU is taken."""
    with rays.cluster(cpus=1) as head:
        body = {"entrypoint": "sleep 3600", "entrypoint_num_cpus": 1, "submission_id": "hog"}
        head.request("POST", "/api/jobs/", body)
        until_s = time.monotonic() + 60
        while json.loads(head.request("GET", "/api/jobs/hog")[1])["status"] != "RUNNING":
            if time.monotonic() > until_s:
                raise RuntimeError("the head starts no job")
            threading.Event().wait(0.1)
        yield head


def _adapter(
    head: rays.Cluster, folder: str
) -> tuple[backends.BackendAdapter, backends.AdapterContext, settings.RaySettings]:
    given = {"url": head.url, "token": head.token}
    context = backends.AdapterContext("b", (sites.Pool("p"),), folder, "bench", clocks.SystemClock().now)
    return ray.plugin.build(given, context), context, settings.RaySettings.read(given)


def _placement(prefix: str, number: int) -> backends.SealedPlacement:
    job = ids.JobId(f"{prefix.upper()}X{number}")
    spec = jobs.JobSpec(name="t", command=("true",), resources=jobs.Resources(cpu_milli=1000))
    return backends.SealedPlacement(
        key=ids.attempt_key(job, 1),
        job=job,
        tenant="t",
        number=1,
        site=ids.SiteName("b/p"),
        pool="p",
        spec=spec,
        spec_digest=ids.Digest("sha256:" + "0" * 64),
        fence=backends.Fence(ids.Term(1), 1),
    )


def _by_adapter(adapter: backends.BackendAdapter, prefix: str, count: int) -> float:
    with ThreadPoolExecutor(THREADS) as pool:
        begun = time.perf_counter()
        list(pool.map(lambda number: adapter.submit(_placement(prefix, number)), range(count)))
        return time.perf_counter() - begun


def _by_sdk(
    head: rays.Cluster, context: backends.AdapterContext, wanted: settings.RaySettings, prefix: str, count: int
) -> float:
    """Return the seconds that Ray's own client took for the same submissions."""
    nodes = parsing.nodes(json.loads(head.request("GET", "/api/v0/nodes")[1])) or ()
    (share,) = pools.shares(context.pools, list(nodes), wanted)
    package = packages.package(files=(), archive=None)
    body = render.submission(_placement(prefix, 0), share, wanted, package, context)
    ran = subprocess.run(
        [str(head.bin / "python"), str(RUNNER), head.url, prefix, str(count), str(THREADS)],
        input=body,
        capture_output=True,
        check=True,
        env={
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": head.token or "",
            "RAY_USAGE_STATS_ENABLED": "0",
        },
    )
    return float(ran.stdout.split()[-1])
