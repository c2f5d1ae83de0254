"""From a sealed placement to the objects of its attempt. Pure: the same placement gives the same objects.

Everything meets Pod Security ``restricted``. What Kubernetes would refuse, or would change on its way (``$(NAME)``), is
refused or escaped here, before anything is sent.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.kubernetes import devices, egress, errors, frames, gangs, keeping, names, payloads, resources, sizes
from backends.kubernetes import settings as schema
from orchestrator.domain import jobs
from orchestrator.ports import backends

NODES_MAX = 1_000
OBJECT_BYTES_MAX = 1_000_000
"""Of the Job as JSON; the API server takes 1.5 MiB with what it adds itself."""
PORT = 29_500
"""MASTER_PORT: a pod has an address of its own, so the port is free there."""
BARRIER_SLACK_S = 60
"""A gang is ended from outside; its nodes end by themselves only where nobody came to do it."""
GRACE_S = 60
"""What a pod gets to end where nobody says otherwise: a node that is drained, for one."""
DEADLINE_S_MAX = 10 * 366 * 86_400
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._:/-]*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?", re.ASCII)
_SECRET_KEY = re.compile(r"(?!\.\.?$)[-._a-zA-Z0-9]{1,253}", re.ASCII)
_NAME = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True, slots=True)
class Grant:
    """What an attempt is given here besides what its placement says.

    ``accelerator`` is the slug of its pool, ``user_namespaces`` whether every node of the pool has them.
    """

    wanted: schema.KubernetesSettings
    backend: str
    installation: str
    accelerator: str | None = None
    user_namespaces: bool = False
    pod_groups: str = ""
    """Version of PodGroups that the cluster serves."""


@dataclass(frozen=True, slots=True)
class Objects:
    """What one attempt is made of. ``maps``, ``claims`` and ``policies`` come before the Job, which then owns them."""

    job: Mapping[str, Any]
    maps: tuple[Mapping[str, Any], ...] = ()
    claims: tuple[Mapping[str, Any], ...] = ()
    policies: tuple[Mapping[str, Any], ...] = ()
    groups: tuple[Mapping[str, Any], ...] = ()
    digest: str = ""


def objects(placement: backends.SealedPlacement, grant: Grant) -> Objects:
    """Return the objects of an attempt. Raises PermanentError for a job that cannot be run here."""
    spec, key = placement.spec, str(placement.key)
    parsed = _checked(placement, grant)
    workdir = placement.workdir() if placement.workdir is not None else None
    marks = labels(parsed, placement.pool, grant)
    payload = payloads.build(spec.files, workdir, shared_labels(grant), grant.wanted.files_bytes_max)
    device = _device(placement, grant)
    claims = resources.claims(key, spec.resources, device, grant.wanted.pool(placement.pool).alternatives, marks)
    digest = decided(placement)
    pool, asked, kept = grant.wanted.pool(placement.pool), spec.resources.accelerators, grant.wanted.outputs
    template = {
        "metadata": {"labels": {**marks}, "annotations": {names.SPEC_ANNOTATION: digest}},
        "spec": _pod(placement, grant, payload, device),
    }
    job: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": key,
            "labels": {**marks, **({names.QUEUE_LABEL: pool.queue} if pool.queue else {})},
            "annotations": {
                names.SPEC_ANNOTATION: digest,
                names.PLACEMENT_ANNOTATION: str(placement.site),
                names.TENANT_ANNOTATION: placement.tenant,
                **({names.DECISION_ANNOTATION: str(placement.decision)} if placement.decision else {}),
                names.ACCELERATORS_ANNOTATION: str(asked.count if asked else 0),
                **({names.PARTS_ANNOTATION: payload.name} if payload.name else {}),
                **({names.KEPT_ANNOTATION: keeping.where(kept, grant.backend, key)} if spec.outputs and kept else {}),
            },
        },
        "spec": {
            "suspend": pool.queue is not None,
            "completionMode": "Indexed",
            "completions": spec.nodes,
            "parallelism": spec.nodes,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": names.CONTAINER,
                            "operator": "In",
                            "values": [names.NOT_AGAIN],
                        },
                    },
                ]
            },
            "ttlSecondsAfterFinished": grant.wanted.keep_seconds,
            "template": template,
        },
    }
    if placement.time_limit is not None:
        seconds = math.ceil(placement.time_limit.total_seconds())
        job["spec"]["activeDeadlineSeconds"] = min(max(seconds, 1), DEADLINE_S_MAX)
    if (size := len(json.dumps(job))) > OBJECT_BYTES_MAX:
        raise errors.elsewhere(
            "too-large",
            f"command and variables make a Job of {size} bytes; the API server takes {OBJECT_BYTES_MAX}: "
            "put what is long into a file",
        )
    rules = (egress.policy(key, spec.egress, spec.nodes, marks),) if spec.egress is not None else ()
    groups = (gangs.group(key, spec.nodes, grant.pod_groups, marks),) if _grouped(placement, grant) else ()
    return Objects(job, payload.maps, claims, rules, groups, digest)


def tombstone(key: str, backend: str, installation: str, wanted: schema.KubernetesSettings, at: str) -> Objects:
    """Return a Job that never starts anything and keeps its name from being used: the attempt was stopped before."""
    parsed = names.parse_key(key)
    if parsed is None:
        raise errors.refused("key", f"{key[:80]!r} is no key of an attempt")
    digest = f"sha256:{hashlib.sha256(b'stopped').hexdigest()}"
    marks = labels(parsed, "", Grant(wanted, backend, installation))
    pool = next(iter(wanted.pools), "")
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": key,
            "labels": marks,
            "annotations": {names.SPEC_ANNOTATION: digest, names.STOPPED_ANNOTATION: at},
        },
        "spec": {
            "suspend": True,
            "completionMode": "Indexed",
            "completions": 1,
            "parallelism": 0,
            "backoffLimit": 0,
            "activeDeadlineSeconds": 1,
            "template": {
                "metadata": {"labels": marks},
                "spec": {
                    **frames.pod(wanted),
                    "nodeSelector": wanted.selector(pool),
                    "containers": [{"name": names.CONTAINER, "image": "stopped", **frames.container(True)}],
                },
            },
        },
    }
    return Objects(job, digest=digest)


def decided(placement: backends.SealedPlacement) -> str:
    """Return the digest of what was decided to run under this key: the job as submitted, and its place.

    Not of the rendered object: a newer version of this adapter must know what an older one started.
    """
    text = json.dumps([str(placement.key), str(placement.spec_digest), str(placement.site)], separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def labels(parsed: tuple[str, str | None, str], pool: str, grant: Grant) -> dict[str, str]:
    """Return the labels that everything of an attempt carries."""
    job, index, number = parsed
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.JOB_LABEL: job,
        names.ATTEMPT_LABEL: number,
        names.BACKEND_LABEL: names.label(grant.backend),
        names.INSTALLATION_LABEL: names.label(grant.installation),
        **({names.POOL_LABEL: names.label(pool)} if pool else {}),
        **({names.INDEX_LABEL: index} if index is not None else {}),
    }


def shared_labels(grant: Grant) -> dict[str, str]:
    """Return the labels of what several attempts of one backend may share."""
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.BACKEND_LABEL: names.label(grant.backend),
        names.INSTALLATION_LABEL: names.label(grant.installation),
    }


def image_of(spec: jobs.JobSpec, wanted: schema.KubernetesSettings) -> str | None:
    """Return the image of a job: its own, or, for a bare command, the operator's."""
    return spec.image if spec.image is not None or not spec.command else wanted.command_image


