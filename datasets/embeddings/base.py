"""What every encoder gives: features of the pool and of the test set."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ...benchmark.types import Features, UserError
from ..reading.base import LATER, DataError, Report, Split, silent, unusable
from ..reading.plain import whole

Precision = Literal["float32", "float16"]
ABOUT = "about.json"
FLOAT16_MAX = float(np.finfo(np.float16).max)


class StorageError(UserError, OSError):
    """The cache cannot be read or written; one line with the folder and the reason."""

    exit_status = 1


@dataclass(frozen=True)
class Work:
    """Where an encoder may put things while it works, and whom it tells how far it is.

    ``scratch`` is removed when the embedding is written or failed. ``kept`` is a folder for what a later attempt can
    go on from (checkpoints, trained weights): it is that of the encoder, its parameters and the inputs without labels,
    so several entries may share it (`keeping`), and survives a crash. Neither need exist yet. ``about`` is put beside
    what is kept: dataset and encoder as in a manifest, for those who look what lies there.
    """

    scratch: Path
    kept: Path
    report: Report = silent
    about: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Hold ``kept`` for this process alone: another that trains the same waits, and finds what this one kept."""
        try:
            self.kept.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.kept.with_suffix(".lock"))
            lock.acquire()
        except OSError as error:
            raise DataError([f"{self.kept}: cannot be written ({error.strerror or error})"]) from error
        try:
            if self.about:
                with suppress(OSError), whole(self.kept / ABOUT) as file:  # without it the training has no name
                    file.write(json.dumps(self.about, indent=1).encode())
            yield
        finally:
            lock.release()

    def array(self, name: str, shape: tuple[int, ...], dtype: type[np.number[Any]] = np.float32) -> NDArray[Any]:
        """Return rows to fill, mapped from a file in ``scratch``: no more memory than is being written.

        Raises
        ------
        StorageError
            When the disk has no room for all of them; a row written later would end the process without a word.
        """
        path = self.scratch / f"{name}.npy"
        try:
            self.scratch.mkdir(parents=True, exist_ok=True)
            rows = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
            if hasattr(os, "posix_fallocate"):  # until then the file is one large hole
                with path.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
        return rows


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The parameter that every encoder has: the type its features have on disk.

    ``store: float16`` halves the cache and rounds once, to 11 bits; in use they are float32 all the same. It is part of
    the fingerprint and of nothing that is drawn or trained: both types hold the answer of the same network.

    ``libraries`` are the packages whose versions may move the numbers; the manifest says them, the fingerprint does
    not. None are named where features are not computed here.
    """

    store: Precision = field(default="float32", metadata=LATER)

    libraries: ClassVar[tuple[str, ...]] = ("numpy",)


class Encoder(Protocol):
    """A frozen dataclass whose fields are its parameters."""

    def encode(self, split: Split, rng: np.random.Generator, work: Work) -> tuple[Features, Features]:
        """Return features (N, D) of the pool and (M, D) of the test set, float32, fitted on the pool's part alone.

        ``rng`` is fixed by the encoder, its parameters and the inputs; labels do not enter.
        """


@runtime_checkable
class ReadsFile(Protocol):
    """An encoder, or a learner, whose output depends on a file too.

    The file's content is part of the embedding's fingerprint, or of the trial's identity.
    """

    def content_hash(self) -> str:
        """Return a hash of the content, the same wherever the file lies and whatever packs it."""


@runtime_checkable
class Selective(Protocol):
    """An encoder that cannot encode every split, or a learner of images that cannot see all."""

    def problems(self, split: Split) -> list[str]:
        """Return what is wrong with ``split`` for it, one line each, without encoding it."""


def feature_problems(train: Features, test: Features, split: Split, precision: Precision = "float32") -> list[str]:
    """Return everything that is wrong with an encoder's answer, one line each, if it is kept as ``precision``."""
    problems = []
    for name, features, rows in (("train", train, len(split.train)), ("test", test, len(split.test))):
        if features.ndim != 2 or features.dtype != np.float32 or features.shape[1] == 0:
            problems.append(
                f"{name} is {features.dtype} of shape {features.shape}; needed are float32 rows of features"
            )
            continue
        if len(features) != rows:
            problems.append(f"{name} has {len(features)} rows, the dataset's {name} part {rows}")
        found = unusable(name, features)
        largest = max(-float(features.min()), float(features.max())) if precision == "float16" and not found else 0.0
        if largest > FLOAT16_MAX:
            found = [f"{name} has values up to {largest:.3g}, float16 holds {FLOAT16_MAX:.0f}; use store: float32"]
        problems += found
    if not problems and train.shape[1] != test.shape[1]:
        problems.append(f"train has {train.shape[1]} features, test {test.shape[1]}")
    return problems
