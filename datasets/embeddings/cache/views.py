"""Transformed views of a pool as an encoder sees them: V weak and V strong ones of each image, one entry of the cache.

They lie in ``views/<key>``, float16, (2, V, N, D), and follow the rules of an entry: named by what decides them (the
embedding's fingerprint, the transforms, V), written under another name and renamed when whole, checked when opened. The
encoder is the pool's own: one that is trained takes up what its training left, and is not trained anew.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .... import __version__
from ....benchmark.seeds import generator
from ....benchmark.types import canonical_json
from ...reading.base import Report, cache_dir, silent
from ...reading.loading import Loaded
from ..base import Encoder, Stored
from . import entry, store
from .entry import VIEWS
from .manifests import Views

FILES = {"views": "views.npy"}
"""The array by the name that it has in a pool."""

TRANSFORMS = 1
"""Version of what is drawn and how it is applied (``networks/transforms.py``): other numbers are other views."""


def views(loaded: Loaded, encoder: Encoder, V: int, report: Report = silent) -> NDArray[np.float16]:
    """Return the views of the pool's images, (2, V, N, D), mapped from the cache, or compute them while others wait.

    The first of more views are those of fewer.

    Raises
    ------
    DataError, CorruptEntryError, StorageError
        As for the embedding: what is damaged is not computed again unasked.
    """
    folder = cache_dir() / VIEWS / key(store.fingerprint(loaded.content, encoder), V)

    def write() -> None:
        _write(folder, loaded, encoder, V, report)

    return entry.once(folder, FILES, Views, write).arrays["views"]


def view_problems(loaded: Loaded, encoder: Encoder) -> list[str]:
    """Return why there can be no transformed views of these data by this encoder, or nothing."""
    if loaded.split.kind != "images":
        return [f"{loaded.label} has no images"]
    if (channels := loaded.split.train.shape[-1]) not in (1, 3):
        return [f"{loaded.label} has images of {channels} channels, not 1 or 3"]
    if isinstance(encoder, Stored) and not encoder.libraries:
        return ["these features were computed elsewhere"]
    return []


def key(fingerprint: str, V: int) -> str:
    """Return the name of the folder that holds V weak and V strong views for the embedding of this fingerprint."""
    return hashlib.sha256(canonical_json([VIEWS, entry.LAYOUT, TRANSFORMS, fingerprint, V]).encode()).hexdigest()


def _write(folder: Path, loaded: Loaded, encoder: Encoder, V: int, report: Report) -> None:
    """Compute the views beside ``folder`` and give them its name when they are whole. Call it under the lock."""
    from ..networks.transforms import Transformed  # noqa: PLC0415  it brings torch, seconds to import

    split = loaded.split
    transformed = Transformed(split.train, V, partial(generator, "views", str(TRANSFORMS), loaded.inputs))
    as_test = replace(split, test=transformed, test_labels=np.zeros(len(transformed), np.int64), test_rows=None)
    unfinished = folder.with_suffix(".tmp")
    try:
        with entry.storage(folder.parent):
            entry.clear(unfinished)  # ours to remove: whoever wrote it has lost the lock
        work = store.work_at(folder, loaded, encoder, report)
        _, features = store.encoded(as_test, loaded, encoder, work, "float16")
        with entry.storage(folder.parent):
            unfinished.mkdir(exist_ok=True)
            shaped = features.reshape(2, V, len(split.train), -1)
            files = {"views.npy": entry.write_array(unfinished / "views.npy", shaped, "float16")}
            facts: dict[str, Any] = {"layout": entry.LAYOUT, "albench": __version__, "fingerprint": folder.name}
            entry.write_manifest(unfinished, {**facts, **store.about(loaded, encoder), "files": files})
            shutil.rmtree(unfinished / "scratch", ignore_errors=True)
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
