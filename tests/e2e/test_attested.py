"""Attested, end to end: a challenge, a verifier's tokens, a job that demands it, and each lie refused by its own code.

The verifier is this file: its key is in the trust list, and it makes tokens as a verifier would (EAT as JWS). For
attempts the pretended machine carries the same key, and lies in one way at a time.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from joserfc import jwk

from orchestrator.evidence import profiles
from orchestrator.telemetry import clocks
from tests import tokens
from tests.e2e import servers
from tests.e2e.test_evidence import Desk

SEED = bytes(range(32))
CLOCK = clocks.SystemClock()
HOUR = dt.timedelta(hours=1)
DEMAND = {"minAssurance": "attested"}
RUNS = {"runTime": "1s"}
UNKNOWN = {f"core.assurance:{document}.facts" for document in ("backend", "operator", "controlPlane")}
"""What refuses a job that demands attestation, where nothing is attested."""


def _key() -> jwk.OKPKey:
    """Return the verifier's key, from the seed that the pretended machine knows too."""
    private = tokens.ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    public = tokens.base64url(private.public_key().public_bytes_raw())
    made = {"kty": "OKP", "crv": "Ed25519", "x": public, "d": tokens.base64url(SEED)}
    return jwk.OKPKey.import_key(made)


VERIFIER = tokens.Issuer("https://verifier.example", ("attestation/tdx", "location", "operator"), key=_key())
STRANGER = tokens.Issuer("https://verifier.example", kid="k2")
STATED = {
    "location.country": "FR",
    "adminFrom": ["FR"],
    "logStore.country": "FR",
    "operator": "us",
    "operator.legalCountry": "FR",
    "operator.ultimateParentHq": "FR",
    "operator.owners.coverage": 100,
    "controlPlane.location.country": "FR",
    "controlPlane.operator": "us",
}
"""Every fact that the documents of ``servers.here`` state."""


@dataclasses.dataclass
class Place:
    """A control plane, one backend on it, and the number of results made for it."""

    server: servers.Process
    desk: Desk
    made: int = 0

    @property
    def audience(self) -> str:
        """Return what tokens for this control plane have as ``aud``."""
        return str(self.server.request("GET", "/v1/controlplanes/self")[1]["status"]["audience"])

    def challenge(self) -> str:
        """Ask for a challenge, as its operator does."""
        return self.desk.ok("backend", "challenge", "here").split()[-1]

    def result(self, nonce: str, by: tokens.Issuer = VERIFIER, **changes: Any) -> str:
        """Return a result of this moment that states every fact."""
        now, self.made = CLOCK.now(), self.made + 1
        times = {"iat": tokens.seconds(now), "exp": tokens.seconds(now + HOUR)}
        said = {profiles.CLAIM: {"kind": "attestation/tdx", "facts": STATED}}
        given = {"aud": self.audience, "jti": f"result-{self.made}", "eat_nonce": [nonce], **times, **said, **changes}
        return by.attests("here", **given)

    def declare(self, token: str | None = None, *, lie: str = "none", **settings: Any) -> None:
        """Declare the place anew, with a result in its document; ``lie`` is what its machine does for attempts."""
        facts = {"location.country": "FR"}
        attests = {"verifier": VERIFIER.id, "key": SEED.hex(), "facts": facts, "lie": lie}
        shown = {} if token is None else {"attestation": {"token": token, "verifier": VERIFIER.id}}
        servers.here(self.server, shown, **{**RUNS, "attestation": attests, **settings})

    def refused(self, **sovereignty: Any) -> set[str]:
        """Return the codes that refuse a job that demands attestation, or something else."""
        _, found = self.server.request("POST", "/v1/plans", servers.job(sovereignty=sovereignty or DEMAND))
        (site,) = found["sites"]
        return {one["code"] for one in site["reasons"] if one["effect"] == "deny"}

    def submit(self, name: str, **spec: Any) -> str:
        """Submit a job that demands attestation; return its path."""
        status, made = self.server.request("POST", "/v1/jobs", servers.job(name, sovereignty=DEMAND, **spec))
        assert status == 202, made
        return f"/v1/jobs/{made['id']}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give a control plane that trusts one verifier, for the environment, the place and the operator."""
    folder = tmp_path_factory.mktemp("attested")
    state = folder / "state"
    state.mkdir(mode=0o700)
    public = VERIFIER.key.as_dict(private=False)
    row = {"id": VERIFIER.id, "kinds": list(VERIFIER.kinds), "by": "A. Martin", "why": "verifies"}
    listed = {"asOf": "2026-11-01", "issuers": [row | {"keys": [{"id": VERIFIER.kid, "jwk": public}]}]}
    (state / "trust.yaml").write_text(json.dumps(listed))
    server = servers.Process(state).wait_until_it_listens()
    try:
        made = Place(server, Desk(folder, server))
        made.declare()
        server.until("/v1/sites", lambda body: body["items"] and body["items"][0]["reachable"])
        yield made
    finally:
        server.stop()


