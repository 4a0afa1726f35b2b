"""Learning curves of other people (a CSV file) -> a run's directory, so that report and statistics apply to them."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import __version__
from ...benchmark.types import Budget, Count, Outcome, Part, Segment, Trial, TrialEnd
from ..measures.findings import spellings, strangers
from ..measures.schedules import PLACE, Counts, findings, unfit_reason, usual_counts
from ..measures.tables import IDENTITY, key_of
from ..measures.words import count
from ..record.parts import DiskError
from ..record.schema import IMPORTED, plan_row, trial_row
from ..record.store import RunStore, StorageError
from .foreign_table import Curves, read_curves
from .foreign_values import NAMES

Rounds = list[dict[str, Any]]
BASELINE = "random"
"""What `report.write_report`, which lies above, takes unless told otherwise."""


@dataclass(frozen=True)
class Imported:
    """What was imported, to be said in lines."""

    directory: Path
    lines: tuple[str, ...]


def import_curves(file: Path, out: Path, said: Mapping[str, Sequence[str]]) -> Imported:
    """Write the curves of ``file`` as a run into ``out``, which appears whole or not at all.

    A trial is what has the same dataset, embedding, learner, budget, strategy and seed. One that cannot stand beside
    the others of its setting and budget (`schedules.unfit_reason`) is kept and counts as failed. Nobody says which
    rows were bought: ``selected`` is empty. The same file again is harmless.

    Raises
    ------
    TableError
        When the file is not what it should be.
    StorageError
        When ``out`` holds something else, or the disk refuses.
    """
    command = f"albench import {shlex.quote(str(file))} --out {shlex.quote(str(out))}"
    curves = read_curves(file, said, command)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest = _manifest(file, digest, curves)
    if not _there_already(out, manifest):
        _write(curves, digest, manifest, out, f"# imported from {file.name}: there is no grid that makes it\n")
    return Imported(out, tuple(_summary(curves, out)))


def _summary(curves: Curves, out: Path) -> Iterator[str]:
    rows = curves.rows
    trials, places = (len(rows[names].drop_duplicates()) for names in ([*NAMES, "seed"], PLACE))
    strategies = rows["strategy"].nunique()
    rules = "1 strategy" if strategies == 1 else f"{strategies} strategies"
    yield f"imported {count(trials, 'trial')} ({count(len(rows), 'round')}): {rules} in {count(places, 'setting')}"
    renamed = [f"{ours} = {'+'.join(of)}" for ours, of in curves.columns.items() if of != [ours]]
    if renamed:
        yield f"columns: {', '.join(renamed)}"
    yield from curves.notes
    if curves.repeated:
        yield f"{count(curves.repeated, 'row')} said twice, counted once"
    yield from _misnamed(rows)
    for kind, names in zip(("datasets", "embeddings", "learners", "budgets", "strategies"), NAMES, strict=True):
        yield from spellings(kind, rows[names])
    own = rows.groupby(IDENTITY)["seed"].agg(set)
    yield from strangers({key_of(names): seeds for names, seeds in own.items()})
    yield from findings(rows.rename(columns={"n_labels": "n_labelled"}).assign(bought_by=IMPORTED))
    yield f"next: albench report {out}"


def _misnamed(rows: pd.DataFrame) -> Iterator[str]:
    """Hint at what may be the baseline under another name, where a setting has no `BASELINE`. Nothing is renamed."""
    rules = rows.groupby(PLACE)["strategy"].agg(set)
    names = sorted({name for own in rules if BASELINE not in own for name in own if BASELINE in name.casefold()})
    for name in names:
        yield (
            f"strategy {name!r}: did you mean {BASELINE!r}? the baseline of a report is {BASELINE} (another:"
            f" --baseline {shlex.quote(name)})"
        )


def _manifest(file: Path, digest: str, curves: Curves) -> dict[str, Any]:
    order = {name: list(dict.fromkeys(curves.rows[name])) for name in NAMES}
    return {
        "grid_id": f"imported-{digest[:16]}",
        "name": file.stem,
        "imported from": file.name,
        "sha256": digest,
        "columns": {ours: "+".join(theirs) for ours, theirs in curves.columns.items()},
        "albench": __version__,
        "order": order,
    }


def _there_already(out: Path, manifest: Mapping[str, Any]) -> bool:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        held = RunStore.open(out).manifest
    except StorageError:
        raise StorageError(f"{out} holds files of something else; give an empty --out") from None
    if {**held, "albench": ""} != {**manifest, "albench": ""}:
        raise StorageError(f"{out} holds another run: {held.get('name', '')}; give an empty --out")
    return True


def _write(curves: Curves, digest: str, manifest: dict[str, Any], out: Path, grid: str) -> None:
    """Write the run beside ``out`` and move it there: a kill on the way leaves nothing that looks like a run."""
    beside = out.with_name(f".{out.name}.import")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with RunStore.create(beside, grid, manifest) as store:
            trials = list(_trials(curves.rows, digest))
            store.write_plan([trial for trial, _, _ in trials])
            now = time.time_ns() // 1_000_000
            for trial, end, rounds in trials:
                names = plan_row(trial)
                store.add_rounds([{**names, **values, "ended_at": now} for values in rounds])
                store.add_trials([trial_row(trial, end, now)])
        beside.replace(out)
    except OSError as error:
        raise DiskError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _trials(rows: pd.DataFrame, digest: str) -> Iterator[tuple[Trial, TrialEnd, Rounds]]:
    """Yield each trial with its end and its rounds."""
    names_and_seed = [*NAMES, "seed"]
    rows = rows.sort_values([*names_and_seed, "n_labels"])
    counts = rows.groupby(names_and_seed)["n_labels"].agg(tuple)
    usual = {place: usual_counts(list(trials)) for place, trials in counts.groupby(PLACE)}
    schedules = {place: _schedule(schedule) for place, schedule in usual.items()}
    records: Rounds = rows.to_dict("records")  # type: ignore[assignment]  # the names of columns are texts
    for (*names, seed), group in groupby(records, key=itemgetter(*names_and_seed)):
        place = tuple(names[:4])
        initial, segments = schedules[place]
        budget = Budget(names[3], initial, segments)
        dataset, embedding, learner, _, strategy = map(Part, names)
        data = f"{digest}/{names[3]}"  # budgets of one schedule are told apart by name
        trial = Trial(dataset, embedding, learner, strategy, budget, seed, data)
        points = list(group)
        yield trial, _end(trial, points, usual[place]), [_round(i, point) for i, point in enumerate(points)]


def _schedule(counts: Counts) -> tuple[Count, tuple[Segment, ...]]:
    sizes = ((size, len(list(same))) for size, same in groupby(np.diff(counts).tolist()))
    return Count(counts[0]), tuple(Segment(Count(size), rounds) for size, rounds in sizes)


def _end(trial: Trial, points: Rounds, usual: Counts) -> TrialEnd:
    seconds = max(point["elapsed_seconds"] for point in points)  # as the file counts them, from the start of the trial
    if reason := unfit_reason(tuple(point["n_labels"] for point in points), usual):
        return TrialEnd(trial.trial_id, Outcome.FAILED, f"imported: {reason}", wall_s=seconds)
    return TrialEnd(trial.trial_id, Outcome.DONE, wall_s=seconds)


def _round(index: int, point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of ``schema.ROUNDS`` that a foreign curve has; the others are null."""
    return {
        "round": index,
        "n_labelled": point["n_labels"],
        "bought_by": IMPORTED,
        "accuracy": point["accuracy"],
        "balanced_accuracy": point["balanced_accuracy"],
        "macro_f1": point["macro_f1"],
        "class_counts": [],
        "selected": [],
    }
