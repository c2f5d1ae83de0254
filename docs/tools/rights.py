"""Write the rights of chart and manifests from the adapter's table: ``python -m docs.tools.rights [--check]``."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click
import yaml

from backends.kubernetes import permissions
from orchestrator.cli.rendering import documents

ROOT = pathlib.Path(__file__).resolve().parents[2]
MADE = "# Made from backends/kubernetes/permissions.py by `python -m docs.tools.rights`; do not edit.\n"
FENCE = "fence.comity.dev"
TABLE, ROLES = pathlib.Path("helm/comity/files/permissions.yaml"), pathlib.Path("manifests/rbac.yaml")


def rules(rights: Iterable[permissions.Right]) -> list[Mapping[str, Any]]:
    """Return rights as rules of a Role, in the order of the table."""
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": sorted(verbs)} for group, resource, verbs in rights
    ]


def table() -> Mapping[str, Any]:
    """Return what the chart reads: in a job namespace, for the cluster, and for what its values switch on."""
    optional = [right for right in permissions.OPTIONAL if right[0] != FENCE]
    return {
        "namespaced": rules((*permissions.NAMESPACED, *optional)),
        "cluster": rules((*permissions.CLUSTER, *permissions.CLUSTER_OPTIONAL)),
        "seeOthers": rules(permissions.SEE_OTHERS),
        "placementDecisions": rules(permissions.DECISIONS),
        "secondFence": rules(right for right in permissions.OPTIONAL if right[0] == FENCE),
    }


def pages() -> Mapping[pathlib.Path, str]:
    """Return the files as they should be."""
    found = table()
    roles = [dict(each) for each in yaml.safe_load_all((ROOT / ROLES).read_text(encoding="utf-8"))]
    for each in roles:
        if each["kind"] in ("Role", "ClusterRole"):
            each["rules"] = found["namespaced" if each["kind"] == "Role" else "cluster"]
    return {TABLE: MADE + documents.dump(found), ROLES: MADE + "---\n".join(map(documents.dump, roles))}


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a file is out of date.")
def write(check: bool) -> None:
    """Write the rights."""
    stale = {path: text for path, text in pages().items() if (ROOT / path).read_text(encoding="utf-8") != text}
    if check and stale:
        click.echo(f"out of date: {', '.join(map(str, stale))}; run python -m docs.tools.rights", err=True)
        sys.exit(1)
    for path, text in stale.items():
        (ROOT / path).write_text(text, encoding="utf-8")
        click.echo(str(path))


if __name__ == "__main__":
    write()
