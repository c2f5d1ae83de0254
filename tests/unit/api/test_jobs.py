"""Jobs over HTTP: submit, read, list, find, cancel, retry, apply, batch."""

import base64

import pytest
from installations import Installation, document, job

from orchestrator.domain import ids, offers, sites


def test_a_valid_document_gets_202_and_an_id(installation: Installation) -> None:
    """The answer carries the id, the document and its phase, and the loop is told."""
    answer = installation.client("submit").post("/v1/jobs", json=job())
    assert answer.status_code == 202
    body = answer.json()
    assert body["id"] == body["metadata"]["id"] == answer.headers["location"].rpartition("/")[2]
    assert body["status"]["phase"] == "QUEUED"
    assert [one.id for one in installation.changed] == [body["id"]]


def test_a_submission_is_journaled_with_who_and_never_with_its_environment(installation: Installation) -> None:
    """The entry names job, actor and tenant, and no value of a variable."""
    installation.client("submit").post("/v1/jobs", json=job(env={"CANARY": "s3cr3t-canary"}))
    entry = installation.store.entries()[-1].entry
    assert (entry.kind, entry.tenant, entry.actor[0]) == ("job.submitted", "default", "t")
    assert "canary" not in str(entry.body)


def test_the_same_key_with_the_same_body_is_one_job(installation: Installation) -> None:
    """A repeated request answers with the first job's id."""
    client = installation.client("submit")
    ids = {client.post("/v1/jobs", json=job(), headers={"Idempotency-Key": "k"}).json()["id"] for _ in range(3)}
    assert len(ids) == 1


def test_the_same_key_with_another_body_is_refused(installation: Installation) -> None:
    """Another document under a known key is 422 idempotency.mismatch."""
    client = installation.client("submit")
    client.post("/v1/jobs", json=job(), headers={"Idempotency-Key": "k"})
    answer = client.post("/v1/jobs", json=job("other"), headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.mismatch")


def test_keys_of_two_tenants_live_apart(installation: Installation) -> None:
    """The same key in another tenant is another job."""
    keyed = {"headers": {"Idempotency-Key": "k"}, "json": job()}
    first = installation.client("submit").post("/v1/jobs", **keyed).json()["id"]
    second = installation.client("submit", tenant="b").post("/v1/jobs", **keyed).json()["id"]
    assert first != second


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\x01b"])
def test_a_bad_key_is_malformed(installation: Installation, key: str) -> None:
    """A key that is empty, too long or not printable ASCII is 400."""
    headers = {"Idempotency-Key": key.encode("latin-1")}
    assert installation.client("submit").post("/v1/jobs", json=job(), headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"queue": "nowhere"}, "queue.unknown:nowhere"),
        ({"tier": "critical"}, "tier.unknown:critical"),
        ({"priority": "urgent"}, "priority.unknown:urgent"),
        ({"data": {"reads": [{"name": "gone"}]}}, "data.unknown:gone"),
        ({"outputs": [{"path": "a", "as": "gone"}]}, "data.unknown:gone"),
        ({"workdir": {"digest": "sha256:" + "0" * 64}}, "workdir.unknown"),
    ],
)
def test_what_a_job_names_must_exist(installation: Installation, spec: dict[str, object], code: str) -> None:
    """A queue, tier, priority, data set or archive nobody knows is named by its own code."""
    answer = installation.client("submit").post("/v1/jobs", json=job(**spec))
    assert answer.status_code == 422
    assert [one["code"] for one in answer.json()["errors"]] == [code]


@pytest.mark.parametrize("method", ["submit", "plan", "apply", "dry run"])
def test_an_accelerator_nobody_knows_is_an_error(installation: Installation, method: str) -> None:
    """Each unknown name is told by path, with the nearest known one; known slugs, aliases and counts are not."""
    client = installation.client("submit")
    asked = job(resources={"accelerators": {"anyOf": ["H100", "h1OO", "nvidia-h20O-sxm:8", "warp-core"]}})
    answer = {
        "submit": lambda: client.post("/v1/jobs", json=asked),
        "plan": lambda: client.post("/v1/plans", json=asked),
        "apply": lambda: client.put("/v1/jobs/hello", json=asked),
        "dry run": lambda: client.put("/v1/jobs/hello?dryRun=true", json=asked),
    }[method]()
    assert answer.status_code == 422
    path = "spec.resources.accelerators.anyOf"
    assert [(one["code"], one["path"], one["remedy"]) for one in answer.json()["errors"]] == [
        ("accelerator.unknown:h1OO", f"{path}[1]", "did you mean H100?"),
        ("accelerator.unknown:nvidia-h20O-sxm", f"{path}[2]", "did you mean nvidia-h200-sxm?"),
        (
            "accelerator.unknown:warp-core",
            f"{path}[3]",
            "names are slugs such as nvidia-h100-sxm, or aliases such as H100",
        ),
    ]


