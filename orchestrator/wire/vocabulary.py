"""The words that rules know by name: classes of data, schemes of certificates, safeguards, papers, kinds of enclave.

A word that no rule knows would be accepted and never count, so it is an error that names the nearest known one. A
word of one's own begins with ``x-`` where such a word can mean something to a rule of one's own. What a word means,
and from when, stands in the packs; here stands only how it is written. Lists as of 2026-11-22.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from orchestrator.domain import listings
from orchestrator.wire import errors, fields

OWN_PATTERN = r"x-[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,60}[A-Za-z0-9])?"
"""A word of one's own."""
_LENGTH_MAX = 64

DATA_CLASSES = (
    "personal", "health", "genomic", "omic", "biometric", "geolocation", "financial", "identifiers", "payment",
    "important", "core", "gov-secret", "gov-restricted", "us-gov-related", "model", "industrial", "open",
)  # fmt: skip
SCHEMES = (
    # Qualifications and certificates of states
    "secnumcloud-3.2", "hds-v1", "hds-v2", "c5", "c5-type1", "c5-type2", "ens-basica", "ens-media", "ens-alta",
    "acn-qc1", "acn-qc2", "acn-qc3", "acn-qi", "cncs", "bsi-grundschutz", "irap-protected", "mtcs-3", "ismap", "csap",
    "k-isms",
    "fedramp-li-saas", "fedramp-low", "fedramp-mod", "fedramp-high", "dod-il2", "dod-il4", "dod-il5", "dod-il6",
    # No certificate exists under this scheme yet (ENISA cloud scheme, not adopted)
    "eucs-basic", "eucs-substantial", "eucs-high",
    # Industry
    "iso27001", "iso27017", "iso27018", "iso27701", "iso22301", "iso42001", "soc2", "pci-dss", "tisax", "zerotrust",
    "csa-star", "hitrust", "nen7510", "meity", "mlps-3", "cyber-essentials-plus", "en50600",
    "gaia-x:sc", "gaia-x:l1", "gaia-x:l2", "gaia-x:l3",
)  # fmt: skip
FRAMEWORKS = ("dpf", "dpf-uk", "dpf-ch", "pipeda", "appi")
"""In which an operator may take part so that a transfer to it is adequate."""
SAFEGUARDS = (
    "scc-eu", "bcr-eu", "tia",                                                # GDPR Art. 46
    "idta", "uk-addendum", "tra",                                             # UK GDPR
    "cisa-requirements",                                                      # 28 CFR 202.248
    "cac-assessment", "cn-scc", "cn-cert",                                    # PIPL Art. 38, 40
    "rkn-notice",                                                             # 152-FZ Art. 12
    "sa-scc", "sa-bcr", "sa-risk-assessment",                                 # PDPL Art. 29
    "scc-ch", "scc-br", "ctia",
)  # fmt: skip
"""Of a data set, under which it may leave its place."""
EVIDENCE = ("bis-licence", "veu", "aca", "nac", "iaas-d5-review", "bis-gp10-clear")
"""Of a backend: licences, licence exceptions and clearances."""
SUPPLEMENT_8 = (
    "Core42", "G42", "Amazon", "Apple", "Google", "Meta", "Microsoft", "OpenAI", "Oracle", "xAI", "UAE government",
)  # fmt: skip
"""Entities of supplement no. 8 to EAR part 740 (91 FR 43034), and the government that the same rule spares; a
subsidiary names the entity it belongs to."""
ENCLAVES = ("tdx", "sev-snp", "sgx", "arm-cca", "nvidia-cc", "nitro")
AI_ACT = ("none", "limited", "high-risk", "gpai", "gpai-systemic")
"""Classes of Regulation (EU) 2024/1689 that place duties on where a system runs, or none."""
REGIMES = (
    "us-ear", "us-itar", "eu-dual-use", "gb-dual-use", "ch-dual-use", "jp-foreign-exchange", "kr-strategic",
    "cn-export-control", "in-scomet", "my-strategic-trade", "tw-shtc", "sg-strategic-goods", "wassenaar",
)  # fmt: skip
"""Regimes of export control."""


SANCTIONS_REGIMES = listings.REGIMES
"""Regimes of sanctions and entity lists."""


def check(value: object, known: tuple[str, ...], *, what: str, own: bool) -> object:
    """Return a known word, or one that is not text. Raises ``errors.ValueProblemError`` with the nearest known one."""
    if not isinstance(value, str) or value in known or (own and value.startswith("x-")):
        return value
    guess = errors.nearest(value, known)
    if guess:
        remedy = f"did you mean {guess}?"
    else:
        remedy = f"known: {', '.join(known)}" + (", and your own as x-NAME" if own else "")
    raise errors.ValueProblemError(f"{errors.shorten(value)!r} is no known {what}", remedy)


def _pattern(known: tuple[str, ...], *, own: bool = True) -> Any:
    """Return the bound of such a word, as the JSON schema shows it."""
    escaped = [word.replace(".", r"\.") for word in known]
    hint = f"one of {', '.join(known)}" + (", or your own as x-NAME" if own else "")
    return fields.bounded(rf"^({'|'.join([*escaped, *([OWN_PATTERN] if own else [])])})$", hint, length_max=_LENGTH_MAX)


def _checked(known: tuple[str, ...], what: str, *, own: bool = True) -> BeforeValidator:
    return BeforeValidator(lambda value: check(value, known, what=what, own=own))


DataClass = Annotated[str, _pattern(DATA_CLASSES), _checked(DATA_CLASSES, "class of data")]
Scheme = Annotated[str, _pattern(SCHEMES), _checked(SCHEMES, "certification scheme")]
Framework = Annotated[str, _pattern(FRAMEWORKS), _checked(FRAMEWORKS, "transfer framework")]
Safeguard = Annotated[str, _pattern(SAFEGUARDS), _checked(SAFEGUARDS, "safeguard")]
PaperType = Annotated[str, _pattern(EVIDENCE), _checked(EVIDENCE, "kind of evidence")]
Supplement8 = Annotated[
    str, _pattern(SUPPLEMENT_8, own=False), _checked(SUPPLEMENT_8, "entity of supplement no. 8", own=False)
]
Enclave = Annotated[str, _pattern(ENCLAVES), _checked(ENCLAVES, "kind of enclave")]
AiAct = Annotated[str, _pattern(AI_ACT, own=False), _checked(AI_ACT, "class of the AI Act", own=False)]
Regime = Annotated[str, _pattern(REGIMES), _checked(REGIMES, "regime of export control")]
SanctionsRegime = Annotated[
    str,
    _pattern(SANCTIONS_REGIMES, own=False),
    _checked(SANCTIONS_REGIMES, "regime of sanctions", own=False),
]

DataClasses = Annotated[list[DataClass], Field(max_length=fields.LIST_MAX)]
Schemes = Annotated[list[Scheme], Field(max_length=fields.LIST_MAX)]
Frameworks = Annotated[list[Framework], Field(max_length=fields.LIST_MAX)]
Enclaves = Annotated[list[Enclave], Field(max_length=fields.LIST_MAX)]
