"""From a placement to what is said to Ray."""

import dataclasses
import datetime as dt
import json
import shlex

import pytest

from backends.ray import logs, marks, packages, parsing, pools, render, settings
from backends.ray.runner import words
from orchestrator.domain import errors, ids, jobs, sites
from orchestrator.ports import backends

CONTEXT = backends.AdapterContext("b", (), "/s", "inst", lambda: None)
PACKAGE = packages.Package("comity_x.zip", b"", False)
SHARE = pools.Share(sites.Pool("p"), (), {"a": "b"}, {"c": 0.5}, "GPU", sites.Pool("p"))


def placement(**spec):
    given = jobs.JobSpec(name="n", **{"command": ("echo", "a b", "$X"), **spec})
    return backends.SealedPlacement(
        key=ids.AttemptKey("01abc-7-1"),
        job=ids.JobId("01ABC[7]"),
        tenant="t",
        number=1,
        site=ids.SiteName("b/p"),
        pool="p",
        spec=given,
        spec_digest=ids.Digest("sha256:1"),
        fence=backends.Fence(ids.Term(1), 1),
        environment={"COMITY_JOB_ID": "01ABC", "COMITY_ARRAY_INDEX": "7"},
        data={"pat-1": "s3://x"},
        time_limit=dt.timedelta(seconds=90),
    )


def body(share=SHARE, wanted=None, **spec):
    read = settings.RaySettings.read({"url": "http://r", **(wanted or {})})
    return json.loads(render.submission(placement(**spec), share, read, PACKAGE, CONTEXT))


def test_resources_are_always_said():
    """Without any, Ray runs the driver on the head and shows it every GPU of its node."""
    found = body()
    assert (found["entrypoint_num_cpus"], found["entrypoint_num_gpus"], found["entrypoint_memory"]) == (0.001, 0, 0)
    assert (found["entrypoint_label_selector"], found["entrypoint_resources"]) == ({"a": "b"}, {"c": 0.5})


def test_a_pool_without_conditions_sends_no_selector():
    """Ray before 2.54 refuses a body that has the word at all."""
    assert "entrypoint_label_selector" not in body(share=dataclasses.replace(SHARE, selector={}))


def test_what_is_asked_for_is_asked_for():
    """CPUs in whole and parts, bytes of memory, GPUs; other accelerators by the resource that counts them."""
    wanted = jobs.Resources(2500, 3 * 2**30, jobs.AcceleratorRequest(("x",), 4))
    found = body(resources=wanted)
    assert (found["entrypoint_num_cpus"], found["entrypoint_num_gpus"], found["entrypoint_memory"]) == (
        2.5,
        4,
        3 * 2**30,
    )
    tpu = pools.Share(sites.Pool("p"), (), {}, {}, "TPU", sites.Pool("p"))
    found = body(share=tpu, resources=wanted)
    assert (found["entrypoint_num_gpus"], found["entrypoint_resources"]) == (0, {"TPU": 4.0})


def test_the_id_is_the_key_and_the_mark_says_whose_it_is():
    """And what it asked for, because Ray does not tell it again."""
    found = body(resources=jobs.Resources(2500, 7, jobs.AcceleratorRequest(("x",), 4)))
    assert found["submission_id"] == "01abc-7-1"
    job = parsing.job({**found, "status": "RUNNING", "driver_node_id": "n"})
    assert marks.is_own(job, CONTEXT)
    held = marks.held(job, live=True)
    assert (held.pool, held.cpu_milli, held.memory_bytes, held.accelerators, held.node) == ("p", 2500, 7, 4, "n")


def test_a_record_that_holds_an_id_asks_for_what_ray_refuses():
    """It names CPU among the custom resources, which keeps it from starting; and were it started, it would end."""
    found = marks.fence("01abc-1", CONTEXT)
    assert found["entrypoint_resources"] == {"CPU": 1}
    assert found["entrypoint"].startswith("exit ")
    assert marks.is_fence(parsing.job({**found, "status": "FAILED"}))


