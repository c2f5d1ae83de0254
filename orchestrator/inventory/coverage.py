"""What an attestation result states of a place besides its environment: held against the documents. Pure.

Paths are those of the backend (``location.country``), of its operator (``operator.legalCountry``) and of the control
plane (``controlPlane.adminFrom``). A verifier states only kinds of facts that the trust list names it for.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from orchestrator.domain import claims, sites, tenants, trust
from orchestrator.evidence import profiles
from orchestrator.inventory import stated

SKEW = dt.timedelta(minutes=5)
"""So far a verifier's clock may be beside ours."""
BACKEND, OPERATOR, CONTROL_PLANE = "backend", "operator", "controlPlane"
_PREFIXES = ((f"{OPERATOR}.", OPERATOR), (f"{CONTROL_PLANE}.", CONTROL_PLANE))


def flaws(
    said: profiles.Said, issuer: trust.Issuer | None, site: sites.Site, plane: tenants.ControlPlane | None
) -> list[claims.Flaw]:
    """Return what is wrong with the facts that a result states."""
    found: list[claims.Flaw] = []
    for path, value in said.facts.items():
        document, name = _split(path)
        known = dict(_tables(site, plane)).get(document, ({}, None))
        if known[1] is None or name not in known[0]:
            found.append(claims.Flaw(claims.Fault.MALFORMED, f"it states {path[:100]!r}, which no document here has"))
            continue
        kind, read = known[0][name]
        if issuer is None or not issuer.certifies(kind):
            text = f"the trust list does not name {said.issuer[:100]} for {kind}, of which it states {path}"
            found.append(claims.Flaw(claims.Fault.UNTRUSTED_ISSUER, text[:300]))
            continue
        here = stated.plain(read(known[1]))
        if not stated.equal(here, value):
            whole = path if document != BACKEND else f"{BACKEND}.{path}"
            text = f"the result says {path} = {value!r}, the document {here!r}"
            words = (None if each is None else json.dumps(each, ensure_ascii=False)[:200] for each in (value, here))
            found.append(claims.Flaw(claims.Fault.CONTRADICTION, text[:400], None, None, whole[:200], *words))
    return found


def documents(said: profiles.Said, site: sites.Site, plane: tenants.ControlPlane | None) -> tuple[str, ...]:
    """Return the documents of which a result without flaws states every fact that they state."""
    covered = {(_split(path)) for path in said.facts}
    found = []
    for document, (table, value) in _tables(site, plane):
        if value is None:
            continue
        names = {name for name, (_, read) in table.items() if stated.plain(read(value)) not in (None, [], {})}
        if names and all((document, name) in covered for name in names):
            found.append(document)
    return tuple(sorted(found))


def _split(path: str) -> tuple[str, str]:
    for prefix, document in _PREFIXES:
        if path.startswith(prefix):
            return document, path.removeprefix(prefix)
    return BACKEND, path


def _tables(site: sites.Site, plane: tenants.ControlPlane | None) -> Iterator[tuple[str, tuple[stated.Facts, Any]]]:
    yield BACKEND, (stated.POOL_FACTS, site)
    yield OPERATOR, (stated.OPERATOR_FACTS, site.operator)
    yield CONTROL_PLANE, (stated.CONTROL_PLANE_FACTS, plane)
