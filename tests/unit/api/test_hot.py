"""The front serves the hot routes as the application behind it would, and nothing else."""

import asgi
from installations import Installation, job

from orchestrator.api import app, guards, hot

PATHS = (
    "/v1/jobs",
    "/v1/jobs?limit=1",
    "/v1/jobs?limit=x",
    "/v1/jobs?cursor=" + "x" * 300,
    "/v1/jobs?filter=phase%3Dnone",
    "/v1/jobs/",
    "/v1/jobs/x",
    "/v1/jobs/x%0A",
    "/v1/jobs/x%2Fy",
    "/v1/jobs/x%3Acancel",
    "/v1/jobs/x:cancel",
    "/v1/jobs/x/logs",
    "/v1/jobs//x",
    "/v1/jobsx",
    "/v1/jobs:batch",
    "/v1/job",
    "/",
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MALFORMED = {"content": b"{", "headers": {"Content-Type": "application/json"}}


def test_the_same_answers(installation: Installation) -> None:
    """Status, headers and body are those of the application without the front; of a bad body too."""
    token = installation.token()
    front = installation.bare(token)
    bare = guards.Guard(app.create_inner(installation.given), installation.given, hosts=frozenset({"127.0.0.1"}))
    behind = asgi.Client(bare, token)
    id_ = front.post("/v1/jobs", json=job()).json()["id"]
    served = 0
    for path in (*PATHS, f"/v1/jobs/{id_}", f"/v1/jobs/{id_}?x=1", f"/v1/jobs/{id_}/"):
        for method in METHODS:
            more = MALFORMED if method in ("POST", "PUT", "PATCH") else {}
            one, other = front.request(method, path, **more), behind.request(method, path, **more)
            assert (one.status_code, one.headers, one.content) == (other.status_code, other.headers, other.content)
            served += one.status_code == 200
    behind.close()
    assert served >= 5


def test_hot_paths_do_not_reach_the_framework() -> None:
    """Each hot route, as the application lists it, is served by the front itself."""
    for route in hot.routes():
        path = route.path.replace("{id:jobid}", "01ABC")
        for method in (route.methods or set()) - {"HEAD"}:
            scope = {"type": "http", "method": method, "path": path, "root_path": ""}
            assert hot._handler(scope) is route.endpoint
            assert scope.get("path_params", {}) == ({"id": "01ABC"} if "{" in route.path else {})