def test_a_plan_is_submitted_as_decided_or_not_at_all(installation: Installation) -> None:
    """The digest of a plan, or its beginning, lets the job in while the answer is the same; else nothing is made."""
    client = installation.client()
    digest = client.post("/v1/plans", json=job()).json()["digest"].removeprefix("sha256:")
    assert client.post(f"/v1/jobs?plan={digest[:6]}", json=job()).status_code == 202
    place = {"adapter": "simulated", "location": {"country": "FR"}, "pools": [{"name": "p", "count": 1}]}
    assert client.put("/v1/backends/new", json=document("Backend", "new", **place)).status_code in (200, 201)
    before = len(client.get("/v1/jobs").json()["items"])
    answer = client.post(f"/v1/jobs?plan={digest}", json=job())
    assert (answer.status_code, answer.json()["code"]) == (409, "plan.changed")
    assert len(client.get("/v1/jobs").json()["items"]) == before
    assert client.post("/v1/jobs?plan=9f", json=job()).json()["code"] == "request.malformed"


def test_what_an_adapter_discovered_may_be_asked_for(installation: Installation) -> None:
    """A device that no catalogue has is known where a backend has it, by just that name."""
    installation.client().put("/v1/backends/here", json=document("Backend", "here", adapter="local"))
    pool = sites.Pool("gpu", accelerator="nvidia-geforce-rtx-4080")
    room = offers.Room(slots=1)
    offer = offers.Offer(ids.SiteName("here/gpu"), room, room, installation.clock.at, pool=pool)
    installation.seen.record_offers("here", [offer], at=installation.clock.at)
    client = installation.client("submit")
    for name, status in (("nvidia-geforce-rtx-4080", 202), ("nvidia-geforce-rtx-408O", 422)):
        asked = job(resources={"accelerators": {"anyOf": [name]}})
        assert client.post("/v1/jobs", json=asked).status_code == status


def test_every_error_is_told_at_once(installation: Installation) -> None:
    """Two unknown fields and an unknown queue of another document are three errors in two answers."""
    answer = installation.client("submit").post("/v1/jobs", json=job(comand=["x"], nods=1))
    assert {one["path"] for one in answer.json()["errors"]} == {"spec.comand", "spec.nods"}


def test_a_misspelt_country_is_refused_once_with_what_was_meant(installation: Installation) -> None:
    """A plan names the entry that stands for nothing by one reason, whose remedy is the nearest known name."""
    admin = installation.client()
    admin.put("/v1/operators/me", json=document("Operator", "me", legalCountry="FR", ultimateParentHq="FR"))
    backend = document(
        "Backend", "here", adapter="local", operator="me", location={"country": "FR"}, pools=[{"name": "cpu"}]
    )
    admin.put("/v1/backends/here", json=backend)
    asked = job(sovereignty={"countries": {"allow": ["EAE", "FR"]}})
    (site,) = installation.client("submit").post("/v1/plans", json=asked).json()["sites"]
    found = {
        one["code"]: one["remedy"]["change"]
        for one in site["reasons"]
        if one["code"].startswith(("core.", "countries"))
    }
    assert found == {"countries.unknown-set": "correct EAE to EEA in spec.sovereignty.countries"}


def test_a_field_that_is_not_built_is_refused_by_path(installation: Installation) -> None:
    """A field without meaning is job.unsupported with its path."""
    answer = installation.client("submit").post("/v1/jobs", json=job(checkpoint={"path": "/c"}))
    assert (answer.status_code, answer.json()["code"]) == (422, "job.unsupported:spec.checkpoint")


def test_nothing_said_about_data_is_said_back(installation: Installation) -> None:
    """Without data and without a tenant's default the answer says how the job is judged."""
    answer = installation.client("submit").post("/v1/jobs", json=job(data=None))
    assert answer.json()["notices"] == ["no data declared: judged as public"]


def test_no_data_may_need_a_right(installation: Installation) -> None:
    """A tenant may reserve `data: none` for a role."""
    admin = installation.client()
    admin.put("/v1/tenants/default", json=document("Tenant", "default", mayDeclareNoData=["steward"]))
    refused = installation.client("submit").post("/v1/jobs", json=job())
    assert (refused.status_code, refused.json()["code"]) == (403, "data.none-not-allowed")
    assert installation.client("submit", "steward").post("/v1/jobs", json=job()).status_code == 202


