"""B5: from sending the POST of a job to the job's first instruction, on an idle server, one job at a time.

The job is a small static C program (``programs/first.c``) whose first statement reads CLOCK_MONOTONIC, which is one
clock for the whole machine, and prints it; the client reads the same clock just before it writes the request to its
connection, and finds the job's reading in the job's log afterwards. Between two jobs the client waits for the end of
the first and then a random while, so that no phase of the control loop is favoured.
"""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
import threading

from bench import compiled, figures, servers

JOBS = 60
IDLE_S = (0.02, 0.12)


@figures.figure("B5", "idle latency from submit to the job's first instruction")
def measure(options: figures.Options) -> figures.Result:
    """Measure five times sixty jobs."""
    p50: list[float] = []
    p99: list[float] = []
    answers: list[float] = []
    isolated: list[float] = []
    dice = random.Random(5)
    for _ in range(options.repeats):
        count = options.size(JOBS, 5)
        latencies, acknowledged = _run({"isolation": "none"}, count, dice)
        p50.append(figures.percentile(latencies, 50))
        p99.append(figures.percentile(latencies, 99))
        answers.append(figures.percentile(acknowledged, 50))
        latencies, _ = _run({}, count, dice, sent=True)
        isolated.append(figures.percentile(latencies, 50))
    strong = figures.metric(isolated, "ms", target=None, better="lower")
    answered = figures.metric(answers, "ms", target=None, better="lower")
    return figures.Result(
        {
            "p50_ms": figures.metric(p50, "ms", target=5.0, better="lower"),
            "p99_ms": figures.metric(p99, "ms", target=25.0, better="lower"),
        },
        bound_by="two fsyncs in a row (submission and placement are one, the other is what the runner writes before it "
        "starts the job), the hand-over between three threads of one interpreter, and the start of two processes",
        known={
            "Slurm": "2.0 s (sbatch --wait)",
            "Dask": "13 ms (a function in a warm worker)",
            "Ray": "1.35 ms (a function in a warm worker)",
        },
        loses=("Ray calls a function in a process that runs already, and writes nothing down first",),
        notes=(
            "the job is a static C program whose first statement reads CLOCK_MONOTONIC",
            (
                f"until the POST is answered: {answered.median:g} ms [{answered.min:g} .. {answered.max:g}], which "
                "waits up to 2 ms for the launch"
            ),
            (
                "isolation none, as the peers run; with the isolation that the machine offers by default, the program "
                "unpacked from an archive for each job: "
                f"p50 {strong.median:g} ms [{strong.min:g} .. {strong.max:g}]"
            ),
            "the job asks for no memory, as the peers' do not; one that does waits some 12 ms for its control group",
        ),
    )


def _run(
    settings: dict[str, object], count: int, dice: random.Random, *, sent: bool = False
) -> tuple[list[float], list[float]]:
    """Return milliseconds to the first instruction, and to the answer, of each job.

    ``sent``: the program goes with the job, because an isolated one does not see ours.
    """
    latencies: list[float] = []
    acknowledged: list[float] = []
    with servers.comity("local", settings=settings) as server:
        client = server.connect()
        command, spec = str(compiled.program("first")), {}
        if sent:
            command, spec = "./first", {"workdir": {"digest": _upload(client)}}
        for number in range(-3, count):
            request = server.request("POST", "/v1/jobs", servers.job(f"first-{number + 3}", command, **spec))
            threading.Event().wait(dice.uniform(*IDLE_S))
            sent_ns, answered_ns, made = client.send(request)
            first_ns = _first_instruction(client, made["id"])
            if number >= 0:
                latencies.append((first_ns - sent_ns) / 1e6)
                acknowledged.append((answered_ns - sent_ns) / 1e6)
        client.close()
    return latencies, acknowledged


def _first_instruction(client: servers.Client, job: str) -> int:
    """Wait for the job and return the time that it printed."""
    body = client.call("GET", f"/v1/jobs/{job}:wait?timeoutS=30")
    if body["status"]["phase"] != "SUCCEEDED":
        raise RuntimeError(f"the job did not run: {body['status']}")
    return int(client.call("GET", f"/v1/jobs/{job}/logs"))


def _upload(client: servers.Client) -> str:
    """Send the program as an archive and return its digest."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(compiled.program("first"), "first")
    digest = f"sha256:{hashlib.sha256(archive.getvalue()).hexdigest()}"
    client.call("POST", f"/v1/blobs?digest={digest}", archive.getvalue())
    return digest
