"""Writes a bundle of the present packs and evaluator, from a real control plane.

``python -m tests.golden.bundles.write``, when packs are released; keep what it writes: each bundle here must verify and
judge the same, for as long as the evaluator's version is kept. A bundle holds three places of invented operators, a job
with two attempts, and a rotation of the log's key between them.
"""

import base64
import json
import pathlib
import sys
import tempfile
import threading

import yaml

from tests.e2e import servers

FOLDER = pathlib.Path(__file__).parent
ROOT = FOLDER.parents[2]
WAIT_S = 180.0


def main() -> int:
    """Write the bundle, the notes kept on the way, and the keys."""
    with tempfile.TemporaryDirectory() as folder:
        server = servers.Process(pathlib.Path(folder) / "state").wait_until_it_listens()
        try:
            made = _bundle(server)
        finally:
            server.stop()
    plain = next(_statements(made["bundle"]))["predicate"]
    name = f"{plain['evaluator'].replace(' ', '-')}-{plain['policy'].removeprefix('sha256:')[:12]}"
    target = FOLDER / name
    target.mkdir(exist_ok=True)
    (target / "evidence.json").write_text(made["bundle"], encoding="utf-8")
    (target / "kept.note").write_text(made["kept"], encoding="utf-8")
    keys = {"first": made["first"], "current": made["current"]}
    (target / "keys.json").write_text(json.dumps(keys, indent=2) + "\n", encoding="utf-8")
    print(target)
    return 0


def _bundle(server: servers.Process) -> dict[str, str]:
    for name in ("places.yaml", "data.yaml"):
        for document in yaml.safe_load_all((ROOT / "examples" / "hospital" / name).read_text(encoding="utf-8")):
            _declare(server, document)
    _, first = server.request("GET", "/v1/log/checkpoint")
    spec = {
        "type": "train",
        "command": ["python", "train.py", "--secret-word"],
        "env": {"EPOCHS": "20"},
        "data": {"reads": [{"name": "patients-fr"}]},
        "sovereignty": {"exposure": {"deny": ["US"]}},
        "retry": {"attempts": 2, "on": ["exitCode"]},
    }
    _, job = server.request("POST", "/v1/jobs", servers.job("tune-mammography", **spec))
    path = f"/v1/jobs/{job['id']}"
    server.until(path, lambda body: len(body["status"]["attempts"]) == 2, timeout_s=WAIT_S)
    server.request("POST", "/v1/log:rotateKey")
    server.until(path, servers.ended, timeout_s=WAIT_S)
    _, last = server.request("GET", "/v1/log/checkpoint")
    status, bundle = server.request("GET", f"{path}/evidence?since={first['size']}")
    assert status == 200, bundle
    text = json.dumps(bundle, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
    return {"bundle": text, "kept": first["note"], "first": first["key"], "current": last["key"]}


def _declare(server: servers.Process, document: dict) -> None:
    if document["kind"] == "Backend":
        document["spec"] |= {"adapter": "simulated", "settings": {"exitCode": 3, "runTime": "1s"}}
    plural = {"ControlPlane": "controlplanes", "DataSet": "datasets"}.get(
        document["kind"], f"{document['kind'].lower()}s"
    )
    body = json.loads(json.dumps(document, default=str))
    status, answer = server.request("PUT", f"/v1/{plural}/{document['metadata']['name']}", body)
    assert status in (200, 201), answer
    threading.Event().wait(0.1)


def _statements(bundle: str):
    for stated in json.loads(bundle)["statements"]:
        yield json.loads(base64.b64decode(stated["envelope"]["payload"]))


if __name__ == "__main__":
    sys.exit(main())
