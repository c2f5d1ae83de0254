"""From a sealed placement to a RayJob of KubeRay (ray.io/v1): the Job it would be, taken apart and put together. Pure.

The checks, variables, resources and nodes are those of :mod:`backends.kubernetes.render`. The command never meets a
shell but the one that it is quoted for: it stands in an annotation of the head's pod, which is mounted as a script, and
the entrypoint is the same three words for every job (ADR 0030). Read in KubeRay 1.6.2.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from backends.kubernetes import errors, frames, names, payloads, render
from backends.kubernetes import settings as schema
from orchestrator.ports import backends

GROUP, VERSION, PLURAL, KIND = "ray.io", "v1", "rayjobs", "RayJob"
PREFIX = "r"
"""Of the name: the operator wants a letter first (DNS-1035), and keys begin with a digit."""
NAME_MAX = 47
"""Characters; the operator refuses more (MaxRayJobNameLength)."""
NO_NEW_HEAD = "ray.io/disable-provisioned-head-restart"
OWN_COMMAND = "ray.io/overwrite-container-cmd"
ENTRYPOINT_ANNOTATION = "comity.dev/entrypoint"
FOLDER = "/comity/entry"
ENTRYPOINT = f"sh {FOLDER}/run"
START = 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"; eval "exec $KUBERAY_GEN_RAY_START_CMD"'
"""What a node runs: the command that the operator would have run itself."""
SUBMITTER_CPU_MILLI, SUBMITTER_MEMORY_BYTES = 100, 512 * 2**20
ENTRYPOINT_BYTES_MAX = 200_000
"""Of the script: all annotations of an object are 256 KiB at most."""
SECONDS_MAX = 2**31 - 1
FENCE_DIGEST = f"sha256:{hashlib.sha256(b'stopped').hexdigest()}"
"""What a RayJob says was decided that keeps a name from being used."""
THEIRS = re.compile(
    r"RAY_(ADDRESS|API_SERVER_ADDRESS|IP|PORT|AUTH_\w+|ENABLE_K8S_TOKEN_AUTH|REDIS_ADDRESS|CLUSTER_\w+|NODE_TYPE_NAME|"
    r"CLOUD_INSTANCE_ID|USE_TLS|TLS_\w+|DASHBOARD_ADDRESS|JOB_SUBMISSION_ID|external_storage_namespace)"
    r"|FQ_RAY_IP|KUBERAY_\w+|REDIS_(PASSWORD|USERNAME)",
    re.ASCII,
)
"""Variables by which a node of Ray finds its cluster and its token; a job that sets one could open both."""


def name_of(key: str) -> str:
    """Return the name of the RayJob of an attempt."""
    return f"{PREFIX}{key}"


def key_of(name: str) -> str | None:
    """Return the key that a name stands for; None for what is none of ours."""
    key = name.removeprefix(PREFIX)
    return key if key != name and names.parse_key(key) is not None else None


def objects(placement: backends.SealedPlacement, grant: render.Grant) -> render.Objects:
    """Return the objects of an attempt; ``job`` is the RayJob. Raises PermanentError for what cannot be run."""
    rays = _rays(grant.wanted)
    key = str(placement.key)
    _check(placement, grant.wanted)
    made = render.objects(placement, grant)
    meta, template = made.job["metadata"], made.job["spec"]["template"]
    workdir = placement.workdir() if placement.workdir is not None else None
    unpack = payloads.build(placement.spec.files, workdir, render.shared_labels(grant), grant.wanted.files_bytes_max)
    node = _node(template, unpack.script, bool(unpack.maps))
    marks, notes = dict(meta["labels"]), dict(meta["annotations"])
    script = f"cd {payloads.WORK} && exec {shlex.join(placement.spec.command)}\n"
    if len(script.encode()) > ENTRYPOINT_BYTES_MAX:
        raise errors.elsewhere("too-large", f"the command is more than {ENTRYPOINT_BYTES_MAX} bytes: use a file")
    spec = _spec(
        rays,
        _head(node, script),
        node if rays.workers else None,
        _submitter(template, marks, grant, placement),
    )
    spec["jobId"] = key
    spec["preRunningDeadlineSeconds"] = grant.wanted.start_seconds
    if (seconds := made.job["spec"].get("activeDeadlineSeconds")) is not None:
        spec["activeDeadlineSeconds"] = min(int(seconds), SECONDS_MAX)
    job = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {
            "name": name_of(key),
            "labels": marks,
            "annotations": {**notes, NO_NEW_HEAD: "true", OWN_COMMAND: "true"},
        },
        "spec": spec,
    }
    if (size := len(json.dumps(job))) > render.OBJECT_BYTES_MAX:
        raise errors.elsewhere(
            "too-large", f"command and variables make a RayJob of {size} bytes: put what is long into a file"
        )
    return dataclasses.replace(made, job=job)


def tombstone(
    key: str, backend: str, installation: str, wanted: schema.KubernetesSettings, at: str
) -> Mapping[str, Any]:
    """Return a RayJob that never starts anything and keeps its name from being used: it was stopped before."""
    made = render.tombstone(key, backend, installation, wanted, at)
    template = made.job["spec"]["template"]
    spec = _spec(_rays(wanted), template, None, template)
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {**made.job["metadata"], "name": name_of(key)},
        "spec": {**spec, "jobId": key, "suspend": True, "activeDeadlineSeconds": 1},
    }


def _rays(wanted: schema.KubernetesSettings) -> schema.RayJobs:
    if wanted.rayjobs is None:
        raise errors.refused("rayjobs", "settings.rayjobs is not set")
    return wanted.rayjobs


def _check(placement: backends.SealedPlacement, wanted: schema.KubernetesSettings) -> None:
    """Raise PermanentError for what a RayJob cannot be asked for."""
    spec, name = placement.spec, name_of(str(placement.key))
    if len(name) > NAME_MAX:
        raise errors.refused("key", f"{name!r} is longer than the {NAME_MAX} characters of a RayJob's name")
    if not spec.command:
        raise errors.elsewhere("command", "a RayJob needs spec.command: it is what Ray is given to run")
    if spec.nodes > 1:
        raise errors.elsewhere(
            "nodes", "a RayJob runs its command once: workers are declared in settings.rayjobs.workers"
        )
    asked = spec.resources
    if not asked.cpu_milli or not asked.memory_bytes:
        raise errors.elsewhere(
            "resources", "a RayJob needs spec.resources.cpus and .memory: else Ray takes all of its node for its own"
        )
    taken = {*dict(spec.env), *(one.variable for one in spec.secrets), *wanted.env, *placement.environment}
    if clash := sorted(variable for variable in taken if THEIRS.fullmatch(variable)):
        raise errors.elsewhere("variable", f"variable {clash[0][:80]} belongs to Ray here: leave it out of spec.env")


def _node(template: Mapping[str, Any], unpack: tuple[str, ...], files: bool) -> dict[str, Any]:
    """Return the pod of a node of Ray: the job's own, with another command."""
    made = copy.deepcopy(dict(template))
    main = made["spec"]["containers"][0]
    command = ["/bin/sh", "-c", START]
    if files:
        command = payloads.wrapped(unpack, command)
    main["command"] = [word.replace("$", "$$") for word in command]
    main["workingDir"] = payloads.WORK
    made["spec"]["restartPolicy"] = "Never"
    return made


