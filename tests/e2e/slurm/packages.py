"""Slurm's programs from Debian's packages, unpacked into the cache and never installed.

Nothing of the machine changes: no service is registered or started, no user made, no file below ``/usr`` or ``/etc``.
A cluster sees the unpacked files laid over ``/usr`` in a mount namespace of its own (``assembling``).

A suite other than the machine's brings its libraries along, the C library among them; what is not Slurm in there runs
with them too, for a newer one is good for older programs.
"""

import fcntl
import os
import pathlib
import platform
import re
import shutil
import subprocess

from tests.e2e.kube import packages
from tests.e2e.slurm import places

WANTED = ("slurmctld", "slurmd", "slurmrestd", "slurm-client", "slurm-wlm-jwt-plugin", "munge")
KEPT = ("lib", "slurm", "munge", "ocl-icd", "zlib1g")
"""How the names of packages begin that are unpacked; the others are programs that the machine has."""
PROGRAMS = (
    *("usr/sbin/slurmctld", "usr/sbin/slurmd", "usr/sbin/slurmstepd", "usr/sbin/slurmrestd"),
    *("usr/sbin/munged", "usr/sbin/mungekey", "usr/bin/sbatch", "usr/bin/scontrol", "usr/bin/squeue"),
)
TOOLS = ("unshare", "mount", "setpriv", "hostname")
SOURCES = pathlib.Path("/etc/apt")
APT_S = 600.0


def find(program: str, suite: str = "") -> pathlib.Path | None:
    """Return one of Slurm's files, unpacked by us or installed by somebody; None where it is neither."""
    for root in _roots(suite):
        if (root / program).exists():
            return root / program
    return None


def _roots(suite: str) -> list[pathlib.Path]:
    """Return where a cluster finds files: what is installed here is of this machine's suite only."""
    return [places.programs(suite), *([] if suite else [pathlib.Path("/")])]


def plugins(kind: str, suite: str = "") -> list[str]:
    """Return the versions of slurmrestd's plugins of a kind (``openapi``, ``data_parser``), oldest first."""
    found = {
        plugin.stem.removeprefix(f"{kind}_").replace("_", ".")
        for root in _roots(suite)
        for plugin in (root / "usr" / "lib").glob(f"*/slurm-wlm/{kind}_v*.so")
    }
    return sorted(found, key=lambda name: [int(part) for part in re.findall(r"[0-9]+", name)])


def unpacked(suite: str = "") -> bool:
    """Say whether every program is here."""
    return (places.cache(suite) / "done").exists() and all(find(program, suite) for program in PROGRAMS)


def install(suite: str = "") -> str | None:
    """Unpack the packages where they are not; return None, or one line that says why they are still missing.

    One process does it, the others wait.
    """
    if unpacked(suite):
        return None
    unfit = missing_machine(suite)
    if unfit:
        return "; ".join(unfit)
    places.cache(suite).mkdir(parents=True, exist_ok=True)
    with (places.cache(suite) / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        return None if unpacked(suite) else _unpack(suite)


def _unpack(suite: str) -> str | None:
    """Download the packages and what they depend on and is not installed, and unpack all of it."""
    archives = places.cache(suite) / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    # Without its lock: nothing is installed, so nobody else's installation is in the way of this one.
    options = ["-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1"]
    options += _of_suite(suite) if suite else []
    install_ = ["install", "--yes", "--no-install-recommends", "--download-only", *WANTED]
    try:
        done = _apt(options, install_)
        if done.returncode:
            _apt(options, ["update"])
            done = _apt(options, install_)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            return f"packages missing: {' '.join(WANTED)} (apt-get failed: {last})"
        aside = places.cache(suite) / "root.new"
        for folder in (aside, places.programs(suite)):
            shutil.rmtree(folder, ignore_errors=True)
        (aside / "usr").mkdir(parents=True)
        for archive in sorted(archives.glob("*.deb")):
            if archive.name.startswith(KEPT):
                subprocess.run(["dpkg-deb", "-x", archive, aside], check=True, capture_output=True, timeout=APT_S)
    except (OSError, subprocess.SubprocessError) as error:
        return f"packages missing: {' '.join(WANTED)} ({error})"
    for program in aside.glob("usr/*bin/*-wlm"):  # an installation would link Debian's alternatives
        program.with_name(program.name.removesuffix("-wlm")).symlink_to(program.name)
    aside.rename(places.programs(suite))
    for name in ("archives", "apt"):
        shutil.rmtree(places.cache(suite) / name, ignore_errors=True)
    lacking = [program for program in PROGRAMS if not find(program, suite)]
    if lacking:
        return f"the packages {' '.join(WANTED)} hold no {', '.join(lacking)}"
    (places.cache(suite) / "done").touch()
    return None


def _of_suite(suite: str) -> list[str]:
    """Return options by which apt knows another suite, from the machine's own mirrors, and nothing installed."""
    folder = places.cache(suite) / "apt"
    for name in ("lists/partial", "parts"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    own = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(), re.MULTILINE)
    if own is None:
        raise OSError("this machine does not say which suite of Debian it is")
    for file in (SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("debian*"))):
        if file.exists():
            text = re.sub(rf"\b{own[1]}\b", suite, file.read_text())
            (folder / "parts" / file.name.replace("sources.list", "machine.list")).write_text(text)
    given = {
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": folder / "parts",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in given.items() for word in ("-o", f"{name}={value}")]


def _apt(options: list[str], words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", *options, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=APT_S, check=False)


def missing_machine(suite: str = "") -> list[str]:
    """Return one line for each thing that a machine must bring to run Slurm: kernel, rights, apt."""
    if platform.system() != "Linux":
        return ["Linux is missing: a cluster needs its namespaces"]
    lines = []
    if os.geteuid() != 0:
        lines.append("root is missing: a cluster needs namespaces, mounts and users of its own")
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text():
        lines.append("overlayfs is missing: Slurm's files are laid over /usr by it")
    lines += [f"{tool} is missing (util-linux, hostname)" for tool in TOOLS if packages.find(tool) is None]
    if not unpacked(suite):
        lines += [f"{tool} is missing: only Debian-like" for tool in ("apt-get", "dpkg-deb") if not packages.find(tool)]
    return lines


def missing(suite: str = "") -> list[str]:
    """Return all that is missing to run a cluster here, one line each; an empty list means it can run."""
    lines = missing_machine(suite)
    return lines if lines or unpacked(suite) else [f"packages missing: {' '.join(WANTED)} (build)"]
