"""The client of the HTTP API, for programs and for the command line.

``Client`` is synchronous and starts fast (``http.client``). What a job names on the user's machine is resolved here,
in :mod:`orchestrator.client.resolution`, before anything is sent. No rule is judged here.
"""

from __future__ import annotations

from orchestrator.client.clients import Client
from orchestrator.client.errors import ClientError, ProblemError, UnreachableError

__all__ = ["Client", "ClientError", "ProblemError", "UnreachableError"]
