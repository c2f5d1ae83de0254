"""Slurm's programs from Debian's packages, unpacked into the cache and never installed.

Nothing of the machine changes: no service is registered or started, no user made, no file below ``/usr`` or ``/etc``.
A cluster sees the unpacked files laid over ``/usr`` in a mount namespace of its own (``assembling``).
"""

import fcntl
import os
import pathlib
import platform
import shutil
import subprocess

from tests.e2e.kube import packages
from tests.e2e.slurm import places

WANTED = ("slurmctld", "slurmd", "slurmrestd", "slurm-client", "slurm-wlm-jwt-plugin", "munge")
PROGRAMS = (
    *("usr/sbin/slurmctld", "usr/sbin/slurmd", "usr/sbin/slurmstepd", "usr/sbin/slurmrestd"),
    *("usr/sbin/munged", "usr/sbin/mungekey", "usr/bin/sbatch", "usr/bin/scontrol", "usr/bin/squeue"),
)
TOOLS = ("unshare", "mount", "setpriv", "hostname")
APT_S = 600.0


def find(program: str) -> pathlib.Path | None:
    """Return one of Slurm's files, unpacked by us or installed by somebody; None where it is neither."""
    for root in (places.programs(), pathlib.Path("/")):
        if (root / program).exists():
            return root / program
    return None


def versions() -> list[str]:
    """Return the versions that slurmrestd can speak, as its plugins are called, oldest first: ``v0.0.38``."""
    found = {
        plugin.stem.removeprefix("openapi_").replace("_", ".")
        for root in (places.programs(), pathlib.Path("/"))
        for plugin in (root / "usr" / "lib").glob("*/slurm-wlm/openapi_v*.so")
    }
    return sorted(found, key=lambda version: [int(part) for part in version.removeprefix("v").split(".")])


def unpacked() -> bool:
    """Say whether every program is here."""
    return (places.cache() / "done").exists() and all(find(program) for program in PROGRAMS)


def install() -> str | None:
    """Unpack the packages where they are not; return None, or one line that says why they are still missing.

    One process does it, the others wait.
    """
    if unpacked():
        return None
    unfit = missing_machine()
    if unfit:
        return "; ".join(unfit)
    places.cache().mkdir(parents=True, exist_ok=True)
    with (places.cache() / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        return None if unpacked() else _unpack()


def _unpack() -> str | None:
    """Download the packages and what they depend on and is not installed, and unpack all of it."""
    archives = places.cache() / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    download = ["apt-get", "install", "--yes", "--no-install-recommends", "--download-only"]
    # Without its lock: nothing is installed, so nobody else's installation is in the way of this one.
    download += ["-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1", *WANTED]
    try:
        done = _run(download)
        if done.returncode:
            _run(["apt-get", "update"])
            done = _run(download)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            return f"packages missing: {' '.join(WANTED)} (apt-get failed: {last})"
        aside = places.cache() / "root.new"
        for folder in (aside, places.programs()):
            shutil.rmtree(folder, ignore_errors=True)
        (aside / "usr").mkdir(parents=True)
        for archive in sorted(archives.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", archive, aside], check=True, capture_output=True, timeout=APT_S)
    except (OSError, subprocess.SubprocessError) as error:
        return f"packages missing: {' '.join(WANTED)} ({error})"
    for program in aside.glob("usr/*bin/*-wlm"):  # an installation would link Debian's alternatives
        program.with_name(program.name.removesuffix("-wlm")).symlink_to(program.name)
    aside.rename(places.programs())
    shutil.rmtree(archives)
    lacking = [program for program in PROGRAMS if not find(program)]
    if lacking:
        return f"the packages {' '.join(WANTED)} hold no {', '.join(lacking)}"
    (places.cache() / "done").touch()
    return None


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=APT_S, check=False)


def missing_machine() -> list[str]:
    """Return one line for each thing that a machine must bring to run Slurm: kernel, rights, apt."""
    if platform.system() != "Linux":
        return ["Linux is missing: a cluster needs its namespaces"]
    lines = []
    if os.geteuid() != 0:
        lines.append("root is missing: a cluster needs namespaces, mounts and users of its own")
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text():
        lines.append("overlayfs is missing: Slurm's files are laid over /usr by it")
    lines += [f"{tool} is missing (util-linux, hostname)" for tool in TOOLS if packages.find(tool) is None]
    if not unpacked():
        lines += [f"{tool} is missing: only Debian-like" for tool in ("apt-get", "dpkg-deb") if not packages.find(tool)]
    return lines


def missing() -> list[str]:
    """Return all that is missing to run a cluster here, one line each; an empty list means it can run."""
    lines = missing_machine()
    return lines if lines or unpacked() else [f"packages missing: {' '.join(WANTED)} (build)"]
