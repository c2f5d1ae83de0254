"""The job that is sent: what is told of it, and what is refused before anything is told."""

import datetime as dt
import json
import pathlib
from typing import Any

import pytest

from backends import records
from backends.dispersed import adapter, settings, spending, wire
from backends.dispersed import errors as faults
from orchestrator.domain import errors, ids, jobs, money, sites
from orchestrator.ports import backends
from orchestrator.settings import adapters
from tests import shells

GIVEN: dict[str, Any] = {"publicKey": "pk_a", "secretKey": "sk_b", "commandImage": "registry.example/team/run:1"}
WANTED = settings.DispersedSettings.read(GIVEN)
NAMES = wire.Names.of("installation", "b")
NONE = jobs.DataClause(declared_none=True)
NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def kept_in(folder: pathlib.Path) -> records.Records:
    """Return what an adapter with this state folder knows."""
    return records.Records(str(folder), adapter.SETTLE, faults.elsewhere)


def placement(
    *words: str, limit: dt.timedelta | None = None, tenant: str = "t", **more: Any
) -> backends.SealedPlacement:
    """Return a placement in a region."""
    given: dict[str, Any] = {"name": "t", "command": words, "data": NONE}
    return backends.SealedPlacement(
        key=ids.AttemptKey("01k-1"),
        job=ids.JobId("01K"),
        tenant=tenant,
        number=1,
        site=ids.SiteName("b/eu-north-1"),
        pool="eu-north-1",
        spec=jobs.JobSpec(**given | more),
        spec_digest=ids.Digest("sha256:" + "a" * 64),
        fence=backends.Fence(ids.Term(1), 1),
        environment={"COMITY_ATTEMPT": "1"},
        time_limit=limit,
    )


def sent(placed: backends.SealedPlacement, wanted: settings.DispersedSettings = WANTED) -> dict[str, Any]:
    """Return the job as it is sent."""
    return wire.document(placed, wanted, NAMES, "eu-north-1")


def refusal(placed: backends.SealedPlacement, wanted: settings.DispersedSettings = WANTED) -> str:
    """Return the code with which a job is refused, with nothing started."""
    with pytest.raises(errors.BackendError) as caught:
        sent(placed, wanted)
    assert caught.value.effects is errors.SideEffects.NONE
    return caught.value.code


def test_it_runs_once_in_one_region_on_one_node() -> None:
    """The whole document, field by field: no retry of the network's, one node, one region, an end to its run."""
    asked = jobs.Resources(cpu_milli=1500, memory_bytes=3 * 2**30)
    found = sent(placement("echo", "x", resources=asked, env=(("A", "b"),), limit=dt.timedelta(minutes=7)))
    docker = found.pop("parameters")
    assert found == {
        "task": "BATCH",
        "title": f"comity-{NAMES.owner}-01k-1",
        "description": NAMES.mark(placement("echo"), "eu-north-1"),
        "cpu_count": 2,
        "min_ram_gb": 4,
        "min_storage_gb": 20,
        "gpu_count": 0,
        "allowed_region_codes": ["eu-north-1"],
        "max_node_count": 1,
        "max_retry_count": 0,
        "max_timeout_assign_ms": 300_000,
        "max_timeout_start_ms": 300_000,
        "max_timeout_run_ms": 420_000,
    }
    env = {"A": "b", "COMITY_ATTEMPT": "1", "COMITY_COMMAND": '["echo", "x"]', "COMITY_END": NAMES.end("01k-1")}
    told = {"env": env, "host": "registry.example", "image": "team/run", "tag": "1"}
    assert docker == {"type": "docker", "parameters": told}


def test_nothing_is_told_that_is_not_needed() -> None:
    """Names, labels, tenant, annotations and the digest of the document do not leave."""
    canary = "Canary"
    placed = placement(
        "true", tenant=canary, name=canary, labels=((canary, canary),), annotations=((canary, canary),), queue=canary
    )
    raw = json.dumps(sent(placed))
    assert canary not in raw
    assert "a" * 16 not in raw


@pytest.mark.parametrize(
    ("minutes", "least_ms"), [(None, 1440 * 60_000), (0.1, 60_000), (5, 300_000), (10**5, 1440 * 60_000)], ids=str
)
def test_a_run_has_an_end(minutes: float | None, least_ms: int) -> None:
    """What is left of the deadline, at least the API's minute, at most what the settings say."""
    limit = dt.timedelta(minutes=minutes) if minutes is not None else None
    assert sent(placement("true", limit=limit))["max_timeout_run_ms"] == least_ms


def test_accelerators_go_by_the_networks_own_name() -> None:
    """With count and memory; a pool whose accelerator has no name there takes no such job."""
    asked = jobs.Resources(accelerators=jobs.AcceleratorRequest(("rtx4090",), 2, 24))
    named = settings.DispersedSettings.read(GIVEN | {"gpus": {"eu-north-1": "NVIDIA RTX 4090"}})
    found = sent(placement("true", resources=asked), named)
    assert (found["gpu_count"], found["gpu_name"], found["min_vram_gb"]) == (2, "NVIDIA RTX 4090", 24)
    assert refusal(placement("true", resources=asked)) == "dispersed.gpu"


