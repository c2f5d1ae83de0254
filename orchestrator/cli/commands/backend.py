"""``backend``: adapters, live probes, taking backends out of service."""

from __future__ import annotations

from collections.abc import Callable

import click

from orchestrator.cli import failures, index, lazy, options, output, style
from orchestrator.cli.rendering import tables
from orchestrator.client import clients, errors, results
from orchestrator.plugins import registry

backend = lazy.LazyGroup(
    "backend", index.BACKEND, help="Adapters and registered backends.\n\n\b\nExample:\n  comity backend types"
)


@click.command(short_help="The adapters installed here, and their settings.")
@click.argument("name", required=False)
@options.output
def types(name: str | None, format: str) -> int:
    """The adapters installed here; with ``-o yaml`` the JSON schema of their settings too. Needs no server.

    \b
    Example:
      comity backend types
      comity backend types local -o yaml
    """
    found = registry.Registry(registry.installed())
    names = [one for one in found.names() if name in (None, one)]
    if name is not None and not names:
        raise click.UsageError(f"no adapter {name!r} is installed; installed are: {', '.join(found.names()) or 'none'}")
    summaries, items = found.summaries(), []
    for one in names:
        distribution, version = found.origin(one)
        item: results.JsonObject = {"name": one, "distribution": distribution, "version": version}
        item["summary"] = summaries[one]
        try:
            item["settings"] = found.plugin(one).settings_schema()
        except registry.BrokenPluginError as error:
            item["broken"] = {"code": error.code, "message": error.message}
        items.append(item)
    if format in ("json", "yaml"):
        output.show({"items": items}, format)
    elif format == "name":
        click.echo("\n".join(names))
    else:
        rows = [["ADAPTER", "FROM", "WHAT"]]
        rows += [[one["name"], f"{one['distribution']} {one['version']}", one["summary"]] for one in items]
        click.echo("\n".join(tables.aligned(rows)))
    return failures.DONE if not any("broken" in one for one in items) else failures.FAILED


@click.command(short_help="Probe a backend now.")
@click.argument("name")
@options.output
@options.server
def check(name: str, format: str, server: str | None) -> int:
    """Ask a backend now whether it answers, what it offers and what it can do. Exit 1 if it does not answer.

    \b
    Example:
      comity backend check local
    """
    with options.connect(server) as client:
        try:
            answer = client.check_backend(name)
        except errors.ProblemError as problem:
            if problem.status != 503:
                raise
            failures.say(f"{name}: {problem.detail or problem.title}  [{problem.code}]")
            return failures.FAILED
    if format in ("json", "yaml"):
        output.show(answer, format)
        return failures.DONE
    reachable = bool(answer.get("reachable"))
    click.echo(f"{name}: {'answers' if reachable else 'does not answer'}{_message(answer)}")
    rows = [["SITE", "FREE", "TOTAL"]]
    for offer in answer.get("offers") or []:
        rows.append([str(offer.get("site")), _room(offer.get("free")), _room(offer.get("total"))])
    if len(rows) > 1:
        click.echo("\n".join(tables.aligned([[tables.clean(text) for text in row] for row in rows], margin="  ")))
    for line in dict.fromkeys(_notes(answer)):
        click.echo(f"  {line}")
    click.echo(_identity(answer))
    powers = answer.get("capabilities")
    if isinstance(powers, dict):
        powers = powers.get("powers") or [key for key, value in powers.items() if value is True]
    if powers:
        click.echo(f"  can: {', '.join(map(str, powers))}")
    return failures.DONE if reachable else failures.FAILED


@click.command(short_help="Pin its identity: it is what was looked at.")
@click.argument("name")
@click.option("--reason", required=True, help="Why what answers now is the right one; it is journaled.")
@click.option("--identity", metavar="DIGEST", help="Pin only this one, as `comity backend check` showed it.")
@options.server
def confirm(name: str, reason: str, identity: str | None, server: str | None) -> None:
    """Pin what a backend proves itself by now, after it changed (condition IdentityChanged). Needs the roles facts and
    operate. New placements are possible there again, and what it says of running jobs counts again. Where an attempt
    was seen in another country than the document says (condition SeenElsewhere), this says that somebody has looked.

    \b
    Example:
      comity backend confirm local --reason "moved to a new disk, checked by hand"
    """
    with options.connect(server) as client:
        answer = client.confirm(name, reason=reason, identity=identity)
    pinned = (answer.get("status") or {}).get("identity") or {}
    click.echo(f"backends/{name} confirmed: {pinned.get('digest') or 'its adapter recognises nothing'}")


@click.command(short_help="Make a challenge for its attestation.")
@click.argument("name")
@options.server
def challenge(name: str, server: str | None) -> None:
    """Print a nonce that nobody could know before, for the attestation result that the backend's document will hold.

    Facts that a result states count as attested only where it answers such a challenge. Needs the role operate.

    \b
    Example:
      comity backend challenge local
    """
    with options.connect(server) as client:
        answer = client.challenge(name)
    click.echo((answer.get("status") or {})["challenges"][-1]["nonce"])


def _notes(answer: results.JsonObject) -> list[str]:
    """Return what the adapter says of each site, in its words."""
    found = [(offer.get("site"), offer.get("detail")) for offer in answer.get("offers") or []]
    return [tables.clean(f"{site}: {detail}") for site, detail in found if detail]


def _identity(answer: results.JsonObject) -> str:
    """Return the line about what the backend proves itself by."""
    seen, pinned = answer.get("identityDigest"), answer.get("identityPinned")
    if seen is None and pinned is None:
        return "  identity: its adapter recognises nothing"
    if pinned is None:
        return f"  identity: {seen}, not pinned yet"
    return f"  identity: {seen}, as pinned" if seen == pinned else f"  identity: {seen}, but {pinned} is pinned"


def _message(answer: results.JsonObject) -> str:
    return f" ({answer['message']})" if answer.get("message") else ""


def _room(room: object) -> str:
    if not isinstance(room, dict):
        return "-"
    words = [
        f"{room[key]} {word}" for key, word in (("accelerators", "accelerators"), ("slots", "slots")) if room.get(key)
    ]
    if room.get("cpuMilli"):
        words.insert(0, f"{room['cpuMilli'] / 1000:g} cpus")
    elif room.get("cpus"):
        words.insert(0, f"{room['cpus']} cpus")
    return ", ".join(words) or "nothing"


def _service(verb: str, done: str, summary: str, call: Callable[[clients.Client, str], object]) -> click.Command:
    @click.command(
        verb, short_help=summary, help=f"{summary} Jobs there go on.\n\n\b\nExample:\n  comity backend {verb} local"
    )
    @click.argument("name")
    @options.server
    def change(name: str, server: str | None) -> None:
        with options.connect(server) as client:
            call(client, name)
        click.echo(f"backends/{name} {done}")
        style.note("no new placements there" if verb == "cordon" else "new placements are possible again")

    return change


cordon = _service(
    "cordon", "cordoned", "Take a backend out of new placements.", lambda client, name: client.cordon(name)
)
uncordon = _service("uncordon", "uncordoned", "Take it back in.", lambda client, name: client.uncordon(name))
