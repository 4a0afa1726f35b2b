"""Images as a view of the pool, for learners and rules that see images: decoded once, mapped by every process.

They lie in ``images/<key>`` of the cache, bytes as they are, and follow the rules of an entry: named by the content of
the data, written under another name and renamed when whole, checked when opened.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .... import __version__
from ....benchmark.types import canonical_json
from ...reading.base import Report, Step, cache_dir, silent
from ...reading.loading import Loaded
from . import entry
from .entry import IMAGES
from .manifests import Images

FILES = {"images": "train.npy", "test_images": "test.npy"}
"""The arrays by the names they have in a pool: (N, height, width, channels) and (M, ...) uint8."""


def images(loaded: Loaded, report: Report = silent) -> Mapping[str, NDArray[np.uint8]]:
    """Return the images of data by the names of `FILES`, mapped from the cache, or write them while others wait.

    Raises
    ------
    DataError
        When an image cannot be decoded; nothing half-made stays behind.
    CorruptEntryError, StorageError
        As for an embedding: what is damaged is not written again unasked.
    """
    folder = cache_dir() / IMAGES / key(loaded.content)
    return entry.once(folder, FILES, Images, lambda: _write(folder, loaded, report)).arrays


def key(content: str) -> str:
    """Return the name of the folder that holds the images of data with this content hash."""
    return hashlib.sha256(canonical_json([IMAGES, entry.LAYOUT, content]).encode()).hexdigest()


class _Told:
    """Counts the images that are written, and says so."""

    def __init__(self, report: Report, what: str, total: int) -> None:
        self._report, self._what, self._done, self._total = report, what, 0, total

    def more(self, rows: int) -> None:
        self._done += rows
        self._report(Step(self._what, self._done, self._total, "images"))


def _write(folder: Path, loaded: Loaded, report: Report) -> None:
    """Write the images beside ``folder`` and give them its name when they are whole. Call it under the lock."""
    unfinished, split = folder.with_suffix(".tmp"), loaded.split
    try:
        with entry.storage(folder.parent):
            entry.clear(unfinished)  # ours to remove: whoever wrote it has lost the lock
            unfinished.mkdir()
            told = _Told(report, f"images of {loaded.label}", len(split.train) + len(split.test))
            files = {
                file: entry.write_array(unfinished / file, part, "uint8", told.more)
                for file, part in (("train.npy", split.train), ("test.npy", split.test))
            }
            facts = {
                "layout": entry.LAYOUT,
                "albench": __version__,
                "fingerprint": folder.name,
                "dataset": loaded.about,
            }
            entry.write_manifest(unfinished, {**facts, "files": files})
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
