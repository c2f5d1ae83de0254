"""Constraints on places, both ways."""

from __future__ import annotations

from typing import Any

from orchestrator.domain import facts, jobs
from orchestrator.wire.documents import sovereignties

_NONE = jobs.Sovereignty()
_EXPOSURE = jobs.Exposure()


def assurance(word: str | None) -> facts.Assurance | None:
    """Return the level that a document's word names."""
    return None if word is None else facts.Assurance[word.upper()]


def sovereignty(written: sovereignties.Sovereignty | None) -> jobs.Sovereignty:
    """Return the constraints; none at all where nothing is written."""
    if written is None:
        return _NONE
    countries, exposure = written.countries, written.exposure
    return jobs.Sovereignty(
        countries_allow=None if countries is None or countries.allow is None else tuple(countries.allow),
        countries_deny=() if countries is None else tuple(countries.deny),
        exposure=_EXPOSURE
        if exposure is None
        else jobs.Exposure(deny=tuple(exposure.deny), accept_immunity=tuple(exposure.accept_immunity)),
        certifications=tuple(written.certifications),
        seal=tuple(sorted(written.seal.items())),
        sovereignty_score=written.sovereignty_score,
        tee=tuple(written.tee),
        min_assurance=assurance(written.min_assurance),
    )


def document(value: jobs.Sovereignty) -> dict[str, Any]:
    """Return the constraints as a document writes them; what is not said is left out."""
    if value is _NONE:
        return {}
    countries: dict[str, Any] = {}
    if value.countries_allow is not None:
        countries["allow"] = list(value.countries_allow)
    if value.countries_deny:
        countries["deny"] = list(value.countries_deny)
    exposure = {"deny": list(value.exposure.deny), "acceptImmunity": list(value.exposure.accept_immunity)}
    found: dict[str, Any] = {
        "countries": countries,
        "exposure": {key: member for key, member in exposure.items() if member},
        "certifications": list(value.certifications),
        "seal": dict(value.seal),
        "tee": list(value.tee),
    }
    found = {key: member for key, member in found.items() if member}
    if value.sovereignty_score is not None:
        found["sovereigntyScore"] = value.sovereignty_score
    if value.min_assurance is not None:
        found["minAssurance"] = value.min_assurance.word
    return found
