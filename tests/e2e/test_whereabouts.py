"""What is seen of where a job runs, on a real control plane: in its evidence, in what people read, and acted on."""

import json
import pathlib
from collections.abc import Iterator

import pytest

from tests.e2e import servers
from tests.e2e.test_evidence import Desk


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Process]:
    """Give a control plane with a pretended machine that says where it stands."""
    made = servers.Process(tmp_path_factory.mktemp("whereabouts") / "state").wait_until_it_listens()
    try:
        servers.here(made, runTime="10ms", whereabouts={"country": "FR"})
        yield made
    finally:
        made.stop()


def _bundle(desk: Desk, name: str) -> dict:
    (desk.folder / "log.pub").write_text(json.loads(desk.ok("log", "checkpoint", "-o", "json"))["key"])
    desk.ok("evidence", name, "-o", "bundle.json")
    return json.loads((desk.folder / "bundle.json").read_text())


def _opened(bundle: dict) -> dict:
    (found,) = [
        {one["path"]: one["value"] for one in stated["disclosures"]}
        for stated in bundle["statements"]
        if any(one["path"] == "locationCheck" for one in stated["disclosures"])
    ]
    return found


def test_everything_an_adapter_can_know_is_observed(server: servers.Process, tmp_path: pathlib.Path) -> None:
    """Node, image as run, files with digests, adapter with digest, country with source: and all of it is verified."""
    desk = Desk(tmp_path, server)
    image = "registry.example/app@sha256:" + "a" * 64
    spec = {"image": image, "outputs": [{"path": "model.bin"}]}
    _, job = server.request("POST", "/v1/jobs", servers.job("seen", **spec))
    server.until(f"/v1/jobs/{job['id']}", servers.ended)
    opened = _opened(_bundle(desk, "seen"))
    assert [path for path, said in opened.items() if not said["observed"]] == ["attestation", "obligations"]
    (node,) = opened["node"]["value"]
    assert (node["country"], node["assurance"]) == ("FR", "declared")
    assert opened["imageDigest"]["value"] == ["sha256:" + "a" * 64]
    assert opened["locationCheck"]["value"]["result"] == "agrees"
    assert opened["outputDigests"]["value"][0]["path"] == "model.bin"
    assert opened["adapterVersion"]["value"]["digest"].startswith("sha256:")
    page = desk.ok("verify", "bundle.json", "--trust", "log.pub", "--report")
    assert "locationCheck: agrees: decided for FR, seen node 0 in FR (declared:" in page
    assert "where attempt 1 ran: its country is only declared" in " ".join(page.split())
    assert "default-0" in desk.ok("describe", "job", "seen")


def test_another_country_is_told_and_stops_everything_there(server: servers.Process, tmp_path: pathlib.Path) -> None:
    """The attempt is stopped, the site is refused by name with both sources, until a person has looked."""
    desk = Desk(tmp_path, server)
    servers.here(server, runTime="60s", whereabouts={"country": "SG"})
    _, job = server.request("POST", "/v1/jobs", servers.job("abroad"))
    path = f"/v1/jobs/{job['id']}"
    told = server.until(path, lambda body: "NonCompliant" in {one["type"] for one in body["status"]["conditions"]})
    (why,) = [one for one in told["status"]["conditions"] if one["type"] == "NonCompliant"]
    assert why["reason"] == "identity.elsewhere"
    server.until(path, lambda body: body["status"]["phase"] == "QUEUED")
    assert "SG" in desk.ok("describe", "job", "abroad")
    (tmp_path / "next.yaml").write_text(json.dumps(servers.job("next")))
    refused = desk.run("plan", "-f", "next.yaml")
    assert refused.returncode == 3
    assert "identity.elsewhere" in refused.stdout
    assert "SeenElsewhere" in desk.ok("get", "backends", "here", "-o", "yaml")
    opened = _opened(_bundle(desk, "abroad"))
    assert opened["locationCheck"]["value"]["result"] == "contradicts"
    page = desk.ok("verify", "bundle.json", "--trust", "log.pub", "--report")
    assert "SEEN IN ANOTHER COUNTRY" in " ".join(page.split())
    servers.here(server, runTime="10ms", whereabouts={"country": "FR"})
    assert desk.run("plan", "-f", "next.yaml").returncode == 3
    desk.ok("backend", "confirm", "here", "--reason", "the label of a test node was wrong")
    server.until(path, servers.ended)
    desk.ok("plan", "-f", "next.yaml")
