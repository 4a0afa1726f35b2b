"""What tests of encoders and of the cache share."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from albench.benchmark.types import Features
from albench.datasets.embeddings.base import Encoder, Work
from albench.datasets.embeddings.cache import shelf
from albench.datasets.reading.base import Split


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def split_of(train: NDArray[Any], test: NDArray[Any], kind: Literal["images", "table", "features"] = "table") -> Split:
    labels = np.arange(len(train)) % 2, np.arange(len(test)) % 2
    return Split(kind, train, labels[0], test, labels[1], ("a", "b"))


def table(n: int = 50, d: int = 7, seed: int = 0) -> Split:
    draw = np.random.default_rng(seed)
    x = (draw.normal(size=(n + 10, d)) * draw.uniform(0.1, 100, d) + draw.uniform(-50, 50, d)).astype(np.float32)
    return split_of(x[:n], x[n:])


def features_file(path: Path, **changes: Any) -> str:
    draw = np.random.default_rng(0)
    np.savez(path, **({"train": draw.normal(size=(124, 4)), "test": draw.normal(size=(54, 4))} | changes))
    return str(path)


def encode(encoder: Encoder, split: Split, folder: Path | None = None) -> tuple[Features, Features]:
    """Encode without a cache; an encoder that keeps nothing needs no ``folder``."""
    with TemporaryDirectory() as own:  # what is mapped from a file stays when the file is gone
        folder = folder or Path(own)
        return encoder.encode(split, rng(), Work(folder / "scratch", folder / "kept"))


def faults() -> list[str]:
    """Return what `albench embed --verify` says of all that is damaged in the cache."""
    return [line for line, sound in shelf.verified() if not sound]
