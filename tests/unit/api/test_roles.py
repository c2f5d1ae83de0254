"""Who may say what: roles that check each other are held apart, unless one person is everybody, which records say."""

import itertools

import pytest
from installations import Installation, document, job

from orchestrator.bootstrap import standings as starts
from orchestrator.domain import modes
from orchestrator.inventory import standings
from orchestrator.wire.documents import registry

EXCLUSIVE = ("facts", "policy", "submit")


def _separate(installation: Installation) -> None:
    """Start the server again, with roles held apart."""
    starts.settle(installation.context, installation.context.world().book, one_person=False)
    installation.clock.pass_(seconds=2)  # tokens are read again every second


def _entries(installation: Installation, kind: str) -> list[dict[str, object]]:
    return [dict(link.entry.body) for link in installation.store.entries() if link.entry.kind == kind]


@pytest.mark.parametrize("roles", [*itertools.combinations(EXCLUSIVE, 2), EXCLUSIVE, (*EXCLUSIVE[:2], "audit")])
def test_a_token_with_two_exclusive_roles_is_refused(installation: Installation, roles: tuple[str, ...]) -> None:
    """With separate roles it is 422, says which roles, and what to do; one of them with others is fine."""
    admin = installation.client()
    assert admin.post("/v1/tokens", json={"roles": roles}).status_code == 201
    _separate(installation)
    refused = admin.post("/v1/tokens", json={"roles": roles})
    assert (refused.status_code, refused.json()["code"]) == (422, "token.roles-exclusive")
    named = [role for role in EXCLUSIVE if role in roles]
    assert " and ".join(named) in refused.json()["detail"]
    assert "--one-person" in refused.json()["detail"]
    for one in named:
        assert admin.post("/v1/tokens", json={"roles": [one, "audit", "operate", "steward"]}).status_code == 201


WRITES = {
    "facts": ("PUT", "/v1/operators/o", document("Operator", "o", legalCountry="FR")),
    "policy": ("PUT", "/v1/tenants/default", document("Tenant", "default", hq="FR")),
    "submit": ("POST", "/v1/jobs", job()),
}


