"""The frame of the benchmarks: what it prints and writes, with figures that measure nothing."""

import json
import pathlib

import pytest

from bench import __main__ as command
from bench import compiled, figures

KEYS = {
    "B3": {"single_per_s", "single_ratio_to_floor", "bulk_distinct_per_s", "bulk_array_per_s", "p99_ms"},
    "B4": {"local_per_s", "simulated_per_s"},
    "B5": {"p50_ms", "p99_ms"},
    "B14": {"verify_events_per_s", "overhead_percent", "proof_bytes"},
    "B15": {"cli_cold_ms", "server_rss_mib", "adapter_import_ms"},
}
ROOT = pathlib.Path(__file__).parents[3]


def _fake(options: figures.Options) -> figures.Result:
    samples = [float(number) for number in range(1, options.repeats + 1)]
    return figures.Result(
        {"fast_ms": figures.metric(samples, "ms", target=2.0, better="lower"), "later_per_s": None},
        bound_by="nothing",
        peers={"floor": {"median": 1.0, "min": 1.0, "max": 1.0}},
        notes=("later_per_s: not built",),
        known={"Slurm": "2.0 s"},
        loses=("it is only a fake",),
    )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand a figure in for all there are."""
    monkeypatch.setattr(figures, "load", lambda names: [figures.Figure("B99", "a fake", _fake)])


@pytest.mark.usefixtures("fake")
def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """With one figure and --json, stdout is exactly one JSON object with the agreed keys."""
    assert command.main(["B99", "--json", "--quick"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["figure"] == "B99"
    assert {"figure", "machine", "metrics", "peers", "bound_by"} <= found.keys()
    assert found["metrics"]["fast_ms"] == {
        "median": 1.5, "min": 1.0, "max": 2.0, "unit": "ms", "target": 2.0, "better": "lower",
    }  # fmt: skip
    assert found["metrics"]["later_per_s"] is None


@pytest.mark.usefixtures("fake")
def test_page_says_all(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page has a table a figure, says what bounds it and where a peer wins, and that --quick measures nothing."""
    page = tmp_path / "benchmarks.md"
    assert command.main(["--all", "--quick", "--write", str(page)]) == 0
    text = page.read_text()
    for words in (
        "| `fast_ms` | 1.5 | 1 | 2 | ms | <= 2 | met |",
        "Bound by nothing.",
        "Where a peer wins",
        "not built",
    ):
        assert words in text
    assert "only show that it runs" in text
    assert "B99" in capsys.readouterr().out


def test_all_figures_register() -> None:
    """Every module of a figure registers the figure of its name."""
    names = [figure.name for figure in figures.load(None)]
    assert set(KEYS) <= set(names)
    assert names == sorted(names, key=lambda name: int(name[1:]))


@pytest.mark.parametrize("name", sorted(KEYS))
def test_keys_stand_in_the_module(name: str) -> None:
    """A figure's metrics have the names that others rely on."""
    source = (ROOT / "bench" / f"{name.lower()}.py").read_text()
    assert all(f'"{key}": figures.metric(' in source for key in KEYS[name])


def test_unknown_figure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A figure that there is not ends with a usage error."""
    with pytest.raises(SystemExit) as ended:
        command.main(["B98"])
    assert ended.value.code == 2
    assert "there is no figure B98" in capsys.readouterr().err


def test_percentile_is_a_sample() -> None:
    """A percentile is the smallest sample that so many do not exceed."""
    assert figures.percentile([5.0, 1.0, 4.0, 2.0, 3.0], 50) == 3.0
    assert figures.percentile([1.0, 2.0], 99) == 2.0


def test_folders_lie_on_the_ground(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of a benchmark lies where the disk is, and nobody else may enter it."""
    monkeypatch.setattr(compiled, "GROUND", str(tmp_path))
    made = compiled.folder("x")
    assert made.parent == tmp_path
    assert made.stat().st_mode & 0o077 == 0
