"""Images on a real Slurm, by a double of apptainer that writes down how it was called: none is to be had here."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.domain import errors, jobs, offers
from orchestrator.ports import backends
from tests.e2e._planes import wait_until
from tests.e2e._slurm import Site
from tests.e2e.slurm import clusters

IMAGE = "registry.example/team/train@sha256:" + "a" * 64
DOUBLE = """\
#!/usr/bin/python3
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}), flush=True)
inside = {k.removeprefix("APPTAINERENV_"): v for k, v in os.environ.items() if k.startswith("APPTAINERENV_")}
at = next(i for i, word in enumerate(sys.argv) if word.startswith("docker://"))
command = sys.argv[at + 1:] or ["/bin/echo", "the image's own"]
os.execvpe(command[0], command, {"PATH": "/usr/bin:/bin", **inside})
"""


@pytest.fixture
def site(slurm: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give the cluster that all share."""
    found = Site(slurm, tmp_path)
    yield found
    found.close()


@pytest.fixture
def declared(site: Site) -> dict[str, Any]:
    """Return settings of a site whose operator declares the double."""
    program = site.cluster.shared / f"{site.folder.name}.apptainer"
    program.write_text(DOUBLE)
    program.chmod(0o755)
    env = {"APPTAINER_CACHEDIR": "/scratch/a b"}
    return {"container": {"runtime": "apptainer", "program": str(program), "options": ["--nv", "a; b"], "env": env}}


def ran(site: Site, more: dict[str, Any], placement: backends.SealedPlacement) -> tuple[jobs.Outcome, list[str]]:
    """Run a job; return its outcome and its log."""
    adapter = site.adapter(**more)
    adapter.submit(placement)
    seen: list[backends.Observation] = []

    def over() -> bool:
        seen[:] = adapter.observe([backends.AttemptRef(placement.key)])
        return seen[0].state is offers.ObservedState.ENDED

    wait_until(over, seconds=300, every=0.2, what="the end")
    assert isinstance(adapter, backends.StreamsLogs)
    chunks, _ = adapter.read_logs(backends.AttemptRef(placement.key), cursor=None, node=None, limit=10**6)
    assert seen[0].outcome is not None
    return seen[0].outcome, b"".join(chunk.data for chunk in chunks).decode().splitlines()


def test_an_image_is_run_by_digest_with_all_words_as_they_are(site: Site, declared: dict[str, Any]) -> None:
    """Closed, bound to two folders, variables by the runtime's name for them only; exit code and stop as ever."""
    odd = "$(touch x) `y` '\"; z"
    command = ("sh", "-c", 'printf "%s|%s\\n" "$1" "$ODD"; exit 5', "sh", odd)
    placement = site.placement(image=IMAGE, command=command, env=(("ODD", odd), ("APPTAINER_BIND", "/")))
    outcome, (called, said) = ran(site, declared, placement)
    found = json.loads(called)
    home = f"{site.cluster.shared}/of-{clusters.USERS[0]}/{placement.key}"
    assert found["argv"] == [
        *("exec", "--containall", "--no-eval", "--nv", "a; b", "--bind", f"{home}/work", "--bind", f"{home}/out"),
        *("--pwd", f"{home}/work", f"docker://{IMAGE}", *command),
    ]
    env = found["env"]
    assert (env["APPTAINERENV_ODD"], env["APPTAINER_CACHEDIR"]) == (odd, "/scratch/a b")
    assert not {"ODD", "APPTAINER_BIND", "COMITY_JOB_ID", "APPTAINERENV_PATH"} & set(env)
    assert env["APPTAINERENV_COMITY_OUTPUT_DIR"] == f"{home}/out"
    assert (said, outcome.exit_code) == (f"{odd}|{odd}", 5)


def test_an_image_without_a_command_runs_its_own(site: Site, declared: dict[str, Any]) -> None:
    """A tag beside the digest is left out: the runtime takes one of the two. What Slurm gave is seen inside."""
    gpu = jobs.Resources(accelerators=jobs.AcceleratorRequest(("any",)))
    placement = site.placement(image=IMAGE.replace("@", ":v1@"), command=(), resources=gpu)
    outcome, (called, said) = ran(site, declared, placement)
    found = json.loads(called)
    argv = found["argv"]
    assert found["env"]["APPTAINERENV_CUDA_VISIBLE_DEVICES"]
    assert (argv[0], argv[-1], said, outcome.exit_code) == ("run", f"docker://{IMAGE}", "the image's own", 0)


def test_each_node_of_a_gang_runs_its_own_container(site: Site, declared: dict[str, Any]) -> None:
    """Bound to its own working folder, with its own rank."""
    script = 'echo "$COMITY_NODE_RANK"; echo x > "$COMITY_OUTPUT_DIR/$COMITY_NODE_RANK"'
    placement = site.placement(image=IMAGE, command=("sh", "-c", script), nodes=2)
    outcome, lines = ran(site, declared, placement)
    assert outcome.exit_code == 0
    homes = {json.loads(line)["argv"][-5] for line in lines if line.startswith("{")}
    assert {home.rsplit("/", 2)[1] for home in homes} == {"0", "1"}
    assert sorted(line for line in lines if not line.startswith("{")) == ["0", "1"]


def test_what_is_not_declared_is_not_stated(site: Site, declared: dict[str, Any]) -> None:
    """No capability, and a refusal before anything is sent; nor is an image by tag run where images are."""
    bare, able = site.adapter(), site.adapter(**declared)
    power = offers.Capability.CONTAINERS
    assert (bare.capabilities().has(power), able.capabilities().has(power)) == (False, True)
    assert not able.capabilities().has(offers.Capability.IMAGE_TAGS)
    for adapter, image in ((bare, IMAGE), (able, "registry.example/team/train:latest"), (able, f"--x {IMAGE}")):
        with pytest.raises(errors.PermanentError) as refused:
            adapter.submit(site.placement(image=image))
        assert refused.value.code == "slurm.invalid"
