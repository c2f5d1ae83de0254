"""B14: what being provable costs, and how fast it is checked.

``verify_events_per_s``: ``comity log verify`` on a database of 1,000,000 entries: every link hashed again, rows read
from the disk, in parts side by side. ``overhead_percent``: processor time of the server for each durable submission
over HTTP (as B3 sends them), against the same server with the sealing taken out (:mod:`bench.unsealed`), alternating;
processor time, because the wall clock of a shared machine varies by more than is measured. ``proof_bytes``: an entry
of a job with its inclusion proof and the signed head over it, as they stand in a bundle, in a log of 1,000,000 entries.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import pathlib

from cryptography.hazmat.primitives.asymmetric import ed25519

from bench import b3, compiled, figures, servers
from orchestrator.bootstrap import journals, signing, states
from orchestrator.domain import journal
from orchestrator.evidence import bundles, chain, checkpoints, tiles
from orchestrator.ports import stores
from orchestrator.store import opening
from orchestrator.telemetry import clocks

ENTRIES, ENTRIES_QUICK = 1_000_000, 20_000
LOAD_S, LOAD_QUICK_S = 4.0, 0.5
FLOOR = 1_000_000
_AT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
_PAGE = 5_000


def entry(number: int) -> journal.Entry:
    """Return an entry of the size that the control loop writes, about 330 bytes."""
    body = {"from": "PLACED", "to": "STARTING", "attempt": 1, "site": "paris/cpu", "decision": f"sha256:{number:064x}"}
    job = f"job/01M81X270VJ2HA86NE{number % 50_000:08}"
    return journal.Entry("job.accepted", job, _AT + dt.timedelta(seconds=number), "controller", body, "default")


@figures.figure("B14", "evidence: verify rate, overhead, size of a proof")
def measure(options: figures.Options) -> figures.Result:
    """Measure all three."""
    count = options.size(ENTRIES, ENTRIES_QUICK)
    folder = compiled.folder("journal")
    store = opening.open_store(str(folder / states.DATABASE), clocks.SystemClock())
    for start in range(1, count + 1, _PAGE):
        written = [entry(number) for number in range(start, min(start + _PAGE, count + 1))]
        store.commit(stores.Changes(entries=written))
    size = _proof_bytes(store, count)
    store.close()
    rates: list[float] = []
    floors: list[float] = []
    overheads: list[float] = []
    sealed: list[float] = []
    for _ in range(options.repeats):
        figures.settle()
        rates.append(count / figures.timed(lambda: _verify(folder)))
        floors.append(FLOOR / figures.timed(_hash))
        with_, without = _cpu_us(options, "orchestrator.cli"), _cpu_us(options, "bench.unsealed")
        sealed.append(with_)
        overheads.append((with_ / without - 1) * 100)
    each = figures.metric(sealed, "us", target=None, better="lower")
    floor = figures.metric(floors, "/s", target=None, better="higher")
    return figures.Result(
        {
            "verify_events_per_s": figures.metric(rates, "/s", target=500_000, better="higher"),
            "overhead_percent": figures.metric(overheads, "%", target=5, better="lower"),
            "proof_bytes": figures.metric([float(size)], "B", target=2_000, better="lower"),
        },
        bound_by="reading rows into Python: hashing alone goes two to three times as fast",
        peers={"bare SHA-256 of 330 bytes": {"per_s": {"median": floor.median, "min": floor.min, "max": floor.max}}},
        notes=(
            f"a journal of {count} entries, read from the disk's cache",
            f"processor time for a durable submission with everything: {each.median:g} us",
            "the journal's rows themselves are written either way, for they are also the stream of events",
        ),
    )


def _verify(folder: pathlib.Path) -> None:
    report = journals.verify(str(folder))
    assert report.ok, report


def _hash() -> None:
    data, sha256 = b"x" * 330, hashlib.sha256
    for _ in range(FLOOR):
        sha256(data).digest()


def _cpu_us(options: figures.Options, module: str) -> float:
    """Return the server's processor time for one submission, in microseconds."""
    seconds = LOAD_QUICK_S if options.quick else LOAD_S
    pools = [{"name": "cpu", "count": 1}]
    with servers.comity("simulated", settings={"runTime": "1h"}, module=module, pools=pools) as server:
        request = server.request("POST", "/v1/jobs", b3.document(f"job-{b3.NUMBER}"))
        compiled.load(server.port, request, connections=b3.CLIENTS, warm_s=0.2, seconds=0.5)
        before = _cpu_s(server.process.pid)
        sent = compiled.load(server.port, request, connections=b3.CLIENTS, warm_s=0, seconds=seconds)
        return (_cpu_s(server.process.pid) - before) / sent.answers * 1e6


def _cpu_s(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _proof_bytes(store: stores.Store, count: int) -> int:
    """Return the size of one entry with its proof and the head over it, the largest of a few."""
    tree = tiles.TileTree(lambda start, many: store.links(after=start, limit=many))
    while links := store.links(after=tree.size, limit=10_000):
        tree.extend(links)
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    signer = signing.FileSigner(key)
    point = checkpoints.Checkpoint("comity.dev/0123456789ab", tree.size, tree.root(), store.head().hash)
    note = checkpoints.sign(point, signer, signer.public_key)
    sizes = []
    for seq in (1, count // 3, count // 2, count):
        link = store.entries(after=seq - 1, limit=1)[0]
        said = {
            "actor": link.entry.actor,
            "at": chain.time_text(link.entry.at),
            "body": dict(link.entry.body),
            "kind": link.entry.kind,
            "subject": link.entry.subject,
            "tenant": link.entry.tenant,
        }
        proof = tuple(tree.inclusion_proof(seq - 1))
        shown = bundles.Shown(seq, chain.to_bytes(link.hash), proof, chain.to_bytes(link.previous), said)
        sizes.append(len(json.dumps(shown.as_json(), separators=(",", ":"))) + len(note.encode()))
    return max(sizes)
