"""Reads the ClusterProfiles of a namespace, for drafts of Backend documents (ADR 0027). Nothing is written anywhere."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pydantic

from backends.kubernetes import client, errors, kubeconfigs, profiles
from orchestrator.domain import errors as port_errors
from orchestrator.ports import inventories
from orchestrator.settings import adapters

GROUP, PLURAL = "multicluster.x-k8s.io", "clusterprofiles"
VERSIONS = ("v1alpha2", "v1alpha1")
"""That are read, best first. Only v1alpha1 was met in real definitions; v1alpha2 is read by the same fields."""
PROFILES_MAX = 1_000
PAGE = 250

_DNS = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_Space = Annotated[str, pydantic.Field(pattern=rf"^{_DNS}$")]
_Name = Annotated[str, pydantic.Field(pattern=rf"^{_DNS}(\.{_DNS})*$", max_length=253)]


class ProfileSettings(adapters.AdapterSettings):
    """Where the profiles are, and what the documents made of them say beside."""

    kubeconfig: Annotated[str, pydantic.Field(min_length=1, max_length=2**18)]
    context: Annotated[str, pydantic.Field(min_length=1, max_length=253)] | None = None
    namespace: _Space
    names: Annotated[tuple[_Name, ...], pydantic.Field(max_length=PROFILES_MAX)] = ()
    """Profiles that are wanted; none means all."""
    job_namespace: _Space = "comity-jobs"
    access_provider: Annotated[str, pydantic.Field(min_length=1, max_length=100)] | None = None


def read(settings: Mapping[str, object], now: dt.datetime) -> Sequence[inventories.Draft]:
    """Return a draft for each profile, in order of name. Raises SettingsError, BackendError."""
    wanted = ProfileSettings.read(settings)
    try:
        access = kubeconfigs.read(wanted.kubeconfig, wanted.context, client.programs())
    except kubeconfigs.KubeconfigError as error:
        raise adapters.SettingsError([f"kubeconfig: {error}"]) from None
    with tempfile.TemporaryDirectory(prefix="comity-import-") as folder:
        talk = client.Client(access, folder)
        try:
            found = _profiles(talk, wanted)
        finally:
            talk.close()
    said = profiles.Wanted(wanted.job_namespace, wanted.access_provider)
    return sorted((profiles.draft(one, said, now) for one in found), key=lambda one: one.name)


def served(talk: client.Client, group: str, hint: str = "") -> Sequence[str]:
    """Return the versions of a group that a cluster serves; none where it has no such group. Raises BackendError."""
    try:
        found = talk.get(f"/apis/{group}").get("versions")
    except errors.StatusError as error:
        if error.status == 404:
            return ()
        raise errors.of_status(error, f"read the versions of {group}", hint) from error
    listed = found if isinstance(found, list) else []
    return [str(one["version"]) for one in listed if isinstance(one, Mapping) and "version" in one]


def _profiles(talk: client.Client, wanted: ProfileSettings) -> Sequence[Mapping[str, Any]]:
    versions = served(talk, GROUP, talk.hint)
    known = [one for one in VERSIONS if one in versions]
    if not versions:
        raise _absent("it has none of that group")
    for version in known:
        path = f"/apis/{GROUP}/{version}/namespaces/{wanted.namespace}/{PLURAL}"
        try:
            found = _listed(talk, path)
        except errors.StatusError as error:
            if error.status == 404:  # of another kind of the group
                continue
            raise errors.of_status(error, f"list {PLURAL} in {wanted.namespace}", talk.hint) from error
        return _chosen(found, wanted)
    raise _absent(
        f"it serves {', '.join(errors.plain(one, 40) for one in versions[:8])}; {' and '.join(VERSIONS)} are read"
    )


def _listed(talk: client.Client, path: str) -> Sequence[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    token = ""
    while True:
        more = {"continue": token} if token else {}
        page = talk.get(path, meta_only=False, limit=PAGE, **more)
        items, meta = page.get("items"), page.get("metadata")
        found += [one for one in items if isinstance(one, Mapping)] if isinstance(items, list) else []
        if len(found) > PROFILES_MAX:
            raise port_errors.PermanentError(
                "kubernetes.profiles", f"more than {PROFILES_MAX} ClusterProfiles there: that is no list for a person"
            )
        token = str(meta.get("continue") or "") if isinstance(meta, Mapping) else ""
        if not token:
            return found


def _chosen(found: Sequence[Mapping[str, Any]], wanted: ProfileSettings) -> Sequence[Mapping[str, Any]]:
    named = {str(one["metadata"].get("name")): one for one in found if isinstance(one.get("metadata"), Mapping)}
    missing = [name for name in wanted.names if name not in named]
    if missing:
        raise port_errors.PermanentError(
            "kubernetes.profiles", f"namespace {wanted.namespace} has no ClusterProfile {', '.join(missing[:8])}"
        )
    return [named[name] for name in dict.fromkeys(wanted.names)] if wanted.names else list(named.values())


def _absent(why: str) -> port_errors.PermanentError:
    return port_errors.PermanentError("kubernetes.profiles", f"the cluster has no {PLURAL}.{GROUP} to read: {why}")