@pytest.mark.parametrize("held", [("admin",), EXCLUSIVE, ("facts", "policy", "operate")])
def test_old_tokens_lose_what_excludes_each_other(installation: Installation, held: tuple[str, ...]) -> None:
    """A token from before, the administrator's too, can do none of the three; the refusal says why. Back, it can."""
    client = installation.client(*held)
    _separate(installation)
    for role, (verb, url, body) in WRITES.items():
        answer = client.request(verb, url, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.role")
        assert ("roles are separate" in answer.json()["detail"]) == (role in held or held == ("admin",))
    if held == ("admin",):
        assert client.get("/v1/tokens").status_code == 200
        assert client.get("/v1/events?follow=false").status_code == 200
    starts.settle(installation.context, None, one_person=True)
    installation.clock.pass_(seconds=2)
    for role, (verb, url, body) in WRITES.items():
        expected = {201, 202} if role in held or held == ("admin",) else {403}
        assert client.request(verb, url, json=body).status_code in expected


def test_a_single_role_works_where_roles_are_separate(installation: Installation) -> None:
    """Each of the three does its own and none of the others."""
    installation.token()
    _separate(installation)
    for role in EXCLUSIVE:
        client = installation.client(role)
        for other, (verb, url, body) in WRITES.items():
            assert (client.request(verb, url, json=body).status_code in {200, 201, 202}) is (role == other)


def test_the_mode_is_said_and_stays(installation: Installation) -> None:
    """A start without the flag keeps the mode, each change is journaled, and turning it on is told as loosening."""
    context = installation.context
    assert starts.settle(context, None, None) is modes.Mode.ONE_PERSON
    assert starts.settle(context, None, one_person=False) is modes.Mode.SEPARATE_ROLES
    assert starts.settle(context, None, None) is modes.Mode.SEPARATE_ROLES
    installation.clock.pass_(seconds=2)
    assert installation.bare(None).get("/readyz").json() == {"status": "ok", "mode": "separate-roles"}
    assert context.world().mode is modes.Mode.SEPARATE_ROLES
    assert starts.settle(context, None, one_person=True) is modes.Mode.ONE_PERSON
    assert _entries(installation, "mode.changed") == [
        {"from": "one-person", "to": "separate-roles"},
        {"from": "separate-roles", "to": "one-person"},
    ]
    (loosened,) = _entries(installation, "change.loosened")
    assert loosened["loosens"][0]["code"] == "roles.together"  # type: ignore[index]
    assert "more people" in starts.said(modes.Mode.ONE_PERSON)


def test_a_damaged_mode_is_the_strict_one(installation: Installation) -> None:
    """What cannot be read never opens anything."""
    starts.settle(installation.context, None, one_person=True)
    stored = installation.store.document(standings.KIND, standings.NAME)
    assert stored is not None
    for body in ("{}", "[]", '{"v": 2, "mode": "one-person", "packs": []}', '{"v": 1, "mode": "king", "packs": null}'):
        damaged = type(stored)(stored.kind, stored.name, "", body)
        assert standings.mode_of(damaged) is modes.Mode.SEPARATE_ROLES
    assert standings.mode_of(stored) is modes.Mode.ONE_PERSON


def test_a_pack_that_is_gone_at_a_start_is_journaled(installation: Installation) -> None:
    """The packs of the last start are remembered; one that holds no more is told as loosening."""
    book = installation.context.world().book
    assert book is not None
    starts.settle(installation.context, book, None)
    stored = installation.store.document(standings.KIND, standings.NAME)
    assert stored is not None
    more = standings.Standing(packs=(*(name for name, _ in book.versions), "house-pack"))
    from orchestrator.ports import stores

    changed = standings.to_document(more, version=stored.version)
    installation.store.commit(stores.Changes(documents=(changed,)))
    starts.settle(installation.context, book, None)
    starts.settle(installation.context, book, None)
    (found,) = _entries(installation, "change.loosened")
    assert [one["path"] for one in found["loosens"]] == ["packs.house-pack"]  # type: ignore[union-attr]


@pytest.mark.parametrize("separate", [False, True])
def test_every_record_says_the_mode(installation: Installation, separate: bool) -> None:
    """Answers, stored decisions and entries about what people change say whether one person was everybody."""
    installation.token()
    if separate:
        _separate(installation)
    mode = "separate-roles" if separate else "one-person"
    submitter, facts = installation.client("submit"), installation.client("facts")
    assert submitter.post("/v1/plans", json=job()).json()["versions"]["mode"] == mode
    facts.put("/v1/operators/o", json=document("Operator", "o", legalCountry="FR"))
    assert _entries(installation, "document.created")[-1]["mode"] == mode
    assert _entries(installation, "token.created")[-1]["mode"] == mode


KINDS = {
    "ControlPlane": {"facts"},
    "Operator": {"facts"},
    "Backend": {"facts", "operate"},
    "DataSet": {"steward"},
    "Tenant": {"policy"},
    "Queue": {"operate"},
    "Policy": {"policy"},
}
"""Kind -> every role it takes to write one."""
ROLES = ("submit", "operate", "facts", "policy", "audit", "steward")
SPECS: dict[str, dict[str, object]] = {
    "Backend": {"adapter": "simulated"},
    "Policy": {"engine": "directive", "directive": {"models": ["m"]}},
}


def test_the_matrix_names_every_kind() -> None:
    """A kind that is added is added here too."""
    assert set(KINDS) == set(registry.MODELS) - {"Job"}


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_is_written_by_its_roles_only(installation: Installation, kind: str, separate: bool) -> None:
    """All other roles together do not do, each of the needed ones alone neither; the needed ones do, and withdraw."""
    tokens = {held: installation.token(*held) for held in _holdings(kind)}
    if separate:
        _separate(installation)
    name = "default" if kind == "Tenant" else "x"
    url, body = f"/v1/{kind.lower()}s".replace("policys", "policies"), document(kind, name, **SPECS.get(kind, {}))
    for held, token in tokens.items():
        client = installation.bare(token)
        withheld = {*held} & {*EXCLUSIVE} if separate and len({*held} & {*EXCLUSIVE}) > 1 else set()
        enough = {*held} - withheld >= KINDS[kind]
        put = client.put(f"{url}/{name}", json=body)
        if not enough:
            assert (put.status_code, put.json()["code"]) == (403, "auth.role"), held
            assert all(role in put.json()["detail"] for role in KINDS[kind])
            assert client.delete(f"{url}/{name}").json()["code"] == "auth.role"
        else:
            assert put.status_code == 201, (held, put.text)
            assert client.delete(f"{url}/{name}", params={"reason": "why"}).status_code == 200


def _holdings(kind: str) -> list[tuple[str, ...]]:
    others = tuple(role for role in ROLES if role not in KINDS[kind])
    each = [(role,) for role in ROLES]
    return [*each, others, tuple(sorted(KINDS[kind])), ROLES]
