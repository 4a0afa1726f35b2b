"""Arrays of .npy and .npz files. Nothing is unpickled, and nothing that a file says of itself is believed unchecked."""

from __future__ import annotations

import difflib
import io
import math
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil
from numpy.typing import NDArray

from ...benchmark.text import clean, reason
from .base import DataError

HEAD = 2**14
"""Bytes within which an array's header ends; NumPy reads at most 10,000."""
SWELL, LARGE = 100, 2**28
"""An archive that unpacks to more than so many times its size is a bomb rather than data, if that is more than this."""
CHUNK = 2**24

PICKLED = "holds Python objects, which only pickle reads, and a pickle may run anything; save text as x.astype(str)"
AGAIN = "save it again with np.savez or np.savez_compressed"


@dataclass(frozen=True)
class Source:
    """An array with the words an error calls it by."""

    what: str
    array: NDArray[Any]


def read_npz(path: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Source]:
    """Read the named arrays of an .npz, or raise one `DataError` with everything that is wrong."""
    legal = (*required, *optional)
    found: dict[str, Source] = {}
    problems: list[str] = []
    with opened(path) as file, _archive(path, file) as archive:
        members = _members(archive)
        for key in required:
            if key not in members:
                near = difflib.get_close_matches(key, [name for name in members if name not in legal], n=1)
                hint = f" (is it {near[0]!r}?)" if near else ""
                problems.append(f"{path}: key {key!r} is missing{hint}; legal keys: {', '.join(legal)}")
        wanted = {key: members[key] for key in legal if key in members}
        check_swell(path, sum(info.file_size for infos in wanted.values() for info in infos))
        for key, infos in wanted.items():
            try:
                found[key] = Source(f"{path}: {key}", _member(archive, infos))
            except UnusableError as error:
                problems.append(f"{path}: {key} {error}")
    if problems:
        raise DataError(problems)
    return found


def read_npy(path: str) -> NDArray[Any]:
    """Read a .npy file."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        check_swell(path, size)
        try:
            return _array(file, size)
        except UnusableError as error:
            raise DataError([f"{path}: {error}"]) from error


def keys(path: str) -> set[str]:
    """Return the names of the arrays of an .npz."""
    with opened(path) as file, _archive(path, file) as archive:
        return set(_members(archive))


class UnusableError(ValueError):
    """What is wrong with an array, as words that go on from its name."""


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Open a regular file: a pipe or a device has no end. `DataError` when it cannot be."""
    try:
        file = Path(path).expanduser()
        fault = (
            "" if file.is_file() else "is no file but a folder, a pipe or a device" if file.exists() else "no such file"
        )
        stream = None if fault else file.open("rb")
    except (OSError, RuntimeError, ValueError) as error:  # no such home; a NUL in the name
        fault, stream = f"cannot be opened ({reason(error)})", None
    if stream is None:
        raise DataError([f"{clean(path)}: {fault}"])
    with stream:
        yield stream


def check_swell(path: str, unpacked: int) -> None:
    """Raise `DataError` for what unpacks to far more than it is, or to more than this machine's memory."""
    size = Path(path).expanduser().stat().st_size
    if unpacked > max(LARGE, SWELL * size):
        swollen = f"{size / 2**20:,.1f} MiB that unpack to {unpacked / 2**20:,.0f} MiB"
        raise DataError([f"{path}: {swollen}, as a bomb does; if they are data, save them unpacked with np.save"])
    if unpacked > (memory := psutil.virtual_memory().total):
        raise DataError([f"{path}: {unpacked / 2**30:,.1f} GiB of numbers; this machine has {memory / 2**30:,.1f}"])


def _archive(path: str, file: IO[bytes]) -> zipfile.ZipFile:
    if file.read(6) == b"\x93NUMPY":
        raise DataError([f"{path}: holds a single array; needed is an .npz of several"])
    try:
        return zipfile.ZipFile(file)
    except Exception as error:  # zipfile lets out what its parsing meets: struct.error, IndexError, UnicodeError ...
        raise DataError([f"{path}: is damaged, or no .npz ({reason(error)})"]) from error


def _members(archive: zipfile.ZipFile) -> dict[str, list[zipfile.ZipInfo]]:
    """Return the members of an archive by key; a key should have one."""
    members: dict[str, list[zipfile.ZipInfo]] = {}
    for info in archive.infolist():
        members.setdefault(info.filename.removesuffix(".npy"), []).append(info)
    return members


def _member(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> NDArray[Any]:
    info = infos[0]
    if len(infos) > 1:
        raise UnusableError(f"is in the file {len(infos)} times; {AGAIN}")
    if info.flag_bits & 1:
        raise UnusableError(f"is encrypted; {AGAIN}")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnusableError(f"is packed in an unknown way (method {info.compress_type}); {AGAIN}")
    try:
        with archive.open(info) as member:
            return _array(member, info.file_size)
    except UnusableError:
        raise
    except Exception as error:  # see _archive
        raise UnusableError(f"is damaged ({reason(error)})") from error


def _array(stream: IO[bytes], size: int) -> NDArray[Any]:
    """Read the array that takes up the ``size`` bytes of a stream."""
    head = stream.read(min(HEAD, size))
    shape, fortran, dtype, start = _header(head)
    needed = math.prod(shape) * dtype.itemsize
    if needed != size - start:
        raise UnusableError(f"is damaged: its header says {shape} of {dtype}, and there are {size - start:,} bytes")
    content = np.empty(needed, np.uint8)
    there = np.frombuffer(head, np.uint8)[start:]
    content[: len(there)] = there
    done = len(there)
    while done < needed:
        got = stream.readinto(content.data[done : done + CHUNK])  # type: ignore[attr-defined]  # typeshed's IO lacks it
        if not got:
            raise UnusableError(f"is damaged: it ends after {done:,} of {needed:,} bytes")
        done += got
    return content.view(dtype).reshape(shape, order="F" if fortran else "C")


def _header(head: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether in Fortran's order, dtype, and where the numbers begin."""
    stream = io.BytesIO(head)
    try:
        with warnings.catch_warnings(action="ignore"):  # of Python 2, and of the literals of a damaged header
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(stream)  # 3.0 is 2.0 whose field names may be any text, and fields we refuse
    except Exception as error:  # a header is Python text: parsing it may end in any exception
        raise UnusableError(f"is damaged, or no array ({reason(error)})") from error
    if dtype.hasobject:
        raise UnusableError(PICKLED)
    if dtype.kind == "V" or not dtype.itemsize:
        raise UnusableError(f"holds {clean(str(dtype), 200)}; needed are plain numbers or text, one column an axis")
    if any(length < 0 for length in shape):
        raise UnusableError(f"is damaged: its header says {shape}")
    return shape, fortran, dtype, stream.tell()
