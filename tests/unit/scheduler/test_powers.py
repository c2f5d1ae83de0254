"""What a job needs a backend to be able to do follows from its spec alone."""

import pytest

from orchestrator.domain import jobs, offers
from orchestrator.scheduler import classes

Power = offers.Capability
DIGEST = "registry.example/a@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("egress", "power"),
    [
        (None, None),
        (jobs.Egress(), Power.EGRESS),
        (jobs.Egress(("192.0.2.0/24",), dns=True), Power.EGRESS),
        (jobs.Egress(enforcement=jobs.Enforcement.UNCHECKED), Power.EGRESS_RULES),
    ],
)
def test_rules_of_egress_need_a_backend_that_states_them(egress: jobs.Egress | None, power: Power | None) -> None:
    """Enforced as its operator declares, or, where the job is content with that, only written down."""
    spec = jobs.JobSpec(name="t", image=DIGEST, command=("true",), egress=egress)
    wanted = {Power.CONTAINERS} | ({power} if power is not None else set())
    assert classes.powers(spec) == wanted
    assert classes.powers(classes.kind_of("t", spec).spec) == wanted


@pytest.mark.parametrize(
    ("image", "powers"),
    [
        (None, {Power.PROCESSES}),
        (DIGEST, {Power.CONTAINERS}),
        ("registry.example/a:1", {Power.CONTAINERS, Power.IMAGE_TAGS}),
        ("a", {Power.CONTAINERS, Power.IMAGE_TAGS}),
    ],
)
def test_an_image_by_tag_needs_a_backend_that_takes_tags(image: str | None, powers: set[Power]) -> None:
    """A tag may be another image tomorrow: a backend states that it takes one."""
    spec = jobs.JobSpec(name="t", image=image, command=("true",))
    assert classes.powers(spec) == powers
    assert classes.powers(classes.kind_of("t", spec).spec) == powers


def test_secrets_need_a_backend_that_gives_them() -> None:
    """Which secret it is does not make another kind of job: that is between the backend and the job."""
    spec = jobs.JobSpec(name="t", image=DIGEST, command=("true",), secrets=(jobs.SecretUse("A", "hub", "token"),))
    assert classes.powers(spec) == {Power.CONTAINERS, Power.SECRETS}
    assert classes.powers(classes.kind_of("t", spec).spec) == {Power.CONTAINERS, Power.SECRETS}


@pytest.mark.parametrize(
    ("command", "image", "powers"),
    [
        (("./job.wasm", "1"), None, {Power.MODULES, Power.FILES}),
        (("job.wasm",), None, {Power.MODULES, Power.FILES}),
        (("other.wasm",), None, {Power.PROCESSES, Power.FILES}),
        (("wasmtime", "job.wasm"), None, {Power.PROCESSES, Power.FILES}),
        (("/job.wasm",), None, {Power.PROCESSES, Power.FILES}),
        ((), None, {Power.PROCESSES, Power.FILES}),
        (("./job.wasm",), DIGEST, {Power.CONTAINERS, Power.FILES}),
    ],
)
def test_a_module_among_its_files_needs_a_backend_that_runs_modules(
    command: tuple[str, ...], image: str | None, powers: set[Power]
) -> None:
    """Only where the command begins with it, and no image says what that means."""
    spec = jobs.JobSpec(name="t", image=image, command=command, files=(("job.wasm", b""), ("a", b"")))
    assert classes.powers(spec) == powers
    assert classes.powers(classes.kind_of("t", spec).spec) == powers