@pytest.mark.parametrize(
    ("data", "more"),
    [(None, {}), (jobs.DataClause(reads=(jobs.DataUse("d"),)), {}), (jobs.DataClause(), {})],
    ids=["unsaid", "reads", "empty"],
)
def test_only_a_job_that_says_it_has_no_data_is_told(data: jobs.DataClause | None, more: dict[str, Any]) -> None:
    """Whatever is told can be read by strangers, so silence is a no."""
    assert refusal(placement("true", data=data, **more)) == "dispersed.discloses"


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("dispersed.digest", {"image": f"a@sha256:{'0' * 64}", "command": ()}),
        ("dispersed.tag", {"image": "a:1", "command": ()}),
        ("dispersed.invalid", {"nodes": 2}),
        ("dispersed.invalid", {"files": (("a", b"x"),)}),
        ("dispersed.invalid", {"outputs": (jobs.Output("a"),)}),
        ("dispersed.invalid", {"secrets": (jobs.SecretUse("A", "b", "c"),)}),
        ("dispersed.invalid", {"egress": jobs.Egress()}),
        ("dispersed.invalid", {"command": ()}),
        ("dispersed.invalid", {"command": ("a\0b",)}),
        ("dispersed.env", {"env": (("A", "\N{EURO SIGN}"),)}),
        ("dispersed.env", {"env": (("A-B", "x"),)}),
        ("dispersed.too-large", {"command": ("x" * wire.BODY_BYTES_MAX,)}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_cannot_be_said_is_refused_by_name(code: str, more: dict[str, Any]) -> None:
    """Before anything is sent."""
    words = more.pop("command", ("true",))
    assert refusal(placement(*words, **more)) == code


def test_an_image_is_given_a_command_only_where_it_runs_it() -> None:
    """Its own program would run instead, and its success would be told as the command's."""
    tags = settings.DispersedSettings.read(GIVEN | {"imageTags": True, "entrypointImages": ["good"]})
    assert refusal(placement("true", image="other:1"), tags) == "dispersed.command"
    assert sent(placement("true", image="good:1"), tags)["parameters"]["parameters"]["image"] == "good"
    own = sent(placement(image="other:1"), tags)
    assert "COMITY_COMMAND" not in own["parameters"]["parameters"]["env"]
    assert refusal(placement(image="other"), tags) == "dispersed.invalid"
    bare = settings.DispersedSettings.read({"publicKey": "pk_a", "secretKey": "sk_b"})
    assert refusal(placement("true"), bare) == "dispersed.no-image"


def test_no_word_of_a_user_leaves_its_place() -> None:
    """Five hundred hostile words come back as they were, and nothing beside them changes."""
    plain = sent(placement("x"))
    for text in shells.hostile(500, 5, nul=False):
        found = sent(placement("x", text))
        env = found["parameters"]["parameters"]["env"]
        assert json.loads(env["COMITY_COMMAND"]) == ["x", text]
        env["COMITY_COMMAND"] = '["x"]'
        assert found == plain
        json.dumps(found).encode("ascii")


@pytest.mark.parametrize(
    ("logs", "code"),
    [
        ("x\ncomity-end MARK 0\n", 0),
        ("comity-end MARK 3", 3),
        ("x\ncomity-end MARK 255\r\n", 255),
        ("x\ncomity-end MARK 256\n", None),
        ("comity-end MARK 0\nx\n", None),
        ("comity-end MARK 0 \n\n", 0),
        ("say comity-end MARK 0", None),
        (f"comity-end {'0' * 32} 0", None),
        ("comity-end MARK -1", None),
        ("", None),
    ],
)
def test_an_exit_code_is_the_last_line_with_its_own_mark(logs: str, code: int | None) -> None:
    """Another attempt's mark, a quotation of it, or anything behind it is none."""
    mark = NAMES.end("01k-1")
    assert wire.exit_code(logs.replace("MARK", mark), mark) == code


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://api.example"},
        {"url": "https://api.example/v1"},
        {"url": "https://user:sk_secret@api.example"},
        {"url": "https://169.254.169.254"},
        {"url": "https://127.0.0.1"},
        {"url": "https://10.0.0.1", "networks": ["192.168.0.0/16"]},
        {"url": "https://[::1]"},
        {"url": "https://[::ffff:10.0.0.1]"},
        {"networks": ["nonsense"]},
        {"secretKey": "wrong"},
        {"publicKey": "sk_secret"},
        {"regions": {"a": "Frankfurt"}},
    ],
    ids=str,
)
def test_settings_that_lead_astray_are_refused(wrong: dict[str, Any]) -> None:
    """Where nothing is sent, and what is no key; no value is repeated."""
    with pytest.raises(adapters.SettingsError) as caught:
        settings.DispersedSettings.read(GIVEN | wrong)
    assert "sk_secret" not in str(caught.value)


