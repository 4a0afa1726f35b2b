"""One entry of the cache: a folder named by its fingerprint, with ``manifest.json`` and four ``.npy`` files.

It is written under another name and renamed when it is whole, so a folder under its own name is never half-made.
Locks are files beside the folders; the system frees them when a process dies. On a network disk they must be honoured
across machines.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ....benchmark.types import UserError, canonical_json
from ...reading import plain
from ...reading.base import Inputs, blocks, cache_dir
from ..base import StorageError
from .manifests import Embedding, Folder
from .manifests import fault as fault_in

LAYOUT = 2
"""Version of the folder's layout; another one is not read. 2 brought the quality."""

CHECKED = 256 * 2**20
"""Entries of up to so many bytes are hashed each time they are read; bigger ones by `albench embed --verify`."""

MANIFEST = "manifest.json"

FILES = {
    "features": "train.npy",
    "labels": "train_labels.npy",
    "test_features": "test.npy",
    "test_labels": "test_labels.npy",
}


_NAME = re.compile("[0-9a-f]{64}")

LOCK = ".lock"
"""Ends the name of the file by which processes wait for each other; it stays."""

DERIVED = ".derived"
"""Ends the name of the folder in which what is derived from an entry lies."""


TRAINING = "training"
"""The folder of the cache in which trainings lie, each named by the hash of what decides it."""

IMAGES = "images"
"""The folder of the cache in which images lie as views of their pools, each named by the hash of what decides it."""


VIEWS = "views"
"""The folder of the cache in which transformed views of pools lie, each named by the hash of what decides it."""


class CorruptEntryError(UserError, ValueError):
    """An entry is not what its manifest says: one line with the file, the ``fault`` and the command that mends it."""

    exit_status = 1

    def __init__(self, path: Path, fault: str) -> None:
        self.fault = f"{path}: {fault}"
        folder = path.parent.parent if path.parent.parent.suffix == DERIVED else path.parent
        super().__init__(f"{self.fault}; {self.remedy(folder.name[:12])}")

    def remedy(self, prefix: str) -> str:
        return f"'albench cache remove {prefix}' removes the entry, and it is computed again when it is asked for"


class StaleEntryError(CorruptEntryError):
    """An entry was written by a version whose entries this one does not read."""

    def remedy(self, prefix: str) -> str:
        return "'albench cache remove --stale' removes all such entries; they are computed again when asked for"


@dataclass(frozen=True, eq=False)
class Entry:
    """What a folder of the cache holds; ``arrays`` are mapped read-only, by the names of `FILES`."""

    manifest: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def folders(within: str = "") -> list[Path]:
    """Return the entries of the cache (or of a folder ``within`` it), whole or not, in order of their names."""
    return [path for path in beside(within) if _NAME.fullmatch(path.name) and is_folder(path)]


def beside(within: str = "") -> list[Path]:
    """Return the entries and what belongs to them (`DERIVED`, unfinished, set aside), and all that has such a name."""
    place = cache_dir() / within
    if within and not is_folder(place):
        return []
    with storage(cache_dir()), suppress(FileNotFoundError):  # nothing is there before the first entry
        return sorted(path for path in place.iterdir() if _NAME.match(path.name) and path.suffix != LOCK)
    return []


def is_folder(path: Path) -> bool:
    """Return whether there is a folder; a link that leads nowhere, or to itself, is none."""
    with suppress(OSError):
        return path.is_dir()
    return False


@contextmanager
def storage(cache: Path) -> Iterator[None]:
    """Turn what goes wrong with files in here (never the encoder's own errors) into one line."""
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        raise StorageError(f"cannot use the embedding cache {cache}: {error.strerror or error}") from error


