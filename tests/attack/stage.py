"""Where lies are told: a real server process with invented places, copies of its state folder, and its bundles."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import pathlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from orchestrator.bootstrap import audits, journals, tables, verifications
from orchestrator.evidence import chain, comparisons, verification
from orchestrator.evidence import tables as accounts
from orchestrator.sources.lists import folders
from orchestrator.telemetry import clocks
from tests.attack import lies, tokens
from tests.e2e import servers
from tests.e2e._planes import wait_until

FACTS = {"source": "invented for the attack", "asOf": "2026-11-01", "validTo": "2035-12-31"}
PLURALS = {"DataSet": "datasets", "Policy": "policies", "ControlPlane": "controlplanes"}
ISSUER = "did:web:certifier.example"
LISTS = pathlib.Path(__file__).parents[1] / "unit" / "sources" / "lists" / "data"
KEPT = ("log.key", "log.checkpoint", "log.tiles", "tables.key", "tables.memo", "admin.token", "trust.yaml")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: Any

    @property
    def codes(self) -> tuple[str, ...]:
        """Return the codes of what it refused, without the names that some of them end with."""
        if not isinstance(self.body, dict) or self.status < 400:
            return ()
        found = [str(one["code"]).partition(":")[0] for one in self.body.get("errors", ()) if one.get("code")]
        return tuple(dict.fromkeys(found)) or (str(self.body.get("code", "")),)

    def refused(self, *codes: str) -> lies.Seen:
        """Return that the lie was refused (with one of these codes), or what happened instead."""
        said = ", ".join(self.codes)
        if self.status < 400:
            return lies.Seen(False, "taken")
        return lies.Seen(any(code in self.codes for code in codes), f"refused: {self.status} {said}")


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a job: where it was placed ("" if nowhere), and the denials of one backend, sorted."""

    job: str
    placed: str
    denials: tuple[str, ...]

    def denied(self, code: str) -> lies.Seen:
        """Return that this code kept the job away, or what happened instead."""
        if self.placed:
            return lies.Seen(False, f"placed at {self.placed}")
        return lies.Seen(any(one.startswith(code) for one in self.denials), f"not placed: {', '.join(self.denials)}")

    def went(self) -> lies.Seen:
        """Return that nothing kept the job away, or what did."""
        return self.denied("")


