"""Verified jobs at the real server: real processes of several operators, one of whom lies."""

import contextlib
import json
import pathlib
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.evidence import canonical
from orchestrator.verification import receipts
from tests.e2e._planes import Plane, backend, document, job, wait_until

HANDS = {"one": "FR", "two": "DE", "liar": "IT"}
ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}
HONEST = "sleep 1; echo 42 > answer.txt"
LYING = f'case "$PWD" in */liar/*) echo 41 > answer.txt;; *) {HONEST};; esac'
NEAR = 'case "$PWD" in */one/*) echo 42.0000001;; */liar/*) echo 43;; *) sleep 1; echo 42;; esac > answer.json'
WITHIN = {"compare": "tolerance", "tolerance": {"relative": 1e-6}}
WHO = 'echo "${PWD#*/backends/}" | cut -d/ -f1 > answer.txt'


@pytest.fixture
def plane(tmp_path: pathlib.Path) -> Iterator[Plane]:
    """Give a control plane of the operator ``me``, with a backend of its own and one of each of three others."""
    found = Plane(tmp_path)
    found.init()
    found.start()
    for name, country in HANDS.items():
        declare(found, name, country)
    yield found
    assert "Traceback" not in found.log, found.log[-5000:]
    found.close()


def declare(plane: Plane, name: str, country: str, **operator: Any) -> None:
    """Declare an operator, and its backend of one's own processes."""
    seat = {"legalCountry": country, "ultimateParentHq": country, **operator}
    assert plane.call("PUT", f"/v1/operators/{name}", document("Operator", name, seat)).status in (200, 201)
    where = {"location": {"country": country}, "adminFrom": [country], "logStore": {"country": country}}
    assert plane.call("PUT", f"/v1/backends/{name}", backend(name, operator=name, **where)).status in (200, 201)


def submit(plane: Plane, text: str, **verification: Any) -> str:
    """Submit a shell line as a verified job and return its id."""
    wanted = {"replicas": 3, "distinct": ["operator", "country"], **verification}
    body = job("v", "sh", "-c", text, outputs=[{"path": "answer.txt"}], verification=wanted)
    answer = plane.call("POST", "/v1/jobs", body)
    assert answer.status == 202, answer
    return str(answer.json["id"])


def read(plane: Plane, id: str) -> dict[str, Any]:
    """Return the status of a job, or of one of its runs."""
    found: dict[str, Any] = plane.call("GET", f"/v1/jobs/{id}").json["status"]
    return found


def ended(plane: Plane, id: str) -> dict[str, Any]:
    """Wait until a job is over and return its status."""
    found: list[dict[str, Any]] = []

    def over() -> bool:
        found[:] = [read(plane, id)]
        return found[0]["phase"] in ENDED

    wait_until(over, every=0.1, what=f"{id}: {found}")
    return found[0]


def condition(status: dict[str, Any], word: str) -> dict[str, Any]:
    """Return a condition; empty where there is none."""
    return next((one for one in status["conditions"] if one["type"] == word), {})


def entries(plane: Plane, id: str, kind: str) -> list[dict[str, Any]]:
    """Return what the journal says of a job under a word."""
    with contextlib.closing(sqlite3.connect(f"file:{plane.state / 'comity.db'}?mode=ro", uri=True)) as database:
        query = "select body from journal where subject = ? and kind = ? order by seq"
        return [json.loads(body) for (body,) in database.execute(query, (f"job/{id}", kind))]


def sites(plane: Plane, id: str, count: int) -> list[str]:
    """Return where the runs of a job are or were, by number."""
    return [read(plane, f"{id}[{number}]")["attempts"][-1]["site"] for number in range(count)]


