"""A sealed placement becomes a RayJob that retries nothing, under Pod Security restricted, or a refusal by name."""

import datetime as dt
import shlex
import subprocess
import sys
from typing import Any

import pytest

from backends.kubernetes import names, payloads, rayjobs, render
from orchestrator.domain import errors, ids, jobs
from orchestrator.settings import adapters
from tests.unit.backends.kubernetes import objects

ASKED = jobs.Resources(cpu_milli=2000, memory_bytes=2**30)


def made(*, workers: int = 0, **more: Any) -> Any:
    """Return the RayJob of a placement. ``settings`` are those of the backend."""
    grant = objects.grant(more.pop("accelerator", None), rayjobs=rays(workers), **more.pop("settings", {}))
    return rayjobs.objects(objects.placement(**{"resources": ASKED, **more}), grant).job


def rays(workers: int = 0) -> dict[str, Any]:
    return {"version": "2.60.0", "workers": workers}


def templates(job: Any) -> list[Any]:
    """Return the pods of a RayJob: head, workers, submitter."""
    cluster = job["spec"]["rayClusterSpec"]
    groups = [one["template"] for one in cluster.get("workerGroupSpecs", ())]
    return [cluster["headGroupSpec"]["template"], *groups, job["spec"]["submitterPodTemplate"]]


def head(job: Any) -> Any:
    return templates(job)[0]["spec"]["containers"][0]


def refused(**more: Any) -> str:
    with pytest.raises(errors.PermanentError) as caught:
        made(**more)
    return caught.value.code


def test_the_key_is_the_name_behind_a_letter() -> None:
    """The operator wants a letter first and 47 characters at most; the key is found again in the name."""
    job = made(job=ids.element_id(objects.JOB, 7), number=3)
    name = job["metadata"]["name"]
    assert name == f"r{objects.JOB.lower()}-7-3"
    assert rayjobs.key_of(name) == job["spec"]["jobId"] == name[1:]
    for other in ("", "r", name[1:], "rabc", f"{name}-x", "r" + "0" * 60):
        assert rayjobs.key_of(other) is None
    assert refused(job=ids.element_id(ids.JobId("0" * 36), 123456789)) == "kubernetes.key"


def test_the_marks_stand_on_the_rayjob_and_on_every_pod() -> None:
    """What finds an attempt again, and what was decided, stands on all of them."""
    job = made(workers=2)
    meta = job["metadata"]
    assert meta["annotations"][names.SPEC_ANNOTATION] == render.decided(objects.placement(resources=ASKED))
    found = templates(job)
    assert len(found) == 3
    for template in found:
        marks = template["metadata"]
        assert marks["labels"][names.JOB_LABEL] == objects.JOB.lower()
        assert marks["labels"].items() <= meta["labels"].items()
        assert marks["annotations"][names.SPEC_ANNOTATION] == meta["annotations"][names.SPEC_ANNOTATION]


def test_nothing_is_retried_and_nothing_is_left() -> None:
    """One submission to one cluster, whose head is never replaced; the cluster goes at once."""
    job = made(time_limit=dt.timedelta(seconds=89.5), settings={"startSeconds": 77})
    spec, notes = job["spec"], job["metadata"]["annotations"]
    assert (spec["backoffLimit"], spec["submitterConfig"], spec["submissionMode"]) == (
        0,
        {"backoffLimit": 0},
        "K8sJobMode",
    )
    assert (spec["shutdownAfterJobFinishes"], spec["ttlSecondsAfterFinished"], spec["suspend"]) == (True, 0, False)
    assert (spec["activeDeadlineSeconds"], spec["preRunningDeadlineSeconds"]) == (90, 77)
    assert notes[rayjobs.NO_NEW_HEAD] == notes[rayjobs.OWN_COMMAND] == "true"
    assert "activeDeadlineSeconds" not in made()["spec"]
    assert {template["spec"]["restartPolicy"] for template in templates(job)} == {"Never"}


