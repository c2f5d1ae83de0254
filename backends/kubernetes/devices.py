"""What accelerators are called in a cluster: resources of device plugins by slug, until an operator says otherwise.

Sources: the device plugins' own documentation, read 2026-11-22: NVIDIA k8s-device-plugin, ROCm k8s-device-plugin, Intel
Gaudi base operator, GKE TPUs, AWS Neuron (``neuron``; ``neurondevice`` ended with 2.19), Huawei Ascend device plugin,
Cambricon. A name here is a guess about a cluster: only what its nodes allocate is offered.
"""

from __future__ import annotations

from collections.abc import Mapping

from backends.kubernetes import settings

RESOURCES: tuple[tuple[str, str], ...] = (
    ("nvidia-", "nvidia.com/gpu"),
    ("amd-mi", "amd.com/gpu"),
    ("intel-gaudi", "habana.ai/gaudi"),
    ("google-tpu-", "google.com/tpu"),
    ("aws-trainium", "aws.amazon.com/neuron"),
    ("aws-inferentia", "aws.amazon.com/neuron"),
    ("huawei-ascend-", "huawei.com/Ascend910"),
    ("cambricon-mlu", "cambricon.com/mlu"),
)
"""Beginning of a slug -> resource."""


def device(slug: str, own: Mapping[str, settings.Device]) -> settings.Device | None:
    """Return what an accelerator is called here; None: nobody said."""
    if slug in own:
        return own[slug]
    return next((settings.Device(resource=resource) for start, resource in RESOURCES if slug.startswith(start)), None)