def test_a_liar_is_outvoted_and_answers_for_it(plane: Plane) -> None:
    """Three hands, each in its own country; two agree. Whoever holds the receipt judges the same again."""
    id = submit(plane, LYING)
    status = ended(plane, id)
    assert (status["phase"], status["reason"], status["elements"]["size"]) == ("SUCCEEDED", "Quorum", 3)
    places = sites(plane, id, 3)
    assert sorted(places) == ["liar/p", "one/p", "two/p"]
    (said,) = entries(plane, id, "job.verified")
    assert receipts.rejudge(said["receipt"])
    assert places[said["accepted"]] != "liar/p"
    liar = f"{id}[{places.index('liar/p')}]"
    assert f"{liar} differs" in condition(status, "Verified")["message"]
    (blame,) = plane.call("GET", "/v1/operators/liar").json["status"]["blames"]
    assert (blame["job"], blame["run"], blame["finding"]) == (id, liar, "differs")
    assert blame["receipt"] == canonical.digest(said["receipt"])
    for honest in ("one", "two"):
        assert not plane.call("GET", f"/v1/operators/{honest}").json.get("status", {}).get("blames")


def test_what_was_blamed_a_rule_may_demand_the_absence_of(plane: Plane) -> None:
    """The dated fact is read by a policy of the house; the reason names it."""
    ended(plane, submit(plane, LYING))
    text = '@id("no-liars") forbid (principal, action, resource) when { resource.blames > 0 };'
    policy = document("Policy", "no-liars", {"engine": "cedar", "text": text})
    assert plane.call("PUT", "/v1/policies/no-liars", policy).status in (200, 201)
    plan = plane.call("POST", "/v1/plans", job("next")).json
    refused = {one["site"] for one in plan["sites"] if any("no-liars" in why["code"] for why in one["reasons"])}
    assert refused == {"liar/p"}


def test_without_a_quorum_a_trusted_site_runs_it_and_says_who_is_right(plane: Plane) -> None:
    """Each hand answers otherwise: the control plane's own operator runs it, twice, before anybody is believed."""
    id = submit(plane, WHO)
    status = ended(plane, id)
    assert (status["phase"], status["reason"]) == ("SUCCEEDED", "Referee")
    assert sites(plane, id, 5)[3:] == ["local/host", "local/host"]
    (said,) = entries(plane, id, "job.verified")
    assert said["accepted"] in (3, 4)
    assert [one["number"] for one in entries(plane, id, "job.referee-asked")] == [3, 4]
    assert not condition(status, "RefereeAsked")["status"]


def test_work_that_does_not_repeat_is_believed_by_nobody_and_blamed_on_nobody(plane: Plane) -> None:
    """Not even two trusted runs say the same."""
    id = submit(plane, "cat /proc/sys/kernel/random/uuid > answer.txt")
    status = ended(plane, id)
    assert (status["phase"], status["reason"]) == ("FAILED", "Unsettled")
    assert condition(status, "Unsettled")["status"]
    assert not any(plane.call("GET", f"/v1/operators/{name}").json.get("status", {}).get("blames") for name in HANDS)


def test_a_spot_check_has_a_trusted_site_repeat_what_enough_agree_on(plane: Plane) -> None:
    """Also where nobody lied; a rate of one checks every job."""
    id = submit(plane, "echo 42 > answer.txt", spotCheck=1)
    status = ended(plane, id)
    assert (status["phase"], status["reason"]) == ("SUCCEEDED", "Referee")
    (asked,) = entries(plane, id, "job.referee-asked")
    assert asked["number"] == 3


def test_too_few_hands_wait_and_say_what_is_missing(plane: Plane) -> None:
    """Two subsidiaries are one hand; the job starts when another hand is there, all its runs at once."""
    owner = {"owners": {"coverage": 100, "list": [{"name": "one", "country": "FR", "percent": 60}]}}
    declare(plane, "four", "ES", **owner)
    id = submit(plane, "echo 42 > answer.txt", replicas=5, quorum=3)
    wait_until(lambda: condition(read(plane, id), "Waiting"), what="Waiting")
    said = condition(read(plane, id), "Waiting")
    assert said["reason"] == "Verification"
    assert "5 places, no two of one country and operator" in said["message"]
    assert read(plane, id)["elements"]["untouched"] == 5
    declare(plane, "five", "PT")
    assert condition(read(plane, id), "Waiting")["status"], "five places, four hands with the control plane's own"
    declare(plane, "six", "NL")
    assert ended(plane, id)["phase"] == "SUCCEEDED"
    assert not condition(read(plane, id), "Waiting")["status"]


