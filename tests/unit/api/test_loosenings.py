"""Changes that allow more: told to who makes them, journaled with who and why, and not without a why."""

import pytest
from installations import Installation, document

from orchestrator.bootstrap import standings

STRICT = document("Tenant", "default", floor={"exposure": {"deny": ["US"]}})
LOOSE = document("Tenant", "default", floor={})


def _separate(installation: Installation) -> None:
    standings.settle(installation.context, None, one_person=False)
    installation.clock.pass_(seconds=2)


def _loosened(installation: Installation) -> list[tuple[str, str, object]]:
    entries = [link.entry for link in installation.store.entries() if link.entry.kind == "change.loosened"]
    return [(one.actor, one.subject, one.body["reason"]) for one in entries]


def test_a_floor_that_loses_a_denial_is_journaled(installation: Installation) -> None:
    """The answer names what loosens; the journal has token, document and reason beside the change itself."""
    admin, token = installation.client(), installation.token("policy")
    client = installation.bare(token)
    assert admin.put("/v1/tenants/default", json=STRICT).json()["loosens"] == []
    tried = client.put("/v1/tenants/default?dryRun=true", json=LOOSE).json()
    assert _loosened(installation) == []
    done = client.put("/v1/tenants/default", json=LOOSE, params={"reason": "contract ended"}).json()
    said = {"code": "constraint.removed", "path": "spec.floor.exposure.deny", "text": "US is not denied any more"}
    assert tried["loosens"] == done["loosens"] == [said]
    assert _loosened(installation) == [(token.split("_")[1], "tenant/default", "contract ended")]
    kinds = [link.entry.kind for link in installation.store.entries()][-3:]
    assert kinds == ["document.updated", "change.loosened", "tables.stated"]
    assert client.put("/v1/tenants/default", json=STRICT).json()["loosens"] == []
    assert len(_loosened(installation)) == 1


@pytest.mark.parametrize("how", ["put", "delete"])
def test_with_separate_roles_a_reason_is_needed(installation: Installation, how: str) -> None:
    """Without one the change is refused and nothing is written; a tightening needs none."""
    installation.token()
    _separate(installation)
    client = installation.client("policy")
    assert client.put("/v1/tenants/default", json=LOOSE).status_code == 201
    assert client.put("/v1/tenants/default", json=STRICT).status_code == 200

    def change(**params: str):
        if how == "put":
            return client.put("/v1/tenants/default", json=LOOSE, params=params)
        return client.delete("/v1/tenants/default", params=params)

    refused = change()
    assert (refused.status_code, refused.json()["code"]) == (422, "change.reason-required")
    assert "US is not denied any more" in refused.json()["detail"]
    assert client.get("/v1/tenants/default").json()["spec"] == STRICT["spec"]
    assert _loosened(installation) == []
    assert change(reason="why").status_code == 200
    assert [one[1:] for one in _loosened(installation)] == [("tenant/default", "why")]
