"""Compiles the runner. Used by the wheel's build hook and by the tests, so it imports nothing of either.

Static and position independent where the C library allows it: it starts in half the time, needs
nothing on the target, and one binary serves every distribution of an architecture.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BINARY = HERE / "comity-runner"
_PARTS = (
    "gang", "holds", "init", "isolation", "log", "main", "outcome", "processes", "records", "runner", "spec", "start",
    "starter", "watch",
)  # fmt: skip
SOURCES = tuple(HERE / f"{name}.c" for name in _PARTS)
_FLAGS = (
    "-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -fstack-protector-strong -fno-strict-aliasing"
    " -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fPIE -ffunction-sections -fdata-sections"
    " -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections -s"
)
# Some distributions ship no static C library; there the ordinary kind of executable does.
_LINKS = ("-static-pie", "-pie")


class CompilerError(Exception):
    """The runner cannot be compiled here; the text says what to do about it."""


def compile_runner(target: pathlib.Path = BINARY) -> pathlib.Path:
    """Compile to `target`, replacing it in one step so that a runner being started is never half written."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or shutil.which(compiler[0]) is None:
        raise CompilerError(
            f"Comity's job runner is a small C program, and the C compiler {os.environ.get('CC', 'cc')!r} is not here. "
            "Install one (Debian, Ubuntu: apt-get install gcc libc6-dev; Fedora: dnf install gcc glibc-devel; "
            "Alpine: apk add gcc musl-dev linux-headers), or name one in the environment variable CC."
        )
    failures = []
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as folder:
        made = pathlib.Path(folder) / target.name
        for link in _LINKS:
            command = [*compiler, *_FLAGS.split(), link, "-o", str(made), *map(str, SOURCES)]
            # The compiler named by whoever builds, and this package's own sources.
            result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            if result.returncode == 0:
                made.replace(target)
                return target
            failures.append(f"$ {shlex.join(command)}\n{result.stderr}")
    raise CompilerError("Comity's job runner does not compile:\n" + "\n".join(failures))


def ensure_runner(target: pathlib.Path = BINARY) -> pathlib.Path:
    """Compile only where the binary is missing or older than a source."""
    newest = max(path.stat().st_mtime for path in (*SOURCES, HERE / "runner.h"))
    if target.exists() and target.stat().st_mtime >= newest:
        return target
    return compile_runner(target)
