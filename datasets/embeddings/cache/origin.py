"""What computed an embedding: for the manifest, to read when two machines differ. No part of any identity."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from ..base import Encoder, Stored


def origin(encoder: Encoder) -> dict[str, Any]:
    """Return the ``device`` and the versions of the ``libraries`` that an encoder computes with, on this machine.

    Nothing of an encoder that computes nothing itself: what made its features is not known.
    """
    libraries = encoder.libraries if isinstance(encoder, Stored) else ("numpy",)
    if not libraries:
        return {}
    return {"device": _device("torch" in libraries), "libraries": {name: version(name) for name in libraries}}


def origin_text(origin: Mapping[str, Any]) -> str:
    """Return an origin in words; older manifests, and features made elsewhere, have none."""
    if not origin:
        return "device and libraries not known"
    device, libraries = origin.get("device", "a device not known"), origin.get("libraries", {})
    return ", ".join([f"on {device}", *(f"{name} {number}" for name, number in libraries.items())])


def _device(by_torch: bool) -> str:
    if by_torch:
        import torch  # noqa: PLC0415  heavy

        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if gpus:
            return ", ".join(gpus)
    return f"cpu ({platform.machine()})"
