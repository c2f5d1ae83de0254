"""What the machine must bring: kernel, rights, Debian packages, a Go toolchain; each thing missing is one line.

Only ``install`` changes the machine, and only where it is Debian-like and we are root.
"""

import fcntl
import os
import pathlib
import re
import shutil
import subprocess

from tests.e2e.kube import places

GO_AT_LEAST = (1, 26)
# Command or file that proves the package, and the package.
NEEDED = (
    ("containerd", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/lib/cni/host-local", "containernetworking-plugins"),
    ("/usr/lib/cni/portmap", "containernetworking-plugins"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
)
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
APT_S = 600.0


def search_path() -> str:
    """Return the search path for programs: the caller's, and the system folders that a plain user's path lacks."""
    return f"{os.environ.get('PATH', '')}:{SEARCH}"


def find(program: str) -> str | None:
    """Return the path of a program or file, or None."""
    if program.startswith("/"):
        return program if pathlib.Path(program).exists() else None
    return shutil.which(program, path=search_path())


def busybox() -> str | None:
    """Return a busybox that needs no library, or None: images are made of it."""
    for candidate in ("/bin/busybox", "/usr/bin/busybox"):
        if pathlib.Path(candidate).exists() and b"statically linked" in _describe(candidate):
            return candidate
    return None


def _describe(path: str) -> bytes:
    """Say whether an ELF file is static: it is when it names no interpreter (PT_INTERP, type 3)."""
    raw = pathlib.Path(path).read_bytes()[:4096]
    if raw[:4] != b"\x7fELF" or raw[4] != 2:
        return b""
    start, size, count = (int.from_bytes(raw[a:b], "little") for a, b in ((32, 40), (54, 56), (56, 58)))
    kinds = {int.from_bytes(raw[start + n * size : start + n * size + 4], "little") for n in range(count)}
    return b"" if 3 in kinds else b"statically linked"


def missing_packages() -> list[str]:
    """Return the Debian packages whose programs are not here, sorted."""
    lacking = {package for program, package in NEEDED if find(program) is None}
    if busybox() is None:
        lacking.add("busybox-static")
    return sorted(lacking)


def may_install() -> bool:
    """Say whether packages can be installed: root, with apt."""
    return os.geteuid() == 0 and shutil.which("apt-get", path=search_path()) is not None


def install() -> str | None:
    """Install what is missing; return None, or one line that says why it is still missing."""
    lacking = missing_packages()
    if not lacking:
        return None
    if not may_install():
        return f"packages missing: {' '.join(lacking)} (apt-get install, as root)"
    places.cache().mkdir(parents=True, exist_ok=True)
    with (places.cache() / "packages.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # apt does not wait for another apt
        return _install()


def _install() -> str | None:
    """Install with apt, after a refresh of its lists where it knows a package no more."""
    lacking = missing_packages()
    if not lacking:
        return None
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *lacking]
    for arguments in (command, ["apt-get", "update"], command):
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=APT_S, check=False)
        if not missing_packages():
            return None
    last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return f"packages missing: {' '.join(missing_packages())} (apt-get install failed: {last})"


def go() -> str | None:
    """Return the Go toolchain, or None."""
    return find("go") or find("/usr/local/go/bin/go")


def missing_go() -> str | None:
    """Return one line when there is no Go that can build the modules."""
    wanted = ".".join(map(str, GO_AT_LEAST))
    tool = go()
    if tool is None:
        return f"Go {wanted} or newer is missing (https://go.dev/dl/)"
    said = subprocess.run([tool, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", said.strip())
    if found is None or (int(found[1]), int(found[2])) < GO_AT_LEAST:
        return f"Go {wanted} or newer is missing: {tool} is {said.strip() or 'unreadable'} (https://go.dev/dl/)"
    return None


def missing_machine() -> list[str]:
    """Return one line for each thing that no package brings."""
    lines = []
    if os.uname().sysname != "Linux":
        return ["Linux is missing: pods need its namespaces and cgroups"]
    if os.geteuid() != 0:
        lines.append("root is missing: pods need namespaces, mounts and cgroups")
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text():
        lines.append("overlayfs is missing: images are mounted by it")
    if not pathlib.Path("/sys/fs/cgroup").is_dir():
        lines.append("cgroups are missing: /sys/fs/cgroup is not mounted")
    return lines


def missing() -> list[str]:
    """Return all that is missing to run clusters here, one line each; an empty list means they can run."""
    lines = missing_machine()
    lacking = missing_packages()
    if lacking:
        lines.append(f"packages missing: {' '.join(lacking)} (apt-get install, as root)")
    toolchain = missing_go()
    return lines + ([toolchain] if toolchain else [])