@contextmanager
def locked(folder: Path, timeout: float = -1) -> Iterator[None]:
    """Hold the lock of an entry; `filelock.Timeout` when it is not free within ``timeout`` seconds (-1: wait)."""
    name = folder.name.partition(".")[0]  # what belongs to an entry (.tmp, .derived) has its lock
    lock = FileLock(folder.with_name(f"{name}{LOCK}"), timeout=timeout)
    with storage(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def read(
    folder: Path, hash_all: bool = False, names: Mapping[str, str] = FILES, form: type[Folder] = Embedding
) -> Entry:
    """Map an entry and check it: the manifest, sizes and headers always, hashes of entries up to `CHECKED` bytes.

    Raises FileNotFoundError when there is no entry, `CorruptEntryError` when it is not what its manifest says.
    """
    if not is_folder(folder):
        raise FileNotFoundError(folder)
    manifest = read_manifest(folder, form)
    if missing := [file for file in names.values() if file not in manifest["files"]]:
        raise CorruptEntryError(folder / MANIFEST, f"files: says nothing of {missing[0]}")
    files = {name: manifest["files"][file] for name, file in names.items()}
    hashed = hash_all or sum(facts["bytes"] for facts in files.values()) <= CHECKED
    return Entry(manifest, {name: _read_array(folder / names[name], files[name], hashed) for name in names})


def once(folder: Path, names: Mapping[str, str], form: type[Folder], write: Callable[[], None]) -> Entry:
    """Return an entry, written by ``write`` under the lock where it is not there, while others that ask for it wait.

    Raises `CorruptEntryError` for one that is damaged: nothing is written again unasked.
    """
    with suppress(OSError, CorruptEntryError):  # decided below, when no other process is at it
        found = read(folder, names=names, form=form)  # without a lock: a cache may be read-only
        used(folder)
        return found
    with locked(folder):
        if not folder.is_dir():
            write()
        with storage(folder.parent):
            return read(folder, names=names, form=form)


def read_manifest(folder: Path, form: type[Folder] = Folder) -> dict[str, Any]:
    """Return the manifest, checked against its own hash, the name of the folder and, field by field, its form."""
    path = folder / MANIFEST
    try:
        manifest = plain.read_json(path)
        whole = manifest.get("sha256") == _manifest_hash(manifest) and manifest.get("fingerprint") == folder.name
    except plain.UnfitError as error:
        raise CorruptEntryError(path, str(error)) from error
    except OSError as error:
        raise CorruptEntryError(path, f"unreadable ({error.strerror or error})") from error
    if not whole:
        raise CorruptEntryError(path, "does not match its own hash or its folder's name")
    layout = manifest.get("layout")
    if type(layout) is not int:
        raise CorruptEntryError(path, "layout: is no whole number")
    if layout != LAYOUT:
        raise StaleEntryError(path, f"layout {layout}, this version reads {LAYOUT}")
    if why := fault_in(form, manifest):
        raise CorruptEntryError(path, why)
    return manifest


def used(folder: Path) -> None:
    """Note that an entry was asked for: the time of its folder. A cache that is read-only remembers nothing."""
    with suppress(OSError):
        os.utime(folder)


def fault(folder: Path, names: Mapping[str, str] = FILES, form: type[Folder] = Embedding) -> CorruptEntryError | None:
    """Hash all of an entry; return what is wrong with it, or None."""
    try:
        read(folder, hash_all=True, names=names, form=form)
    except CorruptEntryError as error:
        return error
    return None


def discard(folder: Path) -> None:
    """Remove an entry, what was derived from it and what was set aside of it; at once, as far as readers can see.

    Call it under the lock. Harmless where there is nothing.
    """
    for path in [folder, *folder.parent.glob(f"{folder.name}.*")]:
        if path.suffix not in {".tmp", LOCK} and (path.exists() or path.is_symlink()):
            doomed = path.with_name(f"{path.name}.removed.tmp")  # what is left of it after a kill is swept up
            clear(doomed)
            path.rename(doomed)
            clear(doomed)


def clear(path: Path) -> None:
    """Remove what has this name, a folder with all that is in it; of a link, the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write ``manifest`` with the hash of itself."""
    text = json.dumps({**manifest, "sha256": _manifest_hash(manifest)}, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def write_array(
    path: Path, array: Inputs, dtype: str, wrote: Callable[[int], None] = lambda rows: None
) -> dict[str, Any]:
    """Write an array as ``dtype``, block by block; return what the manifest says of the file.

    ``wrote`` is told the rows of each block.
    """
    header, digest = io.BytesIO(), hashlib.sha256()
    facts = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(header, facts)
    with path.open("wb") as file:  # np.save would pass over a disk that is full at the last bytes
        digest.update(header.getvalue())
        file.write(header.getvalue())
        for block in blocks(array) if array.shape else [np.asarray(array)]:
            data = np.ascontiguousarray(block, dtype).data
            digest.update(data)
            file.write(data)
            wrote(len(block) if block.shape else 1)
    size = path.stat().st_size
    return {"shape": list(array.shape), "dtype": facts["descr"], "bytes": size, "sha256": digest.hexdigest()}


def _manifest_hash(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(canonical_json(rest).encode()).hexdigest()


def _read_array(path: Path, expected: Mapping[str, Any], hashed: bool) -> NDArray[Any]:
    if not path.is_file():
        raise CorruptEntryError(path, "missing")
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise CorruptEntryError(path, f"{size} bytes, {expected['bytes']} were written")
    if hashed and _file_hash(path) != expected["sha256"]:
        raise CorruptEntryError(path, "its bytes are not those that were written (sha256)")
    try:
        array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, TypeError, SyntaxError, ArithmeticError, MemoryError, RecursionError) as error:
        raise CorruptEntryError(path, f"unreadable header ({str(error)[:100]})") from error
    if [array.dtype.str, list(array.shape)] != [expected["dtype"], expected["shape"]]:
        raise CorruptEntryError(path, f"holds {array.dtype.str} {array.shape}, not what was written")
    return array


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorruptEntryError(path, f"cannot be read ({error.strerror or error})") from error
