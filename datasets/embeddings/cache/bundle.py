"""Entries of the cache as one file that a colleague can import, every byte checked.

A bundle is an uncompressed zip of ``<fingerprint>/manifest.json`` and the arrays beside it. Nothing in it is executed
or unpickled, and no name in it becomes a path: the files of an entry are looked for, anything else is refused. Hashes
find damage, not ill will: whoever makes a bundle makes its hashes too.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...reading import plain
from ...reading.base import DataError, Split, cache_dir
from ...reading.loading import validate
from ..base import StorageError
from . import entry
from .entry import FILES, MANIFEST, CorruptEntryError
from .manifests import Embedding

MEMBERS = (MANIFEST, *FILES.values())
MANIFEST_BYTES = plain.JSON_BYTES
_CHUNK = 2**20
_NAME = re.compile(f"([0-9a-f]{{64}})/({'|'.join(map(re.escape, MEMBERS))})")
_DAMAGE = (OSError, zipfile.BadZipFile, EOFError, ValueError, struct.error, RuntimeError)  # NotImplementedError too
_MALFORMED = (KeyError, TypeError, AttributeError, ValueError, EOFError, OverflowError, RecursionError)

_Members = dict[str, zipfile.ZipInfo]  # by their name in `MEMBERS`


@dataclass(frozen=True)
class Packed:
    """An entry of a bundle: what it is, the bytes of its arrays; ``present`` when the cache had it and kept its own."""

    fingerprint: str
    dataset: str
    encoder: str
    bytes: int
    present: bool = False

    def __str__(self) -> str:
        return f"{self.fingerprint[:12]}  {self.dataset} / {self.encoder}"


def export(fingerprints: Sequence[str], path: Path) -> list[Packed]:
    """Write these entries to a new file; the same entries make the same bytes.

    Raises
    ------
    DataError
        When an entry is not there or corrupt (each is named), none is asked for, or the file is there already.
    StorageError
        When the file cannot be written; nothing half-made stays behind.
    """
    folders = [cache_dir() / fingerprint for fingerprint in dict.fromkeys(fingerprints)]
    packed = _checked(folders)
    if path.exists():
        raise DataError([f"{path}: is there already; remove it, or export to another name"])
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with zipfile.ZipFile(unfinished, "w") as archive:
            for folder in folders:
                for name in MEMBERS:
                    _add(archive, folder, name)
        unfinished.rename(path)
    except OSError as error:
        raise StorageError(f"cannot export to {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return packed


def import_(path: Path) -> list[Packed]:
    """Take the entries of a bundle into the cache: none before all are checked, and none that is there already.

    It waits for imports at work and for an entry that is being computed.

    Raises
    ------
    DataError
        When the file is not there, damaged, no bundle, or holds an entry that is not what its manifest says.
    StorageError
        When the cache cannot be written (a full disk, say); nothing half-made stays behind.
    """
    cache = cache_dir()
    unfinished = cache / "import.tmp"  # the cache sweeps such names too, when their lock is free
    with _opened(path) as archive, entry.locked(cache / "import"):
        contents = _contents(path, archive)
        try:
            with entry.storage(cache):
                entry.clear(unfinished)
                unfinished.mkdir()
            packed = [_stage(path, archive, unfinished / key, members) for key, members in contents.items()]
            return [replace(item, present=not _place(unfinished / item.fingerprint, cache)) for item in packed]
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _checked(folders: Sequence[Path]) -> list[Packed]:
    """Return what these entries are, every byte hashed, or raise one `DataError` with all that is wrong."""
    packed = list[Packed]()
    problems = [] if folders else ["nothing to export; name the entries"]
    for folder in folders:
        if not (re.fullmatch("[0-9a-f]{64}", folder.name) and folder.is_dir()):
            problems.append(f"no entry {folder.name!r} in the cache {cache_dir()}; 'albench cache list' shows them")
            continue
        try:
            packed.append(_packed(folder.name, entry.read(folder, hash_all=True).manifest))
        except CorruptEntryError as error:
            problems.append(str(error))
    if problems:
        raise DataError(problems)
    return packed


def _packed(fingerprint: str, manifest: Mapping[str, Any]) -> Packed:
    size = sum(manifest["files"][name]["bytes"] for name in FILES.values())
    return Packed(fingerprint, str(manifest["dataset"]["label"]), str(manifest["encoder"]["name"]), size)


def _add(archive: zipfile.ZipFile, folder: Path, name: str) -> None:
    member = zipfile.ZipInfo(f"{folder.name}/{name}")  # of 1980: no bundle differs by its date
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    member.file_size = (folder / name).stat().st_size  # says whether the sizes need 64 bits
    with (folder / name).open("rb") as source, archive.open(member, "w") as target:
        shutil.copyfileobj(source, target, _CHUNK)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise DataError([f"{path}: is damaged, or no bundle of albench ({error or type(error).__name__})"]) from error


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    if not path.is_file():
        raise DataError([f"{path}: no such file"])
    with _reading(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield archive


def _contents(path: Path, archive: zipfile.ZipFile) -> dict[str, _Members]:
    """Return the members of each entry, by its fingerprint; what else is in the file, or lacks, is refused."""
    contents: dict[str, _Members] = {}
    for member in archive.infolist():
        match = _NAME.fullmatch(member.filename)
        if match is None:
            what = f"holds {member.filename[:100]!r}"
            raise DataError([f"{path}: {what}; a bundle holds entries of the cache and nothing else"])
        if not _plain(member):
            raise DataError([f"{path}: {member.filename} is compressed, encrypted or a link; a bundle has plain files"])
        if contents.setdefault(match[1], {}).setdefault(match[2], member) is not member:
            raise DataError([f"{path}: {member.filename} is in it twice"])
    for key, members in contents.items():
        missing = [name for name in MEMBERS if name not in members]
        if missing:
            raise DataError([f"{path}: entry {key[:12]}: {', '.join(missing)} missing"])
    if not contents:
        raise DataError([f"{path}: holds no entry of the cache"])
    if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
        raise DataError([f"{path}: is damaged (its members are larger than the file)"])
    return contents


def _plain(member: zipfile.ZipInfo) -> bool:
    mode = member.external_attr >> 16
    encrypted = member.flag_bits & 1
    stored = member.compress_type == zipfile.ZIP_STORED and member.compress_size == member.file_size
    return stored and not encrypted and stat.S_IFMT(mode) in (0, stat.S_IFREG)


def _stage(path: Path, archive: zipfile.ZipFile, folder: Path, members: _Members) -> Packed:
    """Copy an entry and check it, or raise one `DataError` that names the bundle, the entry and the fault."""
    where = f"{path}: entry {folder.name[:12]}"
    try:
        with entry.storage(folder.parents[1]):
            return _unpack(path, archive, folder, members)
    except DataError:
        raise
    except CorruptEntryError as error:
        raise DataError([f"{where}: {error.fault.removeprefix(f'{folder}{os.sep}')}"]) from error
    except _MALFORMED as error:
        raise DataError([f"{where}: {MANIFEST} is not one of albench ({type(error).__name__})"]) from error


def _unpack(path: Path, archive: zipfile.ZipFile, folder: Path, members: _Members) -> Packed:
    """Copy the manifest before anything else, and no array that has another size than it says."""
    folder.mkdir()
    if members[MANIFEST].file_size > MANIFEST_BYTES:
        raise CorruptEntryError(folder / MANIFEST, f"more than {MANIFEST_BYTES} bytes")
    _copy(path, archive, members[MANIFEST], folder / MANIFEST)
    manifest = entry.read_manifest(folder, Embedding)
    if field := plain.unprintable(manifest):
        raise CorruptEntryError(folder / MANIFEST, f"{field}: holds a character that cannot be shown")
    files = manifest["files"]
    for name in FILES.values():
        if members[name].file_size != files[name]["bytes"]:
            fault = f"{members[name].file_size} bytes, {files[name]['bytes']} were written"
            raise CorruptEntryError(folder / name, fault)
        _copy(path, archive, members[name], folder / name)
    found = entry.read(folder, hash_all=True)
    if problems := _problems(found):
        raise DataError([f"{path}: entry {folder.name[:12]}: {problem}" for problem in problems])
    return _packed(folder.name, found.manifest)


def _problems(found: entry.Entry) -> list[str]:
    """Return what would go wrong when the entry is used, though all its bytes are those that were written."""
    train, labels, test, test_labels = (found.arrays[name] for name in FILES)
    split = Split("features", train, labels, test, test_labels, tuple(found.manifest["class_names"]))
    return validate(split, "float16" if train.dtype == np.float16 else "float32")


def _copy(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    with target.open("xb") as file:
        for chunk in _chunks(path, archive, member):
            file.write(chunk)


def _chunks(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with _reading(path), archive.open(member) as source:
        while chunk := source.read(_CHUNK):
            yield chunk


def _place(staged: Path, cache: Path) -> bool:
    """Give a checked entry its name, or leave the one that has it; say whether it was taken."""
    with entry.locked(cache / staged.name), entry.storage(cache):
        if (cache / staged.name).exists():
            return False
        staged.rename(cache / staged.name)
        return True
