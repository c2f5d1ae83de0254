"""The double of Akash checks what it is told, and behaves as the specification and the network do."""

import base64
import json
import os
import pathlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from tests.doubles.akash import contract, faults, markets, server
from tests.unit.backends.akash import sdl_samples

Spec = dict[str, Any]
UNTIL_S = 120.0
SCOPED = {"access": "scoped", "scope": ["status", "logs"]}


@pytest.fixture
def akash() -> Iterator[server.Server]:
    """Give a double with one audited provider."""
    with server.serve() as made:
        made.network.providers.append(markets.Provider("alpha", price=5.0))
        yield made


def call(akash: server.Server, method: str, path: str, body: Any = None, key: str = server.KEY) -> httpx.Response:
    """Send one request as a client with a key would."""
    with httpx.Client(base_url=akash.url, headers={"x-api-key": key}, timeout=UNTIL_S, trust_env=False) as client:
        return client.request(method, path, json=body) if body is not None else client.request(method, path)


def said(akash: server.Server, method: str, path: str, body: Any = None) -> Any:
    """Return the ``data`` of a request that goes well."""
    response = call(akash, method, path, body)
    assert response.is_success, response.text
    return response.json()["data"]


def until(true: Callable[[], Any]) -> Any:
    """Wait until this is true, and return it."""
    end = time.monotonic() + UNTIL_S
    while time.monotonic() < end:
        if found := true():
            return found
        threading.Event().wait(0.02)
    pytest.fail("it never became true")


def sdl(command: list[str] | None = None, env: list[str] | None = None, **placement: Any) -> str:
    """Return a document of one service that costs at most 12.5 uact a block."""
    made = sdl_samples.changed("services/job/command", command or ["/bin/sh", "-c", "exec sleep 600"])
    made["services"]["job"]["env"] = env
    if env is None:
        del made["services"]["job"]["env"]
    made["profiles"]["placement"]["here"] |= placement
    return yaml.safe_dump(made)


def create(akash: server.Server, text: str | None = None, deposit: float = 1.0) -> Any:
    """Create a deployment and return what was said."""
    return said(akash, "POST", "/v1/deployments", {"data": {"sdl": text or sdl(), "deposit": deposit}})


def bids(akash: server.Server, dseq: str) -> list[Any]:
    """Return the bids on a deployment."""
    return [one["bid"] for one in said(akash, "GET", f"/v1/bids?dseq={dseq}")]


def take(bid: Any, manifest: str) -> dict[str, Any]:
    """Return the request that takes a bid."""
    return {"manifest": manifest, "leases": [{name: bid["id"][name] for name in ("dseq", "gseq", "oseq", "provider")}]}


def started(akash: server.Server, text: str | None = None) -> str:
    """Create a deployment, take its first bid, return its number."""
    made = create(akash, text)
    said(akash, "POST", "/v1/leases", take(bids(akash, made["dseq"])[0], made["manifest"]))
    return str(made["dseq"])


