"""What this machine has: CPUs, memory, accelerators (NVML, ROCm's KFD), and what it is recognised by.

Reads only, but for one mark in our own folder.

NVIDIA's library is loaded where it is installed, through its public C interface; AMD's devices are read
from sysfs. Whatever cannot be asked is not there.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

NVML = "libnvidia-ml.so.1"
"""NVIDIA Management Library, https://docs.nvidia.com/deploy/nvml-api/; comes with the driver."""
KFD = "/sys/class/kfd/kfd/topology/nodes"
"""Topology of AMD's compute driver, one folder a CPU or accelerator."""
_NVML_TEXT = 96
_MARK = "identity"
_DEVICES_MAX = 64


@dataclass(frozen=True, slots=True)
class Device:
    """One accelerator. ``id`` is what programs choose it by, ``nodes`` the device nodes it needs below /dev."""

    id: str
    index: int
    vendor: str
    slug: str
    memory_bytes: int = 0
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found."""

    cpu_milli: int
    memory_bytes: int
    devices: tuple[Device, ...] = ()


def machine() -> Machine:
    """Return what this machine has now, within the limits of our own control group."""
    return Machine(cpu_milli(), _memory_bytes(), (*nvidia(), *amd()))


def machine_id() -> str:
    """Return what recognises this machine across boots: a digest, because the id itself is not to be shown around."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id", "/sys/class/dmi/id/product_uuid"):
        if text := _text(path):
            return hashlib.sha256(f"comity {text}".encode()).hexdigest()[:32]
    return ""


def folder_id(folder: str) -> str:
    """Return what recognises a folder: a mark of its own, made at the first call. Raises OSError.

    A state folder that was copied elsewhere has the mark and another machine; one that was made anew has neither.
    """
    path = f"{folder}/{_MARK}"
    while not (found := _text(path)):
        text = secrets.token_hex(16)
        whole = f"{path}.{text}"
        with open(whole, "x", encoding="ascii") as file:
            file.write(text)
        try:
            os.link(whole, path)  # whole or not at all, and the first one wins
        except FileExistsError:
            if not _text(path):
                raise
        finally:
            os.unlink(whole)
    return found[:64]


# --- accelerators -------------------------------------------------------------------------------------------------


class _Memory(ctypes.Structure):
    """``nvmlMemory_t``."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def nvidia(library: str = NVML, *, dev: str = "/dev") -> tuple[Device, ...]:
    """Return NVIDIA's devices, in the order of their place on the bus; none where the library does not load."""
    try:
        nvml = ctypes.CDLL(library)
        if nvml.nvmlInit_v2() != 0:
            return ()
    except (OSError, AttributeError):
        return ()
    try:
        count = ctypes.c_uint()
        if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return ()
        found = (_nvidia_device(nvml, index, dev) for index in range(min(count.value, _DEVICES_MAX)))
        return tuple(device for device in found if device is not None)
    except AttributeError:
        return ()
    finally:
        nvml.nvmlShutdown()


def _nvidia_device(nvml: ctypes.CDLL, index: int, dev: str) -> Device | None:
    handle, name, uuid = ctypes.c_void_p(), ctypes.create_string_buffer(_NVML_TEXT), ctypes.create_string_buffer(96)
    minor, memory = ctypes.c_uint(), _Memory()
    if nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)) != 0:
        return None  # fallen off the bus
    if nvml.nvmlDeviceGetUUID(handle, uuid, ctypes.c_uint(_NVML_TEXT)) != 0:
        return None
    nvml.nvmlDeviceGetName(handle, name, ctypes.c_uint(_NVML_TEXT))
    nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
    if nvml.nvmlDeviceGetMinorNumber(handle, ctypes.byref(minor)) != 0:
        minor.value = index
    shared = (f"{dev}/nvidiactl", f"{dev}/nvidia-uvm", f"{dev}/nvidia-uvm-tools")
    nodes = tuple(path for path in (f"{dev}/nvidia{minor.value}", *shared) if os.path.exists(path))
    text = name.value.decode("ascii", "replace")
    return Device(uuid.value.decode("ascii", "replace"), index, "nvidia", slug_of(text), memory.total, nodes)


