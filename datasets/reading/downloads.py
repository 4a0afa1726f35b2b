"""Files of others: brought into the cache once, checked, and unpacked with their paths checked.

A file under its own name is whole. What is not yet whole is called ``<name>.part``, and the next attempt goes on from
there. Locks are files beside them; the system frees them when a process dies.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar
from urllib.parse import quote

from filelock import FileLock

from ...benchmark.registry import datasets
from .base import PATH, DataError, Report, Split, Step, cache_dir, plugin_of
from .transfer import AbsentError, FailedError, bring, is_offline, size

DAMAGED = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
"""What reading a packed file can end with (RuntimeError: it is encrypted, or packed in an unknown way)."""


@dataclass(frozen=True)
class Remote:
    """A published file: address, checksum (``md5:<hex>`` or ``sha256:<hex>``), name on disk, further addresses.

    ``inside`` is the sha256 of what a gzip file holds, where it is known to be about in other packings.
    """

    url: str
    digest: str
    name: str
    mirrors: tuple[str, ...] = ()
    inside: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.digest.replace(':', ' ')})"

    def fault(self, path: Path) -> str:
        """Return what a file has or is instead of being this one, or nothing."""
        algorithm, _, expected = self.digest.partition(":")
        if path.exists() and not path.is_file():
            return "is not a file"  # a pipe would be waited for
        try:
            found = _digest(path, algorithm)
            if expected == found or self._holds_the_same(path):
                return ""
            return f"has {algorithm} {found} ({path.stat().st_size:,} bytes)"
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read ({error.strerror or error})"

    def _holds_the_same(self, path: Path) -> bool:
        try:
            return bool(self.inside) and hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() == self.inside
        except DAMAGED:
            return False


@dataclass(frozen=True, kw_only=True)
class Downloaded(ABC):
    """A dataset of published files: fetched into the cache, or as they lie in the folder ``path``."""

    path: str | None = field(default=None, metadata=PATH)

    resampled: ClassVar[bool] = False

    @abstractmethod
    def remotes(self) -> list[Remote]: ...

    @abstractmethod
    def load(self, seed: int) -> Split: ...

    @property
    def name(self) -> str:
        return plugin_of(datasets, self).name

    def folder(self) -> Path:
        """Return where the files lie, or will."""
        return home(self.name) if self.path is None else Path(self.path).expanduser()

    def fetch(self, report: Report) -> None:
        if self.folder() == home(self.name):
            fetch(self.remotes(), self.folder(), self.name, report)

    def files(self) -> list[Path]:
        """Return the files, in the order of `remotes`; their checksums hold."""
        return check(self.remotes(), self.folder(), self.name)


@dataclass(frozen=True, kw_only=True)
class Archived(Downloaded):
    """A dataset whose one published file is an archive, unpacked into the cache; ``path`` may have it unpacked."""

    @abstractmethod
    def contents(self) -> list[Remote]:
        """Return the files that are read, named as in the archive: below its top folder."""

    def fetch(self, report: Report) -> None:
        if not self._unpacked().is_dir():
            super().fetch(report)

    def root(self) -> Path:
        """Return the folder with the unpacked `contents`; their checksums hold."""
        contents, unpacked = self.contents(), self._unpacked()
        if (self.folder() / contents[0].name).parent.is_dir():
            root = self.folder()
        elif self.path is None and unpacked.is_dir():
            root = unpacked
        else:
            root = extract(self.files()[0], unpacked, [member.name for member in contents])
        check(contents, root, self.name, f"; remove {root} to have it unpacked again" if root == unpacked else "")
        return root

    def _unpacked(self) -> Path:
        return home(self.name) / "unpacked"


def listed(files: Sequence[Remote]) -> str:
    """Return names and checksums: which revision of a dataset this is."""
    return ", ".join(map(str, files))


def home(dataset: str) -> Path:
    """Return where the files of a dataset lie that were fetched."""
    return cache_dir() / "datasets" / dataset


def check(files: Sequence[Remote], folder: Path, dataset: str, hint: str = "") -> list[Path]:
    """Return the paths of files that are in ``folder``, or raise `DataError` with all that are missing or wrong."""
    problems = []
    for remote in files:
        path = folder / remote.name
        if not path.exists():
            problems.append(f"{dataset}: {remote} is not in {folder}{hint}")
        elif fault := remote.fault(path):
            expected = remote.digest.replace(":", " ")
            problems.append(f"{dataset}: {path} {fault}, not {expected}: truncated, or another file{hint}")
    if problems:
        raise DataError(problems)
    return [folder / remote.name for remote in files]


def fetch(files: Sequence[Remote], folder: Path, dataset: str, report: Report) -> list[Path]:
    """Bring the files into ``folder`` that are not there as they should be; return their paths.

    ``ALBENCH_MIRROR`` is asked first, for ``<mirror>/<dataset>/<name>``: the layout of the cache's ``datasets``.

    Raises
    ------
    DataError
        With a line for each file that is expected there and cannot be had, and why. `AbsentError` where nothing is to
        be downloaded (`offline`).
    """
    problems: list[str] = []
    for remote in files:
        path = folder / remote.name
        fault = remote.fault(path)
        if not fault:
            continue
        if is_offline():
            raise AbsentError([f"{dataset}: its files are not on this machine"])
        reason = "not tried any more" if problems else _attempt(remote, path, dataset, report)
        if reason:
            here = f"not what is in {folder} (that {fault})," if path.exists() else f"neither in {folder}"
            advice = f"nor can it be downloaded ({reason}); put it there, or set path"
            problems.append(f"{dataset}: {remote} is {here} {advice}")
    if problems:
        raise DataError(problems)
    return [folder / remote.name for remote in files]


def extract(archive: Path, into: Path, members: Sequence[str] = ()) -> Path:
    """Unpack a tar or zip file (or some of its members) into the folder ``into``, unless that is there already.

    Raises
    ------
    DataError
        When a member's path leads out of the folder, when the archive is damaged, or the disk full; ``into`` is
        then not there.
    """
    if into.is_dir():
        return into
    with writing(into):
        unfinished = into.with_name(f"{into.name}.tmp")
        shutil.rmtree(unfinished, ignore_errors=True)  # ours to remove: whoever wrote it has lost the lock
        try:
            if not into.is_dir():
                _unpack(archive, unfinished, members)
                unfinished.rename(into)
        except (*DAMAGED, KeyError) as error:  # KeyError: no such member
            raise DataError([f"{archive}: cannot be unpacked ({error.args[0] if error.args else error})"]) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return into


def _unpack(archive: Path, into: Path, members: Sequence[str]) -> None:
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            tar.extractall(into, [tar.getmember(name) for name in members] or None, filter="data")
        return
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
                raise zipfile.BadZipFile(f"{name!r} would be outside the folder")
        packed.extractall(into, members or None)  # noqa: S202  all paths were looked at


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.new, algorithm, usedforsecurity=False)).hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Hold the lock of what is to be written; what goes wrong with the disk becomes one line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            yield
    except OSError as error:
        raise DataError([f"cannot write {path}: {error.strerror or error}"]) from error


def _attempt(remote: Remote, path: Path, dataset: str, report: Report) -> str:
    """Return why a file cannot be brought, or nothing."""
    with writing(path):
        if not remote.fault(path):
            return ""  # another process has brought it meanwhile
        try:
            _download(remote, path, dataset, report)
        except FailedError as error:
            return str(error)
    return ""


def _download(remote: Remote, path: Path, dataset: str, report: Report) -> None:
    """Bring a file from the first address that has it, or raise `FailedError` with every host's reason."""
    part = path.with_name(f"{path.name}.part")

    shown = -1

    def told(done: int, total: int) -> None:
        nonlocal shown
        if _megabytes(done) != shown:
            shown = _megabytes(done)
            report(Step(f"{dataset}: {remote.name}", shown, _megabytes(total), "MB"))

    reasons: dict[str, str] = {}
    for url in _addresses(remote, dataset):
        try:
            _complete(url, remote, part, told)
        except FailedError as error:
            reasons[url.split("/")[2]] = str(error)
        except OSError:
            part.unlink(missing_ok=True)  # a full disk is not left full
            raise
        else:
            part.replace(path)
            return
    raise FailedError("; ".join(f"{host}: {reason}" for host, reason in reasons.items()))


def _addresses(remote: Remote, dataset: str) -> list[str]:
    """Return the user's mirror, then the public addresses over https, then those that say http as they are."""
    mirror = os.environ.get("ALBENCH_MIRROR", "")
    if mirror and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", mirror):
        raise DataError([f"ALBENCH_MIRROR is {mirror!r}; legal: the beginning of an http:// or https:// address"])
    own = [f"{mirror.rstrip('/')}/{quote(dataset)}/{quote(remote.name)}"] if mirror else []
    public = [remote.url, *remote.mirrors]
    return list(dict.fromkeys([*own, *(re.sub("^http:", "https:", url) for url in public), *public]))


def _megabytes(size: int) -> int:
    return -(-size // 10**6)


def _complete(url: str, remote: Remote, part: Path, told: Callable[[int, int], None]) -> None:
    """Complete ``part`` from one address, so that its checksum holds."""
    begun = size(part) > 0
    bring(url, part, told)
    fault = remote.fault(part)
    if not fault:
        return
    part.unlink()
    if not begun:
        raise FailedError(f"what it sends {fault}")
    _complete(url, remote, part, told)  # what lay here was the beginning of something else
