"""From a ClusterProfile of SIG-Multicluster to the draft of a Backend document (ADR 0027). Pure.

Fields as in ``sigs.k8s.io/cluster-inventory-api`` v0.1.3, ``apis/v1alpha1/clusterprofile_types.go`` (KEP-4322). It
says nothing of countries and operators; two properties with our prefix may, and count as declared while they are fresh.
All in a profile is a stranger's text: it is shortened, made printable, quoted, and never put into a field unread.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from backends.kubernetes import errors, kubeconfigs, views
from orchestrator.domain import countries, ids
from orchestrator.ports import inventories

COUNTRY, OPERATOR = "comity.dev/country", "comity.dev/operator"
"""Properties by which a cluster manager may say where nodes stand (ISO 3166-1 alpha-2) and which Operator runs them."""
AGE_MAX = dt.timedelta(days=7)
"""A property that was observed longer ago says nothing."""
AHEAD_MAX = dt.timedelta(minutes=5)
"""A property that was observed later than this after now has a clock that nobody should believe."""
HEALTHY = "ControlPlaneHealthy"
PROPERTIES_SHOWN = 32
PROPERTIES_READ = 1_000
PROVIDERS_MAX = 32
CA_CHARACTERS_MAX = 256 * 1024
SERVER_MAX = 2_048
NAME_MAX = 63


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person says beside the profile: where jobs will run, and which access provider is meant."""

    job_namespace: str
    access_provider: str | None = None


def draft(profile: Mapping[str, Any], wanted: Wanted, now: dt.datetime) -> inventories.Draft:
    """Return the draft of one profile. Takes any mapping: what is not as it should be is a note and a hole."""
    meta, spec, status = _mapping(profile, "metadata"), _mapping(profile, "spec"), _mapping(profile, "status")
    own = f"{errors.plain(meta.get('namespace'), 63)}/{errors.plain(meta.get('name'), 253)}"
    name = name_of(meta.get("name"))
    manager = errors.plain(_mapping(spec, "clusterManager").get("name"), 100)
    notes = [f"ClusterProfile {own}, cluster manager {_quoted(manager)}"]
    if shown := errors.plain(spec.get("displayName"), 200):
        notes.append(f"display name {_quoted(shown)}")
    if version := errors.plain(_mapping(status, "version").get("kubernetes"), 60):
        notes.append(f"Kubernetes {_quoted(version)}")
    warnings = _health(status)
    properties, said = _properties(status, now)
    notes += said
    skeleton, problem = _skeleton(status, wanted.access_provider)
    warnings += [problem] if problem else []
    country, operator = properties.get(COUNTRY), properties.get(OPERATOR)
    found: dict[str, object] = {
        "adapter": "kubernetes",
        "operator": operator[0] if operator else f"{inventories.HOLE}which Operator runs it (no profile proves that)",
        "location": {"country": country[0] if country else f"{inventories.HOLE}country where its nodes stand"},
        "settings": {
            "kubeconfig": {"fromFile": f"{name}.kubeconfig"},
            "namespace": wanted.job_namespace,
            "jurisdiction": country[0] if country else f"{inventories.HOLE}the same country",
        },
    }
    taken = {title: one for title, one in ((COUNTRY, country), (OPERATOR, operator)) if one}
    if taken:
        oldest = min(seen for _, seen in taken.values())
        found["facts"] = {
            "source": f"ClusterProfile {own} of cluster manager {manager or '(none)'}: {', '.join(taken)}",
            "asOf": oldest.date().isoformat(),
            "assurance": "declared",
        }
    return inventories.Draft(name, found, notes, warnings, {"kubeconfig": skeleton} if skeleton else {})


def name_of(text: object) -> str:
    """Return the name of the document: the profile's own where it is one, else its beginning and a digest of it."""
    if isinstance(text, str) and ids.is_name(text):
        return text
    raw = text if isinstance(text, str) else repr(text)
    digest = hashlib.sha256(raw.encode(errors="replace")).hexdigest()[:8]
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "-.") else "-" for char in raw)
    return f"{kept[: NAME_MAX - 9].strip('-.') or 'profile'}-{digest}"


def _health(status: Mapping[str, Any]) -> list[str]:
    """Return why the cluster does not count as healthy; nothing where its manager says that it is."""
    found = [one for one in _mappings(status.get("conditions")) if one.get("type") == HEALTHY]
    bad = [one for one in found if one.get("status") != "True"]
    if found and not bad:
        return []
    if not found:
        return [f"NOT KNOWN TO BE HEALTHY: it has no condition {HEALTHY}"]
    words = " ".join(errors.plain(bad[0].get(field), 200) for field in ("status", "reason", "message"))
    return [f"NOT HEALTHY: {HEALTHY} is {_quoted(words)}"]