# --- what it checks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "word"),
    [
        ("POST", "/v1/deployments", {"sdl": "version: 2"}, "$: 'data' is a required property"),
        ("POST", "/v1/deployments", {"data": {"sdl": 7}}, "$.data.sdl: 7 is not of type 'string'"),
        ("POST", "/v1/deployments", {"data": {"sdl": "services: []", "deposit": "5"}}, "$.data.deposit"),
        ("POST", "/v1/deployments", {"data": {"sdl": "version: '2.0'"}}, "Invalid SDL"),
        ("POST", "/v1/deployments", {"data": {"sdl": "{"}}, "Invalid SDL"),
        ("GET", "/v1/bids", None, "query dseq: is missing"),
        ("GET", "/v1/bids?dseq=-1", None, "query dseq"),
        ("GET", "/v1/deployments?limit=0", None, "query limit"),
        ("GET", "/v1/deployments/nine", None, "path dseq"),
        ("POST", "/v1/leases", {"manifest": "[]", "leases": [{"dseq": "1"}]}, "$.leases[0]: 'gseq'"),
        ("POST", "/v1/leases", {"manifest": "[]", "leases": []}, "at least one"),
        ("POST", "/v1/deposit-deployment", {"data": {"dseq": 5, "deposit": 1}}, "$.data.dseq"),
        ("POST", "/v1/create-jwt-token", {"data": {"ttl": 0, "leases": {"access": "full"}}}, "$.data.ttl"),
        ("POST", "/v1/create-jwt-token", {"data": {"ttl": 9, "leases": {"access": "some"}}}, "$.leases"),
    ],
    ids=lambda given: None if isinstance(given, dict) else given,
)
def test_it_refuses_what_the_specification_does(
    akash: server.Server, method: str, path: str, body: Any, word: str
) -> None:
    """A wrong request has no effect and is told why, in the shape of the API reference."""
    response = call(akash, method, path, body)

    assert response.status_code == 400
    assert set(response.json()) == {"error", "message"}
    assert word in response.json()["message"]
    assert not akash.network.deployments


def test_a_body_that_is_no_json_is_refused(akash: server.Server) -> None:
    """Text is not JSON, and JSON under another name is none."""
    for kind, raw in (("application/json", b"{"), ("text/plain", b"{}")):
        headers = {"x-api-key": server.KEY, "Content-Type": kind}
        response = httpx.post(f"{akash.url}/v1/deployments", content=raw, headers=headers, trust_env=False)

        assert (response.status_code, response.json()["error"]) == (400, "BadRequest")


def test_keys_are_wrong_late_rotated_or_of_another_account(akash: server.Server) -> None:
    """Only a good key is let in, and it sees its own account."""
    dseq = create(akash)["dseq"]
    akash.keys |= {"late": (server.OWNER, 1.0), "other": (markets.address("other"), 9e12)}
    path = f"/v1/deployments/{dseq}"

    assert call(akash, "GET", path, key="").json() == {"error": "Unauthorized", "message": "Invalid API key"}
    assert [call(akash, "GET", path, key=key).status_code for key in ("no", "late", "other")] == [401, 401, 404]
    akash.rotate(server.KEY, "new")
    assert [call(akash, "GET", path, key=key).status_code for key in (server.KEY, "new")] == [401, 200]
    assert httpx.get(f"{akash.url}/v1/providers", trust_env=False).status_code == 200


def test_a_reply_that_breaks_the_specification_is_a_bug_of_the_double() -> None:
    """The double checks itself: what it answers wrongly fails the test that used it."""

    def answer_wrongly() -> None:
        with server.serve() as made:
            made.network.providers.append(markets.Provider("odd", facts={"isOnline": "yes"}))
            assert call(made, "GET", "/v1/providers").status_code == 200

    with pytest.raises(AssertionError, match=r"GET /v1/providers: \$\[0\]\.isOnline"):
        answer_wrongly()


# --- how it behaves ---------------------------------------------------------------------------------------------------


def test_bids_come_late_never_from_the_ineligible_and_from_strangers(akash: server.Server) -> None:
    """Bidders are those whose attributes, auditors and prices match, and those that do not care."""
    akash.network.providers += [
        markets.Provider("late", after_s=3600.0),
        markets.Provider("silent", bids="never"),
        markets.Provider("unsigned", audited_by=(), price=1.0),
        markets.Provider("elsewhere", region="na-us-west", price=1.0),
        markets.Provider("dear", price=13.0),
        markets.Provider("stranger", bids="all", listed=False, region=None, audited_by=(), price=99.0),
    ]
    akash.network.providers[1].price = 1.0
    wanted = {"attributes": {"location-region": "eu-central"}, "signedBy": {"anyOf": [markets.AUDITOR]}}
    dseq = create(akash, sdl(**wanted))["dseq"]

    first = {bid["id"]["provider"] for bid in bids(akash, dseq)}
    assert first == {markets.address("alpha"), markets.address("stranger")}
    akash.network.bid_life_s = 1e9
    akash.offset_s = 3601.0
    assert {bid["id"]["provider"] for bid in bids(akash, dseq)} == first | {markets.address("late")}
    listed = {one["owner"] for one in call(akash, "GET", "/v1/providers").json()}
    assert markets.address("stranger") not in listed
    assert call(akash, "GET", f"/v1/providers/{markets.address('alpha')}").json()["isAudited"] is True
    assert call(akash, "GET", f"/v1/providers/{markets.address('stranger')}").status_code == 404


