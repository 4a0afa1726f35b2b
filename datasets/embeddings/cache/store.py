"""The cache of embeddings, addressed by content: each is computed once, by one process, and checked when it is read.

What lies in one entry is in ``entry.py``, what can be done with the cache as a whole in ``shelf.py``.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout
from numpy.typing import NDArray

from .... import __version__
from ....benchmark.registry import Plugin, encoders
from ....benchmark.seeds import generator
from ....benchmark.types import Derived, Features, Labels, Pool, canonical_json
from ...reading.base import DataError, Dataset, Report, Split, cache_dir, label_of, parameters, plugin_of, silent
from ...reading.loading import Loaded, load
from ..base import Encoder, Precision, ReadsFile, StorageError, Stored, Work, feature_problems
from . import entry, images
from .artefacts import keeper
from .entry import FILES, CorruptEntryError, Entry, StaleEntryError, locked, storage
from .origin import origin
from .quality import Quality, measure

__all__ = [
    "CorruptEntryError",
    "Embedded",
    "StaleEntryError",
    "StorageError",
    "embed",
    "fingerprint",
    "make_pool",
]


@dataclass(frozen=True, eq=False)
class Embedded:
    """One embedded dataset, read-only and mapped from the cache. ``seconds`` is what the encoder took when it ran.

    Features that are kept as float16 are made float32, in memory, each time they are asked for. ``more`` is what the
    pool holds besides, where somebody asks for it: the same rows as images (`images.FILES`), transformed ``views``.
    """

    fingerprint: str
    entry: Entry
    more: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def features(self) -> Features:
        return _in_use(self.entry.arrays["features"])

    @property
    def labels(self) -> Labels:
        return self.entry.arrays["labels"]

    @property
    def test_features(self) -> Features:
        return _in_use(self.entry.arrays["test_features"])

    @property
    def test_labels(self) -> Labels:
        return self.entry.arrays["test_labels"]

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.entry.manifest["class_names"])

    @property
    def seconds(self) -> float:
        return float(self.entry.manifest["seconds"])

    @property
    def quality(self) -> Quality:
        return Quality(**self.entry.manifest["quality"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that `make_pool` needs, as arrays: what travels between processes."""
        content = self.entry.manifest["files"][FILES["features"]]["sha256"]
        rest = {"class_names": np.array(self.class_names), "content": np.array(content)}
        return {**{name: getattr(self, name) for name in FILES}, **rest, **self.more}

    def pool(self) -> Pool:
        return make_pool(self.fingerprint, self.arrays())


def make_pool(fingerprint: str, arrays: Mapping[str, NDArray[Any]]) -> Pool:
    """Build the pool, in any process: what is derived from it draws from (fingerprint, key) alone."""
    keep = keeper(fingerprint, str(arrays["content"]))
    derived = Derived(arrays["features"], partial(generator, "derived", fingerprint), keep)
    class_names = tuple(arrays["class_names"].tolist())
    more = {name: arrays[name] for name in (*images.FILES, "views") if name in arrays}
    return Pool(**{name: arrays[name] for name in FILES}, **more, class_names=class_names, derived=derived)


def fingerprint(content: str, encoder: Encoder) -> str:
    """Return the sha256 of all that decides the numbers of an embedding, and nothing else.

    That is the data's content hash, the encoder's name, version (and source, of one's own), settings and the content
    of the file it reads, and the type on disk. Names of datasets, paths, seeds (a resampled split has another content),
    machine and workers are not in it.
    """
    plugin = plugin_of(encoders, encoder)
    identity = {
        "content": content,
        "encoder": [*_code(plugin), _settings(encoder)],
        "file": encoder.content_hash() if isinstance(encoder, ReadsFile) else None,
        "dtype": _precision(encoder),
    }
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def embed(
    data: Dataset | Loaded, encoder: Encoder, seed: int = 0, report: Report = silent, recompute: bool = False
) -> Embedded:
    """Return the embedding from the cache, or compute it while other processes that ask for it wait.

    Load the data once (`load`) to encode it several times; ``seed`` is then ignored. ``recompute`` replaces an entry,
    and what was derived from it, whatever it holds.

    Raises
    ------
    DataError
        When the data, or what the encoder makes of them, cannot be used.
    CorruptEntryError
        When the entry is damaged or of another version: nothing is computed again unasked.
    StorageError
        When the cache cannot be written (a full disk, say); nothing half-made stays behind.
    """
    loaded = data if isinstance(data, Loaded) else load(data, seed, report)
    folder = cache_dir() / fingerprint(loaded.content, encoder)
    if not recompute:
        with suppress(OSError, CorruptEntryError):  # decided below, when no other process is at it
            found = entry.read(folder)  # without a lock: a cache may be read-only
            entry.used(folder)
            return Embedded(folder.name, found)
    with locked(folder):
        if recompute or not folder.is_dir():
            _compute(folder, loaded, encoder, report, anew=recompute)
        with storage(folder.parent):
            return Embedded(folder.name, entry.read(folder))


