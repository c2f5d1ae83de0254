"""The words a person reads: plans, explanations, lists, descriptions. ``COMITY_GOLDEN=write`` writes them again."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.cli.rendering import answers, columns, descriptions, tables
from tests.unit.client import stubs

FOLDER = pathlib.Path(__file__).parent

JOB = {
    "kind": "Job",
    "metadata": {"id": "01JD8Z3M5N6P7Q8R9STVWXYZ01", "name": "tune-mammography"},
    "spec": {
        "command": ["python", "train.py"],
        "data": {"reads": [{"name": "patients-fr"}]},
        "resources": {"accelerators": {"anyOf": ["nvidia-h100-sxm"], "count": 8}},
        "nodes": 2,
    },
}


def _reason(code: str, message: str, *, basis: str = "law", effect: str = "deny", **more: Any) -> dict[str, Any]:
    return {"code": code, "effect": effect, "basis": basis, "message": message, "facts": [], "remedy": None} | more


PARENT = {
    "path": "operator.ultimateParentHq",
    "value": "US",
    "source": "annual report 2025",
    "asOf": "2026-03-31",
    "validTo": "2027-03-31",
    "assurance": "documented",
}
EXPOSURE = _reason(
    "exposure.US",
    "the operator's ultimate parent has its headquarters in US; the job denies exposure to US",
    basis="house",
    facts=[PARENT, {"path": "operator.legalCountry", "value": "DE", "source": None, "assurance": "declared"}],
    remedy={"kind": "CHANGE_JOB", "change": "accept immunity by secnumcloud-3.2 (this site has none)", "until": None},
)
CERTIFICATE = _reason(
    "fr-hds.certificate",
    "hosting French health data for others needs a valid HDS v2 certificate for service and region",
    remedy={"kind": "FIX_BACKEND", "change": "certificate hds-v2 for service managed-kubernetes", "until": None},
)


def _site(
    name: str, country: str, operator: str, parent: str, price: str, grams: float, rtt: float, *reasons: Any
) -> Any:
    denied = any(reason["effect"] == "deny" for reason in reasons)
    return {
        "site": name,
        "backend": name.partition("/")[0],
        "allowed": not denied,
        "reasons": list(reasons),
        "scores": {},
        "price": price,
        "startsIn": "2h" if name.startswith("jean") else "0s",
        "country": country,
        "operator": operator,
        "parentHq": parent,
        "gramsPerHour": grams,
        "rttMs": rtt,
    }


PLACEABLE = {
    "digest": "sha256:9f31c2aa",
    "placeable": True,
    "chosen": "gra-kube/h100",
    "at": "2026-11-22T10:00:00Z",
    "ranking": ["gra-kube/h100", "jean-zay/gpu"],
    "versions": {"packs": {"core": "1", "exposure": "1", "fr-hds": "1", "eu-gdpr": "1", "certs": "1"}},
    "nearestChange": [],
    "sites": [
        _site("sg-ray/h100", "SG", "nimbus", "SG", "19.90 EUR", 5200, 172, CERTIFICATE, _reason("countries.SG", "no")),
        _site("eusc-de/h100", "DE", "aws-eusc", "US", "28.20 EUR", 3900, 21, EXPOSURE, CERTIFICATE),
        _site("jean-zay/gpu", "FR", "idris", "FR", "41.00 EUR", 580, 11),
        _site(
            "gra-kube/h100",
            *("FR", "ovhcloud", "FR", "35.20 EUR", 610, 8),
            _reason("fr-hds.self-hosted", "confirm that no third party hosts", effect="oblige"),
        ),
    ],
}
REFUSED = PLACEABLE | {
    "placeable": False,
    "chosen": None,
    "ranking": [],
    "sites": PLACEABLE["sites"][:2],  # type: ignore[index]
    "nearestChange": [
        {"kind": "FIX_BACKEND", "change": "certificate hds-v2", "until": None},
        {"kind": "CHANGE_JOB", "change": "allow exposure to US", "until": None, "dropsConstraint": True},
    ],
}


def _jobs() -> str:
    attempt = {
        "number": 1,
        "site": "paris/cpu",
        "phase": "SUCCEEDED",
        "exitCode": 0,
        "startedAt": "2026-11-22T10:00:00Z",
    }
    items = [
        stubs.job("SUCCEEDED", name="digits", exitCode=0, attempts=[attempt]),
        stubs.job("FAILED", name="broken", signal=9, reason="Signaled", attempts=[attempt | {"number": 2}]),
        stubs.job(conditions=[{"type": "Unplaceable", "status": True, "reason": "NoSite", "message": "no site"}]),
    ]
    return "\n".join(tables.aligned(columns.rows("jobs", items, wide=False)))


def _description() -> str:
    condition = {
        "type": "Unplaceable",
        "status": True,
        "since": "2026-11-22T10:00:00Z",
        "reason": "NoSite",
        "message": "3 sites",
    }
    status = stubs.job(conditions=[condition])["status"]
    return descriptions.describe("jobs", JOB | {"status": status})


HALTED = _reason(
    "controlplane.tables-differ",
    "nothing new is placed: the tables are not what the journal says (1 thing differs)",
    basis="diligence",
    remedy={"kind": "WAIT", "change": "until the rows are right", "until": None},
)


def _seen() -> str:
    node = {"rank": 0, "node": "gpu-7", "country": "SG", "source": "label topology.kubernetes.io/region"}
    attempt = {
        "number": 1,
        "site": "gra/h100",
        "phase": "CANCELLED",
        "startedAt": "2026-11-22T10:00:00Z",
        "endedAt": "2026-11-22T10:00:05Z",
        "reason": "NonCompliant",
        "seen": {
            "nodes": [
                {**node, "assurance": "declared", "imageDigest": "sha256:" + "ab" * 32},
                {"rank": 1, "node": "gpu-8", "country": None, "source": "", "assurance": "declared"},
            ],
            "adapter": {"distribution": "comity", "version": "0.1.0", "digest": "sha256:" + "cd" * 32},
            "attestation": {
                "tee": "tdx",
                "verifier": "https://verifier.example",
                "covers": ["location.country"],
                "country": "FR",
                "until": "2026-11-22T22:00:00Z",
            },
        },
    }
    condition = {
        "type": "NonCompliant",
        "status": True,
        "since": "2026-11-22T10:00:02Z",
        "reason": "identity.elsewhere",
        "message": "gra/h100 says that it lies in FR, and gpu-7 was seen in SG "
        "(label topology.kubernetes.io/region, declared)",
    }
    status = stubs.job(conditions=[condition], attempts=[attempt])["status"]
    return descriptions.describe("jobs", JOB | {"status": status})


TEXTS: dict[str, Callable[[], str]] = {
    "plan": lambda: answers.plan(PLACEABLE, JOB, source="hospital.yaml"),
    "plan-wide": lambda: answers.plan(PLACEABLE, JOB, source="hospital.yaml", wide=True),
    "plan-refused": lambda: answers.plan(REFUSED, JOB, source="hospital.yaml"),
    "explain-halted": lambda: answers.explain(REFUSED | {"sites": [], "halted": [HALTED]}, JOB),
    "plan-nowhere": lambda: answers.plan(REFUSED | {"sites": [], "nearestChange": []}, JOB, source="a.yaml"),
    "explain": lambda: answers.explain(PLACEABLE | {"of": "decision"}, JOB),
    "explain-backend": lambda: answers.explain(REFUSED, JOB, backend="eusc-de"),
    "jobs": _jobs,
    "describe-job": _description,
    "describe-job-seen": _seen,
}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_words_are_still_these(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is letter by letter the golden file's."""
    monkeypatch.setenv("NO_COLOR", "1")
    path, text = FOLDER / f"{name}.txt", TEXTS[name]() + "\n"
    if os.environ.get("COMITY_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_product_never_calls_anything_legal() -> None:
    """The words say that no rule refuses, never that something is legal."""
    for path in FOLDER.glob("*.txt"):
        assert "legal" not in path.read_text(encoding="utf-8").replace("operator.legalCountry", "").lower()


def test_many_refusals_are_counted_below_the_table() -> None:
    """Above twenty sites the codes that refuse most are named with their numbers; below, nobody needs to count."""
    sites = [
        {
            "site": f"s{number:02}",
            "allowed": number == 0,
            "reasons": [{"code": code, "effect": "deny"} for code in codes],
        }
        for number, codes in enumerate([[], *[["a"]] * 9, *[["b", "a"]] * 8, ["c"], ["d", "c"], ["e"], ["f"]])
    ]
    answer = {"sites": sites, "chosen": "s00", "ranking": ["s00"], "placeable": True, "digest": "sha256:0123456789"}
    (line,) = [line for line in answers.plan(answer, {}, source=None).splitlines() if " refused: " in line]
    assert line == "21 of 22 refused: a 17, b 8, c 2, d 1, and 2 other codes"
    few = {**answer, "sites": sites[:20]}
    assert " refused: " not in answers.plan(few, {}, source=None)