def test_every_pod_is_restricted_and_in_its_country() -> None:
    """Head, workers, submitter and the one that is only a name: no root, no token, the pool's nodes, no open head."""
    fence = rayjobs.tombstone(str(objects.KEY), "gra", "here", objects.wanted(rayjobs=rays()), "2026-11-22T12:00:00Z")
    for job in (made(workers=1), fence):
        assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
        assert job["spec"]["rayClusterSpec"]["enableInTreeAutoscaling"] is False
        for template in templates(job):
            spec = template["spec"]
            main = spec["containers"][0]["securityContext"]
            assert spec["securityContext"]["runAsNonRoot"] is True
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert spec["automountServiceAccountToken"] is False
            assert (main["allowPrivilegeEscalation"], main["capabilities"]) == (False, {"drop": ["ALL"]})
            assert main["readOnlyRootFilesystem"] is True
            assert spec["nodeSelector"][names.JURISDICTION_LABEL] == "FR"


def test_workers_are_as_the_head_and_as_many_as_the_settings_say() -> None:
    """Each asks for what the job asks for; none where the settings say nothing."""
    assert "workerGroupSpecs" not in made()["spec"]["rayClusterSpec"]
    asked = jobs.Resources(2000, 2**30, jobs.AcceleratorRequest(("nvidia-h100-sxm",), 4))
    job = made(workers=3, accelerator="nvidia-h100-sxm", resources=asked)
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (3, 3, 3)
    worker = group["template"]["spec"]["containers"][0]
    assert worker["resources"] == head(job)["resources"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "4"
    assert worker["command"] == head(job)["command"]
    assert rayjobs.ENTRYPOINT_ANNOTATION not in group["template"]["metadata"]["annotations"]
    submitter = job["spec"]["submitterPodTemplate"]["spec"]["containers"][0]
    assert "nvidia.com/gpu" not in submitter["resources"]["limits"]
    assert submitter["image"] == objects.IMAGE


@pytest.mark.parametrize(
    "words",
    [
        ("python", "train.py"),
        ("printf", "%s", "$HOME `id` \\ 'x' \"y\" ; & | > < * ? ~ # ! $(id) $((1)) ${A}"),
        ("printf", "%s", "two\nlines\ttab", "", " ", "-n", "--", "é☃"),
    ],
)
def test_the_words_of_a_command_come_through_the_shell_as_they_are(words: tuple[str, ...], tmp_path: Any) -> None:
    """The entrypoint is the same for every job; the script that it runs is the command, word for word."""
    job = made(command=(sys.executable, "-c", "import sys; print(sys.argv[1:])", *words))
    assert job["spec"]["entrypoint"] == rayjobs.ENTRYPOINT
    assert shlex.split(rayjobs.ENTRYPOINT) == rayjobs.ENTRYPOINT.split(" ")
    template = templates(job)[0]
    script = template["metadata"]["annotations"][rayjobs.ENTRYPOINT_ANNOTATION]
    (volume,) = [one for one in template["spec"]["volumes"] if one["name"] == "entry"]
    (item,) = volume["downwardAPI"]["items"]
    assert f"{rayjobs.FOLDER}/{item['path']}" == rayjobs.ENTRYPOINT.split(" ")[1]
    file = tmp_path / "run"
    file.write_text(script.replace(payloads.WORK, str(tmp_path)))
    done = subprocess.run(["sh", str(file)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{list(words)}\n"


def test_a_node_unpacks_files_and_then_becomes_what_the_operator_would_run() -> None:
    """The operator's own command comes from its variable; ``$`` is left for the shell."""
    plain, full = head(made())["command"], head(made(files=(("a", b"x"),)))["command"]
    assert plain == ["/bin/sh", "-c", rayjobs.START.replace("$", "$$")]
    assert full[-3:] == plain
    assert "KUBERAY_GEN_RAY_START_CMD" in rayjobs.START
    assert head(made())["workingDir"] == payloads.WORK


def test_start_is_a_shell_that_becomes_the_command(tmp_path: Any) -> None:
    """A POSIX shell runs the generated command in its own place, whatever limits it may not raise."""
    generated = f"{sys.executable} -c 'import os; print(os.getppid() == int(os.environ[\"PARENT\"]))'"
    script = f'export PARENT=$PPID KUBERAY_GEN_RAY_START_CMD="{generated.replace(chr(34), chr(92) + chr(34))}"; '
    done = subprocess.run(
        ["sh", "-c", script + rayjobs.START], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path
    )
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"command": ()}, "command"),
        ({"nodes": 2}, "nodes"),
        ({"resources": jobs.Resources(cpu_milli=1000)}, "resources"),
        ({"resources": jobs.Resources(memory_bytes=2**30)}, "resources"),
        ({"image": None}, "image"),
        ({"image": "example/ray:1"}, "image-tag"),
        ({"env": (("RAY_AUTH_MODE", "disabled"),)}, "variable"),
        ({"env": (("RAY_ADDRESS", "evil:6379"),)}, "variable"),
        ({"env": (("KUBERAY_GEN_RAY_START_CMD", "sh"),)}, "variable"),
        ({"settings": {"env": {"RAY_AUTH_TOKEN": "x"}}}, "variable"),
        ({"outputs": (jobs.Output("a"),)}, "outputs"),
        ({"egress": jobs.Egress()}, "egress"),
        ({"command": ("x" * 250_000,)}, "too-large"),
    ],
)
def test_what_a_rayjob_cannot_do_is_refused_by_name(more: dict[str, Any], code: str) -> None:
    """Nothing that a document says is left out."""
    assert refused(**more) == f"kubernetes.{code}"


