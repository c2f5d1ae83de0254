"""Rules between fields, which no single field's type can say.

They read the data as written, not the model, so that they speak even where another field is wrong: a person gets all
errors at once. Whatever has the wrong shape is left to the model's own errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.wire import errors, quantities, spellings

Found = tuple[errors.Path, str, str]
"""Path, problem, remedy."""

RESERVED_PREFIX = "COMITY_"
RESERVED_NAMES = frozenset({"MASTER_ADDR", "MASTER_PORT"})
"""Variables that every adapter sets inside a job."""

_CLIENT_ONLY = (
    (("spec", "files"), "fromFile", "send the content: {content: BASE64}"),
    (("spec", "env"), "fromEnv", "send the value"),
)


_PLACES = frozenset({"Backend", "ControlPlane", "DataSet"})
STRING_BYTES_MAX = 131_072
"""Of one word of a command, or of one variable with its name, and the zero at its end."""
COMMAND_BYTES_MAX = 900_000
"""Of both together: what an API server of Kubernetes takes as one object, with what else stands there."""
_PLACE_FIELDS = ("location", "logStore", "backupStore")


def check(kind: str, data: dict[str, Any]) -> Iterator[Found]:
    """Yield what is wrong between the fields of a document, in either flavour."""
    match kind:
        case "Job":
            yield from _job(data)
        case "Backend":
            yield from _unique(data, ("spec", "pools"), "name", "two pools have this name")
        case "Policy":
            yield from _policy(data)
    if kind in _PLACES:
        yield from _places(data)


def check_client_only(data: dict[str, Any]) -> Iterator[Found]:
    """Yield each place of a Job that only a client can resolve; the API refuses them."""
    for base, word, remedy in _CLIENT_ONLY:
        for key, member in _mapping(data, *base).items():
            if isinstance(member, dict) and member.get(word) is not None:
                yield (*base, key, word), "is resolved by the client before it sends", remedy
    workdir = _mapping(data, "spec", "workdir")
    for word in ("fromDir", "ignore"):
        if workdir.get(word) is not None:
            remedy = 'send the archive to /v1/blobs and write {digest: "sha256:..."}'
            yield ("spec", "workdir", word), "is resolved by the client before it sends", remedy


_ENGINES = {"cedar": ("text", "tests", "effective"), "directive": ("directive",)}
"""Engine of a policy -> the fields that mean something to it; the first one is required."""


def _policy(data: dict[str, Any]) -> Iterator[Found]:
    spec = _mapping(data, "spec")
    engine = spec.get("engine")
    own = _ENGINES.get(engine) if isinstance(engine, str) else None
    if own is None:
        return
    if spec.get(own[0]) is None:
        yield ("spec", own[0]), f"is required with engine {engine}", "add it"
    for field in ("text", "tests", "effective", "directive"):
        if field not in own and spec.get(field) not in (None, [], {}):
            yield ("spec", field), f"means nothing with engine {engine}", "leave it out"
    for window in ("effective", "directive"):
        start, end = (_mapping(spec, window).get(word) for word in ("from", "to"))
        # Both are days as people write them, which sort as text.
        if isinstance(start, str) and isinstance(end, str) and end < start:
            yield ("spec", window, "to"), "lies before `from`", "both days are included"
    named = _mapping(spec, "directive")
    if engine == "directive" and named and not named.get("models") and not named.get("parties"):
        yield ("spec", "directive", "models"), "nothing is named: it would hold for nobody", "name models or parties"


def _job(data: dict[str, Any]) -> Iterator[Found]:
    spec = _mapping(data, "spec")
    if spec and spec.get("command") is None and spec.get("image") is None:
        yield ("spec", "command"), "is required where there is no image", "add a command or an image"
    command = spec.get("command")
    if isinstance(command, list) and command and command[0] == "":
        yield ("spec", "command", 0), "is empty", "name the program to run"
    nodes = _number(spec.get("nodes"))
    if spec.get("array") is not None and nodes is not None and nodes > 1:
        yield ("spec", "array"), "cannot stand together with nodes > 1", "leave one of them out"
    yield from _verification(spec)
    data_clause = spec.get("data")
    if isinstance(data_clause, dict) and not any(data_clause.values()):
        yield ("spec", "data"), "names no data", "write `data: none` if there is none, or leave the field out"
    yield from _sizes(spec)
    yield from _sources(spec)
    yield from _accelerators(_mapping(data, "spec", "resources", "accelerators"))
    yield from _unique(data, ("spec", "outputs"), "path", "two outputs have this path")
    yield from _unique(data, ("spec", "data", "reads"), "name", "is read twice")
    yield from _unique(data, ("spec", "data", "reads"), "mountPath", "two data sets appear here")
    files = _mapping(data, "spec", "files")
    for path in files:
        folders = path.split("/")[:-1]
        for depth in range(1, min(len(folders), 64) + 1):
            if "/".join(folders[:depth]) in files:
                yield ("spec", "files", path), "lies below another file", "rename one of them"


def _verification(spec: dict[str, Any]) -> Iterator[Found]:
    """Yield what keeps runs of a verified job from being compared."""
    wanted, path = spec.get("verification"), ("spec", "verification")
    if not isinstance(wanted, dict):
        return
    replicas, quorum = _number(wanted.get("replicas")), _number(wanted.get("quorum"))
    if replicas is not None and quorum is not None and not replicas < 2 * quorum <= 2 * replicas:
        yield (*path, "quorum"), "is not more than half of the replicas", f"{int(replicas // 2 + 1)} to {int(replicas)}"
    apart = wanted.get("tolerance")
    if wanted.get("compare") == "tolerance" and not apart:
        yield (*path, "tolerance"), "is required to compare within one", "add absolute, relative, or both"
    if apart and wanted.get("compare") != "tolerance":
        yield (*path, "compare"), "says nothing of the tolerance", "write `compare: tolerance`, or leave it out"
    if not spec.get("outputs"):
        yield ("spec", "outputs"), "is required with verification", "name the files that are to be compared"
    if spec.get("array") is not None:
        yield ("spec", "array"), "cannot stand together with verification", "submit one job for each element"
    image = spec.get("image")
    if isinstance(image, str) and "@sha256:" not in image:
        yield ("spec", "image"), "is named by a tag, which may mean another image elsewhere", "add @sha256:..."


def _sizes(spec: dict[str, Any]) -> Iterator[Found]:
    """Yield what no program can be started with: Linux counts bytes of each string (MAX_ARG_STRLEN) and of all."""
    command, total = spec.get("command"), 0
    texts: list[tuple[errors.Path, object, int]] = [
        (("spec", "command", index), word, 1) for index, word in enumerate(command if isinstance(command, list) else ())
    ]
    texts += [(("spec", "env", name), value, len(name) + 2) for name, value in _mapping(spec, "env").items()]
    for path, text, more in texts:
        size = len(text.encode(errors="surrogatepass")) + more if isinstance(text, str) else 0
        total += size
        if size > STRING_BYTES_MAX:
            yield path, f"takes {size} bytes; Linux takes {STRING_BYTES_MAX}", "put what is long into a file"
    if total > COMMAND_BYTES_MAX:
        problem = f"takes {total} bytes with spec.env; at most {COMMAND_BYTES_MAX}"
        yield ("spec", "command"), problem, "put what is long into a file"


def _sources(spec: dict[str, Any]) -> Iterator[Found]:
    """Yield sources that name no origin, or more than one, and variables that are not the user's to set."""
    for name in _mapping(spec, "env"):
        if name.startswith(RESERVED_PREFIX) or name in RESERVED_NAMES:
            yield ("spec", "env", name), "is set by Comity inside every job", "choose another name"
    for base, words in (("env", ("fromSecret", "fromEnv")), ("files", ("content", "fromFile"))):
        for key, member in _mapping(spec, base).items():
            yield from _one_of(member, words, ("spec", base, key))
    yield from _one_of(spec.get("workdir"), ("digest", "fromDir"), ("spec", "workdir"))


