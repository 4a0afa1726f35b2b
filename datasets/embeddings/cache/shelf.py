"""The cache as a whole: what is in it, and how entries leave it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import Timeout

from ....benchmark.registry import Registry, datasets, encoders
from ....benchmark.text import spelled
from ....benchmark.types import UserError
from ...reading import plain
from ...reading.base import cache_dir
from ..base import ABOUT
from ..networks import checkpoint
from . import artefacts, entry, images, views
from .entry import FILES, IMAGES, TRAINING, VIEWS, CorruptEntryError, StaleEntryError
from .manifests import About, Embedding, Folder, Images, Views, fault
from .origin import origin_text

FORMS: Mapping[str, tuple[Mapping[str, str], type[Folder]]] = {
    "": (FILES, Embedding),
    IMAGES: (images.FILES, Images),
    VIEWS: (views.FILES, Views),
}
"""The arrays of the folders at a place in the cache, and what their manifests hold."""

SHORT = 12
"""Digits of a fingerprint that are shown."""


class ShelfError(UserError):
    """What was asked for is not in the cache, or not in one entry alone; one line per name."""


def find(prefixes: Sequence[str], places: Sequence[str] = ("",)) -> list[str]:
    """Return the fingerprints that begin so, each once; also of those of which only remains are there.

    ``places`` are the folders of the cache to look in: `TRAINING`, `IMAGES`, `VIEWS`, the cache itself for entries.
    """
    known = {path.name.partition(".")[0] for place in places for path in entry.beside(place)}
    found, problems = [], []
    for prefix in prefixes:
        fitting = sorted(name for name in known if name.startswith(prefix))
        if len(fitting) == 1:
            found += fitting
        elif fitting:
            some = ", ".join(name[:SHORT] for name in fitting[:3]) + (" ..." if len(fitting) > 3 else "")
            problems.append(f"{prefix!r} is the start of {len(fitting)} entries: {some}; give more digits")
        else:
            problems.append(f"no entry of the cache starts with {prefix!r}; 'albench cache list' shows them")
    if problems:
        raise ShelfError("\n".join(problems))
    return list(dict.fromkeys(found))


def remove(prefixes: Sequence[str], stale: bool = False) -> list[str]:
    """Remove these entries, with all that was derived from them or set aside, and trainings; return a line for each.

    ``stale`` adds those that another version wrote. All prefixes are looked up before anything is removed.
    """
    doomed = find(prefixes, (*FORMS, TRAINING))
    doomed += [path.name for path in entry.folders() if stale and _is_stale(path) and path.name not in doomed]
    rooms = (TRAINING, IMAGES, VIEWS)
    others = {path.name.partition(".")[0]: path.parent for place in rooms for path in entry.beside(place)}
    return [_remove(others.get(name, cache_dir()) / name) for name in doomed]


def _remove(folder: Path) -> str:
    if folder.parent != cache_dir() and folder.parent.is_symlink():
        raise ShelfError(f"{folder.parent} is a link out of the cache: nothing is removed through it; remove it there")
    what = _what(folder)
    try:
        with entry.locked(folder, timeout=0), entry.storage(folder.parent):
            entry.discard(folder)
    except Timeout as error:
        raise ShelfError(f"{folder.name[:SHORT]} is being computed by another process; nothing was removed") from error
    return f"removed {folder.name[:SHORT]}  {what}"


def _what(folder: Path) -> str:
    facts = _facts(folder) if entry.is_folder(folder) else {}
    return " / ".join(filter(None, (facts.get(key) for key in ("dataset", "embedding"))))


def _is_stale(folder: Path) -> bool:
    try:
        entry.read_manifest(folder)
    except CorruptEntryError as error:
        return isinstance(error, StaleEntryError)
    return False


def verified() -> Iterator[tuple[str, bool]]:
    """Hash all that is in the cache; yield a line for each, with what mends it, and whether it is sound."""
    every = [(place, folder) for place in FORMS for folder in entry.folders(place)]
    for room, folder in every:
        error = entry.fault(folder, *FORMS[room])
        word = "ok" if error is None else "stale" if isinstance(error, StaleEntryError) else "corrupt"
        yield f"{word:8}{folder.name[:SHORT]}  {error or _what(folder)}", error is None
    for fingerprint in (path.stem for path in entry.beside() if path.suffix == entry.DERIVED):
        for why in artefacts.faults(fingerprint):
            yield _corrupt(fingerprint, why), False
    for kept in entry.folders(TRAINING):
        why = checkpoint.fault(kept)
        yield _corrupt(kept.name, why) if why else f"ok      {kept.name[:SHORT]}  {_what(kept)}", not why


def _corrupt(name: str, fault: str) -> str:
    return f"corrupt {name[:SHORT]}  {fault}; 'albench cache remove {name[:SHORT]}' mends it"


def listing() -> list[str]:
    """Return what is in the cache: a line of headings, one per entry, view and training, and how much it all takes."""
    found, trainings = entry.folders(), entry.folders(TRAINING)
    seen = [*entry.folders(IMAGES), *entry.folders(VIEWS)]
    every = [*found, *seen, *trainings]
    with entry.storage(cache_dir()):
        total = _megabytes(sum(map(_bytes, every)))
    columns = ("fingerprint", "dataset", "embedding", "rows", "dims", "MB", "1-NN", "linear", "last used")
    counted = [f"{len(found)} entries"]
    counted += [f"{len(more)} {what}" for what, more in (("views", seen), ("trainings", trainings)) if more]
    return [*_aligned(columns, map(_facts, every)), f"{' and '.join(counted)}, {total} MB, in {cache_dir()}"]


def qualities() -> list[str]:
    """Return what each embedding in the cache is worth: a line of headings, and one per entry."""
    columns = ("fingerprint", "dataset", "embedding", "1-NN", "linear", "dimension", "seconds")
    return _aligned(columns, map(_facts, entry.folders()))


def described(prefix: str) -> list[str]:
    """Return what the embedding whose fingerprint begins so is, and what it is worth."""
    (name,) = find([prefix])
    return quality_lines(entry.read_manifest(cache_dir() / name, Embedding))


def quality_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return what one embedding is and what it is worth, in words."""
    facts = _described(manifest, "(on {} of {} rows)")
    n, m = (manifest["files"][file]["shape"][0] for file in ("train.npy", "test.npy"))
    return [
        f"{manifest['fingerprint']}",
        f"  {facts['dataset']} / {facts['embedding']}: {n} + {m} rows of {facts['dims']} features",
        f"  1-NN accuracy {facts['1-NN']}",
        f"  linear accuracy {facts['linear']}",
        f"  effective dimension {facts['dimension']}",
        f"  computed in {facts['seconds']} s; {origin_text(manifest.get('origin', {}))}",
    ]


