"""What is kept of a namespace follows its list and its watch, whatever these send."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backends.kubernetes import client, errors, kubeconfigs, names, views, watching
from tests.unit.backends.kubernetes import liar as liars

PATH = "/apis/batch/v1/namespaces/jobs/jobs"
WAIT_S = 60.0


def raw(name: str, version: int, uid: str = "u") -> dict[str, Any]:
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
    return {"metadata": {"name": name, "uid": uid, "resourceVersion": str(version), "labels": labels}}


def event(kind: str, found: Any) -> bytes:
    return json.dumps({"type": kind, "object": found}).encode() + b"\n"


class Script:
    """Lists and watches in turn; a watch that has said its lines stays open until the test ends, or ends at once."""

    def __init__(self, lists: list[Any], watches: list[tuple[list[bytes], bool]]) -> None:
        self.lists, self.watches = iter(lists), iter(watches)
        self.end = threading.Event()
        self.watched: list[str] = []

    def say(self, method: str, path: str, query: dict[str, str], body: Any) -> liars.Answer:
        if query.get("watch"):
            self.watched.append(query["resourceVersion"])
            lines, stays = next(self.watches, ([], True))
            if lines and lines[0] == b"410":
                return 410, {"reason": "Expired", "message": "too old"}
            return 200, self._lines(lines, stays)
        found = next(self.lists, None)
        return (200, found) if found is not None else (503, {})

    def _lines(self, lines: list[bytes], stays: bool) -> Iterator[bytes]:
        yield from lines
        if stays:
            self.end.wait(WAIT_S)


def listed(version: int, *found: Any) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version)}, "items": list(found)}


@pytest.fixture
def started(tmp_path: Any) -> Iterator[Callable[[Script], watching.Reflector[views.Job]]]:
    """Give a way to start a reflector against a script."""
    ends: list[Callable[[], None]] = []

    def start(script: Script) -> watching.Reflector[views.Job]:
        server = liars.Liar(script.say)
        talk = client.Client(kubeconfigs.read(server.kubeconfig, None, ()), str(tmp_path))
        found = watching.Reflector(talk, PATH, views.job, pause=lambda _: threading.Event().wait(0.01))
        ends.extend((found.close, script.end.set, talk.close, server.close))
        found.ensure()
        return found

    yield start
    for end in ends:
        end()


def until(check: Callable[[], bool]) -> None:
    for _ in range(int(WAIT_S / 0.01)):
        if check():
            return
        threading.Event().wait(0.01)
    raise AssertionError("not in time")


def test_events_change_what_is_kept(started: Any) -> None:
    """Additions, changes and deletes are followed; a bookmark moves the place on."""
    first = [
        event("ADDED", raw("b", 11)),
        event("MODIFIED", raw("a", 12)),
        event("DELETED", raw("b", 13)),
        event("BOOKMARK", {"metadata": {"resourceVersion": "20"}}),
    ]
    script = Script([listed(10, raw("a", 5))], [(first, False), ([], True)])
    found = started(script)
    until(lambda: len(script.watched) == 2)
    assert script.watched == ["10", "20"]
    assert {name: one.version for name, one in found.items.items()} == {"a": 12}


@pytest.mark.parametrize(
    "end",
    [
        event("ERROR", {"code": 410, "message": "too old"}),
        b"410",
        b"this is no JSON\n",
        event("MODIFIED", ["no", "object"]),
        b'{"type": "ADDED"}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_what_cannot_be_followed_is_listed_again(started: Any, end: bytes) -> None:
    """After 410, and after anything that cannot be read, everything is listed, and what is gone is dropped."""
    lists = [listed(10, raw("a", 5), raw("b", 6)), listed(30, raw("b", 6), raw("c", 25))]
    script = Script(lists, [([end], False), ([], True)])
    found = started(script)
    until(lambda: len(script.watched) == 2)
    assert script.watched == ["10", "30"]
    assert set(found.items) == {"b", "c"}


def test_a_broken_watch_goes_on_where_it_stood(started: Any) -> None:
    """A connection that ends in the middle of a line loses nothing, and lists nothing again."""
    script = Script(
        [listed(10)],
        [
            ([event("ADDED", raw("a", 11)), event("ADDED", raw("b", 12))[:30]], False),
            ([event("ADDED", raw("b", 12))], True),
        ],
    )
    found = started(script)
    until(lambda: "b" in found.items)
    assert script.watched == ["10", "11"]


def test_an_old_event_never_replaces_a_newer_object(started: Any) -> None:
    """What a call of ours has answered is newer than an event that was on its way; so is a list before a put."""
    gate = threading.Event()

    class Late(Script):
        def _lines(self, lines: list[bytes], stays: bool) -> Iterator[bytes]:
            gate.wait(WAIT_S)
            yield from super()._lines(lines, stays)

    script = Late(
        [listed(10, raw("a", 5))], [([event("MODIFIED", raw("a", 11)), event("DELETED", raw("c", 12))], True)]
    )
    found = started(script)
    mine, other = views.job(raw("a", 50)), views.job(raw("c", 51))
    assert mine is not None
    assert other is not None
    found.put(mine)
    found.put(other)
    gate.set()
    until(lambda: found._version == "12")
    assert {name: one.version for name, one in found.items.items()} == {"a": 50, "c": 51}


def test_what_was_put_after_a_list_was_made_survives_it(tmp_path: Any) -> None:
    """A list that is older than our own create does not make it disappear."""
    script = Script([listed(10), listed(20)], [])
    server = liars.Liar(script.say)
    talk = client.Client(kubeconfigs.read(server.kubeconfig, None, ()), str(tmp_path))
    try:
        found = watching.Reflector(talk, PATH, views.job)
        found.list()
        old, new = views.job(raw("old", 15)), views.job(raw("new", 25))
        assert old is not None
        assert new is not None
        found.put(old)
        found.put(new)
        found.list()
        assert set(found.items) == {"new"}
    finally:
        script.end.set()
        talk.close()
        server.close()


def test_pages_are_one_list(tmp_path: Any) -> None:
    """A list comes in pages, and counts when it is whole."""
    tokens = itertools.count(1)

    def say(method: str, path: str, query: dict[str, str], body: Any) -> liars.Answer:
        number = next(tokens)
        meta = {"resourceVersion": "9", **({"continue": f"t{number}"} if number < 3 else {})}
        assert query.get("continue", "t0") == f"t{number - 1}"
        return 200, {"metadata": meta, "items": [raw(f"j{number}", number)]}

    server = liars.Liar(say)
    talk = client.Client(kubeconfigs.read(server.kubeconfig, None, ()), str(tmp_path))
    try:
        items, version = talk.items(PATH)
        assert ([one["metadata"]["name"] for one in items], version) == (["j1", "j2", "j3"], "9")
    finally:
        talk.close()
        server.close()


def test_a_first_list_that_fails_is_told(tmp_path: Any) -> None:
    """Whoever asks first hears why nothing is known."""
    server = liars.Liar(lambda *_: (401, {"reason": "Unauthorized", "message": "Unauthorized"}))
    talk = client.Client(kubeconfigs.read(server.kubeconfig, None, ()), str(tmp_path))
    try:
        with pytest.raises(Exception, match="make a new kubeconfig"):
            watching.Reflector(talk, PATH, views.job).ensure()
        with pytest.raises(errors.StatusError):
            watching.Reflector(talk, PATH, views.job).list()
    finally:
        talk.close()
        server.close()
