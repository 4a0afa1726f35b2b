"""What encoders share whose network was trained elsewhere: its weights, known by their content, and its transform."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....benchmark.types import Features, canonical_json
from ...reading.base import PATH, DataError, Split, arrays_hash
from ..base import Stored, Work
from .apply import apply, image_problems

if TYPE_CHECKING:
    import torch

    from .apply import Prepare


@dataclass(frozen=True, eq=False)
class Network:
    """A network without its classifier, what makes its input from uint8 images, and the settings of that."""

    module: torch.nn.Module
    prepare: Prepare
    settings: Mapping[str, Any]

    def digest(self) -> str:
        """Return the sha256 of the weights (names, types, shapes, bytes) and of the transform's settings."""
        import torch  # noqa: PLC0415  heavy

        state = sorted(self.module.state_dict().items())
        names = [f"{name} {tensor.dtype} {list(tensor.shape)}" for name, tensor in state]
        data = [tensor.contiguous().reshape(-1).view(torch.uint8).numpy() for _, tensor in state]
        return arrays_hash([canonical_json(self.settings), *names], data)


@dataclass(frozen=True)
class Pretrained(Stored):
    """The parameters and the way of work of such an encoder; a subclass says where networks come from.

    ``model`` is the name of the network there.
    """

    model: str
    weights: str | None = field(default=None, metadata=PATH)

    def network(self) -> Network:
        """Return the network with its weights, or raise `DataError` with one line that says what is wrong."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """What errors and tables call it, without the file."""
        raise NotImplementedError

    def label(self) -> str:
        return self.name if self.weights is None else f"{self.name}[{Path(self.weights).name}]"

    def content_hash(self) -> str:
        file = None if self.weights is None else Path(self.weights).expanduser()
        state = file.stat() if file is not None and file.is_file() else None
        return _digest(self, state and (state.st_ino, state.st_size, state.st_mtime_ns))

    def encode(self, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
        if found := self.problems(split):
            raise DataError(found)
        network = self.network()
        return apply(network.module, split, network.prepare, work, what=self.label())

    def problems(self, split: Split) -> list[str]:
        channels = split.train.shape[-1]
        if split.kind == "images" and channels not in (1, 3):
            return [f"{self.name} is for images with 1 or 3 channels, not with {channels}"]
        return image_problems(split, self.name)


@lru_cache(maxsize=64)
def _digest(encoder: Pretrained, file: tuple[int, ...] | None) -> str:
    """Load the weights once for all datasets and seeds of a grid; ``file`` is there to notice another file."""
    return encoder.network().digest()


def check_name(kind: str, name: str, legal: Collection[str]) -> None:
    """Raise `DataError` with the nearest names: there are too many to list them all."""
    if name not in legal:
        near = difflib.get_close_matches(name, sorted(legal), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else f"; {len(legal)} names are known"
        raise DataError([f"unknown {kind} model {name!r}{hint}"])


def read_weights(path: str, without: Collection[str]) -> dict[str, torch.Tensor]:
    """Return the tensors of a .safetensors or .pth file by name, but for those of the layers ``without``.

    Nothing in the file is executed. What training scripts wrap around them is taken off.
    """
    import torch  # noqa: PLC0415  heavy
    from safetensors import SafetensorError  # noqa: PLC0415  heavy
    from timm.models import load_state_dict  # noqa: PLC0415  heavy

    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError([f"{path}: no such file of weights"])
    try:
        state = load_state_dict(str(file), weights_only=True)
        if other := next((name for name, value in state.items() if not isinstance(value, torch.Tensor)), None):
            raise ValueError(f"{other!r} is no tensor")  # noqa: TRY301  said like the other faults below
    except (OSError, RuntimeError, ValueError, EOFError, LookupError, AttributeError, SafetensorError) as error:
        raise DataError([f"{path}: cannot be read as weights ({one_line(error)})"]) from error
    return {name: tensor for name, tensor in state.items() if name.rpartition(".")[0] not in without}


def one_line(error: Exception) -> str:
    """Return what an error says, its first sentences, on one line of bearable length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 240 else f"{text[:240]}..."


def as_rgb(images: torch.Tensor) -> torch.Tensor:
    """Repeat a grey channel: (B, 1 or 3, H, W) to (B, 3, H, W)."""
    return images.expand(-1, 3, -1, -1)
