"""What the finished trials of some runs predicted, row by row of their test sets; read in one pass over the parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ...benchmark.types import Floats, Predicted
from ..record.parts import list_parts
from ..record.store import RunStore
from .metrics import class_accuracy, shares
from .tables import IDENTITY, Key, key_of
from .words import count

CONFUSED = 3  # pairs of classes
_SAME = 1e-9  # accuracies that are closer than this are the same


class Truth(NamedTuple):
    """A test set: the classes of its rows (M,), their names, and how many rows the pool beside it has.

    ``rows`` (M,) are their numbers in the data that was split, where each seed has a split of its own.
    """

    labels: NDArray[np.uint32]
    class_names: tuple[str, ...]
    pool_rows: int
    rows: NDArray[np.int64] | None


@dataclass(eq=False)
class Said:
    """What one trial predicted for the M rows of a test set.

    ``right`` (M,) is the share of its curve over which a row was predicted right, rounds weighted as `aubc/1` does: the
    mean over rows is ``aubc/1``. ``last`` (M,) are the classes predicted by the last round.
    """

    test_set: str
    right: NDArray[np.float32]
    last: Predicted


class Classes(NamedTuple):
    """Of a cell: the accuracy of each class by seed (S, C), and the commonest mistakes."""

    names: tuple[str, ...]
    accuracy: Floats
    confused: list[tuple[float, str, str]]  # share of the true class's rows, true, predicted; the commonest first


@dataclass(frozen=True, eq=False)
class Predictions:
    """By test set what is true, and by trial id what was said, of each trial that has kept all its predictions.

    ``cells`` has the trial id of each finished seed. About 5 bytes for each test row of each trial.
    """

    truths: dict[str, Truth] = field(default_factory=dict)
    trials: dict[str, Said] = field(default_factory=dict)
    cells: dict[Key, dict[int, str]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def of(self, key: Key) -> dict[int, Said]:
        """Return what each finished seed of a cell said; nothing where some seed has not kept all its predictions."""
        seeds = self.cells.get(key, {})
        said = {seed: self.trials[trial_id] for seed, trial_id in seeds.items() if trial_id in self.trials}
        return said if len(said) == len(seeds) else {}

    def classes(self, key: Key) -> Classes | None:
        """Return how right a cell is about each class; None without predictions, or of seeds with other classes."""
        said = self.of(key)
        return _counted(said, self.truths) if said else None


def _counted(said: Mapping[int, Said], truths: Mapping[str, Truth]) -> Classes | None:
    pairs = [(truths[each.test_set], each.last) for each in said.values()]
    names = pairs[0][0].class_names
    if any(truth.class_names != names for truth, _ in pairs):
        return None
    accuracy = np.array([class_accuracy(truth.labels, last, len(names)) for truth, last in pairs])
    wrong = [(truth.labels[off], last[off]) for truth, last in pairs for off in [truth.labels != last]]
    codes = np.concatenate([true * np.int64(len(names)) + other for true, other in wrong])
    found, n = np.unique(codes, return_counts=True)
    rows = sum(np.bincount(truth.labels, minlength=len(names)) for truth, _ in pairs)
    share = n / np.asarray(rows)[found // len(names)]
    worst = np.argsort(-share, kind="stable")[:CONFUSED].tolist()
    confused = [(float(share[i]), names[found[i] // len(names)], names[found[i] % len(names)]) for i in worst]
    return Classes(names, accuracy, confused)


def read_predictions(stores: Sequence[RunStore], finished: pd.DataFrame) -> Predictions:
    """Return the predictions of the finished trials; those that do not give their round's accuracy are left out."""
    reader = _Reader(_truths(stores), finished)
    had = [len(store.notices) for store in stores]
    for store in stores:
        for table in _tables(store):
            reader.take(table)
    notices = [notice for store, n in zip(stores, had, strict=True) for notice in store.notices[n:]]
    if reader.wrong:
        notices.append(
            f"{count(len(reader.wrong), 'trial')} kept predictions that do not give the accuracies on record"
        )
    first = finished.drop_duplicates("trial_id").sort_values("seed")
    cells = {
        key_of(names): dict(zip(of["seed"].tolist(), of["trial_id"].tolist(), strict=True))
        for names, of in first[[*IDENTITY, "seed", "trial_id"]].groupby(IDENTITY)
    }
    return Predictions(reader.truths, reader.whole(), cells, tuple(notices))


