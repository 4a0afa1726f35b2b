"""What is derived from an embedding (unit rows, graphs): computed by one process of a node, mapped by all of them.

Artefacts lie in ``<fingerprint>.derived/<hash of the key>`` of the node's own cache, whether or not the embedding is
in it: a manifest and a ``.npy`` file per array, written under another name and renamed when they are whole.

The features of one fingerprint may differ in their last bits from machine to machine. An artefact says the sha256 of
those it was made of, and is made anew from others.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ....benchmark.types import Arrays, Keep, canonical_json
from ...reading.base import cache_dir, warn
from ..base import StorageError
from . import entry
from .entry import DERIVED, CorruptEntryError
from .manifests import Artefact


def keeper(fingerprint: str, content: str) -> Keep:
    """Return what keeps the artefacts of an embedding on this node's disk, or in memory where the disk cannot be used.

    ``content`` is the sha256 of its features. It raises `CorruptEntryError` for an artefact that is not what was
    written: nothing is computed again unasked.
    """
    return partial(_keep, fingerprint, content)


def faults(fingerprint: str) -> list[str]:
    """Hash all artefacts of an embedding that are in this cache; return what is wrong with each that is damaged."""
    found = []
    for folder in sorted(_home(fingerprint).glob("[0-9a-f]" * 64)):
        try:
            _read(folder, hash_all=True)
        except CorruptEntryError as error:
            found.append(error.fault)
    return found


def _home(fingerprint: str) -> Path:
    return cache_dir() / f"{fingerprint}{DERIVED}"


def _keep(fingerprint: str, content: str, key: str, compute: Callable[[], Arrays]) -> Arrays:
    name = hashlib.sha256(canonical_json([key, entry.LAYOUT]).encode()).hexdigest()
    folder = _home(fingerprint) / name
    try:
        if _made_of(folder) == content:
            return _read(folder)  # without a lock: a cache may be read-only
    except CorruptEntryError:
        if folder.is_dir():  # else somebody removed it meanwhile
            raise
    arrays: Arrays | None = None
    try:
        with entry.locked(folder):
            if _made_of(folder) != content:
                arrays = compute()
                _write(folder, key, content, arrays)
            return _read(folder)
    except StorageError as error:
        warn(f"{error}; what is derived from embeddings is kept in memory")
        return compute() if arrays is None else arrays


def _made_of(folder: Path) -> str:
    """Return the sha256 of the features that an artefact was made of; nothing when it is not there, or not known."""
    return str(entry.read_manifest(folder, Artefact).get("content", "")) if folder.is_dir() else ""


def _write(folder: Path, key: str, content: str, arrays: Arrays) -> None:
    """Write the arrays beside ``folder`` and give them its name, in place of what has it. Call it under the lock."""
    unfinished = folder.with_suffix(".tmp")
    try:
        with entry.storage(folder.parent):
            entry.clear(unfinished)  # ours to remove: whoever wrote it has lost the lock
            unfinished.mkdir()
            files = {
                _file(name): entry.write_array(unfinished / _file(name), array, array.dtype.str)
                for name, array in arrays.items()
            }
            facts = {"layout": entry.LAYOUT, "fingerprint": folder.name, "key": key, "content": content}
            entry.write_manifest(unfinished, {**facts, "arrays": list(arrays), "files": files})
            entry.discard(folder)
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _read(folder: Path, hash_all: bool = False) -> Arrays:
    names = entry.read_manifest(folder, Artefact)["arrays"]
    return entry.read(folder, hash_all, {name: _file(name) for name in names}, Artefact).arrays


def _file(name: str) -> str:
    return f"{name}.npy"