class Stage:
    """A server for lies, with an operator and a place at home. Names are handed out once, so that lies do not meet."""

    def __init__(self, folder: pathlib.Path, server: servers.Process, issuer: tokens.Issuer) -> None:
        self.folder = folder
        self.server = server
        self.issuer = issuer
        self._numbers = itertools.count(1)
        self._tokens: dict[tuple[str, ...], str] = {}
        self._others: list[Stage] = []
        self._backends: list[str] = []

    @classmethod
    def fresh(cls, folder: pathlib.Path, *arguments: str, list_is_old: bool = False) -> Stage:
        """Start a server with a certifier it trusts, a sanctions list, an operator, and a backend in France."""
        state = folder / "state"
        state.mkdir(mode=0o700, parents=True)
        issuer = tokens.Issuer(ISSUER, "k1")
        (state / "trust.yaml").write_text(issuer.trusted("location", "attestation/tdx"), encoding="utf-8")
        listed(state, "us-sdn.xml", **({"raw": old_list(), "as_of": None} if list_is_old else {}))
        made = cls(folder, servers.Process(state, *arguments).wait_until_it_listens(), issuer)
        made.operator("house", "FR")
        plane = {"operator": "house", "location": {"country": "FR"}, "adminFrom": ["FR"], "logStore": {"country": "FR"}}
        plane["facts"] = FACTS
        made.must("ControlPlane", "self", plane)
        made.backend("paris", "FR")
        made._backends.clear()
        return made

    def number(self, name: str) -> float:
        """Return what a metric without labels says."""
        text = self.call("GET", "/metrics").body.decode()
        return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).partition(" ")[2])

    def waits(self, **spec: Any) -> str:
        """Submit a job and let the loop take its turns; return where the job was placed then, "" if nowhere.

        Where it waits because the tables differ it must say so itself.
        """
        made = self.call("POST", "/v1/jobs", servers.job(self.new("job"), **spec))
        assert made.status == 202, made
        turns = self.number("comity_loop_seconds_count")
        body: Any = None

        def over() -> bool:
            nonlocal body
            body = self.call("GET", f"/v1/jobs/{made.body['id']}").body["status"]
            return bool(body.get("attempts")) or self.number("comity_loop_seconds_count") > turns + 3

        wait_until(over, seconds=180)
        attempts = body.get("attempts", ())
        if not attempts and self.number("comity_tables_differ"):
            assert "TablesDiffer" in [one["type"] for one in body["conditions"] if one["status"]], body
        return str(attempts[-1]["site"]).partition("/")[0] if attempts else ""

    def over(self, state: pathlib.Path) -> Stage:
        """Start another server on a copied state folder; it ends with this one."""
        other = Stage(self.folder, servers.Process(state).wait_until_it_listens(), self.issuer)
        other._numbers = self._numbers
        self._others.append(other)
        return other

    @functools.cached_property
    def strict(self) -> Stage:
        """Return a server that takes no policy without tests, and whose only list is too old."""
        made = Stage.fresh(self.folder / "strict", "--policy-tests-required", list_is_old=True)
        self._others.append(made)
        return made

    def close(self) -> None:
        """End all servers."""
        for one in (*self._others, self):
            one.server.kill()

    @property
    def state(self) -> pathlib.Path:
        """Return the state folder."""
        return self.server.state

    def new(self, word: str) -> str:
        """Return a name that nothing has yet."""
        return f"{word}-{next(self._numbers)}"

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """Send a request; as the administrator unless a token is given."""
        return Answer(*self.server.request(method, path, body, **more))

    def token(self, *roles: str, tenant: str = "default") -> str:
        """Return a token with these roles."""
        key = (tenant, *roles)
        if key not in self._tokens:
            made = self.call("POST", "/v1/tokens", {"tenant": tenant, "roles": list(roles)})
            assert made.status == 201, made
            self._tokens[key] = made.body["token"]
        return self._tokens[key]

    def put(self, kind: str, name: str, spec: Mapping[str, Any], **more: Any) -> Answer:
        """Declare a document."""
        plural = PLURALS.get(kind, f"{kind.lower()}s")
        body = {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
        return self.call("PUT", f"/v1/{plural}/{name}", body, **more)

    def must(self, kind: str, name: str, spec: Mapping[str, Any], **more: Any) -> str:
        """Declare a document that is part of the setting, not of the lie."""
        made = self.put(kind, name, spec, **more)
        assert made.status in (200, 201), made
        return name

    def operator(self, name: str, country: str, **more: Any) -> str:
        """Declare an operator."""
        base = {"legalCountry": country, "ultimateParentHq": country, "owners": {"coverage": 100}, "facts": FACTS}
        return self.must("Operator", name, base | more)

    def backend(self, name: str, country: str, operator: str = "house", **more: Any) -> str:
        """Declare a simulated backend whose jobs end at once."""
        self._backends.append(name)
        self.must("Backend", name, site(country, operator, **more))
        wait_until(lambda: name in {one["backend"] for one in self.call("GET", "/v1/sites?limit=200").body["items"]})
        return name

    def clear(self) -> None:
        """Withdraw the backends that were declared since, so that lies do not meet."""
        for name in dict.fromkeys(self._backends):
            wait_until(
                lambda name=name: self.call("DELETE", f"/v1/backends/{name}").status in (200, 204, 404), seconds=180
            )
        self._backends.clear()

    def data(self, name: str, *classes: str, tenant: str = "default", **more: Any) -> str:
        """Declare a data set of people in France, unless said otherwise."""
        base = {"classes": list(classes), "subjects": ["FR"], "controller": {"operator": "clinic", "country": "FR"}}
        return self.must("DataSet", name, base | more, token=self.token("facts", "steward", tenant=tenant))

    def judged(self, backend: str, token: str | None = None, **spec: Any) -> Judged:
        """Submit a job, wait until it is placed or told that it cannot be, and return what kept it from ``backend``."""
        answer = self.call("POST", "/v1/jobs", servers.job(self.new("job"), **spec), token=token)
        if answer.status >= 400:
            return Judged("", "", answer.codes)
        id = answer.body["id"]
        body = self.server.until(f"/v1/jobs/{id}", _settled, timeout_s=180) if token is None else self._wait(id, token)
        attempts = body["status"].get("attempts", ())
        placed = attempts[-1]["site"].partition("/")[0] if attempts else ""
        if placed:
            return Judged(id, placed, ())
        self.call("POST", f"/v1/jobs/{id}:cancel", token=token)
        plan = self.call("POST", "/v1/plans", servers.job("asked", **spec), token=token)
        return Judged(id, "", denials(plan.body, backend))

    def ended(self, job: str) -> Any:
        """Wait for the end of a job."""
        return self.server.until(f"/v1/jobs/{job}", servers.ended)

    def remove(self, plural: str, name: str, *jobs: str) -> None:
        """Withdraw a document when these jobs have ended."""
        for job in jobs:
            self.ended(job)
        gone = self.call("DELETE", f"/v1/{plural}/{name}")
        assert gone.status < 300, gone

    def _wait(self, id: str, token: str) -> Any:
        def read() -> Any:
            body = self.call("GET", f"/v1/jobs/{id}", token=token).body
            return body if _settled(body) else None

        return wait_until(read, seconds=180)

    def bundle(self, job: str, *since: int) -> Answer:
        """Return the evidence of a job."""
        query = "&".join(f"since={size}" for size in since)
        return self.call("GET", f"/v1/jobs/{job}/evidence{'?' if query else ''}{query}")

    def head(self) -> Any:
        """Return the newest signed head."""
        return self.call("GET", "/v1/log/checkpoint").body

    def copy(self) -> pathlib.Path:
        """Return a copy of the state folder as an insider would take it, with everything that was sealed."""
        self.head()
        target = self.folder / self.new("copy")
        target.mkdir(mode=0o700)
        source, made = sqlite3.connect(self.state / "comity.db"), sqlite3.connect(target / "comity.db")
        source.backup(made)
        made.execute("update lease set expires_at = 0")
        made.commit()
        source.close()
        made.close()
        for name in KEPT:
            if (self.state / name).exists():
                shutil.copy2(self.state / name, target / name)
        listed(target, "us-sdn.xml")
        return target

    def verified(self, bundle: Any, *keys: str, against: tuple[str, ...] = ()) -> verification.Report:
        """Return what ``comity verify`` says of a bundle, with trust in this log's key unless others are named."""
        trusted = keys or (self.head()["key"],)
        kept = [comparisons.Kept(note) for note in against]
        whom = verification.Trust(frozenset(bytes.fromhex(key) for key in trusted))
        return verifications.verify(dumps(bundle), whom, against=kept)


def old_list() -> bytes:
    """Return a list that was published so long ago that it may not be relied on."""
    return (LISTS / "us-sdn.xml").read_bytes().replace(b"11/20/2026", b"11/01/2026")


def listed(state: pathlib.Path, name: str, raw: bytes | None = None, **more: Any) -> Any:
    """Take a published list (invented) into force in a state folder, as the copy of today."""
    now = clocks.SystemClock().now()
    body = (LISTS / name).read_bytes() if raw is None else raw
    return folders.take(
        state, name.partition(".")[0], body, name, now=now, by="clerk", **({"as_of": now.date()} | more)
    )


def site(country: str, operator: str = "house", **more: Any) -> dict[str, Any]:
    """Return the spec of a simulated backend in a country."""
    base = {
        "adapter": "simulated", "settings": {"runTime": "10ms"}, "operator": operator,
        "location": {"country": country}, "adminFrom": [country], "logStore": {"country": country}, "facts": FACTS,
    }  # fmt: skip
    return base | more


def hosting() -> dict[str, Any]:
    """Return what a certified host of French health data declares."""
    cert = {"scheme": "hds-v2", "service": "hosted", "regions": ["r1"], "validTo": "2035-12-31"}
    return {"service": "hosted", "location": {"country": "FR", "region": "r1"}, "certifications": [cert]}


def denials(plan: Any, backend: str) -> tuple[str, ...]:
    """Return the codes that deny a backend in a plan."""
    found = [site for site in plan["sites"] if site["backend"] == backend]
    assert found, (backend, plan)
    return tuple(sorted({why["code"] for site in found for why in site["reasons"] if why["effect"] == "deny"}))


def _settled(body: Any) -> bool:
    told = [one["type"] for one in body["status"].get("conditions", ()) if one["status"]]
    return body["status"]["phase"] != "QUEUED" or "Unplaceable" in told


@contextmanager
def database(folder: pathlib.Path) -> Iterator[sqlite3.Connection]:
    """Give the database of a copied folder, to be written as an insider writes it."""
    made = sqlite3.connect(folder / "comity.db", timeout=20)
    try:
        yield made
        made.commit()
    finally:
        made.close()


def links_again(found: sqlite3.Connection) -> bytes:
    """Make the whole chain again over what stands there now, as somebody with the database can; return its head."""
    link = chain.GENESIS
    query = "select seq, kind, subject, tenant, at, actor, body from journal order by seq"
    for seq, *entry in found.execute(query).fetchall():
        previous, link = link, chain.link(link, chain.record_bytes(*entry))
        found.execute("update journal set prev = ?, hash = ? where seq = ?", (previous, link, seq))
    found.execute("update state set head_hash = ?", (link,))
    return link


def proven_again(folder: pathlib.Path, found: sqlite3.Connection) -> None:
    """Authenticate the journal's head anew, as somebody with the whole state folder can."""
    key = tables.known_key(folder)
    assert key is not None
    seq, link = found.execute("select head_seq, head_hash from state").fetchone()
    found.execute("update state set head_mac = ?", (accounts.Digests(key).head(seq, link),))


def checked(folder: pathlib.Path, *against: str) -> lies.Seen:
    """Return what ``comity log verify`` says of a state folder."""
    found = journals.verify(str(folder), against=against)
    if found.ok:
        rows = audits.verify(str(folder))
        return lies.Seen(not rows.ok, "`log verify` finds nothing" if rows.ok else "`log verify` names the rows")
    if found.first_bad is not None:
        return lies.Seen(True, "`log verify` names the first bad entry")
    words = ("are not those that were signed", "the first lost", "not of this journal's keys")
    named = next((word for word in words if any(word in problem for problem in found.problems)), found.problems[0])
    return lies.Seen(True, f"`log verify`: {named}")


def today() -> dt.date:
    """Return today, UTC."""
    return clocks.SystemClock().now().date()


def day(shift: int = 0) -> str:
    """Return today, UTC, or another day."""
    return (today() + dt.timedelta(days=shift)).isoformat()


def dumps(value: Any) -> bytes:
    """Return JSON as bytes, as bundles are written."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