def test_an_element_is_readable_and_cancellable_from_the_start(installation: Installation) -> None:
    """An array's element answers before anybody touched it, and can be cancelled alone."""
    client = installation.client("submit")
    array = client.post("/v1/jobs", json=job(array={"size": 5})).json()["id"]
    assert client.get(f"/v1/jobs/{array}[3]").json()["status"]["phase"] == "QUEUED"
    assert client.post(f"/v1/jobs/{array}[3]:cancel").json()["status"]["phase"] == "CANCELLED"
    assert client.get(f"/v1/jobs/{array}").json()["status"]["elements"]["untouched"] == 4
    assert client.get(f"/v1/jobs/{array}[5]").status_code == 404


def test_cancelling_twice_changes_nothing_more(installation: Installation) -> None:
    """The second cancel is 200 with the job as it is."""
    client = installation.client("submit")
    id = client.post("/v1/jobs", json=job()).json()["id"]
    assert [client.post(f"/v1/jobs/{id}:cancel").status_code for _ in range(2)] == [202, 200]


def test_cancel_of_a_running_job_stops_it(installation: Installation) -> None:
    """A job at a backend is STOPPING until its backend says that it ended."""
    client = installation.client("submit")
    id = client.post("/v1/jobs", json=job()).json()["id"]
    installation.run(id)
    assert client.post(f"/v1/jobs/{id}:cancel").json()["status"]["phase"] == "STOPPING"


def test_retry_makes_a_new_job_that_names_the_first(installation: Installation) -> None:
    """An ended job's retry has another id and a condition RetryOf; a live one is refused."""
    client = installation.client("submit")
    id = client.post("/v1/jobs", json=job()).json()["id"]
    assert client.post(f"/v1/jobs/{id}:retry").json()["code"] == "job.not-ended"
    client.post(f"/v1/jobs/{id}:cancel")
    again = client.post(f"/v1/jobs/{id}:retry").json()
    assert again["id"] != id
    assert id in again["status"]["conditions"][0]["message"]


def test_apply_twice_is_one_job_and_another_spec_is_immutable(installation: Installation) -> None:
    """The same document under a name is there already; another one while it lives is job.immutable."""
    client = installation.client("submit")
    first, second = (client.put("/v1/jobs/hello", json=job()) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    other = client.put("/v1/jobs/hello", json=job(command=["false"]))
    assert (other.status_code, other.json()["code"], other.json()["ids"]) == (
        409,
        "job.immutable",
        [first.json()["id"]],
    )
    assert client.put("/v1/jobs/other", json=job()).status_code == 422


def test_lists_are_filtered_and_paged(installation: Installation) -> None:
    """Pages follow each other newest first, and a filter narrows them."""
    client = installation.client("submit")
    made = [client.post("/v1/jobs", json=job(f"n{number}")).json()["id"] for number in range(5)]
    client.post(f"/v1/jobs/{made[0]}:cancel")
    page = client.get("/v1/jobs?limit=2").json()
    rest = client.get("/v1/jobs", params={"limit": "500", "cursor": page["cursor"]}).json()
    assert [one["metadata"]["id"] for one in page["items"] + rest["items"]] == made[::-1]
    assert len(client.get("/v1/jobs?filter=phase=QUEUED").json()["items"]) == 4
    assert [one["metadata"]["name"] for one in client.get("/v1/jobs?filter=name=n1").json()["items"]] == ["n1"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "limit=" + "9" * 5000, "cursor=nope", "filter=phase=NOPE", "filter=zzz"],
)
def test_bad_query_values_are_malformed(installation: Installation, query: str) -> None:
    """What a list cannot be asked is 400."""
    assert installation.client("submit").get(f"/v1/jobs?{query}").status_code == 400


def test_a_name_means_the_newest_live_job_to_a_reader(installation: Installation) -> None:
    """A reading verb takes the newest live one of a name; a changing verb lists the ids."""
    client = installation.client("submit")
    ids = [client.post("/v1/jobs", json=job()).json()["id"] for _ in range(3)]
    client.post(f"/v1/jobs/{ids[2]}:cancel")
    assert client.get("/v1/jobs:find?job=hello").json()["metadata"]["id"] == ids[1]
    refused = client.get("/v1/jobs:find?job=hello&changes=true")
    assert (refused.status_code, set(refused.json()["ids"])) == (409, {ids[0], ids[1]})
    assert client.get(f"/v1/jobs:find?job={ids[0].lower()}").json()["metadata"]["id"] == ids[0]


