"""Certified and attested, on a real control plane: placeable by claims, refused once they are taken back."""

import datetime as dt
import json
import threading
from collections.abc import Callable

import pytest
import yaml

from orchestrator.telemetry import clocks
from tests import tokens
from tests.e2e.conftest import Shell

ISSUER = tokens.Issuer()
VERIFIER = tokens.Issuer("https://verifier.example", kinds=("attestation/tdx",))
CLOCK = clocks.SystemClock()
NOW = CLOCK.now()
TIMES = {"iat": tokens.seconds(NOW - dt.timedelta(days=1)), "exp": tokens.seconds(NOW + dt.timedelta(days=90))}
TRIES, PAUSE_S = 900, 0.2


def _wait(check: Callable[[], bool]) -> bool:
    """Ask again until it holds: the server looks at the file every few seconds."""
    pause = threading.Event().wait
    return any(check() or pause(PAUSE_S) for _ in range(TRIES))


def _claim(kind: str, subject: str, **facts: object) -> str:
    certifies = {"facts": facts} if facts else {}
    return ISSUER.claim(kind, subject, certifies=certifies, jti=f"{kind}-of-{subject}", **TIMES)


def _trust(shell: Shell, *revoked: dict[str, str]) -> None:
    issuers = [
        {
            "id": each.id,
            "kinds": list(each.kinds),
            "by": "A. Martin",
            "why": "accredited",
            "keys": [{"id": each.kid, "pem": each.key.as_pem(private=False).decode()}],
        }
        for each in (ISSUER, VERIFIER)
    ]
    listed = {"asOf": NOW.date().isoformat(), "issuers": issuers, "revoked": list(revoked)}
    (shell.folder.parent / "state" / "trust.yaml").write_text(yaml.safe_dump(listed))


def _document(kind: str, name: str, **spec: object) -> dict[str, object]:
    return {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _backend(**more: object) -> dict[str, object]:
    where = _claim(
        "location", "backend/acme", **{"location.country": "FR", "location.region": "r1", "adminFrom": ["FR"]}
    )
    who = _claim("operator", "backend/acme", operator="acme", service="kube")
    cert = {"scheme": "hds-v2", "service": "kube", "regions": ["r1"]}
    return _document(
        "Backend",
        "acme",
        adapter="simulated",
        operator="acme",
        service="kube",
        location={"country": "FR", "region": "r1"},
        adminFrom=["FR"],
        certifications=[cert | {"evidence": _claim("certification/hds-v2", "operator/acme")}],
        pools=[{"name": "p", "count": 4}],
        facts={"source": f"{where} {who}"},
        **more,
    )


def _apply(shell: Shell, *documents: dict[str, object]) -> None:
    (shell.folder / "claims.yaml").write_text(yaml.safe_dump_all(documents))
    done = shell.run("comity apply -f claims.yaml")
    assert done.returncode == 0, done.stderr


def _plan(shell: Shell, **sovereignty: object) -> dict[str, list[str]]:
    """Return the codes that refuse each site."""
    (shell.folder / "job.yaml").write_text(
        yaml.safe_dump(_document("Job", "j", command=["true"], data="none", sovereignty=sovereignty))
    )
    ran = shell.run("comity plan -f job.yaml -o json")
    found = json.loads(ran.stdout)
    return {
        one["site"]: sorted(why["code"] for why in one["reasons"] if why["effect"] == "deny") for one in found["sites"]
    }


CERTIFIED = {"minAssurance": "certified", "certifications": ["hds-v2"]}


@pytest.fixture(scope="module")
def claimed(plane: Shell) -> Shell:
    """A plane whose own place, an operator and a backend are certified by an issuer that it trusts."""
    _trust(plane)
    _apply(
        plane,
        _document(
            "ControlPlane",
            "self",
            operator="me",
            location={"country": "FR"},
            adminFrom=["FR"],
            facts={
                "source": _claim("location", "control-plane/self", **{"location.country": "FR", "adminFrom": ["FR"]})
                + " "
                + _claim("operator", "control-plane/self", operator="me")
            },
        ),
        _document(
            "Operator",
            "acme",
            legalCountry="FR",
            ultimateParentHq="FR",
            facts={"source": _claim("operator", "operator/acme", legalCountry="FR", ultimateParentHq="FR")},
        ),
        _backend(),
    )
    assert _wait(lambda: _plan(plane, **CERTIFIED).get("acme/p") == [])
    return plane


def test_certified_facts_open_what_only_they_open(claimed: Shell) -> None:
    """The certified site takes the job; the machine's own, which is only declared, does not."""
    found = _plan(claimed, **CERTIFIED)
    assert found.pop("acme/p") == []
    assert all("core.assurance:backend.facts" in codes for codes in found.values())
    shown = json.loads(claimed.run("comity get backends acme -o json").stdout)["status"]["claims"]
    assert [(one["path"], one["holds"]) for one in shown] == [
        ("backend.facts", True),
        ("backend.facts", True),
        ("backend.certifications[hds-v2]", True),
    ]


def test_what_is_taken_back_refuses(claimed: Shell) -> None:
    """Within seconds, with who and why; a file that cannot be read takes nothing back; mended, it opens again."""
    revoked = {
        "issuer": ISSUER.id,
        "claim": "certification/hds-v2-of-operator/acme",
        "from": NOW.date().isoformat(),
        "by": "A. Martin",
        "why": "the certifier withdrew it",
    }
    _trust(claimed, revoked)
    assert _wait(lambda: "claim.revoked" in _plan(claimed)["acme/p"])
    explained = claimed.run("comity plan -f job.yaml -o json").stdout
    assert "the certifier withdrew it" in explained
    (claimed.folder.parent / "state" / "trust.yaml").write_text("issuers: 7")
    told = lambda: "TrustListFailed" in claimed.run("comity get controlplanes -o json").stdout  # noqa: E731
    assert _wait(told)
    assert "claim.revoked" in _plan(claimed)["acme/p"]
    assert claimed.run("comity policy trust").returncode == 1
    _trust(claimed)
    assert _wait(lambda: _plan(claimed)["acme/p"] == [])
    shown = claimed.run("comity policy trust")
    assert "certification/*" in shown.stdout
    journal = [json.loads(line) for line in claimed.run("comity get events -o json").stdout.splitlines() if line]
    assert "trust.in-force" in str(journal)


def test_attested_is_verified_and_counts_once(claimed: Shell) -> None:
    """A label does not attest; a verified result does; an older one shown again does not."""
    (plane,) = json.loads(claimed.run("comity get controlplanes -o json").stdout)["items"]
    audience = plane["status"]["audience"]
    assert "tee.type" in _plan(claimed, tee=["tdx"])["acme/p"]
    now = CLOCK.now()
    fresh = {"iat": tokens.seconds(now), "exp": tokens.seconds(now + dt.timedelta(hours=1)), "aud": audience}
    first, second = (VERIFIER.attests("acme", jti=f"result-{number}", **fresh) for number in (1, 2))
    for token in (first, second):
        _apply(claimed, _backend(attestation={"token": token, "verifier": VERIFIER.id}))
        assert _plan(claimed, tee=["tdx"])["acme/p"] == []
    assert "tee.type" in _plan(claimed, tee=["sev-snp"])["acme/p"]
    _apply(claimed, _backend(attestation={"token": first, "verifier": VERIFIER.id}))
    assert _plan(claimed, tee=["tdx"])["acme/p"] == ["claim.replayed-nonce", "tee.type"]
    _apply(claimed, _backend())
    assert _plan(claimed)["acme/p"] == []