def _facts(folder: Path) -> dict[str, str]:
    """Return the columns of an entry; of one that cannot be read, why."""
    with entry.storage(folder.parent):
        facts = {
            "fingerprint": folder.name[:SHORT],
            "MB": _megabytes(_bytes(folder)),
            "last used": datetime.fromtimestamp(folder.stat().st_mtime).astimezone().date().isoformat(),
        }
    if folder.parent.name == TRAINING:
        return {**facts, **_training(folder)}
    try:
        if folder.parent.name == IMAGES:
            return {**facts, **_images(entry.read_manifest(folder, Images))}
        if folder.parent.name == VIEWS:
            return {**facts, **_views(entry.read_manifest(folder, Views))}
        return {**facts, **_described(entry.read_manifest(folder, Embedding))}
    except StaleEntryError:
        return {**facts, "dataset": "(stale)"}
    except CorruptEntryError:
        return {**facts, "dataset": "(corrupt)"}


def _described(manifest: Mapping[str, Any], of_part: str = "(of {})") -> dict[str, str]:
    """Return the columns of an entry that is whole; ``of_part`` marks what was measured on a part of the rows."""
    quality, (n, dims) = manifest["quality"], manifest["files"]["train.npy"]["shape"]
    m = manifest["files"]["test.npy"]["shape"][0]

    def part(used: str, rows: int) -> str:
        return "" if quality[used] == rows else " " + of_part.format(f"{quality[used]:,}", f"{rows:,}")

    return {
        "dataset": _label(datasets, manifest["dataset"]),
        "embedding": _label(encoders, manifest["encoder"]),
        "rows": f"{n}+{m}",
        "dims": str(dims),
        "1-NN": f"{quality['nearest_accuracy']:.3f}{part('nearest_rows', m)}",
        "linear": f"{quality['linear_accuracy']:.3f}{part('linear_rows', n)}",
        "dimension": f"{quality['effective_dimension']:.1f}{part('dimension_rows', n)}",
        "seconds": f"{manifest['seconds']:.2f}",
    }


def _images(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns of the images of a dataset."""
    (n, *dims), (m, *_) = (manifest["files"][file]["shape"] for file in ("train.npy", "test.npy"))
    return {
        "dataset": _label(datasets, manifest["dataset"]),
        "embedding": "images",
        "rows": f"{n}+{m}",
        "dims": "x".join(map(str, dims)),
    }


def _views(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns of transformed views: so many weak and strong ones of each row."""
    _, V, n, dims = manifest["files"]["views.npy"]["shape"]
    return {
        "dataset": _label(datasets, manifest["dataset"]),
        "embedding": f"2x{V} views by {_label(encoders, manifest['encoder'])}",
        "rows": str(n),
        "dims": str(dims),
    }


def _training(folder: Path) -> dict[str, str]:
    """Return of which data and encoder a training is, as far as it says so."""
    try:
        about = plain.read_json(folder / ABOUT)
    except (OSError, plain.UnfitError):
        return {"embedding": "training"}
    if fault(About, about):
        return {"embedding": "training"}
    data, how = _label(datasets, about["dataset"]), _label(encoders, about["encoder"])
    return {"dataset": data, "embedding": f"training of {how}"}


def _label(registry: Registry, saved: Mapping[str, Any]) -> str:
    """Return the label with the parameters that are not at their default; all, of a plugin that is not installed."""
    installed = saved["name"] in registry.names()
    fields = dataclasses.fields(registry.get(saved["name"]).cls) if installed else ()
    usual = {f.name: f.default for f in sorted(fields, key=lambda f: f.kw_only is True)}  # the plugin's own first
    params = {name: saved["params"][name] for name in [*usual, *saved["params"]] if name in saved["params"]}
    special = [f"{name}={value}" for name, value in params.items() if value != usual.get(name, ...)]
    return spelled(f"{saved['label']}({', '.join(special)})" if special else saved["label"])


def _bytes(folder: Path) -> int:
    """Return what an entry and all that belongs to it takes."""
    parts = [folder, *folder.parent.glob(f"{folder.name}.*")]
    files = (Path(place) / name for part in parts for place, _, names in os.walk(part) for name in names)
    return sum(file.lstat().st_size for file in files)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"


def _aligned(columns: Sequence[str], facts: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the chosen columns, names to the left and numbers to the right."""
    rows = [columns, *([row.get(column, "") for column in columns] for row in facts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = {"fingerprint", "dataset", "embedding", "last used"}
    pads = ["<" if column in left else ">" for column in columns]
    return ["  ".join(f"{x:{p}{w}}" for x, p, w in zip(row, pads, widths, strict=True)).rstrip() for row in rows]
