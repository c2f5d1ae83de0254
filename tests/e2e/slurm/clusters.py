"""A cluster as tests see it: the address of slurmrestd, tokens, the command line tools, its parts.

A handle is made from the file that the process running the cluster wrote; any number of processes may hold one.
"""

import base64
import dataclasses
import hashlib
import hmac
import http.client
import json
import pathlib
from typing import Any

from orchestrator.telemetry import clocks
from tests.e2e.kube import processes

USERS = ("comity-a", "comity-b")
"""Who may submit. Root and SlurmUser may too, but their tokens are what no adapter should hold."""
LIFESPAN_S = 3600
REQUEST_S = 90.0


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a cluster shall be."""

    name: str = "comity"
    forget_s: int = 300
    """MinJobAge: how long a job that ended is remembered. Slurm looks once a minute."""
    ids: tuple[int, int] = (1, 0x03FF0000)
    """FirstJobId and MaxJobId: numbers begin again behind the last."""
    lines: tuple[str, ...] = ()
    """More lines of ``slurm.conf``."""
    suite: str = ""
    """Of Debian: ``trixie`` has Slurm 24.11. None: that of this machine."""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """One running cluster."""

    name: str
    url: str
    """Of slurmrestd, without a path."""
    folder: pathlib.Path
    shared: pathlib.Path
    """A folder that every user of the cluster may write to, at the same path inside and outside."""
    versions: tuple[str, ...] = ("v0.0.38",)
    """What slurmrestd speaks, oldest first."""

    @classmethod
    def load(cls, file: pathlib.Path) -> "Cluster":
        """Return the cluster that a file describes."""
        given = json.loads(file.read_text())
        paths = {name: pathlib.Path(given[name]) for name in ("folder", "shared")}
        return cls(**given | paths | {"versions": tuple(given["versions"])})

    def save(self, file: pathlib.Path) -> None:
        """Write what ``load`` reads, in one step."""
        aside = file.with_suffix(".new")
        aside.write_text(json.dumps(dataclasses.asdict(self), default=str))
        aside.rename(file)

    @property
    def control(self) -> processes.Control:
        """Return the way to the cluster's parts."""
        return processes.Control(self.folder / "control")

    def home(self, user: str = USERS[0]) -> pathlib.Path:
        """Return a user's own folder, at the same path inside and outside."""
        return self.folder / "home" / user

    def token(self, user: str = USERS[0], *, lifespan_s: int = LIFESPAN_S) -> str:
        """Return a token as the site's administrator gives it."""
        said = self.run("scontrol", "token", f"username={user}", f"lifespan={lifespan_s}")
        return said.strip().removeprefix("SLURM_JWT=")

    def signed(self, **claims: Any) -> str:
        """Return a token of our own making, with the site's key: expired, for nobody, from the future.

        :param claims: ``sun`` the user, ``iat`` and ``exp`` in seconds since 1970; where not given, one that holds.
        """
        now = int(clocks.SystemClock().now().timestamp())
        given = {"exp": now + LIFESPAN_S, "iat": now, "sun": USERS[0]} | claims
        parts = [_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, given)]
        key = (self.folder / "keys" / "jwt").read_bytes()
        return ".".join([*parts, _encoded(hmac.digest(key, ".".join(parts).encode(), hashlib.sha256))])

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str = USERS[0],
        token: str | None = None,
        timeout_s: float = REQUEST_S,
    ) -> tuple[int, Any]:
        """Return status and decoded body of slurmrestd.

        :param path: behind the version (``jobs``, ``job/7``), or all of it where it begins with a slash.
        """
        headers = {
            "X-SLURM-USER-NAME": user,
            "X-SLURM-USER-TOKEN": self.signed(sun=user) if token is None else token,
            "Content-Type": "application/json",
        }
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=timeout_s)
        try:
            full = path if path.startswith("/") else f"/slurm/{self.versions[-1]}/{path}"
            connection.request(method, full, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(raw)
        except ValueError:
            return answer.status, raw

    def run(self, *argv: str | pathlib.Path, user: str = "", given: str = "") -> str:
        """Run a command inside and return its output: as root, or as one of the users, in the user's folder.

        :raises processes.ProcessError: when it fails; the text is what it said.
        """
        words = [str(word) for word in argv]
        if user:
            home = self.home(user)
            become = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups")
            words = [*become, "env", "-C", str(home), f"HOME={home}", *words]
        return self.control.run(*words, given=given)

    def sbatch(self, script: str, *options: str, user: str = USERS[0]) -> int:
        """Submit a script as a user would, and return the job's number."""
        return int(self.run("sbatch", "--parsable", *options, user=user, given=script).strip().split(";")[0])

    def job(self, number: int) -> dict[str, str] | None:
        """Return what the controller says of a job, or None where it knows none of that number."""
        try:
            said = self.run("scontrol", "--oneliner", "show", "job", str(number))
        except processes.ProcessError as error:
            if "Invalid job id" in str(error):
                return None
            raise
        return dict(word.split("=", 1) for word in said.split() if "=" in word)

    def state(self, number: int) -> str:
        """Return a job's state; ``GONE`` where the controller knows it no more."""
        return (self.job(number) or {"JobState": "GONE"})["JobState"]

    def jobs(self, *, name: str | None = None) -> list[dict[str, str]]:
        """Return every job the controller knows, newest last: number, name, state, comment, user."""
        fields = "JobID,Name,State,Comment,UserName"
        said = self.run("squeue", "--noheader", "--states=all", "--sort=i", "--array", f"--Format={_wide(fields)}")
        rows = [
            dict(zip(fields.split(","), map(str.strip, line.split("\x1f")), strict=False)) for line in said.splitlines()
        ]
        return [row for row in rows if name in (None, row["Name"])]

    def nodes(self) -> dict[str, str]:
        """Return every node's state, in Slurm's words: ``idle``, ``mixed``, ``down*``, ``drained``, ``maint``."""
        lines = self.run("sinfo", "--noheader", "--Node", "--Format=NodeList:32,StateLong:32").splitlines()
        return {words[0]: words[1] for words in map(str.split, lines)}

    def log(self, part: str, lines: int = 40) -> str:
        """Return the end of a part's log."""
        text = (self.folder / "log" / part).read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def _wide(fields: str) -> str:
    """Return a format of squeue whose columns do not touch: each is followed by a separator that no value holds."""
    return ",".join(f"{field}:\x1f" for field in fields.split(","))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