def test_a_service_that_exits_is_started_again(akash: server.Server) -> None:
    """Akash has services, not jobs: a command that ends well is run again until the deployment is closed."""
    dseq = started(akash, sdl(["/bin/sh", "-c", 'echo "$WORD $HOME"'], ["WORD=said"]))
    bid = akash.network.find(server.OWNER, dseq).bids[0]
    assert bid.lease is not None
    assert bid.lease.workload is not None
    service = bid.lease.workload.services[0]
    output = service.folders[0] / "output"

    assert until(lambda: service.starts > 2 and output.read_text().count("said \n") > 1)
    assert said(akash, "DELETE", f"/v1/deployments/{dseq}") == {"success": True}
    ended = service.starts
    assert service.available() == 0
    told = said(akash, "GET", f"/v1/deployments/{dseq}")
    assert (told["deployment"]["state"], told["leases"][0]["reason"]) == ("closed", "lease_closed_owner")
    assert service.starts == ended
    assert call(akash, "DELETE", f"/v1/deployments/{dseq}").status_code == 400


def test_a_service_comes_up_unless_its_image_cannot_be_pulled() -> None:
    """Available replicas are processes that live."""
    for pulled, wanted in (((), 1), (None, 0)):
        with server.serve(lambda image, found=pulled: found) as akash:  # type: ignore[misc] # a default, not a second argument
            akash.network.providers.append(markets.Provider("alpha", price=5.0))
            dseq = started(akash)
            status = said(akash, "GET", f"/v1/deployments/{dseq}")["leases"][0]["status"]
            if wanted:
                path = f"/v1/deployments/{dseq}"
                until(lambda: said(akash, "GET", path)["leases"][0]["status"]["services"]["job"]["available"])  # noqa: B023 - called at once
            else:
                assert status["services"]["job"]["available"] == 0


def test_a_lease_may_be_made_and_its_manifest_refused(akash: server.Server) -> None:
    """The two halves of one request fail apart: the lease costs money, and nothing runs."""
    made = create(akash)
    bid = bids(akash, made["dseq"])[0]

    assert call(akash, "POST", "/v1/leases", take(bid, "[]")).status_code == 422
    told = said(akash, "GET", f"/v1/deployments/{made['dseq']}")
    assert [(lease["state"], lease["status"]) for lease in told["leases"]] == [("active", None)]
    assert call(akash, "POST", "/v1/leases", take(bid, made["manifest"])).status_code == 400


def test_escrow_is_spent_by_the_clock_and_closes_what_it_cannot_pay(akash: server.Server) -> None:
    """A dollar is a million uact: at 5 uact a block of 6 seconds it is gone after 1.2 million seconds."""
    akash.network.balances_usd[server.OWNER] = 3.0
    dseq = started(akash)
    path = f"/v1/deployments/{dseq}"
    akash.offset_s += 600_000.0
    half = said(akash, "GET", path)["escrow_account"]["state"]
    assert float(half["funds"][0]["amount"]) == pytest.approx(500_000.0, abs=500.0)
    assert float(half["transferred"][0]["amount"]) == pytest.approx(500_000.0, abs=500.0)

    said(akash, "POST", "/v1/deposit-deployment", {"data": {"dseq": dseq, "deposit": 1.0}})
    assert call(akash, "POST", "/v1/deposit-deployment", {"data": {"dseq": dseq, "deposit": 1.5}}).status_code == 402
    akash.offset_s += 1_700_000.0
    assert said(akash, "GET", path)["deployment"]["state"] == "active"
    akash.offset_s += 200_000.0
    told = said(akash, "GET", path)
    assert (told["deployment"]["state"], told["escrow_account"]["state"]["state"]) == ("closed", "overdrawn")
    lease = told["leases"][0]
    assert (lease["state"], lease["reason"]) == ("insufficient_funds", "lease_closed_insufficient_funds")
    assert akash.network.balances_usd[server.OWNER] == 1.0


