"""A whole document of each kind, as sent over HTTP, and for each of its leaves another value.

``FULL[kind]`` uses every field that has a meaning; ``CHANGES[kind]`` maps a concrete path in it to a different value
that is valid too. The contract tests walk the schema with them.
"""

import base64
from typing import Any

API = "comity.dev/v1"
DIGEST_A, DIGEST_B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
LEI = "969500EXAMPLE0000083"
OTHER_LEI = "000012INVENTED000096"
REGIMES = {
    "sanctionsRegimes": ["eu", "un"],
    "blockingLaws": [{"law": "Regulation (EC) 2271/96", "forbids": "us"}],
}
FACTS = {
    "source": "annual report",
    "asOf": "2026-03-31",
    "validFrom": "2026-01-01",
    "validTo": "2027-03-31",
    "assurance": "documented",
}
LOCATION = {"country": "FR", "subdivision": "FR-59", "region": "eu-west-gra", "regionPinnedByContract": True}
PLACE = {"country": "FR", "subdivision": "FR-59", "region": "eu-west-gra"}
CERTIFICATION = {
    "scheme": "hds-v2",
    "service": "managed-kubernetes",
    "regions": ["eu-west-gra"],
    "validFrom": "2025-01-01",
    "validTo": "2027-06-30",
    "evidence": "certificate 12",
    "digest": DIGEST_A,
}
PAPER = {
    "type": "bis-licence",
    "ref": "D1",
    "validFrom": "2025-01-01",
    "validTo": "2027-01-01",
    "digest": DIGEST_A,
}
SAFEGUARD = {**PAPER, "type": "scc-eu"}
EXPORT = {
    "regime": "eu-dual-use",
    "item": "3E001",
    "licences": [{"ref": "L1", "destinations": ["NO"], "endUsers": ["ovhcloud"], "validTo": "2027-06-30"}],
}
ACCEPTS = {"tenantCountries": ["EEA"], "denyClasses": ["health"], "types": ["train"]}
SOVEREIGNTY = {
    "countries": {"allow": ["EEA", "CH"], "deny": ["HU"]},
    "exposure": {"deny": ["US"], "acceptImmunity": ["secnumcloud-3.2"]},
    "certifications": ["hds-v2"],
    "seal": {"SOV-2": 3},
    "sovereigntyScore": 60,
    "tee": ["tdx"],
    "minAssurance": "documented",
}


