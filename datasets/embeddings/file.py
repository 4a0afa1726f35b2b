"""Features made elsewhere for a dataset that is here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ...benchmark.registry import encoder
from ...benchmark.types import Features
from ..reading.base import PATH, DataError, Split, arrays_hash, path_label
from ..reading.features import as_features
from ..reading.npz import read_npz
from .base import Stored, Work, feature_problems


@encoder("file", cite="")
@dataclass(frozen=True)
class File(Stored):
    """Features made elsewhere: an .npz with ``train`` (N, D) and ``test`` (M, D), rows as in the dataset.

    ``path`` is the .npz; the embedding is known by what is in it, wherever it lies.
    """

    path: str = field(metadata=PATH)

    libraries: ClassVar[tuple[str, ...]] = ()

    def label(self) -> str:
        return path_label("file", self.path)

    def content_hash(self) -> str:
        return arrays_hash(["file"], list(self._read()))

    def encode(self, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
        return self._read()

    def problems(self, split: Split) -> list[str]:
        return [f"{self.path}: {problem}" for problem in feature_problems(*self._read(), split)]

    def _read(self) -> tuple[Features, Features]:
        found = read_npz(self.path, ("train", "test"))
        problems: list[str] = []
        train, test = as_features(found["train"], found["test"], self.label(), problems)
        if problems:
            raise DataError(problems)
        return train, test
