"""Runs in Ray's own environment: ``ray_sdk_runner.py URL PREFIX COUNT THREADS``; body on stdin, seconds on stdout.

Submits by Ray's own client, ``ray.job_submission.JobSubmissionClient``, what the adapter submits by HTTP.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def main(url: str, prefix: str, count: int, threads: int) -> None:
    """Submit and say how long it took, the import of the client left out."""
    job_submission: Any = __import__("ray.job_submission", fromlist=["JobSubmissionClient"])
    body = json.load(sys.stdin)
    clients = [job_submission.JobSubmissionClient(url) for _ in range(threads)]
    body.pop("submission_id")

    def submit(number: int) -> None:
        clients[number % threads].submit_job(submission_id=f"{prefix}-{number}", **body)

    with ThreadPoolExecutor(threads) as pool:
        begun = time.perf_counter()
        list(pool.map(submit, range(count)))
        print(time.perf_counter() - begun)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