def _compute(folder: Path, loaded: Loaded, encoder: Encoder, report: Report, anew: bool) -> None:
    """Encode into a folder under another name, and give it its name when it is whole. Call it under the lock.

    ``anew``: not even what an earlier attempt kept is used.
    """
    unfinished = folder.with_suffix(".tmp")
    with storage(folder.parent):
        entry.clear(unfinished)  # ours to remove: whoever wrote it has lost the lock
    _sweep(folder.parent)
    started = time.perf_counter()
    try:
        work = work_at(folder, loaded, encoder, report)
        if anew and work.kept.is_dir():
            with work.keeping():
                shutil.rmtree(work.kept)
        features = encoded(loaded.split, loaded, encoder, work, _precision(encoder))
        seconds = round(time.perf_counter() - started, 3)
        with storage(folder.parent):
            unfinished.mkdir(exist_ok=True)
            manifest = _write(unfinished, features, loaded, encoder)
            entry.write_manifest(unfinished, {**manifest, "fingerprint": folder.name, "seconds": seconds})
            shutil.rmtree(unfinished / "scratch", ignore_errors=True)
            entry.discard(folder)
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _code(plugin: Plugin) -> list[str | int]:
    """Return what says which code an encoder is."""
    return [plugin.was or plugin.name, plugin.version, *([plugin.source] if plugin.source else [])]


def work_at(folder: Path, loaded: Loaded, encoder: Encoder, report: Report) -> Work:
    """Return where an encoder works while ``folder`` is made; what it keeps is that of these inputs and parameters."""
    plugin = plugin_of(encoders, encoder)
    made_of = canonical_json([*_code(plugin), _settings(encoder), loaded.inputs])
    kept = cache_dir() / entry.TRAINING / hashlib.sha256(made_of.encode()).hexdigest()
    return Work(folder.with_suffix(".tmp") / "scratch", kept, report, about(loaded, encoder))


def about(loaded: Loaded, encoder: Encoder) -> dict[str, Any]:
    """Return what a manifest says of the data and the encoder."""
    plugin = plugin_of(encoders, encoder)
    made_by = {"name": plugin.name, "label": label_of(plugin, encoder), "version": plugin.version}
    return {
        "dataset": loaded.about,
        "encoder": {**made_by, "params": parameters(encoder)},
    }


def encoded(
    split: Split, loaded: Loaded, encoder: Encoder, work: Work, precision: Precision
) -> tuple[Features, Features]:
    """Return the features of a split's parts, as fit to be kept; the draws are those of the data that were loaded."""
    plugin, settings = plugin_of(encoders, encoder), canonical_json(_settings(encoder))
    train, test = encoder.encode(split, generator("encode", plugin.was or plugin.name, settings, loaded.inputs), work)
    problems = feature_problems(train, test, split, precision)
    if problems:
        label = label_of(plugin, encoder)
        raise DataError([f"{label} for dataset {loaded.label}: {problem}" for problem in problems])
    return train, test


def _write(folder: Path, features: tuple[Features, Features], loaded: Loaded, encoder: Encoder) -> dict[str, Any]:
    """Write the arrays of an entry, measure what was written, and return what the manifest says of it all."""
    split, precision = loaded.split, _precision(encoder)
    arrays: dict[str, tuple[NDArray[Any], str]] = {
        "features": (features[0], precision),
        "labels": (split.train_labels, "int64"),
        "test_features": (features[1], precision),
        "test_labels": (split.test_labels, "int64"),
    }
    files = {file: entry.write_array(folder / file, *arrays[name]) for name, file in FILES.items()}
    written = {name: np.load(folder / file, mmap_mode="r", allow_pickle=False) for name, file in FILES.items()}
    return {
        "layout": entry.LAYOUT,
        "albench": __version__,
        **about(loaded, encoder),
        "origin": origin(encoder),
        "kind": split.kind,
        "n_classes": len(split.class_names),
        "class_names": list(split.class_names),
        "files": files,
        "quality": asdict(measure(**written, n_classes=len(split.class_names))),
    }


def _sweep(cache: Path) -> None:
    """Remove what killed processes left: unfinished folders whose lock is free."""
    places = {cache: "*.tmp", cache / entry.TRAINING: "*.removed.tmp"}
    places |= {cache / place: "*.tmp" for place in (entry.IMAGES, entry.VIEWS)}
    ours = {place: pattern for place, pattern in places.items() if place == cache or not place.is_symlink()}
    for unfinished in (path for place, pattern in ours.items() for path in place.glob(pattern)):
        with suppress(Timeout, StorageError), locked(unfinished, timeout=0), storage(cache):  # else it is being written
            entry.clear(unfinished)


def _precision(encoder: Encoder) -> Precision:
    return encoder.store if isinstance(encoder, Stored) else "float32"


def _settings(encoder: Encoder) -> dict[str, Any]:
    """Return the parameters that decide what is computed: all but the type it is kept in."""
    kept_as = {"store"} if isinstance(encoder, Stored) else set[str]()
    return {name: value for name, value in parameters(encoder).items() if name not in kept_as}


def _in_use(features: NDArray[Any]) -> Features:
    used = features.astype(np.float32, copy=False)
    used.setflags(write=False)
    return used