def _head(node: Mapping[str, Any], script: str) -> dict[str, Any]:
    made = copy.deepcopy(dict(node))
    made["metadata"].setdefault("annotations", {})[ENTRYPOINT_ANNOTATION] = script
    note = {"path": "run", "fieldRef": {"fieldPath": f"metadata.annotations['{ENTRYPOINT_ANNOTATION}']"}}
    made["spec"]["volumes"].append({"name": "entry", "downwardAPI": {"items": [note]}})
    main = made["spec"]["containers"][0]
    main["volumeMounts"].append({"name": "entry", "mountPath": FOLDER, "readOnly": True})
    main["ports"] = [
        {"name": "gcs-server", "containerPort": 6379},
        {"name": "dashboard", "containerPort": 8265},
        {"name": "client", "containerPort": 10001},
    ]
    return made


def _submitter(
    template: Mapping[str, Any], marks: Mapping[str, str], grant: render.Grant, placement: backends.SealedPlacement
) -> dict[str, Any]:
    """Return the pod that hands the entrypoint over and repeats what it prints: the job's image, the pool's nodes."""
    wanted = grant.wanted
    made: dict[str, Any] = {
        **frames.pod(wanted),
        "terminationGracePeriodSeconds": 5,
        **frames.placed(wanted, placement.pool),
        "containers": [
            {
                "name": names.CONTAINER,
                "image": render.image_of(placement.spec, wanted),
                "imagePullPolicy": "IfNotPresent",
                "env": [{"name": "HOME", "value": "/tmp"}, {"name": "TMPDIR", "value": "/tmp"}],  # noqa: S108 -- a /tmp of its own
                "resources": {
                    "requests": {"cpu": f"{SUBMITTER_CPU_MILLI}m", "memory": str(SUBMITTER_MEMORY_BYTES)},
                    "limits": {"memory": str(SUBMITTER_MEMORY_BYTES)},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 -- a /tmp of its own
                **frames.container(wanted.read_only_root),
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    for field in ("hostUsers", "runtimeClassName", "priorityClassName", "imagePullSecrets"):
        if field in template["spec"]:
            made[field] = template["spec"][field]
    meta = {"labels": dict(marks), "annotations": dict(template["metadata"]["annotations"])}
    return {"metadata": meta, "spec": made}


def _spec(
    rays: schema.RayJobs, head: Mapping[str, Any], worker: Mapping[str, Any] | None, submitter: Mapping[str, Any]
) -> dict[str, Any]:
    cluster: dict[str, Any] = {
        "rayVersion": rays.version,
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": False,
        "headGroupSpec": {"rayStartParams": {"dashboard-host": "0.0.0.0"}, "template": head},  # noqa: S104 -- of its pod; it wants a token
    }
    if worker is not None:
        count = rays.workers
        cluster["workerGroupSpecs"] = [
            {
                "groupName": "workers",
                "replicas": count,
                "minReplicas": count,
                "maxReplicas": count,
                "rayStartParams": {},
                "template": worker,
            }
        ]
    return {
        "submissionMode": "K8sJobMode",
        "submitterConfig": {"backoffLimit": 0},
        "submitterPodTemplate": submitter,
        "backoffLimit": 0,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 0,
        "suspend": False,
        "entrypoint": ENTRYPOINT,
        "rayClusterSpec": cluster,
    }