def _checked(placement: backends.SealedPlacement, grant: Grant) -> tuple[str, str | None, str]:
    """Return the parts of the key. Raises PermanentError for what Kubernetes, or this backend, does not take."""
    spec, parsed = placement.spec, names.parse_key(str(placement.key))
    if parsed is None:
        raise errors.refused("key", f"{str(placement.key)[:80]!r} is no key of an attempt")
    image = image_of(spec, grant.wanted)
    if image is None:
        raise errors.elsewhere("image", "a job needs an image here: name one in spec.image")
    if not _IMAGE.fullmatch(image):
        raise errors.elsewhere("image", f"image {image[:200]!r} is no reference that Kubernetes takes")
    if "@sha256:" not in image and not grant.wanted.image_tags:
        raise errors.elsewhere(
            "image-tag", f"image {image[:200]!r} is named by a tag, which may be another tomorrow: use its digest"
        )
    if not spec.command and payloads.needs_shell(spec):
        raise errors.elsewhere("command", "a job with files, a working folder or several nodes needs spec.command here")
    if spec.outputs and grant.wanted.outputs is None:
        raise errors.elsewhere("outputs", "this backend keeps no outputs (settings.outputs): leave out spec.outputs")
    for one in spec.secrets:
        if why := _withheld(one, placement.tenant, grant.wanted):
            raise errors.elsewhere("secret", why)
    if spec.egress is not None and (why := egress.refusal(spec.egress, grant.wanted.network_policy)):
        raise errors.elsewhere("egress", why)
    if _grouped(placement, grant) and not grant.pod_groups:
        raise errors.elsewhere(
            "gang", "settings.gang is workload, and this cluster serves no podgroups.scheduling.k8s.io"
        )
    if spec.nodes > NODES_MAX:
        raise errors.elsewhere("nodes", f"{spec.nodes} nodes; at most {NODES_MAX}")
    texts = [*spec.command, *(value for _, value in spec.env), *placement.environment.values()]
    for text in texts:
        if "\0" in text:
            raise errors.refused("invalid", "the command or a variable holds a NUL character")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise errors.refused("invalid", "the command or a variable holds text that is not Unicode") from None
    return parsed


