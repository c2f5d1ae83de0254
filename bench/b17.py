"""B17: many Jobs in one namespace of a real API server, their pods on nodes that only it knows.

Throughput: from the first submission until the last Job was seen to have ended, by the adapter and by a bare asyncio
client, alternating, in the same run. Steady: what a server takes of one core while so many Jobs run and do nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from backends import kubernetes
from backends.kubernetes import render, settings
from bench import compiled, figures, kubes, servers
from orchestrator.domain import ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e.kube import clusters

COUNT, QUICK = 1_000, 40
LIVE, LIVE_QUICK = 10_000, 100
THREADS = 6
"""Calls in flight: what the control loop has at most for one backend's submits."""
BATCH, LOOK_EVERY_S, PATIENCE_S = 500, 0.5, 300.0
WINDOW_S, WINDOW_QUICK_S = 120.0, 5.0
"""As long as the loop's pause between two looks at every attempt, so that each window has one."""
IDLE_WINDOW_S = 30.0
ROOT = pathlib.Path(__file__).parents[1]
_IMPORT = "import time; t = time.perf_counter(); import backends.kubernetes; backends.kubernetes.plugin"
_SAY = "; print((time.perf_counter() - t) * 1e3); import sys; assert 'kubernetes' not in sys.modules"


@figures.figure("B17", "many Jobs in one namespace of a Kubernetes cluster")
def measure(options: figures.Options) -> figures.Result:
    """Measure throughput, the steady state, and the import."""
    imports = [_import_ms() for _ in range(options.repeats)]
    import_ms = figures.metric(imports, "ms", target=50, better="lower")
    count, live = options.size(COUNT, QUICK), options.size(LIVE, LIVE_QUICK)
    try:
        with kubes.cluster() as cluster:
            own, bare = _throughput(cluster, options.repeats, count)
        with kubes.cluster() as cluster:
            idle, steady = _steady(cluster, options, live)
    except kubes.MissingError as error:
        nothing = dict.fromkeys(
            ("jobs_per_s", "ratio_to_bare", "submit_per_s", "submit_ratio_to_bare", "steady_percent", "idle_percent")
        )
        return figures.Result({**nothing, "import_ms": import_ms}, bound_by="", notes=(f"no cluster here: {error}",))
    return figures.Result(
        {
            "jobs_per_s": _rate(own, 1, count),
            "ratio_to_bare": _ratio(own, bare, 1, target=0.8),
            "submit_per_s": _rate(own, 0, count),
            "submit_ratio_to_bare": _ratio(own, bare, 0, target=None),
            "steady_percent": figures.metric(steady, "%", target=5, better="lower"),
            "idle_percent": figures.metric(idle, "%", target=None, better="lower"),
            "import_ms": import_ms,
        },
        bound_by="the API server, its etcd and the Job controller, which share the cores with whoever asks them",
        peers={
            "a bare asyncio client": {
                "jobs_per_s": _rate(bare, 1, count).median,
                "submit_per_s": _rate(bare, 0, count).median,
            }
        },
        notes=(
            f"{count} Jobs a repeat, each one pod that completes at once; {THREADS} calls in flight, on one machine",
            "the bare client posts what the adapter posts, and watches Jobs only; it keeps, checks and adopts nothing",
            f"steady: a server with {live} Jobs that run; user and system time of its process over {WINDOW_S:g} s each",
            f"idle: the same server before the first Job, with the same watches; over {IDLE_WINDOW_S:g} s each",
        ),
    )


Took = tuple[float, float]
"""Seconds until the last was submitted, and until the last was seen to have ended."""


def _rate(took: Sequence[Took], which: int, count: int) -> figures.Metric:
    return figures.metric([count / each[which] for each in took], "/s", target=None, better="higher")


