"""The cache of embeddings, addressed by content: each is computed once, by one process, and checked when it is read.

One folder per fingerprint holds ``manifest.json`` and four ``.npy`` files. It is written under another name and renamed
when it is whole, so a folder under its own name is never half-made. Locks are files beside the folders; the system
frees them when a process dies. On a network disk they must be honoured across machines.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ... import __version__
from ...benchmark.registry import encoders
from ...benchmark.seeds import generator
from ...benchmark.types import Derived, Features, Labels, Pool, UserError, canonical_json
from ..base import DataError, Dataset, Report, cache_dir, label_of, parameters, plugin_of, silent
from ..loading import Loaded, load
from .base import Encoder, ReadsFile, Work, feature_problems

LAYOUT = 1
"""Version of the folder's layout; another one is not read."""

CHECKED = 256 * 2**20
"""Entries of up to so many bytes are hashed each time they are read; bigger ones by `verify`."""

FILES = {
    "features": "train.npy",
    "labels": "train_labels.npy",
    "test_features": "test.npy",
    "test_labels": "test_labels.npy",
}

_log = logging.getLogger("albench")


class StorageError(UserError, OSError):
    """The cache cannot be read or written; one line with the folder and the reason."""


class CorruptEntryError(ValueError):
    """A cache entry is not what its manifest says; one line with the file and the fault."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """One embedded dataset, read-only and mapped from the cache. ``seconds`` is what the encoder took when it ran."""

    fingerprint: str
    features: Features
    labels: Labels
    test_features: Features
    test_labels: Labels
    class_names: tuple[str, ...]
    seconds: float

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that `make_pool` needs, as arrays: what travels between processes."""
        return {**{name: getattr(self, name) for name in FILES}, "class_names": np.array(self.class_names)}

    def pool(self) -> Pool:
        return make_pool(self.fingerprint, self.arrays())


def make_pool(fingerprint: str, arrays: Mapping[str, NDArray[Any]]) -> Pool:
    """Build the pool, in any process: what is derived from it draws from (fingerprint, key) alone."""
    derived = Derived(arrays["features"], partial(generator, "derived", fingerprint))
    class_names = tuple(arrays["class_names"].tolist())
    return Pool(**{name: arrays[name] for name in FILES}, class_names=class_names, derived=derived)


def fingerprint(content: str, encoder: Encoder) -> str:
    """Return the sha256 of all that decides the numbers of an embedding, and nothing else.

    That is the data's content hash, and the encoder's name, version, settings and the content of the file it reads.
    Names of datasets, paths, seeds (a resampled split has another content), machine and workers are not in it.
    """
    plugin = plugin_of(encoders, encoder)
    identity = {
        "content": content,
        "encoder": [plugin.name, plugin.version, parameters(encoder)],
        "file": encoder.content_hash() if isinstance(encoder, ReadsFile) else None,
        "dtype": "float32",
    }
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def embed(data: Dataset | Loaded, encoder: Encoder, seed: int = 0, report: Report = silent) -> Embedded:
    """Return the embedding from the cache, or compute it while other processes that ask for it wait.

    Load the data once (`load`) to encode it several times; ``seed`` is then ignored. A corrupt entry is set aside
    as ``<fingerprint>.corrupt-<n>``, named in a warning of the logger ``albench``, and computed again.

    Raises
    ------
    DataError
        When the data, or what the encoder makes of them, cannot be used.
    StorageError
        When the cache cannot be written (a full disk, say); nothing half-made stays behind.
    """
    loaded = data if isinstance(data, Loaded) else load(data, seed)
    folder = cache_dir() / fingerprint(loaded.content, encoder)
    try:
        return _read(folder)  # without a lock, so that a cache that is read-only can be used
    except (OSError, CorruptEntryError):
        pass  # decided again below, when no other process is at it
    with _locked(folder):
        return _recall(folder) or _compute(folder, loaded, encoder, report)


def verify() -> dict[str, str]:
    """Hash every entry of the cache, whatever its size; return the faults found, by fingerprint."""
    faults = {}
    for folder in sorted(cache_dir().glob("[0-9a-f]" * 64)):
        try:
            _read(folder, hash_all=True)
        except CorruptEntryError as error:
            faults[folder.name] = str(error)
    return faults