def test_variables_that_only_tune_ray_are_let_through() -> None:
    """What opens no door is the job's own business."""
    found = made(env=(("RAY_DEDUP_LOGS", "0"), ("RAY_memory_usage_threshold", "0.9")))
    assert {"RAY_DEDUP_LOGS", "RAY_memory_usage_threshold"} <= {one["name"] for one in head(found)["env"]}


def test_a_fence_never_starts() -> None:
    """It is suspended, marked, and says that something else was decided than any placement does."""
    fence = rayjobs.tombstone(str(objects.KEY), "gra", "here", objects.wanted(rayjobs=rays()), "2026-11-22T12:00:00Z")
    assert (fence["spec"]["suspend"], fence["spec"]["activeDeadlineSeconds"]) == (True, 1)
    assert fence["metadata"]["annotations"][names.SPEC_ANNOTATION] == rayjobs.FENCE_DIGEST
    assert names.STOPPED_ANNOTATION in fence["metadata"]["annotations"]
    assert fence["metadata"]["name"] == rayjobs.name_of(str(objects.KEY))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"rayjobs": {"version": "2.51.9"}}, "tokens"),
        ({"rayjobs": {"version": "nightly"}}, "version"),
        ({"rayjobs": {}}, "version"),
        ({"rayjobs": {"version": "2.60.0", "workers": -1}}, "workers"),
        ({"fence": True}, "fence"),
        ({"gang": "workload"}, "gang"),
        ({"networkPolicy": "enforced"}, "networkPolicy"),
        ({"pools": {"p": {"queue": "q"}}}, "queue"),
        ({"accelerators": {"nvidia-h100-sxm": {"deviceClass": "gpu.example.com"}}}, "deviceClass"),
        ({"pools": {"p": {"alternatives": [{"deviceClass": "gpu.example.com"}]}}}, "deviceClass"),
        ({"outputs": {"claim": "kept", "image": "example/busybox@sha256:" + "a" * 64}}, "outputs"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(more: dict[str, Any], said: str) -> None:
    """What RayJobs do not have is said before any job comes."""
    with pytest.raises(adapters.SettingsError, match=said):
        objects.wanted(**{"rayjobs": {"version": "2.60.0"}, **more})
