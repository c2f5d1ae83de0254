"""A sealed placement becomes objects that Kubernetes takes as they are, or a refusal by name."""

import base64
import datetime as dt
import subprocess
from typing import Any

import pytest

from backends.kubernetes import names, payloads, render
from orchestrator.domain import errors, ids, jobs
from orchestrator.settings import adapters
from tests.unit.backends.kubernetes import objects


def made(grant: render.Grant | None = None, **spec: Any) -> render.Objects:
    return render.objects(objects.placement(**spec), grant or objects.grant())


def pod(found: render.Objects) -> Any:
    return found.job["spec"]["template"]["spec"]


def variables(found: render.Objects) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in pod(found)["containers"][0]["env"]}


def test_the_key_is_the_name_and_the_marks_stand_on_job_and_pod() -> None:
    """What finds an attempt again stands on both, with what was decided."""
    found = made(job=ids.element_id(objects.JOB, 7), number=3)
    meta, template = found.job["metadata"], found.job["spec"]["template"]["metadata"]
    assert meta["name"] == f"{objects.JOB.lower()}-7-3"
    assert meta["labels"][names.JOB_LABEL] == objects.JOB.lower()
    assert (meta["labels"][names.INDEX_LABEL], meta["labels"][names.ATTEMPT_LABEL]) == ("7", "3")
    assert meta["annotations"][names.SPEC_ANNOTATION] == template["annotations"][names.SPEC_ANNOTATION] == found.digest
    assert template["labels"].items() <= meta["labels"].items()


def test_what_was_decided_is_the_job_and_its_place() -> None:
    """The digest changes with key, spec and site, and with nothing that time changes."""
    one = made(time_limit=dt.timedelta(seconds=90))
    assert one.digest == made(time_limit=dt.timedelta(seconds=80)).digest
    assert one.job["spec"]["activeDeadlineSeconds"] == 90
    assert one.digest != made(number=2).digest


def test_nothing_is_retried_by_kubernetes() -> None:
    """A pod that fails, is evicted or preempted ends the attempt: another one is the loop's to make."""
    spec = made(nodes=3).job["spec"]
    assert (spec["backoffLimit"], spec["completions"], spec["parallelism"]) == (0, 3, 3)
    assert {rule["action"] for rule in spec["podFailurePolicy"]["rules"]} == {"FailJob"}
    assert spec["ttlSecondsAfterFinished"] > 7 * 86400


