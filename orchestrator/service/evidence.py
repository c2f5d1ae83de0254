"""The evidence of one job: what was decided and what was observed, signed, tied to the journal, with what it rests on.

Made when somebody asks for it, from the journal and from what decisions refer to; nothing is stored for it, and the
salts are thrown away with the answer. What a bundle says of a moment that nobody observed is null, and says so.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain import decisions, executions, ids, jobs, journal, obligations
from orchestrator.evidence import bundles, canonical, chain, commitments, dsse, observations, statements
from orchestrator.inventory import obligations as owings
from orchestrator.placement import contents, records
from orchestrator.scheduler import answers, rejudging
from orchestrator.service import access, checkpoints, contexts, problems
from orchestrator.service import jobs as job_service
from orchestrator.wire.convert import answers as convert
from orchestrator.wire.convert import jobs as job_conversion

ENTRIES_MAX = 10_000
ATTEMPTS_MAX = 1_000
_PLACED, _ENDED = "job.placed", "job.ended"
_PLAIN = frozenset(
    {"attempt", "condition", "decision", "execution", "exitCode", "from", "reason", "record", "signal", "site"}
    | {"status", "tee", "to", "token", "until"}
)
"""What an entry may say and still be shown to everybody: no name, no path, no word of the job's own."""
ENTRIES, ALL = "entries", "all"
_OWN = ("spec.command", "spec.env", "spec.files", "spec.image", "spec.outputs", "spec.workdir")
_METADATA = ("metadata.annotations", "metadata.labels", "metadata.name")
_REST, _TENANT, _SUBMITTED_BY, _DIGEST = "spec", "tenant", "submittedBy", "specDigest"
CLOSED = tuple(sorted((*_OWN, *_METADATA, _REST, _TENANT, _SUBMITTED_BY, _DIGEST)))
"""What a decision's statement commits to and a bundle opens only when it is asked for."""
OPENABLE = (ALL, ENTRIES, *CLOSED)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to open besides what always is, and the sizes of checkpoints to prove consistency with."""

    opens: frozenset[str] = frozenset()
    since: tuple[int, ...] = ()

    def shows(self, path: str) -> bool:
        """Say whether a path is to be opened."""
        return path in self.opens or ALL in self.opens


@dataclass(frozen=True, slots=True)
class _Made:
    """What the bundle of one job is made of."""

    context: contexts.Context
    job: jobs.Job
    links: Sequence[journal.ChainedEntry]
    origin: str
    salt: Callable[[], bytes]
    records: dict[str, Any] = field(default_factory=dict)

    def hide(self, path: str, value: Any) -> commitments.Disclosure:
        return commitments.disclosure(path, value, self.salt())

    def log(self, placed: journal.ChainedEntry) -> dict[str, Any]:
        entries = [link.seq for link in self.links]
        return {"origin": self.origin, "placed": placed.seq, "link": str(placed.hash), "entries": entries}


def make(
    context: contexts.Context,
    book: checkpoints.Checkpoints,
    who: access.Principal,
    id: str,
    wish: Wish,
    *,
    salt: Callable[[], bytes] = lambda: os.urandom(commitments.SALT_BYTES),
) -> bundles.Bundle:
    """Return the bundle of a job of this tenant. Raises ServiceError."""
    access.require(who, access.READS_JOBS)
    unknown = sorted(wish.opens - set(OPENABLE))
    if unknown:
        text = f"nothing is called {access.shown(unknown[0])}; what can be opened: {', '.join(OPENABLE)}"
        raise problems.ServiceError(problems.Kind.INVALID, "evidence.unknown-field", text)
    job = job_service.load(context, who, id)
    links = _entries(context, job)
    placed = [link for link in links if link.entry.kind == _PLACED]
    if not placed:
        more = "; each element has its own: name one, as in ID[0]" if job.array_state is not None else ""
        text = f"job {job.id} was never placed, so there is no decision to prove{more}"
        raise problems.ServiceError(problems.Kind.CONFLICT, "evidence.nothing", text)
    if len(placed) > ATTEMPTS_MAX:
        raise problems.ServiceError(problems.Kind.CONFLICT, "evidence.too-large", f"more than {ATTEMPTS_MAX} attempts")
    made = _Made(context, job, links, book.origin, salt)
    stated = []
    for link in placed:
        stated.append(_decision(made, link, wish))
        stated.append(_execution(made, link))
    proven = book.prove(links, since=wish.since)
    # The key may have been rotated meanwhile: the envelopes are signed by the one that signed the head.
    key = book.key
    if key.public.hex() != proven.head.key:
        raise problems.ServiceError(problems.Kind.UNAVAILABLE, "log.busy", "the log's key was just changed; try again")
    signed = tuple(
        bundles.Stated(dsse.sign(payload, key.signer, key.public), tuple(sorted(opened, key=lambda one: one.path)))
        for payload, opened in stated
    )
    shown = {entry.seq: entry for entry in proven.head.rotated}
    shown |= {entry.seq: _held_back(entry, wish) for entry in proven.entries}
    return bundles.Bundle(
        note=proven.head.note,
        first_key=bytes.fromhex(proven.head.first_key),
        entries=tuple(shown[seq] for seq in sorted(shown)),
        statements=signed,
        records=made.records,
        consistency=proven.head.consistency,
    )


def _entries(context: contexts.Context, job: jobs.Job) -> list[journal.ChainedEntry]:
    found: list[journal.ChainedEntry] = []
    subject = f"job/{job.id}"
    while True:
        page = context.store.entries(after=found[-1].seq if found else 0, limit=1_000, subject=subject)
        found += page
        if not page:
            return found
        if len(found) > ENTRIES_MAX:
            text = f"the journal holds more than {ENTRIES_MAX} entries about this job"
            raise problems.ServiceError(problems.Kind.CONFLICT, "evidence.too-large", text)


def _held_back(entry: bundles.Shown, wish: Wish) -> bundles.Shown:
    if entry.entry is None or set(entry.entry["body"]) <= _PLAIN or wish.shows(ENTRIES):
        return entry
    return entry.kept_back()


def _decision(made: _Made, link: journal.ChainedEntry, wish: Wish) -> tuple[bytes, tuple[commitments.Disclosure, ...]]:
    """Return the statement of what was decided for one attempt, and what of it is opened."""
    store, said = made.context.store, link.entry.body
    digest = ids.Digest(str(said["decision"]))
    try:
        # A decision is stored once for many jobs of a class: this one's policy clock is that of its own entry.
        decision = dataclasses.replace(_find(store.decision(digest), digest), at=link.entry.at)
        found = answers.gather(decision, store.content)
        past = records.read(decision, found)
        content = _find(store.content(past.policy.digest), past.policy.digest)
        book = answers.stored_book(content)
        answer = answers.render(decision, store.content, {past.policy.digest: book})
    except (contents.ContentError, AssertionError) as error:
        # A record whose bits no filter gives was not written by this program: the journal's hash of it may still hold.
        text = f"what attempt {said['attempt']} was decided on cannot be read: {error}"
        raise problems.ServiceError(problems.Kind.UNAVAILABLE, "evidence.incomplete", text) from error
    made.records[digest] = contents.parse(decisions.Content(digest, decision.body))
    made.records.update({each.digest: contents.parse(each) for each in (content, *found.values())})
    chosen = str(said["site"])
    sites = [convert.site_answer(site) for site in answer.sites]
    duties = [why for site in sites if site["site"] == chosen for why in site["reasons"] if why["effect"] == "oblige"]
    opened = [made.hide("candidates", sites), made.hide("obligations", duties)]
    closed = [made.hide(path, value) for path, value in _own(made.job).items()]
    plain = {
        "job": str(made.job.id),
        "attempt": said["attempt"],
        "chosen": chosen,
        "policyClock": chain.time_text(link.entry.at),
        "decision": str(digest),
        "factsDigest": made.records[digest]["sites"],
        "log": made.log(link),
        **rejudging.versions(past.policy, book),
    }
    subjects = {
        f"job/{made.job.id}": _hex(canonical.digest([one.commitment() for one in closed])),
        "decision": _hex(digest),
        "policy-bundle": _hex(past.policy.digest),
    }
    payload = statements.payload(statements.DECISION, plain, [*opened, *closed], subjects)
    return payload, (*opened, *(one for one in closed if wish.shows(one.path)))


def _own(job: jobs.Job) -> dict[str, Any]:
    """Return what the job's document says, by the paths under which it is committed to; every path, always."""
    document = job_conversion.job_spec_document(job.spec)
    spec, metadata = dict(document["spec"]), document["metadata"]
    found: dict[str, Any] = {path: metadata.get(path.partition(".")[2]) for path in _METADATA}
    for path in _OWN:
        found[path] = spec.pop(path.partition(".")[2], None)
    found["spec.files"] = {path: hashlib.sha256(content).hexdigest() for path, content in job.spec.files} or None
    return found | {_REST: spec, _TENANT: job.tenant, _SUBMITTED_BY: job.submitted_by, _DIGEST: str(job.spec_digest)}


