"""The checkpoint of a training: its hash, and whether it still holds; without torch, which takes seconds to import."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAME = "checkpoint.safetensors"


def digest(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return the sha256 of named arrays; safetensors itself has no checksum."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(name.encode())
        found.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def fault(kept: Path) -> str:
    """Hash the checkpoint in the folder of a training; return what is wrong, nothing when it holds or is not there."""
    path = kept / NAME
    if not (path.exists() or path.is_symlink()):
        return ""
    if not path.is_file():
        return f"{path}: is no file"
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415  most caches have no training

    try:
        with safe_open(path, "np") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dict
            whole = file.metadata()["sha256"] == digest(tensors)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        return f"{path}: no checkpoint ({str(error) or type(error).__name__})"
    return "" if whole else f"{path}: its bytes are not those that were written (sha256)"
