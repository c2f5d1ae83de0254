"""What Ray calls an accelerator, what the catalogue calls it, and by which resource a job takes it.

Ray's names: ``ray/util/accelerators/accelerators.py`` of Ray 2.60.0 (Apache-2.0), read 2026-11-22; they stand in label
``ray.io/accelerator-type`` of a node and in its resource ``accelerator_type:NAME``. Where Ray's name covers several
products, the row names the one of the strictest class for export control (H100: SXM). A name without a row becomes a
slug of its own, which the catalogue does not know, and which is therefore judged as unknown.
"""

from __future__ import annotations

import re

SLUGS = {
    "H100": "nvidia-h100-sxm",
    "H200": "nvidia-h200-sxm",
    "H20": "nvidia-h20",
    "A100-80G": "nvidia-a100-80g",
    "B200": "nvidia-b200",
    "B300": "nvidia-b300",
    "GB200": "nvidia-gb200-gpu",
    "L4": "nvidia-l4",
    "L40S": "nvidia-l40s",
    "AMD-Instinct-MI250X": "amd-mi250x",
    "AMD-Instinct-MI300X-OAM": "amd-mi300x",
    "AMD-Instinct-MI308X": "amd-mi308-x",
    "AMD-Instinct-MI325X-OAM": "amd-mi325x",
    "AMD-Instinct-MI355X-OAM": "amd-mi355x",
    "TPU-V5LITEPOD": "google-tpu-v5e",
    "TPU-V5P": "google-tpu-v5p",
    "TPU-V6E": "google-tpu-v6e",
    "TPU-V7X": "google-tpu-v7",
    "Ascend910B": "huawei-ascend-910b",
}
"""Ray's name -> slug. ``A100`` alone has no row: it may be the one of 40 GB."""

RESOURCES = ("GPU", "TPU", "NPU", "HPU", "neuron_cores", "RBLN", "FURIOSA", "TTNPU", "MBLT")
"""Ray's resource of an accelerator, by family; ``ray/_private/accelerators`` of 2.60.0. A node has one of them."""

TYPE_LABEL = "ray.io/accelerator-type"
TYPE_RESOURCE = "accelerator_type:"


def slug_of(name: str, more: dict[str, str]) -> str:
    """Return the slug of what Ray calls ``name``; ``more`` are an operator's rows, which win."""
    if name in more:
        return more[name]
    if name in SLUGS:
        return SLUGS[name]
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "accelerator"


_MODEL = re.compile(r"[a-z]+[0-9]+[a-z]*")


def same_model(written: str, name: str, slug: str) -> bool:
    """Say whether what a document calls an accelerator means the one that Ray calls ``name``."""
    text = written.lower()
    if text in (slug, name.lower()):
        return True
    return bool(set(_MODEL.findall(text)) & set(_MODEL.findall(name.lower())))