def _execution(made: _Made, link: journal.ChainedEntry) -> tuple[bytes, tuple[commitments.Disclosure, ...]]:
    """Return the statement of what was observed of one attempt."""
    number = link.entry.body["attempt"]
    attempt = next((one for one in made.job.attempts if one.number == number), None)
    values = _observed(made, link, attempt)
    opened = tuple(made.hide(path, value) for path, value in values.items())
    plain = {"job": str(made.job.id), "attempt": number, "log": made.log(link)}
    subjects = {f"attempt/{made.job.id}/{number}": _hex(canonical.digest([one.commitment() for one in opened]))}
    return statements.payload(statements.EXECUTION, plain, opened, subjects), opened


def _observed(made: _Made, link: journal.ChainedEntry, attempt: jobs.Attempt | None) -> dict[str, Any]:
    number = link.entry.body["attempt"]
    ended = [one for one in made.links if one.entry.kind == _ENDED and one.entry.body.get("attempt") == number]
    outcome = attempt.outcome if attempt else None
    found, site = attempt.execution if attempt else executions.NOTHING, _site(made, link)
    by = f"the adapter of backend {str(link.entry.body['site']).partition('/')[0]}"
    exit_ = None
    if outcome is not None:
        exit_ = {"kind": outcome.kind.value, "exitCode": outcome.exit_code, "signal": outcome.signal}
    times = {
        name: None if moment is None else chain.time_text(moment)
        for name, moment in (
            ("startedAt", attempt.started_at if attempt else None),
            ("endedAt", attempt.ended_at if attempt else None),
        )
    }
    return {
        "site": _value(str(link.entry.body["site"]), f"journal entry {link.seq}"),
        "startedAt": _value(times["startedAt"], by),
        "endedAt": _value(times["endedAt"], by),
        "exit": _value(exit_, f"{by}, journal entry {ended[-1].seq}" if ended else by),
        "acceptedAs": _value(attempt.handle if attempt else None, by),
        **_of_execution(found, by),
        "backendIdentity": _value(_identity(site), "pinned at its first contact, compared before the launch"),
        "locationCheck": _location(found, site, made.job.spec.nodes),
        "obligations": _value(_owed(made, number), "the journal's entries about the job"),
    }


