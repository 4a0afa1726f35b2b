"""One part of a table on disk: a Parquet file that appears under its name only when it is whole, and never changes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...benchmark.text import clean, unnameable
from ...benchmark.types import UserError
from ...datasets.reading import plain
from . import predictions, seal
from .checks import fault
from .schema import (
    MIGRATIONS,
    OPTIONAL,
    PREDICTIONS,
    ROUNDS,
    SCHEMA_VERSION,
    TEST_SETS,
    TRIALS,
    VERSION_KEY,
    renamed,
)

TABLES: dict[str, pa.Schema] = {
    "test_sets": TEST_SETS,
    "predictions": PREDICTIONS,
    "rounds": ROUNDS,
    "trials": TRIALS,
}
"""Folder -> schema, in the order of writing: a recorded trial end always has its rounds, a round its predictions."""
LARGEST = 2**24
"""Bytes of a part that is not joined with others any more: what is joined must fit into memory."""

SMALL, MOST_GROWTH = 2**28, 100
"""Bytes that any part may take in memory, and how many times its own size a larger one may say to take."""


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
    with _reading(part), plain.opened(part) as file:
        return _version(part, pq.read_schema(file))


def read_part(part: Path, schema: pa.Schema | None = None) -> pa.Table:
    """Return the rows of a part in today's schema (that of its folder, unless given), every byte and value checked.

    A column that only newer parts have is null, and an embedding that has another name now (`schema.FORMER`) has it.
    Raises as `check_version` does.
    """
    schema = schema or TABLES[part.parent.name]
    with _reading(part):
        with plain.opened(part) as file:
            content = file.read()
        if seal.is_broken(content):
            raise CorruptPartError("its bytes are not those that were written (sha256)")
        stored = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        version = _version(part, stored.schema_arrow)
        if _claimed(stored) > max(SMALL, MOST_GROWTH * len(content)):
            raise CorruptPartError("it says it is far larger than its bytes can be")
        table = stored.read()
        for old in range(version, SCHEMA_VERSION):
            table = MIGRATIONS[old](table)
        if schema is PREDICTIONS:
            schema = predictions.as_wide(schema, table.field("predicted").type)
        table = _in(schema, table)
        table.validate(full=True)  # texts that are no UTF-8, lists that overlap
        if why := fault(table):
            raise CorruptPartError(why)
        return renamed(table)


def write_part(part: Path, table: pa.Table) -> None:
    """Write one part, sealed; raises `StorageError` when the disk refuses, and leaves nothing behind then."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    write_atomic(part, seal.sealed(memoryview(sink.getvalue())))


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, and its folder; raises `DiskError` when the disk refuses.

    A link that has its name is replaced, not followed.
    """
    try:
        with plain.whole(path, lasting=True) as file:
            file.write(data)
    except OSError as error:
        raise DiskError(f"{path} cannot be written: {error.strerror}") from error


def sweep(directory: Path) -> None:
    """Delete the temporary files that a killed writer left in a run's directory. Only for who holds its lock."""
    for folder in (directory, *(directory / name for name in TABLES)):
        for leftover in folder.glob(".*.tmp"):
            if leftover.is_symlink() or not leftover.is_dir():
                leftover.unlink()


def check_links(directory: Path) -> None:
    """Raise `StorageError` when something in a directory that is about to be written leads out of it.

    A run may come from somebody else: what is written or deleted through its links would be anything of the user's.
    """
    if link := plain.link_out(directory):
        raise StorageError(
            f"{link} is a link out of its folder, and nothing is written through it: put a folder or file there, or"
            " remove it"
        )


def check_name(directory: Path) -> None:
    """Raise `StorageError` when Parquet and SQLite cannot open files in a run's folder, because of its name."""
    if why := unnameable(str(directory)):
        raise StorageError(f"{directory}: the name of a run's folder {why}; another --out, or a new name, helps")


def check_folders(directory: Path) -> None:
    """Raise `StorageError` when what should be the folder of a table is something else."""
    for folder in (directory / name for name in TABLES):
        if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
            raise StorageError(f"{folder} is no folder: nothing of its table can be read; remove it")


def _version(part: Path, schema: pa.Schema) -> int:
    try:
        version = int((schema.metadata or {})[VERSION_KEY].decode())
    except KeyError:
        raise CorruptPartError("it has no schema version of albench") from None
    if version > SCHEMA_VERSION:
        raise NewerPartError(
            f"{part} has schema version {version}, this albench reads up to {SCHEMA_VERSION}: update albench"
        )
    if version not in {SCHEMA_VERSION, *MIGRATIONS}:
        raise CorruptPartError(f"there is no schema version {version} of albench")
    return int(version)


def _claimed(stored: pq.ParquetFile) -> int:
    """Return the bytes that a part says its values take, and at least one for each row."""
    groups = (stored.metadata.row_group(i) for i in range(stored.metadata.num_row_groups))
    return max(int(stored.metadata.num_rows), sum(int(group.total_byte_size) for group in groups))


def _in(schema: pa.Schema, table: pa.Table) -> pa.Table:
    for name in OPTIONAL.intersection(schema.names) - set(table.column_names):
        table = table.append_column(schema.field(name), pa.nulls(len(table), schema.field(name).type))
    return table.select(schema.names).cast(schema)


@contextmanager
def _reading(part: Path) -> Iterator[None]:
    """Tell a damaged part from a disk or a permission that fails now: only the first may be set aside."""
    try:
        yield
    except (FileNotFoundError, CorruptPartError, StorageError):
        raise
    except plain.UnfitError as error:
        raise CorruptPartError(f"it {error}") from None
    except OSError as error:
        if error.errno:
            raise StorageError(f"{part} cannot be read: {os.strerror(error.errno)}") from error
        raise CorruptPartError(_first_line(error)) from error
    except MemoryError as error:
        raise StorageError(f"{part} cannot be read: not enough memory") from error
    except (pa.ArrowException, KeyError, ValueError, TypeError, OverflowError) as error:
        raise CorruptPartError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return clean(str(error).split("\n", 1)[0], 300)