def test_what_is_left_of_a_deposit_comes_back(akash: server.Server) -> None:
    """A deployment that is closed gives back what was not spent."""
    akash.network.balances_usd[server.OWNER] = 2.0
    dseq = create(akash)["dseq"]
    assert akash.network.balances_usd[server.OWNER] == 1.0

    said(akash, "DELETE", f"/v1/deployments/{dseq}")

    assert akash.network.balances_usd[server.OWNER] == 2.0


def test_deployments_are_listed_in_pages_newest_first(akash: server.Server) -> None:
    """``hash`` tells two documents apart; numbers may come again, states may be unknown."""
    made = [create(akash, sdl(env=[f"NUMBER={number}"]))["dseq"] for number in range(3)]
    page = said(akash, "GET", "/v1/deployments?skip=1&limit=1")
    assert [one["deployment"]["id"]["dseq"] for one in page["deployments"]] == [made[1]]
    assert page["pagination"] == {"total": 3, "skip": 1, "limit": 1, "hasMore": True}
    everything = said(akash, "GET", "/v1/deployments")["deployments"]
    assert len({one["deployment"]["hash"] for one in everything}) == 3

    akash.network.states[made[0]] = "hibernating"
    assert said(akash, "GET", f"/v1/deployments/{made[0]}")["deployment"]["state"] == "hibernating"
    akash.network.next_dseqs.append(made[2])
    assert create(akash)["dseq"] == made[2]


def test_a_provider_may_leave(akash: server.Server) -> None:
    """A lease that its provider closed says so, and its processes are gone."""
    dseq = started(akash)
    akash.network.withdraw(server.OWNER, dseq)

    lease = said(akash, "GET", f"/v1/deployments/{dseq}")["leases"][0]

    assert (lease["state"], lease["reason"], lease["status"]) == ("closed", "lease_closed_unstable", None)


def test_an_update_runs_the_new_manifest(akash: server.Server) -> None:
    """The same groups may run another command; other groups are refused."""
    dseq = started(akash)
    path = f"/v1/deployments/{dseq}"
    before = said(akash, "GET", path)["deployment"]["hash"]

    after = said(akash, "PUT", path, {"data": {"sdl": sdl(["/bin/sleep", "500"])}})["deployment"]["hash"]

    assert after != before
    other = sdl(attributes={"location-region": "eu-north"})
    assert call(akash, "PUT", path, {"data": {"sdl": other}}).status_code == 400


def test_a_token_has_the_claims_of_the_schema_and_a_signature(akash: server.Server) -> None:
    """ES256K over the claims that AEP-64 names."""
    token = said(akash, "POST", "/v1/create-jwt-token", {"data": {"ttl": 60, "leases": SCOPED}})["token"]
    head, claims, sign = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))

    assert json.loads(head)["alg"] == "ES256K"
    told = json.loads(claims)
    assert (told["iss"], told["exp"] - told["iat"], told["leases"]) == (server.OWNER, 60, SCOPED)
    numbers = (int.from_bytes(part, "big") for part in (sign[:32], sign[32:]))
    der = utils.encode_dss_signature(*numbers)
    public = akash.signers[server.OWNER].public_key()
    public.verify(der, token.rpartition(".")[0].encode(), ec.ECDSA(hashes.SHA256()))


