from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Features, Query, Rows
from ..kernels.distances import Positions
from ..kernels.scores import argmax


@strategy(
    "galaxy",
    cite="Zhang, Katz-Samuels and Nowak, GALAXY: Graph-based Active Learning at the Extreme, ICML 2022 "
    "(arXiv 2202.01402)",
    version=1,
    needs={"probabilities", "reveal"},
)
@dataclass(frozen=True)
class Galaxy:
    """Bisection between each class and the others, the label of each pick revealed before the next (Algorithm 4).

    For each class k all rows stand in a line, by p_k - max p, then by max p, then at random. A class is drawn for each
    pick, and the middle is bought of the shortest run of unlabelled rows between two labelled ones of which one has
    this label and one has not. Without such a run, the unlabelled row nearest to where two such rows meet; without
    such a place (all labels are k, or none is), any row. ``reveal`` gives the label of each pick.

    The paper raises the order of the graph until it reaches unlabelled rows, which is that nearest row. The authors'
    later code (LabelBench) searches only places where the row less like k has its label, and takes the first of equal
    rows; here all places count, and equals are drawn among. It keeps one line for two classes; here the second is the
    first in reverse, which picks the same.

    O(C N log N) for the lines, each built when its class is first drawn (8 C N bytes), and then O(|L| + n) a pick, or
    O(N) where there is no run.
    """

    def select(self, query: Query) -> Rows:
        rows = np.concatenate([query.labelled, query.unlabelled])
        probs, by_chance = query.of(rows).probs, query.rng.permutation(len(rows))
        lines: dict[int, Line] = {}
        labels = query.labels.tolist()
        known = list(range(len(labels)))  # positions in rows, in order of purchase
        for _ in range(query.n):
            k = int(query.rng.integers(query.n_classes))
            if k not in lines:
                lines[k] = Line(probs, k, by_chance)
            lines[k].learn(known, labels)
            pick = lines[k].pick(query.rng)
            known.append(pick)
            labels.append(query.reveal(int(rows[pick])))
        return rows[known[-query.n :]]


class Line:
    """Rows in order of class k, from probabilities (M, C); ``by_chance`` (M,) orders the equal ones."""

    def __init__(self, probs: Features, k: int, by_chance: Positions) -> None:
        best = probs.max(axis=1)
        self._k, self._seen = k, 0
        self._at = np.lexsort((by_chance, best, probs[:, k] - best)).astype(np.int32)  # the row at each place
        self._place = np.empty_like(self._at)
        self._place[self._at] = np.arange(len(best), dtype=np.int32)
        self._labelled = np.empty(0, np.int32)  # places, ascending
        self._own = np.empty(0, np.bool_)  # whether each has the label k

    def learn(self, known: Sequence[int], labels: Sequence[int]) -> None:
        """Take in the labels that are new of all that are known; both only ever grow."""
        places = self._place[known[self._seen :]]
        order = np.argsort(places)
        new, own = places[order], (np.array(labels[self._seen :], dtype=np.int64) == self._k)[order]
        at = np.searchsorted(self._labelled, new)
        self._labelled, self._own = np.insert(self._labelled, at, new), np.insert(self._own, at, own)
        self._seen = len(known)

    def pick(self, rng: np.random.Generator) -> int:
        """Return the row to buy; of two in the middle, either with equal chance."""
        cuts = np.flatnonzero(np.diff(self._own))  # between this labelled row and the next
        runs = self._labelled[cuts + 1] - self._labelled[cuts] - 1
        if not runs.any():
            return int(self._at[rng.choice(self._beside(cuts))])
        cut = argmax(-np.where(runs > 0, runs, len(self._at)), rng)
        return int(self._at[self._labelled[cuts[cut]] + 1 + (runs[cut] - rng.integers(2)) // 2])

    def _beside(self, cuts: Positions) -> Positions:
        """Return the free places nearest to a cut, all of them where there is no cut."""
        is_free = np.ones(len(self._at), dtype=np.bool_)
        is_free[self._labelled] = False
        free = np.flatnonzero(is_free)
        if not len(cuts):
            return free
        framed = np.concatenate([[-len(is_free)], free, [2 * len(is_free)]])  # farther than any place
        before = np.searchsorted(free, self._labelled[cuts])
        places = np.concatenate([framed[before], framed[before + 1]])
        away = np.concatenate([self._labelled[cuts] - framed[before], framed[before + 1] - self._labelled[cuts + 1]])
        return np.unique(places[away == away.min()])