def test_what_holds_is_what_the_job_gives(plane: Plane) -> None:
    """Logs and files of a verified job are those of the run whose outputs hold, never a liar's."""
    id = submit(plane, f'echo "from $COMITY_JOB_ID$COMITY_ARRAY_INDEX"; {LYING}')  # runs do not differ in it
    assert plane.shell.run(f"comity cp {id}:answer.txt early.txt").returncode == 1
    ended(plane, id)
    copied = plane.shell.run(f"comity cp {id}:answer.txt . && cat answer.txt && comity logs {id}")
    assert (copied.returncode, copied.stdout.splitlines()[-2:]) == (0, ["42", f"from {id}"]), copied


def test_a_plan_says_what_verification_costs_and_what_passes(plane: Plane) -> None:
    """Hands, who is trusted, prices over the draws, and how often colluders pass; or what is missing."""
    for number, name in enumerate(HANDS):
        where = {"location": {"country": HANDS[name]}, "pools": [{"name": "p", "pricePerHour": f"{number + 1} EUR"}]}
        assert plane.call("PUT", f"/v1/backends/{name}", backend(name, operator=name, **where)).status in (200, 201)
    wanted = {"replicas": 2, "quorum": 2, "distinct": ["operator"], "spotCheck": 0.5}
    body = job("v", outputs=[{"path": "a"}], verification=wanted)
    plans: list[dict[str, Any]] = []

    def seen() -> bool:  # offers of what was just declared
        plans[:] = [plane.call("POST", "/v1/plans", body).json]
        return len(plans[0]["ranking"]) == len(HANDS) + 1

    wait_until(seen, what="offers")
    (plan,) = plans
    told = plan["verification"]
    assert (plan["placeable"], plan["chosen"]) == (True, None), plan
    assert (told["hands"], told["trusted"], told["missing"]) == (3, ["local/host"], None)
    assert (told["price"]["least"], told["price"]["most"], told["pricesTrusted"]) == ("3.00 EUR", "5.00 EUR", False)
    assert [one["colluding"] for one in told["passes"]] == [1, 2]
    assert told["passes"][0]["probability"] == 0
    assert told["passes"][1]["probability"] == pytest.approx(1 / 6)  # one pair of three, half of them checked
    body["spec"]["verification"] = {**wanted, "replicas": 5, "quorum": 3}
    plan = plane.call("POST", "/v1/plans", body).json
    assert not plan["placeable"]
    assert "5 places, no two of one operator" in plan["verification"]["missing"]


def test_a_cancelled_job_ends_with_its_runs(plane: Plane) -> None:
    """All of them, and nothing is judged."""
    id = submit(plane, "sleep 600")
    wait_until(lambda: read(plane, id)["elements"]["phases"].get("RUNNING") == 3, what="running")
    assert plane.call("POST", f"/v1/jobs/{id}:cancel").status in (200, 202)
    assert ended(plane, id)["phase"] == "CANCELLED"
    assert entries(plane, id, "job.verified") == []


