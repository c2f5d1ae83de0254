"""What the machine is found to have. NVIDIA's library is a double, AMD's tree is made here: no device is needed."""

import os
import pathlib
import subprocess

import pytest

from backends.local import discovery

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The double of NVIDIA's library, compiled."""
    library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, HERE / "nvml_double.c"], check=True)
    return str(library)


def test_nvidia(nvml: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices have the slug of the catalogue, a UUID, and the nodes that are there."""
    monkeypatch.setenv("COMITY_DOUBLE_DEVICES", "2")
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    found = discovery.nvidia(nvml, dev=str(tmp_path))
    assert [(one.index, one.vendor, one.slug) for one in found] == [
        (0, "nvidia", "nvidia-h100-sxm"),
        (1, "nvidia", "nvidia-h100-sxm"),
    ]
    assert found[1].id == "GPU-00000000-0000-0000-0000-000000000001"
    assert found[1].memory_bytes == 85520809984
    assert found[1].nodes == tuple(str(tmp_path / name) for name in ("nvidia1", "nvidiactl", "nvidia-uvm"))


def test_lost_device(nvml: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that has fallen off the bus is not there; the others are."""
    monkeypatch.setenv("COMITY_DOUBLE_DEVICES", "11")
    assert [one.index for one in discovery.nvidia(nvml)] == [*range(9), 10]


def test_no_driver(nvml: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library, or with a driver that does not answer, there are no devices."""
    assert discovery.nvidia("libno-such-library.so.1") == ()
    monkeypatch.setenv("COMITY_DOUBLE_BROKEN", "1")
    assert discovery.nvidia(nvml) == ()


def test_amd(tmp_path: pathlib.Path) -> None:
    """Nodes with compute units are devices, others are CPUs; memory is that of the device's own banks."""
    for node, properties, banks in (
        ("0", "cpu_cores_count 64\nsimd_count 0\n", ["heap_type 0\nsize_in_bytes 1000\n"]),
        (
            "1",
            "simd_count 1216\ndrm_render_minor 128\ndevice_id 29857\n",
            ["heap_type 1\nsize_in_bytes 206141652992\n"],
        ),
        ("10", "simd_count 1216\ndrm_render_minor 129\ndevice_id 1\n", []),
    ):
        folder = tmp_path / "nodes" / node
        for number, bank in enumerate(banks):
            (folder / "mem_banks" / str(number)).mkdir(parents=True)
            (folder / "mem_banks" / str(number) / "properties").write_text(bank)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "properties").write_text(properties)
    product = tmp_path / "drm" / "renderD129" / "device"
    product.mkdir(parents=True)
    (product / "product_name").write_text("AMD Instinct MI325X OAM\n")
    (tmp_path / "dev" / "dri").mkdir(parents=True)
    (tmp_path / "dev" / "dri" / "renderD128").touch()
    (tmp_path / "dev" / "kfd").touch()
    found = discovery.amd(str(tmp_path / "nodes"), drm=str(tmp_path / "drm"), dev=str(tmp_path / "dev"))
    assert [(one.index, one.slug, one.memory_bytes) for one in found] == [
        (0, "amd-mi300x", 206141652992),
        (1, "amd-mi325x", 0),
    ]
    assert found[0].nodes == (f"{tmp_path}/dev/dri/renderD128", f"{tmp_path}/dev/kfd")
    assert discovery.amd(str(tmp_path / "nowhere")) == ()


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("NVIDIA H200", "nvidia-h200-sxm"),
        ("NVIDIA H100 PCIe", "nvidia-h100-pcie"),
        ("NVIDIA H20", "nvidia-h20"),
        ("NVIDIA A100-SXM4-80GB", "nvidia-a100-80g"),
        ("NVIDIA A100-SXM4-40GB", "nvidia-a100-sxm4-40gb"),
        ("NVIDIA L40S", "nvidia-l40s"),
        ("NVIDIA L4", "nvidia-l4"),
        ("NVIDIA GB200", "nvidia-gb200-gpu"),
        ("NVIDIA GeForce RTX 4090", "nvidia-rtx-4090"),
        ("NVIDIA GeForce RTX 4090 D", "nvidia-geforce-rtx-4090-d"),
        ("???", "accelerator"),
    ],
)
def test_slugs(name: str, slug: str) -> None:
    """Product names lead to slugs of the catalogue; a variant with other figures is not taken for its sibling."""
    assert discovery.slug_of(name) == slug


def test_machine() -> None:
    """CPUs and memory are no more than the machine has."""
    found = discovery.machine()
    assert 0 < found.cpu_milli <= (os.cpu_count() or 0) * 1000
    assert found.memory_bytes > 2**20
    assert discovery.machine_id() == discovery.machine_id()
