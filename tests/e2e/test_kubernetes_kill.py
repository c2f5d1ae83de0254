"""A real server is killed at each point of a submit to a real cluster, and the next one adopts what it began."""

import base64
import os
import pathlib
import re
import threading
from collections.abc import Iterator

import pytest

from tests.e2e import _kubernetes
from tests.e2e._between import Between
from tests.e2e._planes import Plane
from tests.e2e.kube import clusters
from tests.e2e.test_kubernetes import Place, shell

PATIENCE_S = 300.0
CALLS = {
    "a part": ("POST", r".*/configmaps$"),
    "the Job": ("POST", r".*/jobs$"),
    "adoption": ("PATCH", r".*/configmaps/.+"),
}
POINTS = [(moment, what) for what in CALLS for moment in ("before", "after")]


class Killing:
    """A place behind a line that kills the server at a moment of a call."""

    def __init__(self, cluster: clusters.Cluster, folder: pathlib.Path) -> None:
        self.place = Place(cluster)
        self.line = Between(cluster, folder / "line")
        self.plane = Plane(folder, environment={self.place.variable: self.line.kubeconfig.read_text()})
        self.plane.init()
        (self.plane.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
        self.plane.start(warm=True)
        answer = self.plane.put(self.place.declared())
        assert answer.status in (200, 201), answer

    def at(self, moment: str, method: str, path: str) -> threading.Event:
        """Kill the server when such a call comes next; return what is set once it is dead."""
        reached, over = threading.Lock(), threading.Event()

        def hook(now: str, verb: str, where: str) -> bool:
            if (now, verb) == (moment, method) and re.fullmatch(path, where) and reached.acquire(blocking=False):
                self.plane.end()
                over.set()
                return False
            return not over.is_set() or self.plane.pid != 0

        self.line.hook = hook
        return over

    def close(self) -> None:
        """End everything."""
        self.plane.close()
        self.line.end()
        _kubernetes.remove(self.place.cluster, self.place.namespace)


@pytest.fixture(scope="module")
def killing(fr: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killing]:
    """Give a server that can be killed at any call."""
    found = Killing(fr, tmp_path_factory.mktemp("killing"))
    yield found
    found.close()


@pytest.mark.parametrize(("moment", "what"), POINTS)
def test_a_server_killed_in_a_submit_adopts_what_it_began(killing: Killing, moment: str, what: str) -> None:
    """kill -9 before or after a part, the Job or its adoption: there is one Job, one attempt, one pod, and it ends."""
    over = killing.at(moment, *CALLS[what])
    files = {"own.txt": {"content": base64.b64encode(os.urandom(64)).decode()}}
    answer = killing.plane.submit(
        shell(f"once-{moment}-{what[-3:].lower()}", "test -s own.txt && echo ran", files=files)
    )
    assert answer.status == 202, answer
    id = answer.json["metadata"]["id"]
    assert over.wait(PATIENCE_S), "the call never came"
    killing.plane.start(warm=True)
    done = killing.plane.ended(id, seconds=PATIENCE_S)
    assert (done["status"]["phase"], len(done["status"]["attempts"])) == ("SUCCEEDED", 1), done
    mine = [
        pod
        for pod in killing.place.pods()
        if pod["metadata"]["labels"]["batch.kubernetes.io/job-name"].startswith(id.lower())
    ]
    assert len(mine) == 1
    assert killing.place.job(id)["status"]["succeeded"] == 1