@contextmanager
def _storage(cache: Path) -> Iterator[None]:
    """Turn what goes wrong with files in here (never the encoder's own errors) into one line."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot use the embedding cache {cache}: {error.strerror or error}") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = _lock(folder)
    with _storage(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lock(folder: Path, timeout: float = -1) -> FileLock:
    return FileLock(folder.with_suffix(".lock"), timeout=timeout)


def _recall(folder: Path) -> Embedded | None:
    """Read an entry; set it aside when it is corrupt. Call it under the lock."""
    with _storage(folder.parent):
        try:
            return _read(folder)
        except FileNotFoundError:
            return None
        except CorruptEntryError as error:
            n = 1
            while (aside := folder.with_suffix(f".corrupt-{n}")).exists():
                n += 1
            folder.rename(aside)
            _log.warning("corrupt embedding in the cache, computed again: %s; kept as %s", error, aside.name)
            return None


def _compute(folder: Path, loaded: Loaded, encoder: Encoder, report: Report) -> Embedded:
    """Encode into a folder under another name, and give it its name when it is whole. Call it under the lock."""
    unfinished = folder.with_suffix(".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)  # ours to remove: whoever wrote it has lost the lock
    _sweep(folder.parent)
    started = time.perf_counter()
    arrays = _encode(loaded, encoder, _work(folder, loaded, encoder, report))
    seconds = time.perf_counter() - started
    try:
        with _storage(folder.parent):
            unfinished.mkdir(exist_ok=True)
            files = {file: _write(unfinished / file, arrays[name]) for name, file in FILES.items()}
            manifest = _manifest(folder.name, loaded, encoder, files, seconds)
            shutil.rmtree(unfinished / "scratch", ignore_errors=True)
            (unfinished / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            unfinished.rename(folder)
            return _read(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _work(folder: Path, loaded: Loaded, encoder: Encoder, report: Report) -> Work:
    plugin = plugin_of(encoders, encoder)
    made_of = canonical_json([plugin.name, plugin.version, parameters(encoder), loaded.inputs])
    kept = folder.parent / "training" / hashlib.sha256(made_of.encode()).hexdigest()
    return Work(folder.with_suffix(".tmp") / "scratch", kept, report)


def _encode(loaded: Loaded, encoder: Encoder, work: Work) -> dict[str, NDArray[Any]]:
    plugin, params, split = plugin_of(encoders, encoder), canonical_json(parameters(encoder)), loaded.split
    train, test = encoder.encode(split, generator("encode", plugin.name, params, loaded.inputs), work)
    problems = feature_problems(train, test, split)
    if problems:
        label = label_of(plugin, encoder)
        raise DataError([f"{label} for dataset {loaded.label}: {problem}" for problem in problems])
    return {"features": train, "labels": split.train_labels, "test_features": test, "test_labels": split.test_labels}


def _sweep(cache: Path) -> None:
    """Remove what killed processes left: unfinished folders whose lock is free."""
    for unfinished in cache.glob("*.tmp"):
        try:
            with _lock(unfinished, timeout=0):
                shutil.rmtree(unfinished, ignore_errors=True)
        except Timeout:
            pass  # another process is writing it


def _write(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    array = np.ascontiguousarray(array)
    with path.open("wb") as file:  # np.save would pass over a disk that is full at the last bytes
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)
    size = path.stat().st_size
    return {"shape": list(array.shape), "dtype": array.dtype.str, "bytes": size, "sha256": _file_hash(path)}


def _manifest(
    key: str, loaded: Loaded, encoder: Encoder, files: Mapping[str, Mapping[str, Any]], seconds: float
) -> dict[str, Any]:
    plugin = plugin_of(encoders, encoder)
    manifest = {
        "layout": LAYOUT,
        "albench": __version__,
        "fingerprint": key,
        "dataset": {"name": loaded.name, "label": loaded.label, "params": loaded.params, "content": loaded.content},
        "encoder": {"name": plugin.name, "version": plugin.version, "params": parameters(encoder)},
        "kind": loaded.split.kind,
        "n_classes": len(loaded.split.class_names),
        "class_names": list(loaded.split.class_names),
        "files": files,
        "seconds": round(seconds, 3),
    }
    return {**manifest, "sha256": _manifest_hash(manifest)}


def _manifest_hash(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(canonical_json(rest).encode()).hexdigest()


def _read(folder: Path, hash_all: bool = False) -> Embedded:
    """Map an entry and check it: the manifest, sizes and headers always, hashes of entries up to `CHECKED` bytes.

    Raises FileNotFoundError when there is no entry, CorruptEntryError when it is not what its manifest says.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    manifest = _read_manifest(folder)
    files = manifest["files"]
    hashed = hash_all or sum(files[file]["bytes"] for file in FILES.values()) <= CHECKED
    arrays = {name: _read_array(folder / file, files[file], hashed) for name, file in FILES.items()}
    names = tuple(manifest["class_names"])
    return Embedded(folder.name, **arrays, class_names=names, seconds=manifest["seconds"])


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        whole = manifest["sha256"] == _manifest_hash(manifest) and manifest["fingerprint"] == folder.name
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptEntryError(f"{path}: unreadable ({type(error).__name__})") from error
    if not whole:
        raise CorruptEntryError(f"{path}: does not match its own hash or its folder's name")
    if manifest["layout"] != LAYOUT:
        raise CorruptEntryError(f"{path}: layout {manifest['layout']}, this version reads {LAYOUT}")
    return manifest


def _read_array(path: Path, expected: Mapping[str, Any], hashed: bool) -> NDArray[Any]:
    if not path.is_file():
        raise CorruptEntryError(f"{path}: missing")
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise CorruptEntryError(f"{path}: {size} bytes, {expected['bytes']} were written")
    if hashed and _file_hash(path) != expected["sha256"]:
        raise CorruptEntryError(f"{path}: its bytes are not those that were written (sha256)")
    try:
        array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise CorruptEntryError(f"{path}: unreadable header ({error})") from error
    if [array.dtype.str, list(array.shape)] != [expected["dtype"], expected["shape"]]:
        raise CorruptEntryError(f"{path}: holds {array.dtype.str} {array.shape}, not what was written")
    return array


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
