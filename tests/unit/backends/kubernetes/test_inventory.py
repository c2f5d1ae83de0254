"""``backend import --from clusterprofiles`` against API servers that answer in every way."""

import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.cli import main
from tests.unit.backends.kubernetes import liar, test_profiles

GROUP = "/apis/multicluster.x-k8s.io"
Start = Callable[..., liar.Liar]


@pytest.fixture
def start() -> Iterator[Start]:
    """Give a function that starts an API server; all are ended."""
    made: list[liar.Liar] = []

    def one(say: Any) -> liar.Liar:
        made.append(liar.Liar(say))
        return made[-1]

    yield one
    for each in made:
        each.close()


def hub(pages: list[list[Any]], *versions: str, served: tuple[str, ...] = ("v1alpha1",)) -> Any:
    """Return what a hub says that announces versions of the group and serves profiles in some of them."""

    def say(method: str, path: str, query: dict[str, str], body: Any) -> liar.Answer:
        if method == "GET" and path == GROUP:
            return 200, {"kind": "APIGroup", "versions": [{"version": one} for one in versions or served]}
        if method == "GET" and path in [f"{GROUP}/{one}/namespaces/fleet/clusterprofiles" for one in served]:
            at = int(query.get("continue", "0"))
            meta = {"continue": str(at + 1)} if at + 1 < len(pages) else {}
            return 200, {"items": pages[at], "metadata": meta}
        return 404, {"kind": "Status", "reason": "NotFound", "message": "page not found"}

    return say


def run(server: liar.Liar, folder: pathlib.Path, *more: str) -> int:
    """Run the command against a server."""
    config = folder / "hub.kubeconfig"
    config.write_text(server.kubeconfig)
    words = ("--from", "clusterprofiles", "--kubeconfig", str(config), "--namespace", "fleet")
    return main.run(("backend", "import", *words, *more))


def test_drafts_are_printed_with_what_is_said_of_them_and_nothing_is_changed(
    start: Start, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """All pages are read, in order of name; warnings are said on the other stream; the hub sees reads only."""
    sick = test_profiles.profile(name="berlin-1", conditions=[])
    server = start(hub([[test_profiles.profile()], [sick, "no profile", 7]]))
    assert run(server, tmp_path) == 0
    out, err = capfd.readouterr()
    assert out.index("name: berlin-1") < out.index("name: paris-1")
    assert out.count("kind: Backend") == 2
    assert "berlin-1: NOT KNOWN TO BE HEALTHY" in err
    assert "nothing is registered" in err
    assert {method for method, _ in server.calls} == {"GET"}


def test_the_newest_version_that_is_known_and_served_is_read(
    start: Start, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A version of the group that serves another kind only is passed over, and one that nobody knows is never read."""
    newest = start(
        hub([[test_profiles.profile()]], "v1", "v1alpha2", "v1alpha1", served=("v1", "v1alpha2", "v1alpha1"))
    )
    assert run(newest, tmp_path) == 0
    assert f"{GROUP}/v1alpha2/namespaces/fleet/clusterprofiles" == newest.calls[-1][1]
    older = start(hub([[test_profiles.profile()]], "v1alpha2", "v1alpha1"))
    assert run(older, tmp_path) == 0
    assert f"{GROUP}/v1alpha1/namespaces/fleet/clusterprofiles" == older.calls[-1][1]
    capfd.readouterr()
    unknown = start(hub([[test_profiles.profile()]], "v2", served=("v2",)))
    assert run(unknown, tmp_path) == 1
    assert "it serves v2; v1alpha2 and v1alpha1 are read" in capfd.readouterr().err


def test_without_the_kind_one_line_says_so(
    start: Start, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A cluster without the group is named as such, and a namespace without profiles gives no draft."""
    assert run(start(lambda *_: (404, {"reason": "NotFound", "message": "x"})), tmp_path) == 1
    assert "has no clusterprofiles.multicluster.x-k8s.io to read" in capfd.readouterr().err
    assert run(start(hub([[]])), tmp_path) == 0
    out, err = capfd.readouterr()
    assert (out, err) == ("", "namespace fleet has none\n")


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (403, {"reason": "Forbidden", "message": 'cannot list resource "clusterprofiles" in API group "x"'}, "may not"),
        (401, {"reason": "Unauthorized", "message": ""}, "does not accept these credentials"),
        (200, [1, 2], "no object"),
        (200, b"\xff\xfe", "no object"),
        (500, {"message": "boom"}, "boom"),
    ],
)
def test_what_a_hub_refuses_is_one_line(
    start: Start, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], status: int, answer: Any, said: str
) -> None:
    """Rights, credentials, nonsense and failures end the command with a reason and no draft."""
    assert run(start(lambda *_: (status, answer)), tmp_path) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err


def test_more_profiles_than_a_person_reads_are_refused(
    start: Start, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A hub that never ends its list is not read for ever."""
    page = [{"metadata": {"name": f"c{number}"}} for number in range(600)]
    server = start(hub([page] * 1_000))
    assert run(server, tmp_path) == 1
    assert "more than 1000 ClusterProfiles" in capfd.readouterr().err
    assert len(server.calls) == 3


def test_files_are_written_once_and_for_their_owner_only(
    start: Start, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Document and kubeconfig lie beside each other; a second run writes over none, and writes no other either."""
    server, folder = start(hub([[test_profiles.profile()]])), tmp_path / "drafts"
    assert run(server, tmp_path, "-o", str(folder), "--job-namespace", "ours") == 0
    assert sorted(path.name for path in folder.iterdir()) == ["paris-1.kubeconfig", "paris-1.yaml"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert "namespace: ours" in (folder / "paris-1.yaml").read_text()
    (folder / "paris-1.kubeconfig").unlink()
    (folder / "paris-1.yaml").write_text("completed")
    assert run(server, tmp_path, "-o", str(folder)) == 1
    assert [path.read_text() for path in folder.iterdir()] == ["completed"]
    assert "nothing is written" in capfd.readouterr().err


def test_what_the_command_line_says_wrongly_is_told(
    start: Start, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An unknown source, a profile that is not there, a namespace that is no name and a bad kubeconfig are named."""
    server = start(hub([[test_profiles.profile()]]))
    assert run(server, tmp_path, "--from", "nothing") == 2
    assert "clusterprofiles" in capfd.readouterr().err
    assert run(server, tmp_path, "--name", "rome-1") == 1
    assert "no ClusterProfile rome-1" in capfd.readouterr().err
    assert run(server, tmp_path, "--namespace", "../x") == 2
    assert "namespace" in capfd.readouterr().err
    assert run(server, tmp_path, "--context", "none") == 2
    assert "none" in capfd.readouterr().err
    config = {"clusters": [{"name": "k", "cluster": {"server": "https://[", "certificate-authority-data": "x"}}]}
    (tmp_path / "bad").write_text(json.dumps(config))
    assert run(server, tmp_path, "--kubeconfig", str(tmp_path / "bad")) == 2
    assert "current-context" in capfd.readouterr().err
    assert run(server, tmp_path, "--kubeconfig", str(tmp_path / "none")) == 1
