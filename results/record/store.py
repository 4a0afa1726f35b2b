"""A run's directory: atomic Parquet parts, one writer, any number of readers, safe to kill at any point.

A part appears under its name only when it is whole (temporary name, fsync, rename). Parts are never changed; reading
drops what two parts repeat. Rounds are written before trial ends, so a recorded end always has its rounds.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from filelock import FileLock, Timeout

from ...benchmark import text
from ...benchmark.types import Batch, Trial
from ...datasets.reading import plain
from . import manifests, parts
from .parts import TABLES, CorruptPartError, StorageError
from .schema import FIRSTS, LISTS, PLAN, TIMING, batch_of, plan_row

__all__ = ["RunStore", "StorageError"]

log = logging.getLogger(__name__)

MANY_AT_START = 50
MANY = 1000  # parts that a running writer lets gather before it compacts
LOST = "what it held is done again"
PLAN_FILE, FIRSTS_FILE = "plan.parquet", "firsts.parquet"
_OWN = {
    ".lock",
    PLAN_FILE,
    FIRSTS_FILE,
    "grid.yaml",
    "report",
    *TABLES,
}  # what may lie here before the first manifest does


class RunStore:
    """The files of one run. Writers come from `create`, readers from `open`.

    ``manifest`` is the manifest of the last writer; under ``"earlier"`` it holds those of the writers before it.
    ``notices`` says in one line each what was wrong with the files read so far.
    """

    def __init__(
        self, directory: Path, manifest: dict[str, Any], lock: FileLock | None = None, lenient: bool = False
    ) -> None:
        self.directory = directory
        self.manifest = manifest
        self.notices: list[str] = []
        self._lock = lock
        self._lenient = lenient
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        self._next = {name: parts.next_number(directory / name) for name in TABLES}
        self._flushed_at = time.monotonic()

    @classmethod
    def create(cls, directory: Path | str, grid_yaml: str, manifest: Mapping[str, Any]) -> Self:
        """Open a run for writing, new or to be continued; ``manifest["grid_id"]`` says which grid it belongs to.

        Raises
        ------
        StorageError
            When another writer has it, it holds another grid or files that are not a run's, or a newer albench
            wrote it. Nothing but the lock is written before all checks have passed.
        """
        directory = Path(directory)
        parts.check_name(directory)
        parts.check_links(directory)
        _check_ours(directory, manifest)
        lock = _lock(directory)
        try:
            earlier = _check_ours(directory, manifest)  # again: it may have been made while we waited
            _check_versions(directory)
            parts.check_folders(directory)
            parts.sweep(directory)
            for name in TABLES:
                (directory / name).mkdir(exist_ok=True)
            full = _with_earlier(dict(manifest), earlier)
            parts.write_atomic(directory / manifests.FILE, json.dumps(full, indent=2).encode())
            parts.write_atomic(directory / "grid.yaml", grid_yaml.encode())
            store = cls(directory, full, lock)
            store._compact_above(MANY_AT_START)
        except BaseException:
            lock.release()
            raise
        return store

    @classmethod
    def open(cls, directory: Path | str, lenient: bool = False) -> Self:
        """Open a run for reading, whether or not somebody is writing it.

        With ``lenient`` what cannot be read (the manifest or a field of it, the grid, a part that a permission, the
        disk or a newer albench keeps from us) is a notice, and the rest is read; else it is a `StorageError`, as is a
        directory without a run, and a link out of it. A damaged part is a notice in either case.
        """
        parts.check_name(Path(directory))
        store = cls(Path(directory), {}, lenient=lenient)
        try:
            parts.check_folders(store.directory)
            manifest = manifests.read(store.directory)
        except StorageError as error:
            store._do_without(error)
            return store
        if manifest is None:
            raise StorageError(f"{directory} holds no albench run (it has no manifest.json)")
        if not lenient:
            manifests.check(store.directory, manifest)
            parts.check_links(store.directory)  # who asks so strictly writes here, a mirror's database say
        store.manifest = store._sound(manifest) if lenient else manifest
        return store

    @property
    def grid_yaml(self) -> str:
        path = self.directory / "grid.yaml"
        try:
            return plain.read(path, plain.JSON_BYTES).decode()
        except (OSError, UnicodeDecodeError, plain.UnfitError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            why = f"it {error}" if isinstance(error, plain.UnfitError) else why
            self._do_without(StorageError(f"{path} cannot be read: {why}"))
            return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # --- writing -----------------------------------------------------------------------------------------------

    def write_plan(self, trials: Sequence[Trial], n_bought: Callable[[Trial], int | None] = lambda _: None) -> None:
        """Say which trials the grid asks for, and how many labels each buys; replaces an earlier state's plan."""
        self._check_writer()
        rows = [plan_row(trial, n_bought(trial)) for trial in trials]
        parts.write_part(self.directory / PLAN_FILE, pa.Table.from_pylist(rows, schema=PLAN))

    def write_firsts(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Say what the rows that are bought first look like; replaces what was said before."""
        self._check_writer()
        parts.write_part(self.directory / FIRSTS_FILE, pa.Table.from_pylist([dict(row) for row in rows], schema=FIRSTS))

    def add_test_sets(self, rows: list[dict[str, Any]]) -> None:
        """Keep rows of `schema.TEST_SETS` in memory until the next flush."""
        self._rows["test_sets"].extend(rows)

    def add_predictions(self, rows: list[dict[str, Any]]) -> None:
        """Keep rows of `schema.PREDICTIONS` in memory until the next flush."""
        self._rows["predictions"].extend(rows)

    def add_rounds(self, rows: list[dict[str, Any]]) -> None:
        """Keep rows of `schema.ROUNDS` in memory until the next flush."""
        self._rows["rounds"].extend(rows)

    def add_trials(self, rows: list[dict[str, Any]]) -> None:
        """Keep rows of `schema.TRIALS` in memory until the next flush."""
        self._rows["trials"].extend(rows)

    def flush(self) -> None:
        """Write the rows in memory, one part per table.

        Raises
        ------
        StorageError
            When the disk refuses; the rows stay in memory, so a later flush writes them.
        """
        self._check_writer()
        for name, rows in self._rows.items():
            if rows:
                self._write(name, parts.as_table(name, rows))
                self._rows[name] = []
        self._flushed_at = time.monotonic()
        self._compact_above(MANY)

    def flush_if_due(self, seconds: float = 1.0) -> None:
        """Flush when the last flush is at least ``seconds`` old."""
        if time.monotonic() - self._flushed_at >= seconds:
            self.flush()

    def compact(self) -> None:
        """Join the parts of each table. The new part is there before the old ones go: a kill loses nothing."""
        self._check_writer()
        for name in TABLES:
            for old in parts.joinable(self.directory / name):
                read = {part: table for part in old if (table := self.read_part(part)) is not None}
                if read:
                    self._write(name, parts.join(read.values()))
                for part in read:
                    part.unlink()

    def close(self) -> None:
        """Flush, compact and let the next writer in."""
        if self._lock is None or not self._lock.is_locked:
            return
        try:
            self.flush()
            self.compact()
        finally:
            self._lock.release()

    def _compact_above(self, many: int) -> None:
        if any(len(parts.list_parts(self.directory / name)) > many for name in TABLES):
            self.compact()

    def _check_writer(self) -> None:
        if self._lock is None or not self._lock.is_locked:
            raise StorageError(f"{self.directory} is open for reading only")

    def _write(self, name: str, table: pa.Table) -> None:
        parts.write_part(self.directory / name / f"part-{self._next[name]:06d}.parquet", table)
        self._next[name] += 1

    # --- reading -----------------------------------------------------------------------------------------------

    def plan(self) -> pd.DataFrame | None:
        """Return the trials that the grid asks for, or None where nobody wrote it down."""
        return self._read_file(PLAN_FILE, PLAN)

    def firsts(self) -> pd.DataFrame | None:
        """Return what the rows that are bought first look like, or None where nobody wrote it down."""
        return self._read_file(FIRSTS_FILE, FIRSTS)

    def _read_file(self, name: str, schema: pa.Schema) -> pd.DataFrame | None:
        path = self.directory / name
        try:
            frame: pd.DataFrame = parts.read_part(path, schema).to_pandas()
        except FileNotFoundError:
            return None
        except CorruptPartError as error:
            self._notice(f"{path} cannot be read and is left out: {error}; the next run of the grid writes it anew")
            return None
        except StorageError as error:
            self._do_without(error)
            return None
        return frame

    def test_sets(self) -> list[dict[str, Any]]:
        """Return the rows of `schema.TEST_SETS`, lists as arrays."""
        rows: list[dict[str, Any]] = self._read("test_sets").to_pandas().to_dict("records")
        return rows

    def rounds(self) -> pd.DataFrame:
        """Return every round once, by (trial_id, round). Where a round was done twice the first row stands."""
        frame: pd.DataFrame = self._read("rounds").to_pandas()
        repeated = frame.duplicated(["trial_id", "round"], keep=False)
        if repeated.any():
            self._report_disagreement(frame[repeated])
            frame = frame.drop_duplicates(["trial_id", "round"])
        return frame.sort_values(["trial_id", "round"], ignore_index=True)

    def trials(self) -> pd.DataFrame:
        """Return the latest ended attempt of each trial, by order of first appearance."""
        frame: pd.DataFrame = self._read("trials").to_pandas()
        order = frame["trial_id"].drop_duplicates()
        latest = frame.drop_duplicates("trial_id", keep="last").set_index("trial_id", drop=False)
        return latest.loc[order].reset_index(drop=True)

    def purchases(self) -> dict[str, list[Batch]]:
        """Return what each trial has bought so far, one batch per round without a gap, for resuming it.

        The first round is 0, or 1 where the trial starts without labels. What follows a gap (a lost part) is left
        out, so that it is done again.
        """
        frame = self.rounds()
        bought: dict[str, list[Batch]] = {}
        total: dict[str, int] = {}
        columns = (frame[name] for name in ("trial_id", "n_labelled", "class_counts", "selected", "chosen_by"))
        for trial_id, n_labelled, counts, rows, chosen_by in zip(*columns, strict=True):
            now = total.get(trial_id, 0) + len(rows)
            # nothing is missing between the last row and this; the counts hold no validation set, which no round buys
            if now in (n_labelled, int(np.sum(counts))):
                bought.setdefault(trial_id, []).append(batch_of(rows, chosen_by))
                total[trial_id] = now
        return bought

    def _read(self, name: str) -> pa.Table:
        while True:
            try:
                tables = [self.read_part(part) for part in parts.list_parts(self.directory / name)]
            except FileNotFoundError:  # the writer compacted between our listing and our reading
                continue
            return pa.concat_tables([TABLES[name].empty_table(), *(t for t in tables if t is not None)])

    def read_part(self, part: Path) -> pa.Table | None:
        """Return the rows of a part; None, and a notice, where it cannot be read."""
        try:
            return parts.read_part(part)
        except CorruptPartError as error:
            self._report_corrupt(part, str(error))
        except StorageError as error:
            self._do_without(error)
        return None

    def _report_corrupt(self, part: Path, reason: str) -> None:
        if self._lock is None:
            self._notice(f"{part} cannot be read and is left out: {reason}; {LOST}, when the grid is run again")
            return
        aside = part.with_name(part.name + ".corrupt")
        part.rename(aside)
        self._notice(f"{part} cannot be read and was set aside as {aside.name}: {reason}; {LOST}")

    def _report_disagreement(self, repeated: pd.DataFrame) -> None:
        answer = repeated.drop(columns=list(TIMING))
        for column in LISTS:
            answer[column] = answer[column].map(lambda values: None if values is None else tuple(values.tolist()))
        several = answer.drop_duplicates()
        several = several[several.duplicated(["trial_id", "round"])]
        if len(several):
            row = several.iloc[0]
            self._notice(
                f"{self.directory}: {len(several)} rounds gave another answer when they were done again, first round"
                f" {row['round']} of trial {row.trial_id} ({row.strategy}, seed {row.seed}); the first answer is used"
            )

    def _sound(self, manifest: dict[str, Any]) -> dict[str, Any]:
        path = self.directory / manifests.FILE
        kept, wrong = manifests.sound(manifest)
        if not manifest:
            self._notice(f"{path} is empty: nothing is known of where this run comes from")
        if wrong:
            self._notice(f"{path} holds something else than albench writes under {', '.join(wrong)}; that is left out")
        return kept

    def _do_without(self, error: StorageError) -> None:
        if not self._lenient:
            raise error
        self._notice(f"{error}; it is left out")

    def _notice(self, notice: str) -> None:
        notice = text.spelled(notice)
        if notice not in self.notices:
            self.notices.append(notice)
            log.warning("%s", notice)


def _lock(directory: Path) -> FileLock:
    lock = FileLock(directory / ".lock")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise StorageError(f"{directory}: another run is writing here; wait for it, or give another --out") from None
    except OSError as error:
        raise StorageError(f"{directory} cannot be written: {error.strerror}") from error
    return lock


def _check_versions(directory: Path) -> None:
    for name in TABLES:
        for part in parts.list_parts(directory / name):
            with suppress(CorruptPartError):  # set aside when it is read
                parts.check_version(part)


def _check_ours(directory: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the manifest that lies there, if any; raise `StorageError` when the directory is not this grid's."""
    held = manifests.read(directory)
    if held is None:
        names = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
        foreign = [name for name in names if name not in _OWN and not name.endswith(".tmp")]
        if foreign:
            raise StorageError(f"{directory} holds files of something else ({foreign[0]}); give an empty --out")
        return None
    manifests.check(directory, held)
    if held.get("grid_id") != manifest["grid_id"]:
        raise StorageError(
            f"{directory} holds another grid: {_grid(held)}, not {_grid(manifest)}; give this run another --out"
        )
    return held


def _grid(manifest: Mapping[str, Any]) -> str:
    return " ".join(dict.fromkeys(str(manifest[key]) for key in ("name", "grid_id") if key in manifest))


def _with_earlier(manifest: dict[str, Any], earlier: dict[str, Any] | None) -> dict[str, Any]:
    if earlier is None:
        return manifest
    past = earlier.pop("earlier", [])
    return {**manifest, "earlier": past if earlier == manifest else [*past, earlier]}
