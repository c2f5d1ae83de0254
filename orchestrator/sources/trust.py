"""The trust list's file (YAML): who may certify what, by which keys, and what is taken back. Every line has a person.

    asOf: 2026-11-22
    issuers:
    - id: did:web:certs.example
      kinds: [certification/hds-v2, location]
      by: A. Martin
      why: accredited by COFRAC, certificate 4-0042
      validFrom: 2026-01-01
      validTo: 2027-12-31
      keys: [{id: k1, jwk: {kty: OKP, crv: Ed25519, x: ...}}, {id: k2, pem: "-----BEGIN PUBLIC KEY-----..."}]
    revoked:
    - {issuer: did:web:certs.example, claim: hds-0042, from: 2026-11-22, by: A. Martin, why: withdrawn by the certifier}
    subjects:
    - {id: "https://ovh.example/offering.json", is: operator/ovhcloud}

A file with one problem is refused as a whole: nobody is half trusted.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.domain import trust
from orchestrator.evidence import canonical, claims
from orchestrator.sources import yamls

FILE = "trust.yaml"
ISSUERS_MAX = 500
KEYS_MAX = 16
REVOCATIONS_MAX = 10_000
SUBJECTS_MAX = 10_000
_KIND = re.compile(
    r"(location|operator|seal|operations|hardware|(certification|evidence)/(\*|[A-Za-z0-9][A-Za-z0-9_.:-]{0,99})|"
    r"attestation/(\*|[a-z0-9-]{1,40}))"
)
_SUBJECT = re.compile(r"(operator|backend|control-plane|lei)/[A-Za-z0-9][A-Za-z0-9_./-]{0,200}")
_KINDS = "location, operator, seal, operations, hardware, certification/SCHEME, evidence/TYPE, attestation/TEE; or /*"
_TEXT_MAX = 500

Problem = tuple[yamls.PathInFile, str]


def load(path: Path, known: trust.TrustList | None = None) -> trust.Loaded:
    """Return the list of a file; where it cannot be read the last good one (``known``), else nobody, and the problem.

    A file that was never there trusts nobody, which is no problem; one that vanished is.
    """
    try:
        if not path.exists() and known is None:
            return trust.Loaded()
        return trust.Loaded(read(path))
    except yamls.YamlError as error:
        return trust.Loaded(known or trust.TrustList(), str(error))


def read(path: Path) -> trust.TrustList:
    """Return the list of a file. Raises YamlError naming file, line and path of each problem."""
    document = yamls.read(path)
    problems: list[Problem] = []
    data = _row(
        document.data if document.data is not None else {}, (), ("asOf", "issuers", "revoked", "subjects"), problems
    )
    made = trust.TrustList(
        issuers=tuple(_issuers(data, problems)),
        revocations=tuple(_revocations(data, problems)),
        subjects=tuple(_subjects(data, problems)),
        as_of=_day(data, "asOf", (), problems, required=True),
    )
    ids = [each.id for each in made.issuers]
    problems += [(("issuers",), f"{id} stands there twice") for id in sorted({id for id in ids if ids.count(id) > 1})]
    for number, each in enumerate(made.revocations):
        if each.issuer not in ids:
            problems.append((("revoked", number), f"{each.issuer} is no issuer of this file"))
    if problems:
        lines = (f"{document.locate(where)}: {_shown(where)}{text}" for where, text in problems)
        raise yamls.YamlError("\n".join(lines))
    plain = json.loads(json.dumps(data, default=str, sort_keys=True))
    return trust.TrustList(made.issuers, made.revocations, made.subjects, made.as_of, canonical.digest(plain))


def _issuers(data: Mapping[str, Any], problems: list[Problem]) -> Iterator[trust.Issuer]:
    for path, raw in _rows(data, "issuers", ISSUERS_MAX, (), problems):
        row = _row(raw, path, ("id", "kinds", "keys", "by", "why", "validFrom", "validTo"), problems)
        kinds = row.get("kinds")
        if not isinstance(kinds, list) or not kinds:
            problems.append(((*path, "kinds"), f"say what it may certify: {_KINDS}"))
            kinds = []
        for each in kinds:
            if not isinstance(each, str) or not _KIND.fullmatch(each):
                problems.append(((*path, "kinds"), f"{each!r} is no kind of fact: {_KINDS}"))
        keys = [_key(where, each, problems) for where, each in _rows(row, "keys", KEYS_MAX, path, problems)]
        if not keys:
            problems.append(((*path, "keys"), "an issuer has at least one key"))
        yield trust.Issuer(
            id=_text(row, "id", path, problems),
            kinds=tuple(map(str, kinds)),
            keys=tuple(key for key in keys if key is not None),
            by=_text(row, "by", path, problems),
            why=_text(row, "why", path, problems),
            first=_day(row, "validFrom", path, problems),
            last=_day(row, "validTo", path, problems),
        )


def _key(path: yamls.PathInFile, raw: Any, problems: list[Problem]) -> trust.Key | None:
    row = _row(raw, path, ("id", "jwk", "pem", "validFrom", "validTo"), problems)
    written = [row[name] for name in ("jwk", "pem") if name in row]
    if len(written) != 1 or not isinstance(written[0], str | dict):
        problems.append((path, "give the public key as jwk (a mapping) or pem (text), one of them"))
        return None
    first, last = _day(row, "validFrom", path, problems), _day(row, "validTo", path, problems)
    try:
        return claims.public_key(_text(row, "id", path, problems), written[0], first, last)
    except claims.UntrustableKeyError as error:
        problems.append((path, str(error)))
        return None


def _revocations(data: Mapping[str, Any], problems: list[Problem]) -> Iterator[trust.Revocation]:
    for path, raw in _rows(data, "revoked", REVOCATIONS_MAX, (), problems):
        row = _row(raw, path, ("issuer", "key", "claim", "from", "by", "why"), problems)
        if "key" in row and "claim" in row:
            problems.append((path, "revokes a key or a claim; write two lines for both"))
        yield trust.Revocation(
            issuer=_text(row, "issuer", path, problems),
            on=_day(row, "from", path, problems, required=True) or dt.date.min,
            by=_text(row, "by", path, problems),
            why=_text(row, "why", path, problems),
            key=_text(row, "key", path, problems) if "key" in row else None,
            claim=_text(row, "claim", path, problems) if "claim" in row else None,
        )


def _subjects(data: Mapping[str, Any], problems: list[Problem]) -> Iterator[tuple[str, str]]:
    for path, raw in _rows(data, "subjects", SUBJECTS_MAX, (), problems):
        row = _row(raw, path, ("id", "is"), problems)
        ours = _text(row, "is", path, problems)
        if not _SUBJECT.fullmatch(ours):
            problems.append(((*path, "is"), "write operator/NAME, backend/NAME, control-plane/NAME or lei/LEI"))
        yield _text(row, "id", path, problems), ours


def _rows(
    data: Mapping[str, Any], name: str, most: int, path: yamls.PathInFile, problems: list[Problem]
) -> Iterable[tuple[yamls.PathInFile, Any]]:
    rows = data.get(name, [])
    if not isinstance(rows, list) or len(rows) > most:
        problems.append(((*path, name), f"is no list of at most {most}"))
        return []
    return [((*path, name, number), row) for number, row in enumerate(rows)]


def _row(raw: Any, path: yamls.PathInFile, known: tuple[str, ...], problems: list[Problem]) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        problems.append((path, f"is no mapping with {', '.join(known)}"))
        return {}
    problems += [((*path, name), f"is not known; here are {', '.join(known)}") for name in raw if name not in known]
    return raw


def _text(row: Mapping[str, Any], name: str, path: yamls.PathInFile, problems: list[Problem]) -> str:
    value = row.get(name)
    if isinstance(value, str) and 0 < len(value.strip()) <= _TEXT_MAX and value.isprintable():
        return value
    problems.append(((*path, name), f"is required: one line of at most {_TEXT_MAX} characters"))
    return ""


def _day(
    row: Mapping[str, Any], name: str, path: yamls.PathInFile, problems: list[Problem], *, required: bool = False
) -> dt.date | None:
    value = row.get(name)
    if value is None and not required:
        return None
    try:
        return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        problems.append(((*path, name), "is required: a day as YYYY-MM-DD"))
        return None


def _shown(path: yamls.PathInFile) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") + (
        ": " if path else ""
    )