# --- how it misbehaves ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "done", "seen"),
    [
        (faults.errors_inside, 0, 200),
        (faults.failed_inside, 0, 201),
        (faults.error_500, 0, 500),
        (faults.html, 0, 200),
        (faults.truncated, 1, None),
        (faults.lost_before, 0, None),
        (faults.lost_after, 1, None),
        (faults.redirect("http://127.0.0.2:9/"), 0, 307),
        (faults.rate_limited("7"), 0, 429),
        (faults.changed(lambda body: {**body, "data": None}), 1, 201),
    ],
    ids=["errors", "201", "500", "html", "truncated", "before", "after", "redirect", "429", "changed"],
)
def test_a_fault_happens_once_with_its_effect(
    akash: server.Server, how: server.Spoiler, done: int, seen: int | None
) -> None:
    """Each fault spoils one answer (``None``: there is none, or half of one), and the request was done or was not."""
    akash.spoil("POST", "/v1/deployments", how)
    body = {"data": {"sdl": sdl(), "deposit": 1.0}}
    try:
        answered: int | None = call(akash, "POST", "/v1/deployments", body).status_code
    except httpx.TransportError:
        answered = None

    assert answered == seen
    assert len(akash.network.deployments) == done
    assert call(akash, "POST", "/v1/deployments", body).status_code == 201


def test_an_endless_body_ends_with_the_client(akash: server.Server) -> None:
    """More comes than anybody asked for, for as long as somebody reads."""
    akash.spoil("GET", "/v1/providers", faults.endless)
    got = 0
    with httpx.stream("GET", f"{akash.url}/v1/providers", trust_env=False, timeout=UNTIL_S) as response:
        for chunk in response.iter_raw():
            got += len(chunk)
            if got > 4_000_000:
                break

    assert got > 4_000_000


def test_every_byte_is_kept(akash: server.Server) -> None:
    """What came is kept whole, refused or not: the start line, headers, body."""
    with socket.create_connection(akash.server_address[:2], timeout=UNTIL_S) as raw:  # type: ignore[arg-type] # of IPv4
        sent = b"POST /v1/secret-path HTTP/1.1\r\nHost: a\r\nX-Canary: one\r\nContent-Length: 3\r\n\r\ntwo"
        raw.sendall(sent)
        assert raw.recv(12) == b"HTTP/1.1 501"

    assert bytes(akash.received) == sent


# --- against the whole specification ----------------------------------------------------------------------------------


@pytest.fixture
def published() -> pathlib.Path:
    """Give the folder with the published files."""
    folder = pathlib.Path(os.environ.get("COMITY_AKASH_SPEC_DIR", ""))
    if not (folder / "console-openapi.json").is_file():
        pytest.skip("COMITY_AKASH_SPEC_DIR names no folder with the published files of Akash (console-openapi.json)")
    return folder


