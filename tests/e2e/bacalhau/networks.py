"""One real network: an orchestrator and three compute nodes of different operators and countries, on loopback.

Every part has its own home, temporary folder and data folder below one folder, and its parent's death is its own: a
test process that is killed leaves a folder in the temporary directory and nothing that runs.
"""

import dataclasses
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.e2e import ports
from tests.e2e.bacalhau import building, relays

READY_S, STOP_S, POLL_S, CALL_S = 180.0, 60.0, 0.05, 60.0
PATIENT_S, HASTY_S = 120, 30
"""Seconds: a machine that is busy with other tests is silent for a while; where nodes are lost on purpose, the less."""
ORCHESTRATOR = "orchestrator"
NODES: Mapping[str, Mapping[str, str]] = {
    "alpha": {"operator": "alpha", "jurisdiction": "FR", "region": "eu-west"},
    "beta": {"operator": "beta", "jurisdiction": "DE", "region": "eu-central"},
    "gamma": {"operator": "gamma", "jurisdiction": "US", "region": "us-east"},
}
"""By name: what each says of itself."""
CPUS, MEMORY_MB = 2, 1000
"""Of each node, as declared: more than the machine may have, for nothing here computes."""


class NetworkError(Exception):
    """A network did not start; the text says what its part said last."""


def until(wanted: Callable[[], Any], what: str, *, timeout_s: float = READY_S, show: Callable[[], object] = str) -> Any:
    """Wait until something holds, and return it.

    :param show: what to say where it does not come.
    :raises AssertionError: when it does not come; a call that fails meanwhile is made again.
    """
    end, reason, pause = time.monotonic() + timeout_s, "", threading.Event()
    while time.monotonic() < end:
        try:
            found = wanted()
        except (OSError, http.client.HTTPException) as error:
            found, reason = None, f": {error}"
        if found:
            return found
        pause.wait(POLL_S)
    raise AssertionError(f"{what}: not within {timeout_s:.0f} s{reason} {show()}")