def _truths(stores: Sequence[RunStore]) -> dict[str, Truth]:
    return {row["test_set"]: _truth(row) for store in stores for row in store.test_sets()}


def _tables(store: RunStore) -> Iterator[pa.Table]:
    """Yield the predictions of a run; those that the writer joins with others meanwhile come twice."""
    while True:
        try:
            for part in list_parts(store.directory / "predictions"):
                if (table := store.read_part(part)) is not None:
                    yield table
        except FileNotFoundError:
            continue
        return


class _Reader:
    """Adds up what is right, round by round in any order; the first of twins counts."""

    def __init__(self, truths: dict[str, Truth], finished: pd.DataFrame) -> None:
        self.truths = truths
        self.wrong: set[str] = set()
        self._left: dict[str, dict[int, tuple[float, float]]] = {}  # by trial and round: weight in aubc/1, accuracy
        self._last: dict[str, int] = {}
        self._said: dict[str, Said] = {}
        columns = (finished[name].to_numpy() for name in ("round", "n_labelled", "accuracy"))
        starts = np.flatnonzero(~finished["trial_id"].duplicated().to_numpy())
        ids = finished["trial_id"].to_numpy()[starts]
        for trial_id, rounds, labels, accuracy in zip(ids, *(np.split(c, starts[1:]) for c in columns), strict=False):
            values = zip(shares(labels).tolist(), accuracy.tolist(), strict=True)
            self._left[trial_id] = dict(zip(rounds.tolist(), values, strict=True))
            self._last[trial_id] = int(rounds[-1])

    def take(self, table: pa.Table) -> None:
        names = zip(*(table[name].to_pylist() for name in ("trial_id", "round", "test_set")), strict=True)
        for chunk in table["predicted"].chunks:
            ends, values = chunk.offsets.to_pylist(), chunk.values.to_numpy(zero_copy_only=False)
            for (start, end), (trial_id, round_, test_set) in zip(pairwise(ends), names, strict=False):
                self._add(trial_id, round_, test_set, values[start:end])

    def _add(self, trial_id: str, round_: int, test_set: str, predicted: NDArray[Any]) -> None:
        left, truth = self._left.get(trial_id, {}), self.truths.get(test_set)
        if round_ not in left or truth is None:
            return
        weight, accuracy = left[round_]
        if not _fits(predicted, truth) or abs((right := predicted == truth.labels).mean() - accuracy) > _SAME:
            self.wrong.add(trial_id)
            return
        said = self._said.setdefault(trial_id, Said(test_set, np.zeros(len(right), np.float32), predicted))
        if said.test_set != test_set:
            return
        del left[round_]
        said.right += np.float32(weight) * right
        if round_ == self._last[trial_id]:
            said.last = predicted.copy()  # not the part that it lies in

    def whole(self) -> dict[str, Said]:
        """Return the trials of which all rounds were there."""
        return {trial_id: said for trial_id, said in self._said.items() if not self._left[trial_id]}


def _fits(predicted: NDArray[Any], truth: Truth) -> bool:
    return len(predicted) == len(truth.labels) > 0 and bool(predicted.max() < len(truth.class_names))


def _truth(row: Mapping[str, Any]) -> Truth:
    numbers = row["rows"] if isinstance(row["rows"], np.ndarray) and len(row["rows"]) == len(row["labels"]) else None
    return Truth(row["labels"], tuple(row["class_names"]), row["pool_rows"], numbers)