def _properties(
    status: Mapping[str, Any], now: dt.datetime
) -> tuple[Mapping[str, tuple[str, dt.datetime]], Sequence[str]]:
    """Return our properties that count, each with when it was observed, and a line about every property."""
    everything = _mappings(status.get("properties"))
    listed, notes = everything[:PROPERTIES_READ], []
    found: dict[str, tuple[str, dt.datetime]] = {}
    values: dict[str, set[str]] = {}
    for number, one in enumerate(listed):
        name, value = errors.plain(one.get("name"), 253), errors.plain(one.get("value"), 200)
        seen = views.time(one.get("lastObservedTime"))
        ours = one.get("name") in (COUNTRY, OPERATOR)
        why = _doubt(name, one.get("value"), seen, now) if ours else "not read"
        values.setdefault(name, set()).add(str(one.get("value")))
        if ours and not why and seen is not None:
            found[name] = (str(one["value"]), seen)
        when = f"observed {seen:%Y-%m-%dT%H:%M:%SZ}" if seen else "nobody says when it was observed"
        if ours or number < PROPERTIES_SHOWN:
            notes.append(f"property {_quoted(name)} = {_quoted(value)}, {when}: {why or 'taken, as declared'}")
    for name in (COUNTRY, OPERATOR):
        if len(values.get(name, ())) > 1:
            found.pop(name, None)
            notes.append(f"property {name} stands there with several values: none is taken")
    if len(everything) > PROPERTIES_SHOWN:
        notes.append(f"of {len(everything)} properties, the first {PROPERTIES_SHOWN} and those of comity.dev are shown")
    if len(everything) > PROPERTIES_READ:
        notes.append(f"it has more properties than the {PROPERTIES_READ} that are read: none is taken")
        found.clear()
    return found, notes


def _doubt(name: str, value: object, seen: dt.datetime | None, now: dt.datetime) -> str:
    """Return why a property of ours does not count; "" where it does."""
    if seen is None:
        return "not taken, as it may be of any age"
    if now - seen > AGE_MAX:
        return f"not taken, as that is more than {AGE_MAX.days} days ago"
    if seen - now > AHEAD_MAX:
        return "not taken, as that is in the future"
    if name == COUNTRY and not (isinstance(value, str) and value in countries.CODES):
        return "not taken, as it is no country of ISO 3166-1"
    if name == OPERATOR and not (isinstance(value, str) and ids.is_name(value)):
        return "not taken, as it is no name"
    return ""


def _skeleton(status: Mapping[str, Any], chosen: str | None) -> tuple[str, str]:
    """Return a kubeconfig without a user, and what is wrong where there is none."""
    listed = _mappings(status.get("accessProviders")) or _mappings(status.get("credentialProviders"))
    found: dict[str, dict[str, str]] = {}
    problems: list[str] = []
    for one in listed[:PROVIDERS_MAX]:
        name, cluster = errors.plain(one.get("name"), 100), _mapping(one, "cluster")
        if chosen is not None and name != chosen:
            continue
        try:
            found[name] = _cluster(cluster)
        except kubeconfigs.KubeconfigError as error:
            problems.append(f"{_quoted(name)}: {errors.plain(str(error), 200)}")
    if len({json.dumps(one, sort_keys=True) for one in found.values()}) > 1:
        named = ", ".join(_quoted(name) for name in sorted(found))
        return "", f"its access providers name different clusters: choose one of {named} with --access-provider"
    if found:
        return _kubeconfig(next(iter(found.values()))), ""
    if problems:
        return "", f"no access provider can be used: {'; '.join(problems[:4])}"
    which = f" named {_quoted(chosen)}" if chosen is not None else ""
    return "", f"it has no access provider{which}: write the kubeconfig by hand"


def _cluster(cluster: Mapping[str, Any]) -> dict[str, str]:
    """Return what is taken of a cluster's address. Raises KubeconfigError for one that we would not connect to."""
    if cluster.get("certificate-authority"):
        raise kubeconfigs.KubeconfigError("certificate-authority names a file of somebody else's machine")
    if cluster.get("proxy-url"):
        raise kubeconfigs.KubeconfigError("it is reached by a proxy that the profile names: write it by hand")
    if len(str(cluster.get("certificate-authority-data") or "")) > CA_CHARACTERS_MAX:
        raise kubeconfigs.KubeconfigError("certificate-authority-data is too long")
    server, ca = kubeconfigs.address(cluster)
    if not server.isprintable() or len(server) > SERVER_MAX:
        raise kubeconfigs.KubeconfigError("its server is no plain URL like https://kube.example:6443")
    taken = {"server": server}
    if ca is not None:
        taken["certificate-authority-data"] = str(cluster["certificate-authority-data"])
    if name := cluster.get("tls-server-name"):
        taken["tls-server-name"] = errors.plain(name, 253)
    return taken


def _kubeconfig(cluster: Mapping[str, str]) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": dict(cluster)}],
        "users": [{"name": "u", "user": {}}],
    }
    head = (
        "# Address and CA as the profile has them: check both. The user is yours to add; without one it is refused.\n"
    )
    return head + yaml.safe_dump(document, sort_keys=False)


def _mapping(found: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    inner = found.get(field)
    return inner if isinstance(inner, Mapping) else {}


def _mappings(found: object) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