def _grouped(placement: backends.SealedPlacement, grant: Grant) -> bool:
    """Say whether the cluster's own scheduler is to take all nodes of an attempt, or none."""
    return placement.spec.nodes > 1 and grant.wanted.gang == "workload"


def _pod(
    placement: backends.SealedPlacement, grant: Grant, payload: payloads.Payload, device: schema.Device | None
) -> dict[str, Any]:
    wanted, spec = grant.wanted, placement.spec
    pool = wanted.pool(placement.pool)
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}, {"name": "work", "emptyDir": {}}]
    mounts: list[dict[str, Any]] = [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- a /tmp of its own
        {"name": "work", "mountPath": payloads.WORK},
    ]
    script = list(payload.script)
    if payload.maps:
        sources = [
            {"configMap": {"name": one["metadata"]["name"], "items": [{"key": "part", "path": str(number)}]}}
            for number, one in enumerate(payload.maps)
        ]
        volumes.append({"name": "in", "projected": {"sources": sources}})
        mounts.append({"name": "in", "mountPath": payloads.MOUNT, "readOnly": True})
    if spec.nodes > 1:
        note = {
            "path": payloads.GANG_FILE,
            "fieldRef": {"fieldPath": f"metadata.annotations['{names.GANG_ANNOTATION}']"},
        }
        volumes.append({"name": "gang", "downwardAPI": {"items": [note]}})
        mounts.append({"name": "gang", "mountPath": payloads.WAIT, "readOnly": True})
        script += payloads.gang_script(wanted.start_seconds + BARRIER_SLACK_S)
    command = payloads.wrapped(script, spec.command) if script else list(spec.command)
    container: dict[str, Any] = {
        "name": names.CONTAINER,
        "image": image_of(spec, wanted),
        "imagePullPolicy": "IfNotPresent",
        "env": _variables(placement, wanted),
        "resources": resources.of_container(spec.resources, device),
        "terminationMessagePolicy": "File",
        "volumeMounts": mounts,
        **frames.container(wanted.read_only_root),
    }
    if why := sizes.refusal(command, container["env"]):
        raise errors.elsewhere("too-large", f"{why}: put what is long into a file or a folder")
    if command:
        container["command"] = [_escaped(word) for word in command]
    if payload.maps or spec.outputs:
        container["workingDir"] = payloads.WORK
    made: dict[str, Any] = {
        **frames.pod(wanted),
        "terminationGracePeriodSeconds": GRACE_S,
        **frames.placed(wanted, placement.pool),
        "containers": [container],
        "volumes": volumes,
    }
    if spec.outputs and wanted.outputs is not None:
        where = keeping.where(wanted.outputs, grant.backend, str(placement.key))
        made["initContainers"] = [
            keeping.container(wanted.outputs, where, spec.outputs, spec.nodes, frames.container(True))
        ]
        made["volumes"] = [*volumes, *keeping.volumes(wanted.outputs)]
        made["terminationGracePeriodSeconds"] = max(GRACE_S, wanted.outputs.copy_seconds)
    if grant.user_namespaces:
        made["hostUsers"] = False
    if _grouped(placement, grant):
        made |= gangs.of_pod(str(placement.key))
    if pool.runtime_class:
        made["runtimeClassName"] = pool.runtime_class
    if pool.priority_class:
        made["priorityClassName"] = pool.priority_class
    if wanted.image_pull_secrets:
        made["imagePullSecrets"] = [{"name": name} for name in wanted.image_pull_secrets]
    if device is not None and device.device_class is not None:
        made["resourceClaims"] = [{"name": resources.CLAIM, "resourceClaimTemplateName": str(placement.key)}]
    return made