def amd(topology: str = KFD, *, drm: str = "/sys/class/drm", dev: str = "/dev") -> tuple[Device, ...]:
    """Return AMD's devices, in the order of the driver's topology; a node without compute units is a CPU."""
    try:
        nodes = sorted(os.listdir(topology), key=lambda name: (len(name), name))
    except OSError:
        return ()
    found: list[Device] = []
    for node in nodes[: 2 * _DEVICES_MAX]:
        values = dict(line.split(" ", 1) for line in _text(f"{topology}/{node}/properties").splitlines() if " " in line)
        if int(values.get("simd_count", "0")) == 0:
            continue
        minor = values.get("drm_render_minor", "")
        product = _text(f"{drm}/renderD{minor}/device/product_name")
        model = int(values.get("device_id", "0"))
        slug = slug_of(product) if product else _AMD_MODELS.get(model, f"amd-{model:04x}")
        paths = (f"{dev}/dri/renderD{minor}", f"{dev}/kfd")
        there = tuple(path for path in paths if os.path.exists(path))
        index = len(found)
        found.append(Device(f"amd-{index}", index, "amd", slug, _amd_memory(f"{topology}/{node}"), there))
    return tuple(found)


def _amd_memory(node: str) -> int:
    """Return the bytes of a device's own memory: the banks of heap type 1 (public) and 2 (private)."""
    total = 0
    try:
        banks = os.listdir(f"{node}/mem_banks")
    except OSError:
        return 0
    for bank in banks:
        text = _text(f"{node}/mem_banks/{bank}/properties")
        values = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
        if values.get("heap_type") in ("1", "2"):
            total += int(values.get("size_in_bytes", "0"))
    return total


_AMD_MODELS = {
    0x7408: "amd-mi250x", 0x740C: "amd-mi250x", 0x74A1: "amd-mi300x", 0x74A2: "amd-mi308-x", 0x74A5: "amd-mi325x",
}  # fmt: skip
_SLUGS: Sequence[tuple[str, str]] = (
    (r"\bGB200\b", "nvidia-gb200-gpu"),
    (r"\bH100\b(?!.*(PCIe|NVL))", "nvidia-h100-sxm"),
    (r"\bH200\b(?!.*NVL)", "nvidia-h200-sxm"),
    (r"\bH800\b(?!.*PCIe)", "nvidia-h800-sxm"),
    (r"\bH20\b", "nvidia-h20"),
    (r"\bA100\b.*80GB", "nvidia-a100-80g"),
    (r"\bA800\b", "nvidia-a800"),
    (r"\bB200\b", "nvidia-b200"),
    (r"\bB300\b", "nvidia-b300"),
    (r"\bL40S\b", "nvidia-l40s"),
    (r"\bL4\b", "nvidia-l4"),
    (r"\bL20\b", "nvidia-l20"),
    (r"\bL2\b", "nvidia-l2"),
    (r"\bRTX 4090\b(?! D)", "nvidia-rtx-4090"),
    (r"\bRTX 5090\b(?! D)", "nvidia-rtx-5090"),
    (r"\bRTX PRO 6000\b.*Server", "nvidia-rtx-pro-6000-bse"),
    (r"\bMI250X\b", "amd-mi250x"),
    (r"\bMI300X\b", "amd-mi300x"),
    (r"\bMI308X\b", "amd-mi308-x"),
    (r"\bMI325X\b", "amd-mi325x"),
    (r"\bMI355X\b", "amd-mi355x"),
)
"""What drivers call their products -> slug of the catalogue. A name that is in no row becomes a slug of its own."""


def slug_of(name: str) -> str:
    """Return the slug for the name that a driver gives its product."""
    for pattern, slug in _SLUGS:
        if re.search(pattern, name):
            return slug
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "accelerator"


# --- CPUs and memory ----------------------------------------------------------------------------------------------


def cpu_milli() -> int:
    """Return the CPUs that this process may use, in thousandths."""
    mine = len(os.sched_getaffinity(0)) * 1000
    quota, _, period = _text("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdecimal() and period.isdecimal() and int(period) > 0:
        return min(mine, int(quota) * 1000 // int(period))
    return mine


def _memory_bytes() -> int:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    bound = _text("/sys/fs/cgroup/memory.max")
    return min(total, int(bound)) if bound.isdecimal() else total


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(64 * 1024).strip()
    except OSError:
        return ""