def _owed(made: _Made, number: object) -> list[dict[str, Any]] | None:
    """Return what became of the duties that the placement brought; None: it brought none of its own."""
    owner = made.job.parent or made.job.id
    found = [one for one in owings.of_jobs(made.context.store, [owner]) if one.attempt == number]
    return [_duty(one) for one in sorted(found, key=lambda one: one.duty.code)] or None


def _duty(one: obligations.Obligation) -> dict[str, Any]:
    done = one.fulfilment
    return {
        "code": one.duty.code,
        "state": one.state.value,
        "dueAt": None if one.due_at is None else chain.time_text(one.due_at),
        "evidence": None if done is None else {"digest": done.digest or None, "ref": done.reference},
        "by": None if done is None else done.by,
        "at": None if done is None else chain.time_text(done.at),
        "reason": one.reason or None,
    }


def _of_execution(found: executions.Execution, by: str) -> dict[str, Any]:
    """Return nodes, images, files and adapter, each with who saw it."""
    said = observations.values(found)
    images = sorted({one.image_digest for one in found.nodes if one.image_digest is not None})
    sources = {
        observations.ADAPTER: "the control plane, of the files it loaded",
        observations.ATTESTATION: "the control plane, which verified the verifier's signature",
        observations.NODE: by,
        observations.OUTPUTS: f"{by}, when it ended",
    }
    return {
        **{path: _value(said[path], source) for path, source in sources.items()},
        "imageDigest": _value(images or None, by),
    }


def _location(found: executions.Execution, site: dict[str, Any], nodes: int) -> dict[str, Any]:
    """Return how the countries that were seen compare with the one that the decision rested on."""
    expected = (site.get("location") or {}).get("country")
    check = executions.check(found, expected, nodes)
    sources = sorted({one.source for one in check.seen if one.source})
    return _value(observations.location(check), "; ".join(sources)[:1000] or "not named")


def _site(made: _Made, link: journal.ChainedEntry) -> dict[str, Any]:
    """Return the record of the chosen site, as it was decided on."""
    decision = made.records[str(link.entry.body["decision"])]
    listed = dict(made.records[decision["sites"]])
    found: dict[str, Any] = made.records[listed[str(link.entry.body["site"])]]
    return found


def _identity(site: dict[str, Any]) -> str | None:
    """Return the digest of what the backend was recognised by; None: its adapter cannot tell."""
    pinned = (site.get("identity") or {}).get("pinned")
    return None if pinned is None else str(pinned)


_UNSEEN = {"observed": False, "source": None, "value": None}


def _value(value: Any, source: str) -> dict[str, Any]:
    """Return what was observed and by whom; None: nobody did."""
    return _UNSEEN if value is None else {"observed": True, "source": source, "value": value}


def _find(found: Any, digest: ids.Digest) -> Any:
    if found is None:
        raise contents.ContentError(f"{digest} is not stored")
    return found


def _hex(digest: ids.Digest) -> str:
    return str(digest).removeprefix("sha256:")