def _device(placement: backends.SealedPlacement, grant: Grant) -> schema.Device | None:
    """Return what the job's accelerators are called here; None where it asks for none."""
    if placement.spec.resources.accelerators is None:
        return None
    found = devices.device(grant.accelerator, grant.wanted.accelerators) if grant.accelerator else None
    if found is None:
        raise errors.elsewhere(
            "accelerator",
            f"nobody said what {grant.accelerator or f'the accelerator of pool {placement.pool}'} is called in this "
            "cluster: name it in settings.accelerators",
        )
    return found


def _variables(placement: backends.SealedPlacement, wanted: schema.KubernetesSettings) -> list[dict[str, Any]]:
    """Return all variables, weakest first: the settings', the job's, and what nobody may set but us."""
    spec = placement.spec
    asked = spec.resources.accelerators
    found = {"HOME": payloads.WORK, "TMPDIR": "/tmp", **wanted.env, **dict(spec.env)}  # noqa: S108 -- a /tmp of its own
    found |= {
        "COMITY_JOB_ID": str(placement.job),
        "COMITY_ATTEMPT": str(placement.number),
        "COMITY_NODES": str(spec.nodes),
        "COMITY_GPUS_PER_NODE": str(asked.count if asked else 0),
        "COMITY_OUTPUT_DIR": f"{payloads.WORK}/out",
        "MASTER_PORT": str(PORT),
        **{f"COMITY_DATA_{_NAME.sub('_', name).upper()}": where for name, where in placement.data.items()},
        **placement.environment,
    }
    if spec.nodes == 1:
        found |= {"COMITY_NODE_RANK": "0", "COMITY_NODE_ADDRS": "127.0.0.1", "MASTER_ADDR": "127.0.0.1"}
    given = {one.variable: {"secretKeyRef": {"name": one.name, "key": one.key}} for one in spec.secrets}
    listed: list[dict[str, Any]] = [
        {"name": name, "value": _escaped(value)} for name, value in found.items() if name not in given
    ]
    listed += [{"name": name, "valueFrom": source} for name, source in given.items()]
    if spec.nodes > 1:
        rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{names.INDEX_ANNOTATION}']"}}
        listed.append({"name": "COMITY_NODE_RANK", "valueFrom": rank})
    return listed


def _withheld(asked: jobs.SecretUse, tenant: str, wanted: schema.KubernetesSettings) -> str:
    """Return why a job does not get a secret; "" where it does. Another tenant's is as unknown as one that is not."""
    found = wanted.secrets.get(asked.name)
    if found is None or tenant not in found.tenants:
        return f"the settings of this backend give jobs of tenant {tenant} no secret {asked.name[:80]!r}"
    if not _SECRET_KEY.fullmatch(asked.key):
        return f"{asked.key[:80]!r} is no key of a secret: letters, digits, '-', '_', '.'"
    return ""


def _escaped(text: str) -> str:
    """Return a text that Kubernetes leaves as it is: it would put a variable's value in place of ``$(NAME)``."""
    return text.replace("$", "$$")
