"""Which columns a list of each kind has. Headings say the field; ``wide`` adds what is rarely needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Item = Mapping[str, Any]
Column = tuple[str, Callable[[Item], object]]


def at(item: Item, path: str) -> Any:
    """Return the value at a dotted path, or None."""
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _path(path: str) -> Callable[[Item], object]:
    return lambda item: at(item, path)


def _site(item: Item) -> object:
    attempts = at(item, "status.attempts") or []
    if elements := at(item, "status.elements"):
        return f"{elements.get('size')} elements"
    return attempts[-1].get("site") if attempts else None


def _why(item: Item) -> object:
    """Return the reason of the end, or the first condition that is true now."""
    if reason := at(item, "status.reason"):
        return reason
    for condition in at(item, "status.conditions") or []:
        if condition.get("status") is True:
            return condition.get("type")
    return None


def _exit(item: Item) -> object:
    signal = at(item, "status.signal")
    return f"signal {signal}" if signal else at(item, "status.exitCode")


def _parent(item: Item) -> object:
    return at(item, "spec.ultimateParentHq")


def _pools(item: Item) -> object:
    return ",".join(str(pool.get("name")) for pool in at(item, "spec.pools") or []) or None


def _classes(item: Item) -> object:
    return ",".join(at(item, "spec.classes") or []) or None


def _inherits(item: Item) -> object:
    return ",".join(str(one.get("from")) for one in at(item, "status.inherits") or []) or None


def _state(item: Item) -> object:
    status = item.get("status") or {}
    words = []
    if status.get("cordoned") or at(item, "spec.cordoned"):
        words.append("cordoned")
    if "reachable" in status and status["reachable"] is not None:
        words.append("reachable" if status["reachable"] else "unreachable")
    for condition in status.get("conditions") or []:
        if condition.get("status") is True:
            words.append(str(condition.get("type")))
    return ",".join(dict.fromkeys(words)) or None


def _window(word: str) -> Callable[[Item], object]:
    return lambda item: at(item, f"spec.effective.{word}") or at(item, f"spec.directive.{word}")


def _holds(item: Item) -> object:
    """Say of a policy whether it holds today; one that cannot be used refuses everything, which is not the same."""
    told = {one.get("type"): one.get("status") for one in at(item, "status.conditions") or []}
    if told.get("Usable") is False:
        return "unusable: refuses"
    return None if "InForce" not in told else "in force" if told["InForce"] else "not in force"


def _due(item: Item) -> object:
    """Return the day on which it is due; what has none is due while the job lives."""
    return str(item["dueAt"])[:10] if item.get("dueAt") else None


NAME: Column = ("NAME", _path("metadata.name"))
COUNTRY: Column = ("COUNTRY", _path("spec.location.country"))

TABLES: dict[str, tuple[Sequence[Column], Sequence[Column]]] = {
    "jobs": (
        (
            ("ID", _path("metadata.id")),
            NAME,
            ("PHASE", _path("status.phase")),
            ("SITE", _site),
            ("EXIT", _exit),
            ("WHY", _why),
        ),
        (
            ("TRIES", lambda item: len(at(item, "status.attempts") or [])),
            ("QUEUE", _path("spec.queue")),
            ("SUBMITTED", _path("status.submittedAt")),
            ("ENDED", _path("status.endedAt")),
        ),
    ),
    "backends": (
        (
            NAME,
            ("ADAPTER", _path("spec.adapter")),
            COUNTRY,
            ("OPERATOR", _path("spec.operator")),
            ("POOLS", _pools),
            ("STATE", _state),
        ),
        (("SERVICE", _path("spec.service")), ("REGION", _path("spec.location.region"))),
    ),
    "operators": (
        (NAME, ("COUNTRY", _path("spec.legalCountry")), ("PARENT", _parent), ("SOURCE", _path("spec.facts.source"))),
        (("AS OF", _path("spec.facts.asOf")), ("VALID TO", _path("spec.facts.validTo"))),
    ),
    "datasets": (
        (NAME, ("CLASSES", _classes), COUNTRY, ("CONTROLLER", _path("spec.controller.country"))),
        (("INHERITS", _inherits), ("OWNER", _path("spec.owner")), ("URI", _path("spec.location.uri"))),
    ),
    "tenants": ((NAME, ("HQ", _path("spec.hq")), ("SECTOR", _path("spec.sector"))), ()),
    "queues": ((NAME, ("TENANT", _path("spec.tenant")), ("WEIGHT", _path("spec.weight"))), ()),
    "policies": (
        (NAME, ("ENGINE", _path("spec.engine")), ("FROM", _window("from")), ("TO", _window("to")), ("STATE", _holds)),
        (),
    ),
    "controlplanes": ((NAME, COUNTRY, ("OPERATOR", _path("spec.operator"))), ()),
    "sites": (
        (
            ("SITE", lambda item: item.get("site") or item.get("name")),
            ("COUNTRY", lambda item: item.get("country") or at(item, "location.country")),
            ("OPERATOR", lambda item: item.get("operator")),
            ("ACCELERATOR", lambda item: item.get("accelerator")),
            ("STATE", lambda item: _state({"status": item})),
        ),
        (),
    ),
    "tokens": (
        (
            ("ID", _path("id")),
            ("TENANT", _path("tenant")),
            ("ROLES", lambda item: ",".join(item.get("roles") or [])),
            ("EXPIRES", _path("expires")),
            ("REVOKED", _path("revokedAt")),
            ("NOTE", _path("note")),
        ),
        (("CREATED", _path("createdAt")),),
    ),
    "obligations": (
        (
            ("JOB", _path("job")),
            ("CODE", _path("code")),
            ("STATE", _path("state")),
            ("DUE", _due),
            ("SITE", _path("site")),
            ("BY", _path("by")),
        ),
        (("WHAT", _path("message")), ("SOURCE", _path("source")), ("EVIDENCE", _path("evidence.ref"))),
    ),
    "decisions": (
        (
            ("ATTEMPT", _path("attempt")),
            ("SITE", _path("site")),
            ("PLACED", _path("placedAt")),
            ("DECISION", lambda item: short_digest(str(item.get("digest", "")))),
        ),
        (("POLICY", lambda item: short_digest(str(item.get("policy", "")))), ("EXPIRES", _path("expires"))),
    ),
    "events": (
        (
            ("SEQ", _path("seq")),
            ("AT", _path("at")),
            ("KIND", _path("kind")),
            ("SUBJECT", _path("subject")),
            ("ACTOR", _path("actor")),
        ),
        (("HASH", lambda item: short_digest(str(item.get("hash", "")))),),
    ),
}


def rows(kind: str, items: Sequence[Item], *, wide: bool) -> list[list[str]]:
    """Return the heading and one row an item."""
    narrow, more = TABLES[kind]
    columns = (*narrow, *more) if wide else narrow
    heading = [title for title, _ in columns]
    return [heading, *([cell(read(item)) for _, read in columns] for item in items)]


def cell(value: object) -> str:
    """Return a value as a cell; nothing is a dash."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def short_digest(digest: str) -> str:
    """Return the first twelve digits of a digest."""
    return digest.removeprefix("sha256:")[:12]
