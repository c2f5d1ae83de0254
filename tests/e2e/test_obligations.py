"""What the law asks for in return, on a real control plane: listed, overdue, fulfilled, and in the proof."""

import json
import threading
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Shell

PLACE = """
apiVersion: comity.dev/v1
kind: Operator
metadata: {name: nimbus}
spec:
  legalCountry: US
  ultimateParentHq: US
  facts: {source: "annual report 2025", asOf: 2026-03-31, validTo: 2036-03-31, assurance: documented}
---
apiVersion: comity.dev/v1
kind: Backend
metadata: {name: over-there}
spec:
  adapter: simulated
  operator: nimbus
  location: {country: US}
  adminFrom: [US]
  logStore: {country: US}
  pools: [{name: cpu, count: 4}]
  settings: {runTime: 1h}
  facts: {source: "contract 7 of 2026", asOf: 2026-03-31, validTo: 2036-03-31, assurance: documented}
---
apiVersion: comity.dev/v1
kind: DataSet
metadata: {name: people}
spec:
  controller: {country: FR}
  classes: [personal]
  subjects: [FR]
  safeguards: [{type: scc-eu}, {type: tia}]
---
apiVersion: comity.dev/v1
kind: Policy
metadata: {name: house}
spec:
  engine: cedar
  text: |
    @id("register") @effect("oblige") @due("0d") @reason("enter it in the register of transfers")
    forbid(principal, action, resource) when { resource has country && resource.country == "US" };
---
apiVersion: comity.dev/v1
kind: Job
metadata: {name: abroad}
spec:
  command: ["true"]
  data: {reads: [{name: people}]}
  sovereignty: {countries: {allow: [US]}}
"""
TRANSFER, REGISTER = "eu-gdpr.art46:US", "cedar.house.register"
TRIES, PAUSE_S = 900, 0.2


@pytest.fixture(scope="module")
def abroad(plane: Shell) -> Shell:
    """Give a plane on which a job with personal data from France was placed in the US."""
    (plane.folder / "place.yaml").write_text(PLACE)
    ran = plane.run("comity apply -f place.yaml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert _wait(lambda: bool(owed(plane))), plane.run("comity explain abroad").stdout
    return plane


def _wait(check: Callable[[], bool]) -> bool:
    """Ask again until it holds."""
    pause = threading.Event().wait
    return any(check() or pause(PAUSE_S) for _ in range(TRIES))


def owed(plane: Shell) -> dict[str, str]:
    """Return the states of what the job owes, by code."""
    ran = plane.run("comity get job abroad -o json")
    assert ran.returncode == 0, ran.stderr
    status = json.loads(ran.stdout)["status"]
    return {one["code"]: one["state"] for one in status.get("obligations", [])}


def test_from_the_placement_to_the_proof(abroad: Shell) -> None:
    """Each duty of the decision is owed once; what is late is told; a named person fulfils it; the bundle says so."""
    assert _wait(lambda: owed(abroad).get(REGISTER) == "overdue")
    assert owed(abroad) == {TRANSFER: "open", REGISTER: "overdue"}
    told = abroad.run("comity describe job abroad").stdout
    assert "ObligationOverdue" in told
    assert [line.split()[:2] for line in told.splitlines() if line.startswith((TRANSFER, REGISTER))] == [
        [REGISTER, "overdue"],
        [TRANSFER, "open"],
    ]
    late = abroad.run("comity get obligations --filter state=overdue").stdout
    assert REGISTER in late
    assert TRANSFER not in late
    assert "obligation.overdue" in (abroad.folder.parent / "server.log").read_text()
    metrics = abroad.run(
        'curl -sf -H "Authorization: Bearer $(cat ../state/admin.token)" $COMITY_SERVER/metrics'
    ).stdout
    assert 'comity_obligations{state="overdue"} 1.0' in metrics

    answer = '--evidence "register of transfers, no. 17" --by "A. Martin, DPO"'
    done = abroad.run(f"comity policy fulfil abroad {REGISTER} {answer}")
    assert (done.returncode, done.stdout.split()[-1]) == (0, "fulfilled"), done.stderr
    assert abroad.run(f"comity policy fulfil abroad {REGISTER} {answer}").returncode == 0
    other = abroad.run(f'comity policy fulfil abroad {REGISTER} --evidence x --by "B. Durand"')
    assert other.returncode == 1
    assert "A. Martin, DPO" in other.stderr
    assert "it owes: " in abroad.run("comity policy fulfil abroad eu-gdpr.art46:JP --evidence x --by y").stderr
    assert owed(abroad) == {TRANSFER: "open", REGISTER: "fulfilled"}
    conditions = json.loads(abroad.run("comity get job abroad -o json").stdout)["status"]["conditions"]
    assert {one["type"]: one["status"] for one in conditions}["ObligationOverdue"] is False

    proof = abroad.run("comity evidence abroad --open entries -o proof.json")
    assert proof.returncode == 0, proof.stderr
    head = json.loads(abroad.run("comity log checkpoint -o json").stdout)
    (abroad.folder / "log.pub").write_text(head["key"])
    checked = abroad.run("comity verify proof.json --trust log.pub")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    entries = json.loads((abroad.folder / "proof.json").read_text())["entries"]
    assert "register of transfers, no. 17" in json.dumps(entries)
