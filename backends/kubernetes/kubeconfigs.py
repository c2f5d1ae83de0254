"""Reads the text of a kubeconfig into what a client needs, and refuses what would read this machine's files. Pure.

Whoever may register a backend writes this text. It may therefore name no file of the server (a token file could be the
server's own), start no program that the server's environment does not name, and switch no check off.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import ipaddress
import urllib.parse
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from cryptography import x509

_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_NO_LONGER = {
    "auth-provider": "auth providers were replaced by exec plugins in Kubernetes 1.26",
    "username": "basic authentication was removed in Kubernetes 1.19",
    "password": "basic authentication was removed in Kubernetes 1.19",
}


class KubeconfigError(ValueError):
    """A kubeconfig that cannot be used; one sentence that says why, and repeats none of its secrets."""


@dataclass(frozen=True, slots=True)
class Access:
    """How one cluster is reached. ``document`` is the checked kubeconfig with the chosen context only."""

    server: str
    ca: bytes | None
    """PEM; None: certificates that this machine trusts."""
    document: Mapping[str, Any]
    exec_command: str | None = None
    certificate_ends: dt.datetime | None = None
    """When the client certificate ends."""


def read(text: str, context: str | None, programs: Collection[str]) -> Access:
    """Return the access that a context gives. ``programs`` are those that may be started. Raises KubeconfigError."""
    document = _document(text)
    named = context or document.get("current-context")
    if not isinstance(named, str) or not named:
        raise KubeconfigError("it has no current-context: name one in settings.context")
    chosen = _member(document, "contexts", named).get("context")
    if not isinstance(chosen, Mapping):
        raise KubeconfigError(f"context {named!r} is empty")
    cluster = _part(document, "clusters", chosen.get("cluster"), "cluster", named)
    user = _part(document, "users", chosen.get("user"), "user", named)
    server, ca = address(cluster)
    command = _user(user, programs)
    checked = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": dict(cluster)}],
        "users": [{"name": "u", "user": dict(user)}],
    }
    return Access(server, ca, checked, command, _ends(user))


def _document(text: str) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise KubeconfigError(f"it is no YAML{where}") from None
    if not isinstance(document, Mapping) or not isinstance(document.get("clusters"), list):
        raise KubeconfigError("it is no kubeconfig: it has no clusters (kubectl config view --flatten --raw)")
    return document


def _member(document: Mapping[str, Any], kind: str, name: str) -> Mapping[str, Any]:
    members = document.get(kind)
    found = (
        [each for each in members if isinstance(each, Mapping) and each.get("name") == name]
        if isinstance(members, list)
        else []
    )
    if len(found) != 1:
        raise KubeconfigError(f"it has {len(found) or 'no'} {kind} named {name!r}")
    return found[0]


def _part(document: Mapping[str, Any], kind: str, name: object, word: str, context: str) -> Mapping[str, Any]:
    if not isinstance(name, str):
        raise KubeconfigError(f"context {context!r} names no {word}")
    found = _member(document, kind, name).get(word)
    if not isinstance(found, Mapping):
        raise KubeconfigError(f"{word} {name!r} is empty")
    for field in _FILES:
        if found.get(field):
            raise KubeconfigError(
                f"{field} names a file of the server, and is not read: embed it (kubectl config view --flatten --raw)"
            )
    return found


def address(cluster: Mapping[str, Any]) -> tuple[str, bytes | None]:
    """Return URL and CA (PEM) of a cluster's entry. Raises KubeconfigError for one that is not connected to."""
    server = cluster.get("server")
    if not isinstance(server, str):
        raise KubeconfigError("its cluster has no server")
    try:
        split = urllib.parse.urlsplit(server)
    except ValueError:
        raise KubeconfigError("its server is no plain URL like https://kube.example:6443") from None
    if split.username or split.password or split.query or split.fragment or not split.hostname:
        raise KubeconfigError("its server is no plain URL like https://kube.example:6443")
    if split.scheme != "https" and not (split.scheme == "http" and _is_loopback(split.hostname)):
        raise KubeconfigError("its server is reached by https only")
    if cluster.get("insecure-skip-tls-verify"):
        raise KubeconfigError("insecure-skip-tls-verify: anybody could answer in the cluster's place; embed its CA")
    ca = cluster.get("certificate-authority-data")
    return server, None if ca is None else _pem(ca, "certificate-authority-data")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _user(user: Mapping[str, Any], programs: Collection[str]) -> str | None:
    """Return the program that gives the credentials, if one does."""
    for field, why in _NO_LONGER.items():
        if user.get(field):
            raise KubeconfigError(f"{field}: {why}")
    plugin = user.get("exec")
    if plugin is None:
        if not (user.get("token") or (user.get("client-certificate-data") and user.get("client-key-data"))):
            raise KubeconfigError("its user has no token, no client certificate with key, and no exec plugin")
        return None
    command = plugin.get("command") if isinstance(plugin, Mapping) else None
    if not isinstance(command, str) or not command:
        raise KubeconfigError("its exec plugin names no command")
    if command not in programs:
        raise KubeconfigError(
            f"exec plugin {command[:200]!r} may not be started: name it in the server's environment, "
            "COMITY_KUBERNETES_EXEC (several with : between)"
        )
    return command


def _ends(user: Mapping[str, Any]) -> dt.datetime | None:
    data = user.get("client-certificate-data")
    if not data:
        return None
    try:
        return x509.load_pem_x509_certificate(_pem(data, "client-certificate-data")).not_valid_after_utc
    except ValueError as error:
        if isinstance(error, KubeconfigError):
            raise
        raise KubeconfigError("client-certificate-data is no certificate") from None


def _pem(data: object, field: str) -> bytes:
    try:
        found = base64.b64decode(data, validate=False) if isinstance(data, str) else b""
    except (binascii.Error, ValueError):
        found = b""
    if b"-----BEGIN " not in found:
        raise KubeconfigError(f"{field} is no PEM in base64")
    return found
