"""The long documents of the interface: every field that is built is read and judged, the others are named."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

import pytest

from orchestrator.bootstrap import cases
from orchestrator.domain import reasons
from orchestrator.policy import evaluator
from orchestrator.sources import packs
from orchestrator.wire import errors, spellings, yaml_loader
from orchestrator.wire.documents import reading

DIGEST = "sha256:" + "a" * 64
EXAMPLE = f"""
apiVersion: comity.dev/v1
kind: Job
metadata: {{name: tune-mammography, labels: {{team: radiology}}}}
spec:
  type: train
  image: registry.example/train@{DIGEST}
  command: [python, train.py]
  env: {{EPOCHS: "3", TOKEN: {{fromSecret: {{name: hub, key: token}}}}}}
  workdir: {{digest: "{DIGEST}"}}
  files: {{config.json: {{content: e30=}}}}
  outputs: [{{path: model.pt, as: weights-fr}}]
  data: {{reads: [{{name: patients-fr, mountPath: /data}}], writes: [weights-fr]}}
  resources:
    cpus: 8
    memory: 64Gi
    accelerators: {{anyOf: [nvidia-h100-sxm, H200, amd-mi300x], count: 8, memory: 80G, interconnect: nvlink}}
  nodes: 2
  tier: critical
  sovereignty:
    countries: {{allow: [EEA, CH], deny: []}}
    exposure: {{deny: [US, CN], acceptImmunity: [secnumcloud-3.2]}}
    certifications: [hds-v2]
    seal: {{SOV-2: 3, SOV-3: 3}}
    tee: [tdx, sev-snp]
    minAssurance: documented
  model:
    id: llama-4-70b
    controller: {{country: FR}}
    trainFlop: 3.0e+24
    aiAct: none
    exportControl: [{{regime: eu-dual-use, item: none}}]
  objective: {{cost: 1, carbon: 0, latency: 0}}
  latencyFrom: FR
  limits: {{pricePerHour: 60 EUR, deadline: 6h, rttMs: 40, startWithin: 2h}}
  queue: radiology
  priority: normal
  retry: {{attempts: 3, on: [preempted, backendLost, exitCode]}}
  onUnreachable: wait
  onNonCompliant: drain
  checkpoint: {{path: /ckpt, every: 10m}}
  verification: {{replicas: 3, quorum: 2, distinct: [operator, country]}}
---
apiVersion: comity.dev/v1
kind: ControlPlane
metadata: {{name: self}}
spec:
  operator: hospital
  location: {{country: FR}}
  adminFrom: [FR]
  logStore: {{country: FR}}
  backupStore: {{country: FR}}
---
apiVersion: comity.dev/v1
kind: Operator
metadata: {{name: ovhcloud}}
spec:
  legalCountry: FR
  ultimateParentHq: FR
  owners:
    coverage: 100
    list: [{{name: founders, country: FR, percent: 70}}, {{name: free float, country: FR, percent: 30}}]
  transferFrameworks: []
  facts: {{source: "annual report", asOf: 2026-11-01, validTo: 2027-11-01, assurance: documented}}
---
apiVersion: comity.dev/v1
kind: Backend
metadata: {{name: gra-kube}}
spec:
  adapter: kubernetes
  settings: {{context: gra, namespace: comity}}
  operator: ovhcloud
  service: managed-kubernetes
  location: {{country: FR, subdivision: FR-59, region: eu-west-gra, regionPinnedByContract: true}}
  adminFrom: [FR]
  logStore: {{country: FR}}
  logRetentionDays: 365
  certifications:
  - scheme: hds-v2
    service: managed-kubernetes
    regions: [eu-west-gra]
    validTo: 2027-06-30
    evidence: "register of certificates"
    digest: "{DIGEST}"
  seal: {{SOV-1: 3, SOV-2: 3, SOV-3: 3}}
  evidence: [{{type: bis-licence, ref: "D1", validTo: 2027-01-01}}]
  accepts: {{tenantCountries: [EEA], denyClasses: [], types: [train, infer]}}
  pools:
  - name: h100
    accelerator: nvidia-h100-sxm
    count: 64
    pricePerHour: 2.20 EUR
    interconnect: nvlink
    inServiceSince: 2025-03-01
    pue: 1.2
  carbon: {{gramsPerKwh: 56, source: "grid operator"}}
  facts: {{source: "contract", asOf: 2026-11-01, validTo: 2027-11-01, assurance: documented}}
---
apiVersion: comity.dev/v1
kind: DataSet
metadata: {{name: patients-fr}}
spec:
  controller: {{operator: hospital, country: FR}}
  classes: [health]
  subjects: [FR]
  counts: {{persons: 50000, sensitive: 50000, window: 12m}}
  location: {{country: FR, uri: "s3://patients"}}
  safeguards: [{{type: scc-eu, ref: "S1", validTo: 2028-01-01}}]
  exportControl: []
  derivedFrom: []
  owner: dpo@hospital.example
---
apiVersion: comity.dev/v1
kind: DataSet
metadata: {{name: weights-fr}}
spec: {{classes: [model], location: {{country: FR}}}}
---
apiVersion: comity.dev/v1
kind: Tenant
metadata: {{name: hospital}}
spec:
  hq: FR
  sector: health
  usPerson: false
  defaultData: {{classes: [health], subjects: [FR]}}
  floor: {{countries: {{allow: [EEA]}}, exposure: {{deny: [US]}}}}
  tiers: {{critical: {{seal: {{SOV-1: 3}}}}}}
  mayDeclareNoData: [steward]
---
apiVersion: comity.dev/v1
kind: Queue
metadata: {{name: radiology}}
spec: {{tenant: hospital, weight: 2, priorities: {{normal: 0, urgent: 10}}}}
"""
NOT_BUILT = {"spec.checkpoint"}
PLACES = {"Backend", "Operator"}


def _documents() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [loaded.data for loaded in yaml_loader.load(EXAMPLE)]
    return found


def _built() -> list[dict[str, Any]]:
    """Return the documents without what is refused by name."""
    job, *others = copy.deepcopy(_documents())
    del job["spec"]["checkpoint"]
    return [job, *others]


def test_only_what_is_not_built_is_refused() -> None:
    """Each refused field is named with the code of what has no meaning yet; all else is read."""
    job, *others = _documents()
    with pytest.raises(errors.InvalidDocumentError) as caught:
        reading.read(job)
    assert {(one.path, one.code) for one in caught.value.errors} == {
        (path, f"job.unsupported:{path}") for path in NOT_BUILT
    }
    for document in others:
        reading.read(document)


def test_the_example_is_judged() -> None:
    """One place, on the day: only what nobody has verified yet stands between the job and the place."""
    documents = [document for document in _built() if document["kind"] != "Queue"]
    places = [document for document in documents if document["kind"] in PLACES]
    asking = [document for document in documents if document["kind"] not in PLACES]
    job, (site,) = cases.reader()(asking, places)
    at = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    found = evaluator.explain(job, site, packs.load(), at)
    denied = {reason.code for reason in found if reason.effect is reasons.Effect.DENY}
    # Whether assurance is judged yet is not this test's question.
    assert {code for code in denied if not code.startswith(("core.assurance", "core.unsupported"))} == {"tee.type"}
    assert "core.unsupported:spec.model" not in denied


def test_numbers_of_the_example_are_numbers() -> None:
    """The training's operations are read as the number they are."""
    written = _documents()[0]["spec"]["model"]["trainFlop"]
    assert isinstance(written, spellings.Plain)
    read = reading.read(_built()[0]).model
    assert read.spec.model.train_flop == 3.0e24  # type: ignore[attr-defined]
