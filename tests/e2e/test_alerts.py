"""Each alert of the chart fires when it should and is silent when it should be: at full size, by Prometheus' own tool.

What the alerts read is also looked for in the metrics of a server that runs and has done some work.
"""

import json
import os
import pathlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest
import yaml

from tests.e2e._planes import Plane, backend, job, wait_until
from tests.e2e.conftest import ROOT
from tests.e2e.kube import building, packages

ALERTS = {one["alert"]: one for one in yaml.safe_load((ROOT / "helm/comity/files/alerts.yaml").read_text())}
FULL = os.environ.get("COMITY_TEST_SIZE") == "full"
STEPS = 120
"""Minutes of samples, and when the alerts are asked for."""


class Story(NamedTuple):
    """Samples of two hours, in the notation of promtool: a start, a step a minute."""

    bad: Mapping[str, str]
    good: Mapping[str, str]
    labels: Mapping[str, str] = {}
    """That the alert carries beside its severity."""


def buckets(low: int, high: int) -> dict[str, str]:
    """Return the turns of the loop: so many a minute within five seconds, so many at all."""
    return {
        'comity_loop_seconds_bucket{le="5.0"}': f"0+{low}x{STEPS}",
        'comity_loop_seconds_bucket{le="10.0"}': f"0+{high}x{STEPS}",
        'comity_loop_seconds_bucket{le="+Inf"}': f"0+{high}x{STEPS}",
    }


def calls(ok: int, failed: int) -> dict[str, str]:
    """Return the calls of a backend a minute."""
    name = "comity_backend_calls_total"
    return {
        f'{name}{{backend="gra",outcome="ok"}}': f"0+{ok}x{STEPS}",
        f'{name}{{backend="gra",outcome="timeout"}}': f"0+{failed}x{STEPS}",
    }


def answers(good: int, bad: int) -> dict[str, str]:
    """Return the answers a minute."""
    name = "comity_http_requests_total"
    return {
        f'{name}{{route="/v1/jobs",status="2xx"}}': f"0+{good}x{STEPS}",
        f'{name}{{route="/v1/jobs",status="5xx"}}': f"0+{bad}x{STEPS}",
    }


def level(series: str, bad: float, good: float, **labels: str) -> Story:
    """Return the story of a gauge that stands still."""
    return Story({series: f"{bad}x{STEPS}"}, {series: f"{good}x{STEPS}"}, labels)


STORIES = {
    "ComityAbsent": Story({}, {"comity_journal_entries": f"1x{STEPS}"}),
    "ComityLoopStalled": Story(
        {"comity_loop_seconds_count": f"7x{STEPS}"}, {"comity_loop_seconds_count": f"0+60x{STEPS}"}
    ),
    "ComityLoopSlow": Story(buckets(1, 100), buckets(99, 100)),
    "ComityStoreQueue": level("comity_store_queue", 101, 100),
    "ComityErrors": Story(answers(1000, 30), answers(1000, 10)),
    "ComityBackendFailing": Story(calls(10, 11), calls(11, 10), {"backend": "gra"}),
    "ComityListTooOld": level('comity_list_days_left{list="us-csl"}', 1.9, 2, list="us-csl"),
    "ComityFactsExpire": level('comity_facts_expire_seconds{backend="gra"}', 604_799, 604_800, backend="gra"),
    "ComityChangeHeld": level("comity_changes_held", 1, 0),
    "ComityPacksFailed": level("comity_packs_failed", 1, 0),
    "ComityClockWentBack": level("comity_clock_went_back", 1, 0),
    "ComityTablesDiffer": level("comity_tables_differ", 1, 0),
    "ComityObligationOverdue": Story(
        {'comity_obligations{state="overdue"}': f"1x{STEPS}"},
        {'comity_obligations{state="overdue"}': f"0x{STEPS}", 'comity_obligations{state="open"}': f"9x{STEPS}"},
        {"state": "overdue"},
    ),
}