def test_a_control_plane_that_is_killed_forgets_no_run_and_starts_none_twice(plane: Plane) -> None:
    """kill -9 while runs are placed, run, and are compared: one verdict, each run once."""
    ids = [submit(plane, "sleep 2; echo 42 > answer.txt") for _ in range(4)]
    for pause in (0.2, 0.6, 1.2, 0.5):
        threading.Event().wait(pause)
        plane.end()
        plane.start()
    for id in ids:
        assert ended(plane, id)["phase"] == "SUCCEEDED"
        assert len(entries(plane, id, "job.verified")) == 1
        assert [len(read(plane, f"{id}[{number}]")["attempts"]) for number in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"verification": {"replicas": 3, "quorum": 1}}, "spec.verification.quorum"),
        ({"verification": {"replicas": 2, "quorum": 3}}, "spec.verification.quorum"),
        ({"verification": {"replicas": 0}}, "spec.verification.replicas"),
        ({"verification": {"replicas": 101}}, "spec.verification.replicas"),
        ({"verification": {"replicas": 3, "distinct": ["colour"]}}, "spec.verification.distinct[0]"),
        ({"verification": {"replicas": 3, "compare": "command"}}, "spec.verification.compare"),
        ({"verification": {"replicas": 3, "compare": "tolerance"}}, "spec.verification.tolerance"),
        ({"verification": {"replicas": 3, "tolerance": {"relative": 0.1}}}, "spec.verification.compare"),
        (
            {"verification": {"replicas": 3, **WITHIN, "tolerance": {"relative": 1}}},
            "spec.verification.tolerance.relative",
        ),
        ({"verification": {"replicas": 3, "spotCheck": 1.5}}, "spec.verification.spotCheck"),
        ({"verification": {"quorum": 2}}, "spec.verification.replicas"),
        ({"verification": {"replicas": 3}, "outputs": []}, "spec.outputs"),
        ({"verification": {"replicas": 3}, "array": {"size": 2}}, "spec.array"),
        ({"verification": {"replicas": 3}, "image": "registry.example/a:latest"}, "spec.image"),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value)[:60],
)
def test_what_cannot_be_compared_is_refused_by_name(plane: Plane, spec: dict[str, Any], path: str) -> None:
    """Before anything is stored, with the path of what is wrong."""
    answer = plane.call("POST", "/v1/jobs", job("bad", **{"outputs": [{"path": "answer.txt"}], **spec}))
    assert answer.status == 422, answer
    assert path in {one["path"] for one in answer.json["errors"]}, answer


def numbers(plane: Plane, text: str, **more: Any) -> Any:
    """Submit a shell line whose JSON is compared by number, and return the answer."""
    wanted = {"replicas": 3, "distinct": ["operator", "country"], **WITHIN}
    body = job("n", "sh", "-c", text, outputs=[{"path": "answer.json"}], verification=wanted, **more)
    return plane.call("POST", "/v1/jobs", body)


def test_numbers_within_a_tolerance_agree(plane: Plane) -> None:
    """What is read for it is written down before; a number too far away is a lie all the same."""
    id = numbers(plane, NEAR).json["id"]
    status = ended(plane, id)
    assert (status["phase"], status["reason"]) == ("SUCCEEDED", "Quorum")
    places = sites(plane, id, 3)
    assert f"[{places.index('liar/p')}] differs" in condition(status, "Verified")["message"]
    (said,) = entries(plane, id, "job.verified")
    assert receipts.rejudge(said["receipt"])
    assert not said["receipt"]["exact"]
    for number in range(3):
        (copied,) = entries(plane, f"{id}[{number}]", "outputs.copied")
        assert copied == {"paths": ["answer.json"], "to": "control-plane", "for": "verification"}
    (blame,) = plane.call("GET", "/v1/operators/liar").json["status"]["blames"]
    assert blame["finding"] == "differs"


def test_numbers_that_may_not_come_here_are_not_compared(plane: Plane) -> None:
    """Said when the job is submitted, with the rule that keeps its data away; nothing is stored."""
    answer = numbers(plane, NEAR, sovereignty={"countries": {"deny": ["FR"]}})
    assert (answer.status, answer.code) == (422, "outputs.refused"), answer
    assert plane.call("GET", "/v1/jobs").json["items"] == []


def test_files_that_are_no_numbers_have_the_same_bytes(plane: Plane) -> None:
    """A tolerance changes nothing for text: two that say the same agree, and nothing is read."""
    wanted = {"replicas": 3, **WITHIN}
    body = job("t", "sh", "-c", LYING, outputs=[{"path": "answer.txt"}], verification=wanted)
    id = plane.call("POST", "/v1/jobs", body).json["id"]
    assert ended(plane, id)["reason"] == "Quorum"
    assert [entries(plane, f"{id}[{number}]", "outputs.copied") for number in range(3)] == [[], [], []]