def _one_of(value: object, words: tuple[str, ...], path: errors.Path) -> Iterator[Found]:
    if isinstance(value, dict) and sum(value.get(word) is not None for word in words) != 1:
        yield path, f"must have exactly one of {', '.join(words)}", "write one of them"


def _accelerators(request: dict[str, Any]) -> Iterator[Found]:
    """Yield aliases with a count (``h100:8``) that is none, or another than the one already given."""
    names, count = request.get("anyOf"), _number(request.get("count"))
    for index, name in enumerate(names if isinstance(names, list) else ()):
        path = ("spec", "resources", "accelerators", "anyOf", index)
        if not isinstance(name, str):
            continue
        try:
            _, own = quantities.split_accelerator(name)
        except errors.ValueProblemError as problem:
            yield path, problem.problem, problem.remedy
            continue
        if own is not None and count is not None and own != count:
            yield path, f"asks for {own}, but {count} are asked for elsewhere", "say the count once"
        count = own if count is None else count


def _places(data: dict[str, Any]) -> Iterator[Found]:
    """Yield each subdivision that lies in another country than the one stated beside it."""
    spec = _mapping(data, "spec")
    pools = spec.get("pools")
    parts: list[tuple[errors.Path, object]] = [(("spec",), spec)]
    parts += [(("spec", "pools", index), pool) for index, pool in enumerate(pools if isinstance(pools, list) else ())]
    for base, part in parts:
        for field in _PLACE_FIELDS:
            place = _mapping(part, field)
            country, subdivision = place.get("country"), place.get("subdivision")
            if not (isinstance(country, str) and isinstance(subdivision, str)):
                continue
            if (lies_in := subdivision.partition("-")[0]) != country:
                remedy = f"write country: {lies_in}, or a subdivision that begins with {country}-"
                yield (*base, field, "subdivision"), f"{errors.shorten(subdivision)} is no part of {country}", remedy


def _unique(data: dict[str, Any], base: errors.Path, word: str, problem: str) -> Iterator[Found]:
    members: Any = data
    for part in base:
        members = members.get(part) if isinstance(members, dict) else None
    seen: set[str] = set()
    for index, member in enumerate(members if isinstance(members, list) else ()):
        value = member.get(word) if isinstance(member, dict) else None
        if isinstance(value, str):
            if value in seen:
                yield (*base, index, word), problem, "rename or remove one"
            seen.add(value)


def _mapping(data: object, *path: str) -> dict[str, Any]:
    """Return the mapping at ``path``, or an empty one."""
    value: Any = data
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int | None:
    """Return a whole number as written, or None for anything else."""
    if isinstance(value, spellings.Plain):
        try:
            value = spellings.resolve(value)
        except errors.ValueProblemError:
            return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
