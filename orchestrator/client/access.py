"""Where the control plane is, and with which token it is spoken to.

The state folder is found the same way by the server and by the command line of the same account: that is how the
first token gets from one to the other without anybody copying it.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

DEFAULT_SERVER = "http://127.0.0.1:7070"
ADMIN_TOKEN = "admin.token"  # noqa: S105 -- the name of a file, not a token


def state_folder(environ: Mapping[str, str]) -> pathlib.Path:
    """Return ``$COMITY_STATE_DIR``, else ``$XDG_STATE_HOME/comity``, else ``~/.local/state/comity``."""
    if own := environ.get("COMITY_STATE_DIR"):
        return pathlib.Path(own).absolute()
    xdg = environ.get("XDG_STATE_HOME", "")
    if xdg.startswith("/"):  # the specification ignores relative paths
        return pathlib.Path(xdg) / "comity"
    home = environ.get("HOME")
    return (pathlib.Path(home) if home else pathlib.Path.home()) / ".local" / "state" / "comity"


def server(environ: Mapping[str, str]) -> str:
    """Return ``$COMITY_SERVER``, else the default address."""
    return environ.get("COMITY_SERVER") or DEFAULT_SERVER


def token(environ: Mapping[str, str]) -> str | None:
    """Return ``$COMITY_TOKEN``, else the administrator's token of the state folder if this account may read it."""
    if given := environ.get("COMITY_TOKEN"):
        return given.strip()
    try:
        return (state_folder(environ) / ADMIN_TOKEN).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