@pytest.fixture(scope="module")
def promtool() -> pathlib.Path:
    """Return Prometheus' tool, built where it is not there; skip, or fail where it is required."""
    problem = packages.missing_go()
    if problem is None:
        try:
            building.ensure("prometheus")
        except building.BuildError as error:
            problem = str(error)
    if problem is not None:
        if os.environ.get("COMITY_E2E") == "required":
            pytest.fail(f"no promtool: {problem}", pytrace=False)
        pytest.skip(f"no promtool: {problem}")
    return building.program("promtool")


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a file of rules as Prometheus reads it."""
    folder = tmp_path_factory.mktemp("rules")
    group = {"name": "comity", "rules": list(ALERTS.values())}
    (folder / "alerts.yaml").write_text(json.dumps({"groups": [group]}))
    return folder


def ran(*command: object, cwd: pathlib.Path) -> str:
    """Run and return what was said; fails where it failed."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_each_alert_has_a_story() -> None:
    """None is added without one."""
    assert set(STORIES) == set(ALERTS)


@pytest.mark.skipif(not FULL, reason="builds Prometheus' tool: at full size")
def test_prometheus_takes_every_rule(promtool: pathlib.Path, rules: pathlib.Path) -> None:
    """Expressions and templates parse, and nothing is named twice."""
    assert f"{len(ALERTS)} rules found" in ran(promtool, "check", "rules", "alerts.yaml", cwd=rules)


@pytest.mark.skipif(not FULL, reason="builds Prometheus' tool: at full size")
@pytest.mark.parametrize("name", sorted(ALERTS))
def test_it_fires_when_it_should_and_only_then(name: str, promtool: pathlib.Path, rules: pathlib.Path) -> None:
    """On samples just beyond its bound, with its labels and words; on samples just within it, not."""
    story, alert = STORIES[name], ALERTS[name]
    summary = re.sub(
        r"\{\{ \$labels\.(\w+) \}\}", lambda found: story.labels[found[1]], alert["annotations"]["summary"]
    )
    expected = {
        "exp_labels": {**story.labels, **alert["labels"]},
        "exp_annotations": {**alert["annotations"], "summary": summary},
    }
    cases = ((story.bad, [expected]), (story.good, []))
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in samples.items()],
            "alert_rule_test": [{"eval_time": f"{STEPS}m", "alertname": name, "exp_alerts": fired}],
        }
        for samples, fired in cases
    ]
    given = {"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": tests}
    (rules / f"{name}.yaml").write_text(json.dumps(given))
    assert "SUCCESS" in ran(promtool, "test", "rules", f"{name}.yaml", cwd=rules)


@pytest.fixture
def plane(tmp_path: pathlib.Path) -> Iterator[Plane]:
    """A server with a place that works and one that answers nothing."""
    made = Plane(tmp_path)
    made.init()
    made.start()
    yield made
    made.close()


def test_what_alerts_read_is_measured_by_a_server_that_runs(plane: Plane) -> None:
    """Each metric and each label that an alert selects by stands in /metrics."""
    answer = plane.submit(job("measured", "true"))
    assert answer.status == 202, answer
    plane.ended(str(answer.json["id"]))
    nowhere = backend("nowhere", adapter="ray", settings={"url": "http://127.0.0.1:9"})
    assert plane.put(nowhere).status in (200, 201)

    def text() -> str:
        return plane.call("GET", "/metrics").body.decode()

    wait_until(
        lambda: re.search(r'comity_backend_calls_total\{backend="nowhere",outcome="(?!ok)', text()), what="calls"
    )
    found = text()
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", found, re.MULTILINE))
    for name, alert in ALERTS.items():
        for metric, selector in re.findall(r"(comity_\w+)(?:\{([^}]*)\})?", alert["expr"]):
            family = re.sub(r"_(bucket|count|sum)$", "", metric)
            assert {metric, family} & set(types), (name, metric)
            for label in re.findall(r"(\w+)[=!~]", selector):
                assert re.search(rf"^{metric}\{{[^}}]*{label}=", found, re.MULTILINE), (name, metric, label)


def test_samples_are_spelt_as_the_server_spells_them(plane: Plane) -> None:
    """Series of the stories exist with just these labels, or are of families that have no sample yet."""
    found = plane.call("GET", "/metrics").body.decode()
    for story in STORIES.values():
        for series in (*story.bad, *story.good):
            metric, _, selector = series.partition("{")
            labels = set(re.findall(r"(\w+)=", selector))
            for line in re.findall(rf"^{metric}(?:\{{([^}}]*)\}})? ", found, re.MULTILINE):
                assert set(re.findall(r"(\w+)=", line)) == labels, (series, line)
