"""How an image is run where the operator declares a runtime for them: its program and arguments, as data. Pure.

The image is named by digest, so what runs tomorrow is what was decided on today. Nothing of the node is in its file
system but its working folder, its outputs, and what the operator's own options add.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backends.slurm import errors, settings
from orchestrator.domain import jobs

_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._:/-]{0,511}@sha256:[0-9a-f]{64}", re.ASCII)
_FLAGS = ("--containall", "--no-eval")
"""No files, processes or variables of the node; and no value is read as shell on its way in."""


def words(spec: jobs.JobSpec, wanted: settings.Container | None) -> Sequence[str]:
    """Return the runtime with its arguments, the image last; nothing for a bare command. Raises PermanentError."""
    if spec.image is None:
        return ()
    if wanted is None:
        raise errors.refused("invalid", "this backend runs no images: its operator declares no settings.container")
    if not _IMAGE.fullmatch(spec.image):
        raise errors.refused("invalid", f"image {spec.image[:200]!r} is not named by its digest: NAME@sha256:...")
    verb = "exec" if spec.command else "run"
    own = [f"{name}={value}" for name, value in wanted.env.items()]
    return ("env", *own, wanted.program, verb, *_FLAGS, *wanted.options, f"docker://{_plain(spec.image)}")


def _plain(image: str) -> str:
    """Return an image without its tag: the runtime takes a tag or a digest, not both."""
    name, _, digest = image.partition("@")
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}@{digest}"