def test_everything_is_restricted() -> None:
    """No root, no privilege, no token, no own files of the image; the fence's Job as well."""
    fence = render.tombstone(objects.KEY, "gra", "here", objects.wanted(), "2026-11-22T12:00:00Z")
    for found in (made(), fence):
        spec = pod(found)
        main = spec["containers"][0]["securityContext"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert main["capabilities"] == {"drop": ["ALL"]}
        assert main["allowPrivilegeEscalation"] is False
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        assert spec["nodeSelector"][names.JURISDICTION_LABEL] == "FR"


def test_the_jurisdiction_is_never_overridden() -> None:
    """A pool's own selector adds to the jurisdiction label and cannot replace it."""
    pools = {"p": {"nodeSelector": {names.JURISDICTION_LABEL: "DE", "gpu": "h100"}}}
    assert pod(made(objects.grant(pools=pools)))["nodeSelector"] == {names.JURISDICTION_LABEL: "FR", "gpu": "h100"}
    own = {"p": {"jurisdiction": "BE"}}
    assert pod(made(objects.grant(pools=own)))["nodeSelector"][names.JURISDICTION_LABEL] == "BE"


def test_dollars_are_left_as_they_are() -> None:
    """Kubernetes puts variables in place of $(NAME); what a person wrote must arrive as written."""
    found = made(command=("sh", "-c", "echo $(HOME) $$ $x"), env=(("A", "$(HOME)"),))
    assert pod(found)["containers"][0]["command"][2] == "echo $$(HOME) $$$$ $$x"
    assert variables(found)["A"] == "$$(HOME)"


def test_nobody_sets_our_variables() -> None:
    """Settings are weaker than the job, the job weaker than what Comity says."""
    found = variables(made(objects.grant(env={"A": "settings", "B": "b"}), env=(("A", "job"), ("COMITY_ATTEMPT", "9"))))
    assert (found["A"], found["B"], found["COMITY_ATTEMPT"]) == ("job", "b", "1")
    assert (found["COMITY_NODE_RANK"], found["MASTER_ADDR"]) == ("0", "127.0.0.1")


def test_a_gang_waits_for_its_addresses() -> None:
    """Each node learns its rank from its index and the rest from an annotation that appears later."""
    found = made(nodes=2)
    env = {one["name"]: one for one in pod(found)["containers"][0]["env"]}
    assert "valueFrom" in env["COMITY_NODE_RANK"]
    assert "COMITY_NODE_ADDRS" not in env
    (item,) = next(one for one in pod(found)["volumes"] if one["name"] == "gang")["downwardAPI"]["items"]
    assert names.GANG_ANNOTATION in item["fieldRef"]["fieldPath"]


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"image": None}, "kubernetes.image"),
        ({"image": "Not An Image"}, "kubernetes.image"),
        ({"image": "train:latest"}, "kubernetes.image-tag"),
        ({"outputs": (jobs.Output("x"),)}, "kubernetes.outputs"),
        ({"nodes": 1001}, "kubernetes.nodes"),
        ({"nodes": 2, "command": ()}, "kubernetes.command"),
        ({"command": ("a\0b",)}, "kubernetes.invalid"),
        ({"env": (("A", "\ud800"),)}, "kubernetes.invalid"),
        ({"env": (("A", "x" * 2_000_000),)}, "kubernetes.too-large"),
        ({"env": (("A", "x" * 131_070),)}, "kubernetes.too-large"),
        ({"command": ("sh", "é" * 65_536)}, "kubernetes.too-large"),
        ({"command": tuple("x" * 100_000 for _ in range(11))}, "kubernetes.too-large"),
        ({"files": tuple(("/".join([str(n), *["d" * 200] * 4]), b"") for n in range(100))}, "kubernetes.too-large"),
        ({"files": (("f", b"x" * 4_000_000),)}, "kubernetes.files-too-large"),
        ({"files": tuple((str(n), b"") for n in range(600))}, "kubernetes.files-too-many"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused_first(spec: dict[str, Any], code: str) -> None:
    """Each has its code, and had no effect."""
    with pytest.raises(errors.PermanentError) as caught:
        made(**spec)
    assert (caught.value.code, caught.value.effects) == (code, errors.SideEffects.NONE)


def test_what_is_just_not_too_long_is_taken() -> None:
    """The bound is Linux's own: one byte less is sent, and what Kubernetes wants doubled counts once."""
    made(env=(("A", "$" * 131_069),), command=("sh", "x" * 131_071))


def test_tags_only_where_the_operator_says_so() -> None:
    """An image named by a tag may be another one tomorrow."""
    assert pod(made(objects.grant(imageTags=True), image="train:latest"))["containers"][0]["image"] == "train:latest"


def test_bare_commands_run_in_the_image_of_the_operator() -> None:
    """Where there is one, by digest; a job's own comes first, and an image alone is no command."""
    operators = objects.grant(commandImage="example.test/base@sha256:" + "5" * 64)
    assert pod(made(operators, image=None))["containers"][0]["image"] == operators.wanted.command_image
    own = pod(made(operators))["containers"][0]["image"]
    assert own == objects.placement().spec.image
    with pytest.raises(errors.PermanentError, match="needs an image"):
        made(operators, image=None, command=())
    with pytest.raises(adapters.SettingsError, match="commandImage"):
        objects.grant(commandImage="example.test/base:latest")


def test_accelerators_by_device_plugin() -> None:
    """The built-in table names the resource; the operator's comes first; an unknown one is refused."""
    asked = jobs.Resources(1500, 2**30, jobs.AcceleratorRequest(("nvidia-h100-sxm",), 2))
    resources = pod(made(objects.grant("nvidia-h100-sxm"), resources=asked))["containers"][0]["resources"]
    assert resources["limits"] == {"memory": str(2**30), "nvidia.com/gpu": "2"}
    assert resources["requests"] == {"cpu": "1500m", "memory": str(2**30), "nvidia.com/gpu": "2"}
    own = {"accelerators": {"nvidia-h100-sxm": {"resource": "example.com/h100"}}}
    limits = pod(made(objects.grant("nvidia-h100-sxm", **own), resources=asked))["containers"][0]["resources"]["limits"]
    assert limits["example.com/h100"] == "2"
    with pytest.raises(errors.PermanentError) as caught:
        made(objects.grant("acme-npu"), resources=asked)
    assert caught.value.code == "kubernetes.accelerator"


def test_accelerators_by_device_class() -> None:
    """A class of DRA is claimed by a template of the attempt's name, alternatives in their order."""
    asked = jobs.Resources(0, 0, jobs.AcceleratorRequest(("nvidia-h100-sxm",), 4))
    own: dict[str, Any] = {
        "accelerators": {"nvidia-h100-sxm": {"deviceClass": "gpu.nvidia.com", "selectors": ["device.x == 1"]}}
    }
    found = made(objects.grant("nvidia-h100-sxm", **own), resources=asked)
    (claim,) = found.claims
    (request,) = claim["spec"]["spec"]["devices"]["requests"]
    assert (request["exactly"]["deviceClassName"], request["exactly"]["count"]) == ("gpu.nvidia.com", 4)
    assert pod(found)["resourceClaims"][0]["resourceClaimTemplateName"] == claim["metadata"]["name"] == objects.KEY
    assert pod(found)["containers"][0]["resources"] == {"claims": [{"name": "accelerators"}]}
    own["pools"] = {"p": {"alternatives": [{"deviceClass": "gpu.amd.com"}]}}
    (claim,) = made(objects.grant("nvidia-h100-sxm", **own), resources=asked).claims
    listed = claim["spec"]["spec"]["devices"]["requests"][0]["firstAvailable"]
    assert [one["deviceClassName"] for one in listed] == ["gpu.nvidia.com", "gpu.amd.com"]


def test_a_queue_admits_it() -> None:
    """Under Kueue a Job begins suspended, with the queue's label."""
    found = made(objects.grant(pools={"p": {"queue": "team"}})).job
    assert (found["spec"]["suspend"], found["metadata"]["labels"][names.QUEUE_LABEL]) == (True, "team")


def test_files_are_unpacked_as_they_were(tmp_path: Any) -> None:
    """The script, run by a real shell, gives back names and bytes, also those that mean something to a shell."""
    content = bytes(range(256)) * 6000
    files = [("a b/c'd $(x).bin", content), ("empty", b""), ("top", b"1")]
    found = payloads.build(files, None, {}, 3 * 2**20)
    assert len(found.maps) == 3
    (tmp_path / "in").mkdir()
    (tmp_path / "work").mkdir()
    for number, one in enumerate(found.maps):
        (tmp_path / "in" / str(number)).write_bytes(base64.b64decode(one["binaryData"]["part"]))
    script = "\n".join(found.script)
    for name, here in ((payloads.MOUNT, "in"), (payloads.WORK, "work"), ("/tmp/.comity-in", "part")):
        script = script.replace(name, str(tmp_path / here))
    subprocess.run(["/bin/sh", "-ec", script], check=True, timeout=180)
    assert {path: (tmp_path / "work" / path).read_bytes() for path, _ in files} == dict(files)
    assert not (tmp_path / "part").exists()
    (tmp_path / "in" / "0").write_bytes(b"x" + (tmp_path / "in" / "0").read_bytes()[1:])
    (tmp_path / "work" / "top").unlink()
    script = script.replace("/dev/termination-log", str(tmp_path / "words"))
    assert subprocess.run(["/bin/sh", "-ec", script], check=False, timeout=180).returncode == 1
    assert (tmp_path / "words").read_text().strip() == payloads.CHANGED_TEXT
    assert not (tmp_path / "work" / "top").exists(), "nothing is unpacked before the digest is compared"


def test_parts_are_named_by_what_they_hold() -> None:
    """The same bytes have the same names for one backend, others have others; no name is a key of an attempt."""
    build = [
        payloads.build((("a", b"1"),), folder, {names.BACKEND_LABEL: backend}, 100).name
        for folder, backend in ((None, "b"), (None, "b"), (b"x", "b"), (None, "c"))
    ]
    assert build[0] == build[1]
    assert len(set(build)) == 3
    assert all(names.parse_key(name) is None and len(name) <= 48 for name in build)