def test_private_addresses_are_reached_where_the_operator_says_so() -> None:
    """By literal address, and by what a name leads to."""
    own = settings.DispersedSettings.read(GIVEN | {"url": "https://10.0.0.1", "networks": ["10.0.0.0/8"]})
    assert own.url == "https://10.0.0.1"


# --- limits of spending -----------------------------------------------------------------------------------------------


def priced(micro: int | None, currency: str = "EUR") -> tuple[sites.Pool, ...]:
    """Return the pool with a price an hour."""
    return (sites.Pool("eu-north-1", price_per_hour=money.Money(micro, currency) if micro is not None else None),)


def limited(per_job: int, per_month: int) -> settings.DispersedSettings:
    """Return settings with limits, and no run longer than an hour."""
    spend = {"currency": "EUR", "perJob": per_job, "perMonth": per_month}
    return settings.DispersedSettings.read(GIVEN | {"spend": spend, "minutesMax": 60})


def test_the_longest_run_is_reserved(tmp_path: Any) -> None:
    """An hour and five minutes of preparation, at 1.20 an hour, for each accelerator."""
    known = kept_in(tmp_path)
    asked = jobs.Resources(accelerators=jobs.AcceleratorRequest(("x",), 2))
    assert spending.reserve(placement("a"), priced(1_200_000), limited(5, 5), known, NOON) == 1_300_000
    two = placement("a", resources=asked)
    assert spending.reserve(two, priced(1_200_000), limited(5, 5), known, NOON) == 2_600_000
    assert spending.reserve(two, priced(None), WANTED, known, NOON) == 0


@pytest.mark.parametrize(
    ("code", "pools", "per_job", "per_month"),
    [
        ("dispersed.no-price", priced(None), 5, 5),
        ("dispersed.no-price", priced(1, "USD"), 5, 5),
        ("dispersed.no-price", (), 5, 5),
        ("dispersed.spend", priced(1_200_000), 1, 5),
        ("dispersed.spend", priced(4_000_000), 5, 4),
    ],
    ids=["none", "currency", "pool", "job", "month"],
)
def test_what_cannot_be_paid_or_reckoned_is_not_created(
    code: str, pools: tuple[sites.Pool, ...], per_job: int, per_month: int, tmp_path: Any
) -> None:
    """No price is no cost of zero."""
    known = kept_in(tmp_path)
    with pytest.raises(errors.BackendError) as caught:
        spending.reserve(placement("a"), pools, limited(per_job, per_month), known, NOON)
    assert (caught.value.code, caught.value.effects) == (code, errors.SideEffects.NONE)


def test_a_month_holds_what_began_in_it(tmp_path: Any) -> None:
    """Across restarts; the next month begins with nothing."""
    for number in range(3):
        kept_in(tmp_path).write(f"01k-{number}", records.Record(NOON, None, 1_300_000))
    known = kept_in(tmp_path)
    assert known.reserved_micro((2026, 11)) == 3_900_000
    with pytest.raises(errors.BackendError, match="are reserved this month"):
        spending.reserve(placement("a"), priced(1_200_000), limited(5, 5), known, NOON)
    later = NOON + dt.timedelta(days=10)
    assert spending.reserve(placement("a"), priced(1_200_000), limited(5, 5), known, later) == 1_300_000


def test_what_is_kept_for_its_month_goes_with_it(tmp_path: Any) -> None:
    """And what may still run stays."""
    known = kept_in(tmp_path)
    for number in range(2):
        known.write(f"01k-{number}", records.Record(NOON, "u" * 8, 1))
    known.forget("01k-0")
    assert known.reserved_micro((2026, 11)) == 2
    assert known.reserved_micro((2026, 12)) == 0
    assert [known.read(f"01k-{number}") is None for number in range(2)] == [True, False]


def test_a_damaged_record_is_no_permission(tmp_path: Any) -> None:
    """Nobody knows what was made under it; what was removed counts no more."""
    known = kept_in(tmp_path)
    known.write("01k-1", records.Record(NOON))
    assert known.unsettled("01k-1", NOON + adapter.SETTLE / 2)
    assert not known.unsettled("01k-1", NOON + adapter.SETTLE)
    known.write("01k-1", records.Record(NOON, "u" * 8))
    assert not known.unsettled("01k-1", NOON)
    (path,) = tmp_path.rglob("01k-1")
    for text in ("", "{}", "[]", '{"intendedAt": 1, "uuid": null, "costMicro": 0}'):
        path.write_text(text)
        for call in (lambda: known.unsettled("01k-1", NOON), lambda: known.reserved_micro((2026, 11))):
            with pytest.raises(errors.BackendError) as caught:
                call()
            assert caught.value.code == "dispersed.state"
    known.remove("01k-1")
    assert known.read("01k-1") is None