def test_a_job_that_demands_attestation_runs_where_it_was_earned(place: Place) -> None:
    """Refused before; a result for a challenge of ours opens the site; the attempt answers a challenge of its own."""
    place.declare()
    assert place.refused() == UNKNOWN
    place.declare(place.result(place.challenge()))
    assert place.refused() == set()
    done = place.server.until(place.submit("attested"), servers.ended)
    assert done["status"]["phase"] == "SUCCEEDED", done
    seen = done["status"]["attempts"][-1]["seen"]["attestation"]
    assert (seen["tee"], seen["verifier"], seen["covers"]) == ("tdx", VERIFIER.id, ["location.country"])


def _replayed(place: Place) -> str:
    first = place.result(place.challenge())
    for token in (first, place.result(place.challenge())):
        place.declare(token)
        assert place.refused() == set()
    return first


def _elsewhere(place: Place) -> str:
    said = {"kind": "attestation/tdx", "facts": STATED | {"location.country": "SG"}}
    return place.result(place.challenge(), **{profiles.CLAIM: said})


LIES: dict[str, Callable[[Place], str]] = {
    "claim.replayed-nonce": _replayed,
    "claim.not-yet-valid": lambda place: place.result(
        place.challenge(), nbf=tokens.seconds(CLOCK.now() + 48 * HOUR), exp=tokens.seconds(CLOCK.now() + 50 * HOUR)
    ),
    "claim.subject-mismatch": lambda place: place.result("0" * 64),
    "claim.wrong-audience": lambda place: place.result(place.challenge(), aud="somebody-else"),
    "claim.untrusted-issuer": lambda place: place.result(place.challenge(), STRANGER),
    "claim.bad-signature": lambda place: place.result(place.challenge(), tokens.Issuer(VERIFIER.id)),
    "claim.contradiction:backend.location.country": _elsewhere,
}


@pytest.mark.parametrize("code", LIES)
def test_a_result_that_does_not_hold_refuses_by_its_own_code(place: Place, code: str) -> None:
    """Shown again, over, meant for others, of nobody we trust, forged, of another country: no two look the same."""
    token = LIES[code](place)
    place.declare(token)
    assert {one for one in place.refused() if one.startswith("claim.")} == {code}
    job = place.submit("refused")
    told = place.server.until(job, lambda body: body["status"]["conditions"])
    assert told["status"]["conditions"][0]["type"] == "Unplaceable"
    form = code if code.count(":") == 0 else f"{code.partition(':')[0]}:<x>"  # a sentence for many jobs names no path
    assert f"{form} (1)" in told["status"]["conditions"][0]["message"]
    place.server.request("POST", f"{job}:cancel")


def test_a_result_for_no_challenge_attests_nothing_of_the_place(place: Place) -> None:
    """A nonce that nobody here gave proves no freshness: it is no lie, and does not earn the level either."""
    place.declare(place.result("backend/here"))
    assert place.refused() == UNKNOWN


@pytest.mark.parametrize(("made_h", "ends_h"), [(30, 29), (25, -1)])
def test_a_result_that_is_over_counts_no_longer(place: Place, made_h: int, ends_h: int) -> None:
    """Past its end, or older than a day whatever its verifier lets it be: as if nobody had attested anything."""
    now = CLOCK.now()
    times = {"iat": tokens.seconds(now - made_h * HOUR), "exp": tokens.seconds(now - ends_h * HOUR)}
    place.declare(place.result("backend/here", **times))
    assert place.refused() == UNKNOWN
    assert place.refused(tee=["tdx"]) == {"tee.attestation"}
    place.declare(place.result("backend/here"))
    assert place.refused(tee=["tdx"]) == set()


ATTEMPTS = {
    "audience": "attestation.wrong-audience",
    "expired": "attestation.expired",
    "untrusted": "attestation.untrusted-issuer",
    "other-job": "attestation.subject-mismatch",
    "replayed": "attestation.replayed-nonce",
}


@pytest.mark.parametrize("lie", ATTEMPTS)
def test_an_attempt_whose_result_does_not_hold_is_stopped(place: Place, lie: str) -> None:
    """Stopped while it runs, the site closed by name until a person has looked; each lie by its own code."""
    # The challenge that is shown again must have been answered once: by a first attempt, which fails.
    again = {"exitCode": 3} if lie == "replayed" else {"runTime": "60s"}
    place.declare(place.result(place.challenge()), lie=lie, **again)
    job = place.submit(f"lied-to-{lie}", retry={"attempts": 2})
    told = place.server.until(job, lambda body: _condition(body, "NonCompliant"))
    assert _condition(told, "NonCompliant")["reason"] == ATTEMPTS[lie]
    place.server.until(job, lambda body: body["status"]["phase"] == "QUEUED")
    assert place.refused() == {"identity.unattested"}
    place.server.request("POST", f"{job}:cancel")
    place.desk.ok("backend", "confirm", "here", "--reason", "the verifier was mended")
    assert place.refused() == set()


def _condition(body: Any, type_: str) -> dict[str, Any] | None:
    found = [one for one in body["status"]["conditions"] if one["type"] == type_ and one["status"]]
    return found[0] if found else None