def test_the_command_comes_through_a_shell_as_it_is():
    """Ray gives the entrypoint to a shell: what the job wrote must not mean anything there."""
    line = body(command=("sh", "-c", "echo '$HOME' \"x\"; `id`", "a\nb"))["entrypoint"]
    told = shlex.split(line)
    assert told[told.index("--") + 1 :] == ["sh", "-c", "echo '$HOME' \"x\"; `id`", "a\nb"]
    options = json.loads(told[told.index(words.SELF) + 1])
    assert (options["key"], options["limit_s"], options["grace_s"]) == ("01abc-7-1", 90.0, 2.5)


def test_a_variable_with_a_dollar_is_the_runners_to_set():
    """Ray would replace ${...}; and what would change Ray's own process is kept from it."""
    found = body(
        env=(("A", "plain"), ("B", "${HOME}"), ("LD_PRELOAD", "x"), ("RAY_ADDRESS", "y")),
        wanted={"env": {"A": "0", "D": "1"}},
    )
    told = shlex.split(found["entrypoint"])
    options = json.loads(told[told.index(words.SELF) + 1])
    assert options["env"] == {"B": "${HOME}", "LD_PRELOAD": "x", "RAY_ADDRESS": "y"}
    for_ray = found["runtime_env"]["env_vars"]
    assert (for_ray["A"], for_ray["D"], for_ray["COMITY_ARRAY_INDEX"]) == ("plain", "1", "7")
    assert for_ray["COMITY_DATA_PAT_1"] == "s3://x"


@pytest.mark.parametrize(
    "spec",
    [
        {"command": ()},
        {"command": ("a\0b",)},
        {"env": (("A", "\0"),)},
        {"command": ("x" * 130_000,)},
        {"command": ("\ud800",)},
    ],
)
def test_what_cannot_be_said_is_refused_before_it_is_sent(spec):
    """By one code."""
    with pytest.raises(errors.PermanentError) as caught:
        body(**spec)
    assert caught.value.code == "ray.invalid"


def test_what_the_settings_prepare_is_asked_for():
    """One installer, with its time."""
    found = body(wanted={"runtimeEnv": {"uv": ["a==1"], "setupTimeoutSeconds": 30}})["runtime_env"]
    assert (found["uv"], found["config"], found["working_dir"]) == (
        ["a==1"],
        {"setup_timeout_seconds": 30},
        PACKAGE.uri,
    )


def read_log(text, **more):
    given = {"cursor": None, "limit": 1000, "over": False, **more}
    return logs.read("k-1", lambda place, limit: text[place : place + limit], **given)


PREAMBLE = b"2026 INFO Runtime env\nRunning entrypoint for job k-1: x\n" + words.begins("k-1")


def test_a_log_begins_after_rays_own_lines():
    """And goes on where the cursor stands, byte by byte."""
    text = PREAMBLE + b"one\n\xff\x00two\n"
    whole, _ = read_log(text)
    assert whole[0].data == b"one\n\xff\x00two\n"
    pieces, cursor = b"", None
    for _ in range(20):
        chunks, cursor = read_log(text, cursor=cursor, limit=3)
        pieces += b"".join(chunk.data for chunk in chunks)
    assert pieces == whole[0].data


def test_a_log_that_has_not_begun_is_none_yet():
    """What Ray says of the preparation is shown only where nothing else ever came."""
    assert read_log(b"2026 INFO Runtime env\n") == ((), "")
    assert read_log(b"pip failed\n", over=True)[0][0].data == b"pip failed\n"


def test_a_cursor_of_something_else_is_refused():
    """It is none of ours."""
    with pytest.raises(errors.PermanentError) as caught:
        read_log(b"", cursor="1.2")
    assert caught.value.code == "ray.cursor"