@dataclasses.dataclass
class Part:
    """One process of Bacalhau, which can be started again as it was."""

    name: str
    folder: pathlib.Path
    config: dict[str, Any]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with what its data folder holds."""
        for name in ("home", "tmp", "data"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        file = self.folder / "config.yaml"
        file.write_text(json.dumps(self.config))  # which is YAML
        kept = {name: text for name, text in os.environ.items() if not name.upper().startswith(("BACALHAU", "AWS_"))}
        own = {"HOME": self.folder / "home", "TMPDIR": self.folder / "tmp", "AWS_EC2_METADATA_DISABLED": "true"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", building.program(), "serve", "-c", file, "--name", self.name],
                cwd=self.folder,
                env=kept | {name: str(text) for name, text in own.items()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        """End it politely, else by force, and wait until it is gone."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        """Return the end of what it said."""
        return (self.folder / "log").read_text("utf-8", "replace")[-2000:]


class Network:
    """All parts of one network. ``relays``: by node, what its connection to the orchestrator goes through."""

    def __init__(self, nodes: Mapping[str, Mapping[str, str]] = NODES, *, breakable: bool = False) -> None:
        """Choose ports and keys; nothing runs yet.

        :param breakable: connections go through relays that can be cut, and a node that was not heard of counts as
            away soon.
        """
        self._disconnect_s = HASTY_S if breakable else PATIENT_S
        self._names = tuple(nodes)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="comity-bacalhau-"))
        self.key, self._token = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        api, bus = ports.free(2)
        self.url = f"http://127.0.0.1:{api}"
        self.relays = {name: relays.Relay(bus) for name in nodes} if breakable else {}
        self.parts = {ORCHESTRATOR: self._part(ORCHESTRATOR, self._orchestrator(api, bus))}
        for name, labels in nodes.items():
            port = self.relays[name].port if breakable else bus
            self.parts[name] = self._part(name, self._compute(name, labels, port))

    def _part(self, name: str, config: dict[str, Any]) -> Part:
        folder = self.folder / name
        common = {"DataDir": str(folder / "data"), "DisableAnalytics": True, "UpdateConfig": {"Interval": "0s"}}
        return Part(name, folder, common | config)

    def _orchestrator(self, api: int, bus: int) -> dict[str, Any]:
        rights = [{"Actions": ["*"]}]
        users = [{"Alias": "control", "APIKey": self.key, "Capabilities": rights}]
        return {
            "API": {"Host": "127.0.0.1", "Port": api, "Auth": {"Users": users}},
            "WebUI": {"Enabled": False},
            "Orchestrator": {
                "Enabled": True,
                "Host": "127.0.0.1",
                "Port": bus,
                "Auth": {"Token": self._token},
                "NodeManager": {"DisconnectTimeout": f"{self._disconnect_s}s", "ManualApproval": False},
                "Scheduler": {"QueueBackoff": "5s", "HousekeepingInterval": "5s", "HousekeepingTimeout": "10s"},
            },
        }

    def _compute(self, name: str, labels: Mapping[str, str], bus: int) -> dict[str, Any]:
        (own,) = ports.free(1)
        return {
            "API": {"Host": "127.0.0.1", "Port": own},
            "WebUI": {"Enabled": False},
            "Labels": dict(labels),
            "Engines": {"Disabled": ["docker"]},
            "Publishers": {"Disabled": ["ipfs", "s3", "s3managed", "local"]},
            "InputSources": {"Disabled": ["ipfs", "s3", "s3managed"]},
            "Compute": {
                "Enabled": True,
                "Orchestrators": [f"nats://127.0.0.1:{bus}"],
                "Auth": {"Token": self._token},
                "Heartbeat": {"Interval": "3s", "InfoUpdateInterval": "5s"},
                "AllocatedCapacity": {"CPU": str(CPUS), "Memory": f"{MEMORY_MB}Mb", "Disk": "2Gb"},
            },
        }

    def start(self) -> None:
        """Start the orchestrator, then the nodes, and wait until all are connected.

        :raises NetworkError: when they do not come; nothing runs then.
        """
        try:
            self.parts[ORCHESTRATOR].start()
            until(self.alive, "the orchestrator")
            for name in self._names:
                self.parts[name].start()
            self.ready()
        except AssertionError as error:
            said = {name: part.said() for name, part in self.parts.items() if part.process is not None}
            self.stop()
            raise NetworkError(f"{error} {said}") from error

    def stop(self) -> None:
        """End the nodes, then the orchestrator, and remove all that is theirs."""
        for name in (*self._names, ORCHESTRATOR):
            self.parts[name].stop()
        for relay in self.relays.values():
            relay.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def alive(self) -> bool:
        """Say whether the orchestrator answers."""
        return self.request("GET", "agent/alive")[0] == 200

    def ready(self) -> None:
        """Wait until every node is connected and says what it has."""

        def connected() -> bool:
            found = self.nodes()
            dead = [
                name for name, part in self.parts.items() if part.process is None or part.process.poll() is not None
            ]
            assert not dead, f"{dead} ended: {[self.parts[name].said() for name in dead]}"
            return all(
                found.get(name, {}).get("Connection") == "CONNECTED"
                and found[name].get("Info", {}).get("ComputeNodeInfo", {}).get("MaxCapacity", {}).get("CPU")
                and found[name]["Info"].get("Labels", {}).get("jurisdiction")
                == self.parts[name].config["Labels"].get("jurisdiction")
                for name in self._names
            )

        until(connected, "the nodes", show=self.nodes)

    def request(self, method: str, path: str, body: object = None, *, key: str | None = None) -> tuple[int, Any]:
        """Send one request below ``/api/v1`` and return status and answer: JSON where it is, else text."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=CALL_S)
        try:
            headers = {"Authorization": f"Bearer {self.key if key is None else key}"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1/{path}", sent, headers)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(raw)
        except ValueError:
            return answer.status, raw.decode("utf-8", "replace")

    def nodes(self) -> dict[str, Any]:
        """Return every compute node that the orchestrator knows, by name."""
        status, found = self.request("GET", "orchestrator/nodes?limit=1000")
        if status != 200:
            raise OSError(f"nodes: {status} {found}")
        return {one["Info"]["NodeID"]: one for one in found["Nodes"] or () if one["Info"]["NodeType"] == "Compute"}

    def job(self, name: str, namespace: str = "default") -> dict[str, Any] | None:
        """Return a job with its executions and history by name or id; None where there is none."""
        query = f"namespace={namespace}&include=executions,history"
        status, found = self.request("GET", f"orchestrator/jobs/{name}?{query}")
        return found if status == 200 else None