def official(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema: ``nullable`` and the old ``exclusiveMinimum`` are not of it.

    The published pattern of ``dseq`` has lost its backslash (``^d+$``, which no number satisfies): it is read with it.
    """
    if isinstance(schema, list):
        return [official(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: official(one) for name, one in schema.items() if name != "nullable"}
    if schema.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    if made.get("pattern") == "^d+$":
        made["pattern"] = contract.DSEQ["pattern"]
    if isinstance(schema.get("exclusiveMinimum"), bool):
        least = made.pop("exclusiveMinimum")
        if least:
            made["exclusiveMinimum"] = made.pop("minimum")
    return made


def test_the_double_asks_and_answers_as_published(akash: server.Server, published: pathlib.Path) -> None:
    """Each operation, its good request and its honest reply satisfy the official schema, and each was seen."""
    dseq = started(akash)
    said(akash, "GET", "/v1/deployments")
    said(akash, "GET", f"/v1/deployments/{dseq}")
    said(akash, "GET", f"/v1/bids?dseq={dseq}")
    said(akash, "POST", "/v1/deposit-deployment", {"data": {"dseq": dseq, "deposit": 1.0}})
    said(akash, "POST", "/v1/create-jwt-token", {"data": {"ttl": 60, "leases": SCOPED}})
    for path in ("/v1/providers", f"/v1/providers/{markets.address('alpha')}", "/v1/auditors"):
        assert call(akash, "GET", path).status_code == 200
    said(akash, "PUT", f"/v1/deployments/{dseq}", {"data": {"sdl": sdl()}})
    said(akash, "DELETE", f"/v1/deployments/{dseq}")

    assert {one.operation.path for one in akash.exchanges} == {one.path for one in contract.OPERATIONS}
    paths = json.loads((published / "console-openapi.json").read_text())["paths"]
    for one in akash.exchanges:
        told = paths[one.operation.path][one.operation.method.lower()]
        reply = told["responses"][str(one.status)]["content"]["application/json"]["schema"]
        assert contract.problems(one.reply, official(reply)) == []
        if one.operation.body is not None:
            body = told["requestBody"]["content"]["application/json"]["schema"]
            assert contract.problems(one.body, official(body)) == []


def test_what_is_written_here_is_what_is_published(published: pathlib.Path) -> None:
    """Each schema of the double names the same properties, of the same types, as required as the official one."""
    paths = json.loads((published / "console-openapi.json").read_text())["paths"]
    for one in contract.OPERATIONS:
        told = paths[one.path][one.method.lower()]
        same(one.reply, official(told["responses"][str(one.status)]["content"]["application/json"]["schema"]), one.path)
        if one.body is not None:
            same(one.body, official(told["requestBody"]["content"]["application/json"]["schema"]), one.path)
        asked = {given["name"]: given["required"] for given in told.get("parameters", ()) if given["in"] == "query"}
        assert asked == {name: name in one.needed for name in one.query}
        assert one.public == (told["security"] == [])


def same(ours: Spec, theirs: Spec, where: str) -> None:
    """Assert that two schemas say the same of types, names and what is required."""
    assert ours.get("type") == theirs.get("type"), where
    assert ours.get("pattern") == theirs.get("pattern"), where
    assert set(ours.get("required", ())) == set(theirs.get("required", ())), where
    assert set(ours.get("properties", ())) == set(theirs.get("properties", ())), where
    for name, schema in ours.get("properties", {}).items():
        same(schema, theirs["properties"][name], f"{where}/{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(ours.get(name), dict):
            same(ours[name], theirs[name], f"{where}/{name}")


def test_claims_are_those_of_the_published_schema(published: pathlib.Path) -> None:
    """Good and bad claims are good and bad by both."""
    theirs = json.loads((published / "provider-jwt.schema.json").read_text())
    base = {"iss": server.OWNER, "iat": 1, "nbf": 1, "exp": 2, "version": "v1"}
    deployment = {"dseq": 1, "scope": ["logs"], "services": ["job"]}
    one = {"provider": server.OWNER, "access": "granular", "deployments": [deployment]}
    good = [{"access": "full"}, SCOPED, {"access": "granular", "permissions": [one]}]
    bad = [
        {"access": "scoped"},
        {"access": "scoped", "scope": ["all"]},
        {"access": "scoped", "scope": []},
        {"access": "full", "scope": ["logs"]},
        {"access": "granular", "permissions": [{**one, "deployments": [{**deployment, "oseq": 1}]}]},
        {"access": "granular", "permissions": [{**one, "provider": "akash1short"}]},
    ]
    for leases in [*good, *bad]:
        claims = {**base, "leases": leases}
        wrong = contract.problems(claims, contract.CLAIMS)
        assert bool(wrong) == bool(contract.problems(claims, theirs)) == (leases in bad), leases
    assert contract.problems({**base, "leases": SCOPED, "more": 1}, contract.CLAIMS)
