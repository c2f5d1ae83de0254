"""Lies of users, and of who has a token that is not theirs."""

from __future__ import annotations

from tests.attack import lies, stage
from tests.e2e import servers

WHO = lies.Attacker.USER


@lies.caught(WHO, "sends an idempotency key again with another body", by="the key is bound to the first body")
def replayed_key(found: stage.Stage) -> lies.Seen:
    """Send two jobs under one key."""
    key = {"Idempotency-Key": found.new("key")}
    first = found.call("POST", "/v1/jobs", servers.job("one"), headers=key)
    assert first.status == 202, first
    return found.call("POST", "/v1/jobs", servers.job("two"), headers=key).refused("idempotency.mismatch")


@lies.caught(WHO, "uses a stolen token after it was revoked", by="revoked at once")
def revoked(found: stage.Stage) -> lies.Seen:
    """Use a token a moment after its end."""
    made = found.call("POST", "/v1/tokens", {"tenant": "default", "roles": ["submit"]}).body
    assert found.call("GET", "/v1/jobs", token=made["token"]).status == 200
    found.call("DELETE", f"/v1/tokens/{made['id']}")
    return found.call("POST", "/v1/jobs", servers.job("late"), token=made["token"]).refused("auth.required")


@lies.missed(
    WHO,
    "uses a stolen token before anybody notices",
    why="whoever bears a token is its owner",
    would="short lives (`expires`), one token a purpose; the journal names the token of every act",
)
def stolen(found: stage.Stage) -> lies.Seen:
    """Use somebody else's token."""
    answer = found.call("POST", "/v1/jobs", servers.job("stolen"), token=found.token("submit"))
    return lies.Seen(answer.status >= 400, f"accepted: {answer.status}")


@lies.caught(WHO, "may submit, and declares a backend", by="roles: facts are for role `facts`")
def other_role(found: stage.Stage) -> lies.Seen:
    """Declare a place as somebody who only submits."""
    return found.put("Backend", "mine", stage.site("FR"), token=found.token("submit")).refused("auth.role")


@lies.caught(WHO, "makes itself an administrator's token", by="roles: tokens are made by role `admin`")
def own_token(found: stage.Stage) -> lies.Seen:
    """Ask for more than one has."""
    body = {"tenant": "default", "roles": ["admin"]}
    return found.call("POST", "/v1/tokens", body, token=found.token("submit", "facts", "policy")).refused("auth.role")


@lies.caught(WHO, "names another tenant in the body", by="the tenant is the token's")
def other_tenant(found: stage.Stage) -> lies.Seen:
    """Say whose job it is."""
    asked = servers.job("borrowed")
    asked["metadata"]["tenant"] = "careful"
    answer = found.call("POST", "/v1/jobs", asked, token=found.token("submit", tenant="spies"))
    return lies.Seen(answer.status == 422, f"refused: {answer.status}" if answer.status >= 400 else "taken")


@lies.caught(WHO, "reads another tenant's job by its id", by="404, as for an id that nobody has")
def other_job(found: stage.Stage) -> lies.Seen:
    """Ask for a job that one knows the id of."""
    id = found.call("POST", "/v1/jobs", servers.job("private")).body["id"]
    return found.call("GET", f"/v1/jobs/{id}", token=found.token("submit", tenant="spies")).refused("job.not-found")