def _document(kind: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": "first", **metadata}, "spec": spec}


def _below(base: str, changes: dict[str, Any]) -> dict[str, Any]:
    return {f"{base}.{path}": value for path, value in changes.items()}


FULL: dict[str, dict[str, Any]] = {
    "Job": _document(
        "Job",
        {
            "type": "train",
            "image": "registry.example/train@sha256:1",
            "command": ["python", "train.py"],
            "env": {"EPOCHS": "3", "TOKEN": {"fromSecret": {"name": "hub", "key": "token"}}},
            "workdir": {"digest": DIGEST_A},
            "files": {"config.json": {"content": base64.b64encode(b"{}").decode()}},
            "outputs": [{"path": "model.pt", "as": "weights-fr"}],
            "data": {"reads": [{"name": "patients-fr", "mountPath": "/data"}], "writes": ["weights-fr"]},
            "resources": {
                "cpus": "8",
                "memory": "64Gi",
                "accelerators": {"anyOf": ["nvidia-h100-sxm"], "count": 8, "memory": "80G", "interconnect": "nvlink"},
            },
            "network": {"egress": {"allow": ["192.0.2.0/24"], "dns": False, "enforcement": "unchecked"}},
            "nodes": 1,
            "array": {"size": 100, "parallel": 10},
            "tier": "critical",
            "sovereignty": SOVEREIGNTY,
            "model": {
                "id": "llama-4-70b",
                "controller": {"country": "FR"},
                "trainFlop": 3.0e24,
                "aiAct": "none",
                "exportControl": [EXPORT],
            },
            "objective": {"cost": 1, "carbon": 0.5, "latency": 0.25},
            "latencyFrom": "FR",
            "limits": {"pricePerHour": "60 EUR", "deadline": "6h", "rttMs": 40, "startWithin": "2h"},
            "queue": "radiology",
            "priority": "normal",
            "retry": {"attempts": 3, "on": ["preempted"]},
            "onUnreachable": "wait",
            "onNonCompliant": "drain",
        },
        labels={"team": "radiology"},
        annotations={"note": "a"},
    ),
    "ControlPlane": _document(
        "ControlPlane",
        {
            "operator": "hospital",
            "location": LOCATION,
            "adminFrom": ["FR"],
            "logStore": PLACE,
            "backupStore": PLACE,
            **REGIMES,
            "facts": FACTS,
        },
    ),
    "Operator": _document(
        "Operator",
        {
            "legalCountry": "FR",
            "ultimateParentHq": "FR",
            "owners": {"coverage": 100, "list": [{"name": "free float", "country": "FR", "percent": 30}]},
            "transferFrameworks": ["dpf"],
            "exposureExtra": ["US"],
            "lei": LEI,
            "usPerson": False,
            "coveredPerson": False,
            "listed": False,
            "listedOwnershipPercent": 0,
            "earSupplement8": "Core42",
            **REGIMES,
            "facts": FACTS,
        },
    ),
    "Backend": _document(
        "Backend",
        {
            "adapter": "kubernetes",
            "settings": {"context": "gra"},
            "operator": "ovhcloud",
            "service": "managed-kubernetes",
            "location": LOCATION,
            "adminFrom": ["FR"],
            "logStore": PLACE,
            "logRetentionDays": 365,
            "certifications": [CERTIFICATION],
            "evidence": [PAPER],
            "accepts": ACCEPTS,
            "pools": [
                {
                    "name": "h100",
                    "accelerator": "nvidia-h100-sxm",
                    "count": 64,
                    "cpus": "96",
                    "memory": "1Ti",
                    "pricePerHour": "2.20 EUR",
                    "interconnect": "nvlink",
                    "inServiceSince": "2025-03-01",
                    "pue": 1.2,
                    "operator": "ovhcloud",
                    "location": LOCATION,
                    "adminFrom": ["FR"],
                    "logStore": PLACE,
                    "certifications": [CERTIFICATION],
                    "accepts": ACCEPTS,
                    "facts": FACTS,
                }
            ],
            "seal": {"SOV-1": 3, "SOV-8": 0},
            "chinaStateFunded": False,
            "attestation": {"token": "a.b.c", "verifier": "https://verifier.example"},
            "carbon": {"gramsPerKwh": 56, "source": "grid"},
            "facts": FACTS,
        },
    ),
    "DataSet": _document(
        "DataSet",
        {
            "controller": {"operator": "hospital", "country": "FR"},
            "classes": ["health"],
            "subjects": ["FR"],
            "counts": {"persons": 50000, "sensitive": 40000, "window": "12m"},
            "location": {**PLACE, "uri": "s3://bucket"},
            "safeguards": [SAFEGUARD],
            "exportControl": [EXPORT],
            "ciio": False,
            "primaryDb": "FR",
            "sdfLocalised": False,
            "derivedFrom": ["raw-fr"],
            "owner": "dpo@hospital.example",
            "facts": FACTS,
        },
    ),
    "Tenant": _document(
        "Tenant",
        {
            "hq": "FR",
            "sector": "health",
            "usPerson": False,
            "usOnlyUsers": False,
            **REGIMES,
            "defaultData": {"classes": ["health"], "subjects": ["FR"]},
            "floor": SOVEREIGNTY,
            "tiers": {"critical": SOVEREIGNTY},
            "mayDeclareNoData": ["steward"],
        },
    ),
    "Queue": _document("Queue", {"tenant": "hospital", "weight": 2, "priorities": {"urgent": 10}}),
}

_PLACE = {"country": "DE", "subdivision": "FR-75", "region": "eu-de"}
_LOCATION = {**_PLACE, "regionPinnedByContract": False}
_REGIMES = {
    "sanctionsRegimes.0": "us",
    "blockingLaws.0.law": "another law",
    "blockingLaws.0.forbids": "cn",
}
_FACTS = {
    "source": "web site",
    "asOf": "2026-04-01",
    "validFrom": "2026-01-02",
    "validTo": "2027-04-01",
    "assurance": "certified",
}
_SOVEREIGNTY = {
    "countries.allow.0": "DE",
    "countries.deny.0": "DE",
    "exposure.deny.0": "CN",
    "exposure.acceptImmunity.0": "c5",
    "certifications.0": "c5",
    "seal.SOV-2": 4,
    "sovereigntyScore": 61,
    "tee.0": "sev-snp",
    "minAssurance": "certified",
}
_CERTIFICATION = {
    "scheme": "c5",
    "service": "vm",
    "regions.0": "eu-de",
    "validFrom": "2025-01-02",
    "validTo": "2027-07-01",
    "evidence": "certificate 13",
    "digest": DIGEST_B,
}
_PAPER = {
    "type": "veu",
    "ref": "D2",
    "validFrom": "2025-01-02",
    "validTo": "2027-01-02",
    "digest": DIGEST_B,
}
_SAFEGUARD = {**_PAPER, "type": "tia"}
_EXPORT = {
    "regime": "us-ear",
    "item": "unknown",
    "licences.0.ref": "L2",
    "licences.0.destinations.0": "CH",
    "licences.0.endUsers.0": "other",
    "licences.0.validTo": "2027-07-01",
}
_ACCEPTS = {"tenantCountries.0": "DE", "denyClasses.0": "model", "types.0": "infer"}

CHANGES: dict[str, dict[str, Any]] = {
    "Job": {
        "metadata.name": "second",
        "metadata.labels.team": "surgery",
        "metadata.annotations.note": "b",
        **_below(
            "spec",
            {
                "type": "infer",
                "image": "registry.example/train@sha256:2",
                "command.1": "other.py",
                "env.EPOCHS": "4",
                "env.TOKEN.fromSecret.name": "others",
                "env.TOKEN.fromSecret.key": "password",
                "workdir.digest": DIGEST_B,
                "files.config/json.content": base64.b64encode(b"[]").decode(),
                "outputs.0.path": "best.pt",
                "outputs.0.as": "weights-de",
                "data": "none",
                "data.reads.0.name": "patients-de",
                "data.reads.0.mountPath": "/other",
                "data.writes.0": "weights-de",
                "resources.cpus": "500m",
                "resources.memory": "64G",
                "resources.accelerators.anyOf.0": "amd-mi300x",
                "resources.accelerators.count": 4,
                "resources.accelerators.memory": "141G",
                "resources.accelerators.interconnect": "pcie",
                "network.egress.allow.0": "2001:db8::/32",
                "network.egress.dns": True,
                "network.egress.enforcement": "declared",
                "nodes": 2,
                "array.size": 101,
                "array.parallel": 11,
                "verification.replicas": 4,
                "verification.quorum": 4,
                "verification.distinct.0": "country",
                "verification.spotCheck": 0.2,
                "verification.tolerance.absolute": 0.25,
                "verification.tolerance.relative": 0.02,
                "tier": "normal",
                **_below("sovereignty", _SOVEREIGNTY),
                "model.id": "llama-4-7b",
                "model.controller.country": "DE",
                "model.trainFlop": 1e25,
                "model.aiAct": "high-risk",
                **_below("model.exportControl.0", _EXPORT),
                "objective.cost": 2,
                "objective.carbon": 2,
                "objective.latency": 2,
                "latencyFrom": "DE",
                "limits.pricePerHour": "60 USD",
                "limits.deadline": "7h",
                "limits.rttMs": 41,
                "limits.startWithin": "3h",
                "queue": "surgery",
                "priority": "urgent",
                "retry.attempts": 4,
                "retry.on.0": "exitCode",
                "onUnreachable": "fenceThenMove",
                "onNonCompliant": "hold",
            },
        ),
    },
    "ControlPlane": {
        "metadata.name": "second",
        "spec.operator": "clinic",
        "spec.adminFrom.0": "DE",
        **_below("spec.location", _LOCATION),
        **_below("spec.logStore", _PLACE),
        **_below("spec.backupStore", _PLACE),
        **_below("spec", _REGIMES),
        **_below("spec.facts", _FACTS),
    },
    "Operator": {
        "spec.lei": OTHER_LEI,
        "metadata.name": "second",
        "spec.legalCountry": "DE",
        "spec.ultimateParentHq": "DE",
        "spec.owners.coverage": 90,
        "spec.owners.list.0.name": "state",
        "spec.owners.list.0.country": "DE",
        "spec.owners.list.0.percent": 25.5,
        "spec.transferFrameworks.0": "pipeda",
        "spec.exposureExtra.0": "CN",
        "spec.usPerson": True,
        "spec.coveredPerson": True,
        "spec.listed": True,
        "spec.listedOwnershipPercent": 50,
        "spec.earSupplement8": "G42",
        **_below("spec", _REGIMES),
        **_below("spec.facts", _FACTS),
    },
    "Backend": {
        "metadata.name": "second",
        **_below(
            "spec",
            {
                "adapter": "local",
                "settings": {"context": "sbg"},
                "operator": "other",
                "service": "vm",
                "adminFrom.0": "DE",
                "logRetentionDays": 30,
                "seal.SOV-1": 4,
                "seal.SOV-8": 1,
                "chinaStateFunded": True,
                "attestation.token": "d.e.f",
                "attestation.verifier": "https://other.example",
                "carbon.gramsPerKwh": 57,
                "carbon.source": "plant",
                "pools.0.name": "other",
                "pools.0.accelerator": "amd-mi300x",
                "pools.0.count": 65,
                "pools.0.cpus": "97",
                "pools.0.memory": "2Ti",
                "pools.0.pricePerHour": "2.21 EUR",
                "pools.0.interconnect": "pcie",
                "pools.0.inServiceSince": "2025-03-02",
                "pools.0.pue": 1.3,
                "pools.0.operator": "other",
                "pools.0.adminFrom.0": "DE",
                **{
                    path: value
                    for base in ("", "pools.0.")
                    for path, value in (
                        _below(f"{base}location", _LOCATION)
                        | _below(f"{base}logStore", _PLACE)
                        | _below(f"{base}certifications.0", _CERTIFICATION)
                        | _below(f"{base}accepts", _ACCEPTS)
                        | _below(f"{base}facts", _FACTS)
                    ).items()
                },
                **_below("evidence.0", _PAPER),
            },
        ),
    },
    "DataSet": {
        "metadata.name": "second",
        **_below(
            "spec",
            {
                "controller.operator": "clinic",
                "controller.country": "DE",
                "classes.0": "genomic",
                "subjects.0": "DE",
                "counts.persons": 50001,
                "counts.sensitive": 1,
                "counts.window": "30d",
                **_below("location", {**_PLACE, "uri": "s3://other"}),
                **_below("safeguards.0", _SAFEGUARD),
                **_below("exportControl.0", _EXPORT),
                "ciio": True,
                "primaryDb": "RU",
                "sdfLocalised": True,
                "derivedFrom.0": "raw-de",
                "owner": "dpo@clinic.example",
                **_below("facts", _FACTS),
            },
        ),
    },
    "Tenant": {
        "metadata.name": "second",
        "spec.hq": "DE",
        "spec.sector": "eu-finance",
        "spec.usPerson": True,
        "spec.usOnlyUsers": True,
        **_below("spec", _REGIMES),
        "spec.defaultData.classes.0": "model",
        "spec.defaultData.subjects.0": "DE",
        **_below("spec.floor", _SOVEREIGNTY),
        **_below("spec.tiers.critical", _SOVEREIGNTY),
        "spec.mayDeclareNoData.0": "submit",
    },
    "Queue": {
        "metadata.name": "second",
        "spec.tenant": "clinic",
        "spec.weight": 3,
        "spec.priorities.urgent": 11,
    },
}

VERIFICATION = {
    "replicas": 5,
    "quorum": 3,
    "distinct": ["operator"],
    "spotCheck": 0.1,
    "compare": "tolerance",
    "tolerance": {"absolute": 0.5, "relative": 0.01},
}

UNSUPPORTED: dict[str, dict[str, Any]] = {
    "Job": {
        "spec.checkpoint": {"path": "/ckpt"},
    },
}


def parts(path: str) -> list[str | int]:
    """Return the parts of a path of this file; ``config/json`` stands for the key ``config.json``."""
    return [int(part) if part.isdecimal() else part.replace("/", ".") for part in path.split(".")]


def put(document: Any, path: str, value: Any) -> Any:
    """Return a copy of ``document`` with ``value`` at ``path``."""

    def changed(node: Any, rest: list[str | int]) -> Any:
        if not rest:
            return value
        if isinstance(node, list):
            return [changed(member, rest[1:]) if index == rest[0] else member for index, member in enumerate(node)]
        return {**node, rest[0]: changed(node.get(rest[0], {}), rest[1:])}

    return changed(document, parts(path))
