"""Pools, shares and devices: what a document declares against what the machine has."""

import collections.abc
import pathlib

import pytest

from backends.local import capacity, discovery, settings
from orchestrator.domain import errors, jobs, sites
from tests.unit.backends.local import desk as desks

GB = 2**30


def _machine(*slugs: str) -> discovery.Machine:
    devices = tuple(
        discovery.Device(f"GPU-{index}", index, slug.partition("-")[0], slug) for index, slug in enumerate(slugs)
    )
    return discovery.Machine(8000, 64 * GB, devices)


def _shares(machine: discovery.Machine, *pools: sites.Pool, **values: object) -> tuple[capacity.Share, ...]:
    return capacity.shares(pools, machine, settings.LocalSettings.read(values))


def test_undeclared() -> None:
    """Without pools the machine is one; with several kinds of accelerator it is one a kind."""
    assert [share.name for share in _shares(_machine())] == ["host"]
    one = _shares(_machine("nvidia-l4", "nvidia-l4"))
    assert [(share.name, share.found.accelerator, share.found.count) for share in one] == [("host", "nvidia-l4", 2)]
    two = _shares(_machine("nvidia-l4", "nvidia-h20"))
    assert [(share.name, share.total.accelerators) for share in two] == [("nvidia-l4", 1), ("nvidia-h20", 1)]


def test_bare_pool_gets_all() -> None:
    """The one pool that declares nothing is filled with what is found."""
    (share,) = _shares(_machine("nvidia-l4", "nvidia-l4"), sites.Pool("host"))
    assert (share.total.cpu_milli, share.total.memory_bytes, share.total.accelerators) == (8000, 64 * GB, 2)


def test_mixed_models() -> None:
    """The one pool that declares nothing has one model, and says what else is there."""
    (share,) = _shares(_machine("nvidia-l4", "nvidia-h20", "nvidia-l4"), sites.Pool("host"))
    assert [device.slug for device in share.devices] == ["nvidia-l4", "nvidia-l4"]
    assert "nvidia-h20" in share.notes[0]


def test_declared_share_is_kept() -> None:
    """A share that is smaller than the machine is what is offered."""
    (share,) = _shares(_machine("nvidia-l4"), sites.Pool("part", cpu_milli=2000, memory_bytes=GB, count=3))
    assert (share.total.cpu_milli, share.total.memory_bytes, share.total.slots) == (2000, GB, 3)
    assert share.total.accelerators == 0
    assert share.notes == ()


def test_declared_more_than_found() -> None:
    """More than there is counts only where the settings say so; either way it is said."""
    pool = sites.Pool("big", accelerator="nvidia-l4", count=4, cpu_milli=99000, memory_bytes=999 * GB)
    (share,) = _shares(_machine("nvidia-l4"), pool)
    assert (share.total.cpu_milli, share.total.memory_bytes, share.total.accelerators) == (8000, 64 * GB, 1)
    assert len(share.notes) == 3
    (share,) = _shares(_machine("nvidia-l4"), pool, overcommit=True)
    assert (share.total.cpu_milli, share.total.memory_bytes, share.total.accelerators) == (99000, 999 * GB, 4)
    assert len({device.id for device in share.devices}) == 4
    assert len(share.notes) == 3


def test_other_model_does_not_count() -> None:
    """A pool that declares a model which is not here has none, and is told what is."""
    (share,) = _shares(_machine("nvidia-l4"), sites.Pool("h100", accelerator="nvidia-h100-sxm", count=1))
    assert share.total.accelerators == 0
    assert "nvidia-l4" in share.notes[0]


def test_alias() -> None:
    """An alias of the model that is here means it."""
    (share,) = _shares(_machine("nvidia-h100-sxm"), sites.Pool("h100", accelerator="H100", count=1))
    assert share.total.accelerators == 1


def test_unseen_vendor() -> None:
    """Accelerators that nothing can discover are as many as declared."""
    (share,) = _shares(_machine(), sites.Pool("npu", accelerator="huawei-ascend-910b", count=8))
    assert share.total.accelerators == 8


def test_pools_share_devices() -> None:
    """Two pools of one model get different devices, and a backend only those that its settings name."""
    machine = _machine(*["nvidia-l4"] * 4)
    pools = (sites.Pool("a", accelerator="nvidia-l4", count=1), sites.Pool("b", accelerator="nvidia-l4"))
    first, second = _shares(machine, *pools, devices=[1, 2, 3])
    assert [device.index for device in first.devices] == [1]
    assert [device.index for device in second.devices] == [2, 3]


@pytest.fixture
def desk(runner_binary: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> collections.abc.Iterator[desks.Desk]:
    """A machine under the desk with two accelerators."""
    monkeypatch.setattr(discovery, "machine", lambda: _machine("nvidia-l4", "nvidia-l4"))
    with desks.desk() as made:
        yield made


def _gpus(count: int) -> jobs.Resources:
    return jobs.Resources(accelerators=jobs.AcceleratorRequest(any_of=("nvidia-l4",), count=count))


def test_devices_are_exclusive(desk: desks.Desk) -> None:
    """Each attempt gets devices of its own, also after a restart; one too many is refused without effect."""
    script = ("sh", "-c", "echo $CUDA_VISIBLE_DEVICES; sleep 600")
    first, second = (desk.place(*script, resources=_gpus(1)) for _ in range(2))
    desk.adapter.submit(first)
    desk.fresh().submit(second)
    seen = {desk.wait_log(first, "GPU").strip(), desk.wait_log(second, "GPU").strip()}
    assert seen == {"GPU-0", "GPU-1"}
    assert desk.adapter.offers()[0].free.accelerators == 0
    third = desk.place(*script, resources=_gpus(1))
    with pytest.raises(errors.TransientError, match=r"local\.accelerators-taken") as refused:
        desk.adapter.submit(third)
    assert (refused.value.retry, refused.value.effects) == (errors.RetryWhere.ELSEWHERE, errors.SideEffects.NONE)
    desk.stop(first)
    desk.ended(first)
    desk.adapter.submit(third)
    assert desk.wait_log(third, "GPU").strip() in seen


def test_none_asked_none_seen(desk: desks.Desk) -> None:
    """A job that asks for no accelerator sees none, whatever it sets itself."""
    placement = desk.place("sh", "-c", "echo [$CUDA_VISIBLE_DEVICES]", env=(("CUDA_VISIBLE_DEVICES", "0,1"),))
    desk.run(placement)
    assert desk.log(placement) == "[]\n"


def test_gang_devices(desk: desks.Desk) -> None:
    """The ranks of a gang get different devices."""
    script = ("sh", "-c", "echo $CUDA_VISIBLE_DEVICES $COMITY_GPUS_PER_NODE")
    placement = desk.place(*script, nodes=2, resources=_gpus(1))
    desk.run(placement)
    assert [desk.log(placement, node=rank) for rank in (0, 1)] == ["GPU-0 1\n", "GPU-1 1\n"]


def test_amd_places() -> None:
    """AMD's devices are named by their place among those that a job can see."""
    machine = _machine("amd-mi300x", "amd-mi300x")
    given = machine.devices[1:]
    assert capacity.visible(given, machine, only_own_nodes=True) == {"HIP_VISIBLE_DEVICES": "0"}
    assert capacity.visible(given, machine, only_own_nodes=False) == {"HIP_VISIBLE_DEVICES": "1"}
    assert capacity.visible((), machine, only_own_nodes=True) == {"HIP_VISIBLE_DEVICES": "-1"}
