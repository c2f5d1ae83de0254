"""A backend's identity over HTTP: shown, pinned anew by a person, refused to who may not, told in conditions."""

import dataclasses
import json

import pytest
from installations import FakeAdapter, Installation, document

from orchestrator.domain import offers
from orchestrator.inventory import identities
from orchestrator.ports import stores


class Known(FakeAdapter):
    """Proves itself by ``values``."""

    def __init__(self) -> None:
        super().__init__()
        self.values: tuple[tuple[str, str], ...] = (("uid", "one"),)

    def identity(self) -> offers.PinnedIdentity:
        """See the port."""
        return offers.PinnedIdentity(self.values)


def _digest(*values: tuple[str, str]) -> str:
    found = identities.digest_of(offers.PinnedIdentity(values))
    assert found is not None
    return found


ONE, TWO = _digest(("uid", "one")), _digest(("uid", "two"))


def _declare(installation: Installation, name: str = "here", **spec: object) -> Known:
    answer = installation.client().put(f"/v1/backends/{name}", json=document("Backend", name, adapter="x", **spec))
    assert answer.status_code == 201
    installation.fleet.members[name] = adapter = Known()
    return adapter


def _status(installation: Installation, name: str, **members: object) -> None:
    """Write what the loop would."""
    stored = installation.store.document("Backend", name)
    assert stored is not None
    status = json.loads(stored.status) | members
    installation.store.commit(stores.Changes(documents=(dataclasses.replace(stored, status=json.dumps(status)),)))


def _pin(installation: Installation, name: str, values: tuple[tuple[str, str], ...]) -> None:
    pinned = identities.pin(offers.PinnedIdentity(values), at=installation.clock.now(), by="controller")
    _status(installation, name, identity=pinned)


def _conditions(installation: Installation, name: str) -> dict[str, dict[str, object]]:
    found = installation.client("operate").get(f"/v1/backends/{name}").json()["status"]["conditions"]
    return {one["type"]: one for one in found}


def test_what_answers_is_pinned_by_a_person(installation: Installation) -> None:
    """Confirm pins what answers now, names who and why in the journal, and takes the condition away."""
    adapter = _declare(installation)
    _pin(installation, "here", adapter.values)
    changed = identities.change(offers.PinnedIdentity((("uid", "two"),)), at=installation.clock.now())
    _status(installation, "here", identityChanged=changed)
    said = _conditions(installation, "here")["IdentityChanged"]
    assert ONE in str(said["message"])
    assert TWO in str(said["message"])
    adapter.values = (("uid", "two"),)
    client = installation.client("facts", "operate")
    checked = client.post("/v1/backends/here:check").json()
    assert (checked["identityDigest"], checked["identityPinned"]) == (TWO, ONE)
    confirmed = client.post("/v1/backends/here:confirm", json={"reason": "moved", "identity": TWO}).json()
    assert confirmed["status"]["identity"]["digest"] == TWO
    assert "identityChanged" not in confirmed["status"]
    assert "IdentityChanged" not in _conditions(installation, "here")
    (entry,) = [one.entry for one in installation.store.entries() if one.entry.kind == "backend.identity-confirmed"]
    assert entry.actor == confirmed["status"]["identity"]["by"]
    assert entry.body["identity"]["reason"] == "moved"  # type: ignore[index]


@pytest.mark.parametrize("roles", [("facts",), ("operate",), ("policy",), ("submit", "audit", "steward")])
def test_who_may_not_declare_a_backend_confirms_none(installation: Installation, roles: tuple[str, ...]) -> None:
    """It takes both roles, and the refusal names them."""
    _declare(installation)
    refused = installation.client(*roles).post("/v1/backends/here:confirm", json={"reason": "x"})
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.role")
    assert "facts, operate" in refused.json()["detail"]
    assert "identity" not in installation.client().get("/v1/backends/here").json()["status"]


@pytest.mark.parametrize(
    ("values", "body", "status", "code"),
    [
        ((("uid", "two"),), {"reason": "x", "identity": ONE}, 409, "identity.other"),
        ((), {"reason": "x"}, 409, "identity.none"),
        ((("uid", "one"),), {}, 422, "document.invalid"),
        ((("uid", "one"),), {"reason": ""}, 422, "document.invalid"),
        ((("uid", "one"),), {"reason": "x", "identity": "sha256:1"}, 422, "document.invalid"),
    ],
)
def test_nothing_is_pinned_by_mistake(
    installation: Installation, values: tuple[tuple[str, str], ...], body: dict[str, str], status: int, code: str
) -> None:
    """Another than was looked at, nothing at all, no reason: refused, and the pin stays."""
    adapter = _declare(installation)
    _pin(installation, "here", (("uid", "before"),))
    adapter.values = values
    refused = installation.client("facts", "operate").post("/v1/backends/here:confirm", json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    kept = installation.client().get("/v1/backends/here").json()["status"]["identity"]
    assert kept["values"] == {"uid": "before"}


@pytest.mark.parametrize(("countries", "reason"), [(("FR", "US"), "FactsDiffer"), (("FR", "FR"), "CountedTwice")])
def test_two_backends_that_are_one_say_so(installation: Installation, countries: tuple[str, str], reason: str) -> None:
    """Both name the other; with other facts both are refused, with the same facts every answer warns."""
    for name, country in zip(("a", "b"), countries, strict=True):
        _declare(installation, name, location={"country": country}, pools=[{"name": "p", "count": 1}])
        _pin(installation, name, (("uid", "one"),))
    for name, other in (("a", "b"), ("b", "a")):
        said = _conditions(installation, name)["IdentityShared"]
        assert (said["reason"], said["message"]) == (reason, f"one and the same as {other}")
    body = {"apiVersion": "comity.dev/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"command": ["x"]}}
    sites = installation.client("submit").post("/v1/plans", json=body).json()["sites"]
    word = "identity.shared" if reason == "FactsDiffer" else "caveat.identity-shared"
    codes = {one["site"]: [each["code"] for each in one["reasons"] if word in each["code"]] for one in sites}
    assert codes == {"a/p": [f"{word}:b"], "b/p": [f"{word}:a"]}


def test_a_changed_identity_is_refused_with_both(installation: Installation) -> None:
    """The refusal cites what was pinned and what was seen, when, and says what to do."""
    _declare(installation, pools=[{"name": "p", "count": 1}])
    _pin(installation, "here", (("uid", "one"),))
    changed = identities.change(offers.PinnedIdentity((("uid", "two"),)), at=installation.clock.now())
    body = {"apiVersion": "comity.dev/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"command": ["x"]}}

    def codes() -> dict[str, dict[str, object]]:
        (site,) = installation.client("submit").post("/v1/plans", json=body).json()["sites"]
        return {one["code"]: one for one in site["reasons"]}

    assert "identity.changed" not in codes()
    assert "caveat.identity-unpinned" not in codes()
    _status(installation, "here", identityChanged=changed)
    refused = codes()["identity.changed"]
    assert [fact["value"] for fact in refused["facts"]] == [ONE, TWO]  # type: ignore[attr-defined]
    assert "comity backend confirm here" in str(refused["remedy"])
    for damaged in ("x", {"digest": 1, "at": "never"}, []):
        _status(installation, "here", identityChanged=damaged)
        assert "identity.changed" in codes()
    _status(installation, "here", identityChanged=None, identity={"digest": ONE})
    assert "identity.changed" in codes()
    _status(installation, "here", identity=None)
    assert "caveat.identity-unpinned" in codes()
