"""One part of a table on disk: a Parquet file that appears under its name only when it is whole, and never changes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...benchmark.types import UserError
from . import predictions
from .schema import MIGRATIONS, PREDICTIONS, ROUNDS, SCHEMA_VERSION, TEST_SETS, TRIALS, VERSION_KEY

TABLES: dict[str, pa.Schema] = {
    "test_sets": TEST_SETS,
    "predictions": PREDICTIONS,
    "rounds": ROUNDS,
    "trials": TRIALS,
}
"""Folder -> schema, in the order of writing: a recorded trial end always has its rounds, a round its predictions."""
LARGEST = 2**24
"""Bytes of a part that is not joined with others any more: what is joined must fit into memory."""


class StorageError(UserError):
    """A run's files cannot be read or written; ``str()`` is one line that names the file and the reason."""


class DiskError(StorageError):
    """The disk refuses to keep what was done, which is no fault of the grid or the options."""

    exit_status = 1


class NewerPartError(StorageError):
    """A part that a newer albench wrote."""


class CorruptPartError(Exception):
    """A part that is truncated, damaged or not ours; ``str()`` is the reason."""


def list_parts(folder: Path) -> list[Path]:
    """Return the parts of one table, oldest first."""
    return sorted(folder.glob("part-*.parquet"))


def next_number(folder: Path) -> int:
    """Return a part number above all used ones, set aside parts included."""
    matches = (re.match(r"part-(\d+)\.", path.name) for path in folder.glob("part-*"))
    return max((int(match[1]) for match in matches if match), default=-1) + 1


def joinable(folder: Path) -> list[list[Path]]:
    """Return the parts of one table that may become fewer: batches of about `LARGEST` bytes, oldest first.

    What stands before the first batch of several parts stays as it is; what follows is all written anew, in order.
    """
    batches: list[list[Path]] = [[]]
    size = 0
    for part in list_parts(folder):
        size += part.lstat().st_size
        if batches[-1] and size > LARGEST:
            batches.append([])
            size = part.lstat().st_size
        batches[-1].append(part)
    return list(dropwhile(lambda batch: len(batch) < 2, batches))


def as_table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows, at least one, as the table of this name."""
    return predictions.as_table(rows) if name == "predictions" else pa.Table.from_pylist(rows, schema=TABLES[name])


def join(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the rows of parts of one table, in order; lists of numbers are as wide as the widest of them."""
    return pa.concat_tables(tables, promote_options="permissive")


def check_version(part: Path) -> int:
    """Return the schema version of a part.

    Raises
    ------
    NewerPartError
        When a newer albench wrote it.
    StorageError
        When the disk refuses.
    CorruptPartError
        When it is not a whole part of albench.
    FileNotFoundError
        When it is gone.
    """
    try:
        version = int((pq.read_schema(part).metadata or {})[VERSION_KEY])
    except KeyError:
        raise CorruptPartError("it has no schema version of albench") from None
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise _reason(part, error) from error
    if version > SCHEMA_VERSION:
        raise NewerPartError(
            f"{part} has schema version {version}, this albench reads up to {SCHEMA_VERSION}: update albench"
        )
    return version


def read_part(part: Path) -> pa.Table:
    """Return the rows of a part in today's schema; raises as `check_version` does."""
    version = check_version(part)
    schema = TABLES[part.parent.name]
    try:
        table = pq.read_table(part, partitioning=None)
        for old in range(version, SCHEMA_VERSION):
            table = MIGRATIONS[old](table)
        if schema is PREDICTIONS:
            schema = predictions.as_wide(schema, table.field("predicted").type)
        return table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise _reason(part, error) from error


def write_part(part: Path, table: pa.Table) -> None:
    """Write one part; raises `StorageError` when the disk refuses, and leaves nothing behind then."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomic(part, sink.getvalue())


def write_atomic(path: Path, data: bytes | pa.Buffer) -> None:
    """Write a file that is there whole or not at all, and its folder; raises `DiskError` when the disk refuses."""
    temporary = path.with_name(f".{path.name}.tmp")  # hidden, so that readers of the whole folder pass over it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DiskError(f"{path} cannot be written: {error.strerror}") from error


def sweep(directory: Path) -> None:
    """Delete the temporary files that a killed writer left in a run's directory. Only for who holds its lock."""
    for folder in (directory, *(directory / name for name in TABLES)):
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()


def _reason(part: Path, error: Exception) -> Exception:
    """Tell a damaged part from a disk or a permission that fails now: only the first may be set aside."""
    if isinstance(error, FileNotFoundError):
        return error
    if isinstance(error, OSError) and error.errno:
        return StorageError(f"{part} cannot be read: {os.strerror(error.errno)}")
    return CorruptPartError(str(error).split("\n", 1)[0])