def _ratio(own: Sequence[Took], bare: Sequence[Took], which: int, *, target: float | None) -> figures.Metric:
    found = [theirs[which] / mine[which] for mine, theirs in zip(own, bare, strict=True)]
    return figures.metric(found, "x", target=target, better="higher")


def _throughput(cluster: clusters.Cluster, repeats: int, count: int) -> tuple[list[Took], list[Took]]:
    own: list[Took] = []
    bare: list[Took] = []
    pool = kubes.fakes(cluster, "fake", 2 * max(1, count // kubes.PODS_A_NODE))
    with tempfile.TemporaryDirectory() as folder:
        _by_adapter(cluster, pool, folder, "warm", 20)
        for number in range(repeats):
            turns = [lambda n=number: bare.append(_by_bare(cluster, pool, folder, f"bare{n}", count))]
            turns.append(lambda n=number: own.append(_by_adapter(cluster, pool, folder, f"own{n}", count)))
            for turn in turns if number % 2 else reversed(turns):
                turn()
                _until(lambda: not _pods(cluster), "the pods of the last repeat are gone")
    return own, bare


def _pods(cluster: clusters.Cluster) -> object:
    return cluster.api.get("/api/v1/pods?limit=1&labelSelector=batch.kubernetes.io%2Fjob-name")["items"]


def _adapter(
    cluster: clusters.Cluster, pool: dict[str, object], folder: str, space: str
) -> tuple[backends.BackendAdapter, settings.KubernetesSettings, backends.AdapterContext]:
    given = kubes.settings(cluster, space, **pool)
    context = backends.AdapterContext("b", (sites.Pool("p"),), folder, "bench", clocks.SystemClock().now)
    return kubernetes.plugin.build(given, context), settings.KubernetesSettings.read(given), context


def _placement(prefix: str, number: int) -> backends.SealedPlacement:
    job = ids.JobId(f"{prefix.upper()}X{number}")
    asked = jobs.Resources(cpu_milli=10)
    return backends.SealedPlacement(
        key=ids.attempt_key(job, 1),
        job=job,
        tenant="t",
        number=1,
        site=ids.SiteName("b/p"),
        pool="p",
        spec=jobs.JobSpec(name="t", image=kubes.image(), command=("true",), resources=asked),
        spec_digest=ids.Digest("sha256:" + "0" * 64),
        fence=backends.Fence(ids.Term(1), 1),
        time_limit=dt.timedelta(hours=1),
    )


def _by_adapter(cluster: clusters.Cluster, pool: dict[str, object], folder: str, prefix: str, count: int) -> Took:
    with kubes.namespace(cluster) as space, ThreadPoolExecutor(THREADS) as threads:
        adapter, _, _ = _adapter(cluster, pool, folder, space)
        adapter.observe([])
        moved = threading.Event()
        assert isinstance(adapter, backends.Watches)
        adapter.watch(moved.set)
        placements = [_placement(prefix, number) for number in range(count)]
        begun = time.perf_counter()
        done = [threads.submit(adapter.submit, placement) for placement in placements]
        submitted: list[float] = []
        done[-1].add_done_callback(lambda _: submitted.append(time.perf_counter() - begun))
        left = [backends.AttemptRef(placement.key) for placement in placements]
        ended = 0.0
        while left:
            if time.perf_counter() - begun > PATIENCE_S:
                raise RuntimeError(f"{len(left)} Jobs have not ended")
            moved.wait(LOOK_EVERY_S)
            moved.clear()
            sent = {str(p.key) for p, one in zip(placements, done, strict=True) if one.done()}
            left = _without_ended(adapter, left, sent)
            ended = time.perf_counter() - begun
        for one in done:
            one.result()
        adapter.close()
        return submitted[0], ended


def _without_ended(
    adapter: backends.BackendAdapter, left: Sequence[backends.AttemptRef], sent: set[str]
) -> list[backends.AttemptRef]:
    """Return the attempts that have not ended; asks as the loop does, in batches, only for what was sent."""
    going = [ref for ref in left if str(ref.key) not in sent]
    ask = [ref for ref in left if str(ref.key) in sent]
    for at in range(0, len(ask), BATCH):
        batch = ask[at : at + BATCH]
        seen = adapter.observe(batch)
        for ref, one in zip(batch, seen, strict=True):
            if one.outcome is None:
                going.append(ref)
            elif not one.outcome.succeeded:
                raise RuntimeError(f"a Job ended with {one.outcome}")
    return going


def _by_bare(cluster: clusters.Cluster, pool: dict[str, object], folder: str, prefix: str, count: int) -> Took:
    with kubes.namespace(cluster) as space:
        adapter, wanted, context = _adapter(cluster, pool, folder, space)
        adapter.close()
        grant = render.Grant(wanted, context.backend, context.installation, None)
        bodies = [render.objects(_placement(prefix, number), grant).job for number in range(count)]
        given = {"kubeconfig": str(cluster.kubeconfig), "namespace": space, "jobs": bodies, "calls": THREADS}
        ran = subprocess.run(
            [sys.executable, "-m", "bench.kube_bare"], input=json.dumps(given), capture_output=True, check=True,
            cwd=ROOT, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        submitted, ended = (float(word) for word in ran.stdout.split())
        return submitted, ended


def _until(check: object, what: str) -> None:
    assert callable(check)
    until_s = time.monotonic() + PATIENCE_S
    while not check():
        if time.monotonic() > until_s:
            raise RuntimeError(f"not in time: {what}")
        threading.Event().wait(0.2)


# --- steady -----------------------------------------------------------------------------------------------------------


def _steady(cluster: clusters.Cluster, options: figures.Options, live: int) -> tuple[list[float], list[float]]:
    """Return the percent of one core that a server took, a window each: with no Job, and with as many as ``live``."""
    pool = kubes.fakes(cluster, "steady", max(1, live // kubes.PODS_A_NODE))
    with kubes.namespace(cluster) as space:
        given = kubes.settings(cluster, space, **pool)
        given["kubeconfig"] = {"fromEnv": "COMITY_SECRET_BENCH"}
        secret = {"COMITY_SECRET_BENCH": cluster.kubeconfig.read_text()}
        with servers.comity("kubernetes", settings=given, pools=[{"name": "p"}], environment=secret) as server:
            client = server.connect()
            threading.Event().wait(2 * WINDOW_QUICK_S)
            idle_s = WINDOW_QUICK_S if options.quick else IDLE_WINDOW_S
            idle = [_percent(server.process.pid, idle_s) for _ in range(options.repeats)]
            for at in range(0, live, BATCH):
                documents = [
                    servers.job(f"live-{number}", "sleep", "inf", image=kubes.image())
                    for number in range(at, min(at + BATCH, live))
                ]
                client.call("POST", "/v1/jobs:batch", {"documents": documents})
            running = "/v1/jobs?filter=phase=QUEUED,PLACED,STARTING&limit=1"
            until_s = time.monotonic() + 6 * PATIENCE_S
            while client.call("GET", running)["items"]:
                if time.monotonic() > until_s:
                    raise RuntimeError("not all Jobs run")
                threading.Event().wait(1.0)
            threading.Event().wait(2 * WINDOW_QUICK_S)
            window_s = WINDOW_QUICK_S if options.quick else WINDOW_S
            return idle, [_percent(server.process.pid, window_s) for _ in range(options.repeats)]


def _percent(pid: int, window_s: float) -> float:
    before, begun = _cpu_s(pid), time.monotonic()
    threading.Event().wait(window_s)
    return (_cpu_s(pid) - before) / (time.monotonic() - begun) * 100


def _cpu_s(pid: int) -> float:
    """Return the seconds of user and system time that a process has taken (proc(5), fields 14 and 15)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _import_ms() -> float:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT + _SAY],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=compiled.GROUND, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(done.stdout)
