"""A Slurm backend on the test cluster: settings, and what a test sees of it from the site's side."""

import pathlib
from typing import Any

from tests.e2e.slurm import clusters


def settings(cluster: clusters.Cluster, *, url: str = "", user: str = clusters.USERS[0], **more: Any) -> dict[str, Any]:
    """Return settings for a backend whose attempts run as a user in partition ``fr``."""
    folder = cluster.shared / f"of-{user}"
    if not folder.exists():
        cluster.run("install", "-d", "-o", user, "-m", "755", folder)
    return {
        "url": url or cluster.url,
        "user": user,
        "token": cluster.token(user),
        "folder": str(folder),
        **more,
    }


def of(cluster: clusters.Cluster, key: str) -> list[dict[str, str]]:
    """Return what the controller knows of an attempt, by its name."""
    return cluster.jobs(name=key)


def lines(ledger: pathlib.Path) -> list[str]:
    """Return what jobs wrote down."""
    return ledger.read_text().splitlines() if ledger.exists() else []
