"""``backend import``: somebody's inventory of places as drafts of documents, for a person to complete and apply."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import click

from orchestrator.cli import failures, style
from orchestrator.domain import errors
from orchestrator.plugins import lazy as lazy_import
from orchestrator.plugins import registry
from orchestrator.ports import inventories
from orchestrator.settings import adapters
from orchestrator.telemetry import clocks

KUBECONFIG_BYTES_MAX = 2**20


@click.command("import", short_help="Drafts of documents, from an inventory of clusters.")
@click.option("--from", "source", required=True, metavar="SOURCE", help="The inventory: clusterprofiles.")
@click.option("--kubeconfig", required=True, envvar="KUBECONFIG", metavar="FILE", help="Of the hub; flattened.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig.  [its current one]")
@click.option("--namespace", required=True, metavar="NAME", help="Where the hub has them.")
@click.option("--name", "names", multiple=True, metavar="NAME", help="Only this one; several times for several.")
@click.option("--access-provider", metavar="NAME", help="Which one to take the address of, where they differ.")
@click.option("--job-namespace", metavar="NAME", help="Where jobs will run in each of them.  [comity-jobs]")
@click.option("-o", "--output", "folder", metavar="DIR", help="Write files there: a document and a kubeconfig each.")
def import_(
    source: str,
    kubeconfig: str,
    context: str | None,
    namespace: str,
    names: tuple[str, ...],
    access_provider: str | None,
    job_namespace: str | None,
    folder: str | None,
) -> int:
    """Read clusters from an inventory and print a draft of a Backend document for each. Registers nothing, needs no
    server, and changes nothing there. What the inventory does not know stands as FILL IN, which `comity apply` refuses:
    a person completes the draft and answers for it. With -o, each lies in a file, with address and CA in a kubeconfig
    whose user is yours to add.

    \b
    Example:
      comity backend import --from clusterprofiles --kubeconfig hub.kubeconfig --namespace fleet -o drafts/
    """
    plugin = _plugin(source)
    if plugin is None:
        return failures.USAGE
    text = pathlib.Path(kubeconfig).read_bytes()[:KUBECONFIG_BYTES_MAX].decode(errors="replace")
    asked: dict[str, object] = {"kubeconfig": text, "namespace": namespace, "names": list(names)}
    more = {"context": context, "accessProvider": access_provider, "jobNamespace": job_namespace}
    asked |= {name: value for name, value in more.items() if value is not None}
    try:
        drafts = plugin.read_inventory(source, asked, clocks.SystemClock().now())
    except adapters.SettingsError as error:
        for problem in error.problems:
            failures.say(problem)
        return failures.USAGE
    except errors.BackendError as error:
        failures.say(f"{error.message}  [{error.code}]")
        return failures.FAILED
    texts = {one.name: _document(one) for one in drafts}
    done = _printed(texts) if folder is None else _written(pathlib.Path(folder), drafts, texts)
    if done == failures.DONE:
        _tell(drafts, namespace)
    return done


def _plugin(source: str) -> inventories.InventoryPlugin | None:
    """Return the installed plugin that reads a source; None, and said, where there is none."""
    found = registry.Registry(registry.installed())
    known: dict[str, inventories.InventoryPlugin] = {}
    for name in found.names():
        try:
            plugin = found.plugin(name)
        except registry.BrokenPluginError as error:
            style.note(f"adapter {name}: {error.message}")
            continue
        if isinstance(plugin, inventories.InventoryPlugin):
            known |= dict.fromkeys(plugin.inventory_sources, plugin)
    if source not in known:
        failures.say(f"nothing here reads {source!r}")
        failures.hint(f"the adapters that are installed read: {', '.join(sorted(known)) or 'no inventory'}")
    return known.get(source)


def _document(draft: inventories.Draft) -> str:
    """Return a draft as YAML, what was found and not taken as comments above it."""
    fields = lazy_import.lazy("orchestrator.wire.fields")
    dump = lazy_import.lazy("orchestrator.cli.rendering.documents").dump
    document = {
        "apiVersion": fields.API_VERSION,
        "kind": "Backend",
        "metadata": {"name": draft.name},
        "spec": dict(draft.spec),
    }
    # A note is one line for its maker; that it is one is not left to him.
    lines = [*draft.notes, *draft.warnings]
    head = "".join(f"# {' '.join(line.split())}\n" for line in ["A draft: check every line.", *lines])
    return head + str(dump(document))


def _printed(texts: Mapping[str, str]) -> int:
    click.echo("---\n".join(texts.values()), nl=False)
    return failures.DONE


def _written(folder: pathlib.Path, drafts: Sequence[inventories.Draft], texts: Mapping[str, str]) -> int:
    """Write the files, none over one that is there: a person may have completed it."""
    files = {folder / f"{name}.yaml": text for name, text in texts.items()}
    files |= {folder / f"{one.name}.{ending}": text for one in drafts for ending, text in one.files.items()}
    there = [path for path in files if path.exists() or path.is_symlink()]
    if there:
        failures.say(f"{there[0]} exists{f', and {len(there) - 1} more' if len(there) > 1 else ''}: nothing is written")
        failures.hint("name another folder, and compare")
        return failures.FAILED
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text, encoding="utf-8")
        click.echo(str(path))
    return failures.DONE


def _tell(drafts: Sequence[inventories.Draft], namespace: str) -> None:
    if not drafts:
        style.note(f"namespace {namespace} has none")
    for one in drafts:
        for warning in one.warnings:
            style.note(f"{one.name}: {' '.join(warning.split())}")
    if drafts:
        style.note("nothing is registered: complete each FILL IN, add the user to its kubeconfig, then `comity apply`")