def test_a_batch_is_all_or_nothing(installation: Installation) -> None:
    """One bad document refuses them all, with its number."""
    client = installation.client("submit")
    answer = client.post("/v1/jobs:batch", json={"documents": [job(), job(nods=1)]})
    assert [one["path"] for one in answer.json()["errors"]] == ["documents[1].spec.nods"]
    assert client.get("/v1/jobs").json()["items"] == []


def test_a_template_fills_strings_only(installation: Installation) -> None:
    """Parameters appear in strings; the same key again answers with the same jobs."""
    client = installation.client("submit")
    body = {"template": job("n-${n}", env={"N": "${n}"}), "parameters": [{"n": "1"}, {"n": "2"}]}
    first, second = (
        client.post("/v1/jobs:batch", json=body, headers={"Idempotency-Key": "b"}).json()["items"] for _ in range(2)
    )
    assert [one["name"] for one in first] == ["n-1", "n-2"]
    assert first == second
    del body["parameters"][1]["n"]
    assert client.post("/v1/jobs:batch", json=body).status_code == 422


def test_logs_come_as_bytes_and_as_pages(installation: Installation) -> None:
    """The stream is the job's bytes; a page has a cursor to go on from and says when nothing follows."""
    installation.fleet.members["here"] = installation.adapter
    client = installation.client("submit")
    id = client.post("/v1/jobs", json=job()).json()["id"]
    assert client.get(f"/v1/jobs/{id}/logs").content == b""
    installation.run(id, exit_code=0)
    assert client.get(f"/v1/jobs/{id}/logs").content == b"hello\n"
    assert client.get(f"/v1/jobs/{id}/logs?follow=true").content == b"hello\n"
    page = client.get(f"/v1/jobs/{id}/logs?limit=3", headers={"Accept": "application/json"}).json()
    assert base64.b64decode(page["chunks"][0]["data"]) == b"hel"
    rest = client.get(f"/v1/jobs/{id}/logs?cursor={page['cursor']}", headers={"Accept": "application/json"}).json()
    assert base64.b64decode(rest["chunks"][0]["data"]) == b"lo\n"
    assert client.get(f"/v1/jobs/{id}/logs?cursor=x").status_code == 400


def test_a_blob_is_kept_by_its_own_digest(installation: Installation) -> None:
    """Bytes that are not those of the digest are refused; the right ones let a job name them."""
    client = installation.client("submit")
    digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert client.post(f"/v1/blobs?digest={digest}", content=b"other").status_code == 400
    assert client.post(f"/v1/blobs?digest={digest}", content=b"hello").json() == {"digest": digest, "size": 5}
    assert client.post("/v1/jobs", json=job(workdir={"digest": digest})).status_code == 202


def test_waiting_answers_when_the_job_has_ended(installation: Installation) -> None:
    """An ended job answers at once; a queued one when the time is over."""
    client = installation.client("submit")
    id = client.post("/v1/jobs", json=job()).json()["id"]
    assert client.get(f"/v1/jobs/{id}:wait?timeoutS=0").json()["status"]["phase"] == "QUEUED"
    client.post(f"/v1/jobs/{id}:cancel")
    assert client.get(f"/v1/jobs/{id}:wait?timeoutS=30").json()["status"]["phase"] == "CANCELLED"


def test_a_plan_answers_every_site_and_submits_nothing(installation: Installation) -> None:
    """A plan names each site with reasons, also for another day, and leaves no job behind."""
    admin = installation.client()
    admin.put("/v1/backends/here", json=document("Backend", "here", adapter="local", pools=[{"name": "cpu"}]))
    answer = admin.post("/v1/plans", json=job(), params={"at": "2027-01-01"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["placeable"], body["at"][:10], [one["site"] for one in body["sites"]]) == (
        False,
        "2027-01-01",
        ["here/cpu"],
    )
    assert "backend.unreachable" in {one["code"] for one in body["sites"][0]["reasons"]}
    assert admin.get("/v1/jobs").json()["items"] == []
    id = admin.post("/v1/jobs", json=job()).json()["id"]
    assert admin.post(f"/v1/jobs/{id}:explain?backend=here").json()["of"] == "now"
    assert admin.post(f"/v1/jobs/{id}:explain?backend=gone").status_code == 404
    assert admin.post("/v1/plans", json=job(), params={"at": "soon"}).status_code == 422
