from dataclasses import dataclass

import numpy as np

from ...benchmark.registry import strategy
from ...benchmark.types import Floats, Query, Rows
from ..kernels.distances import EPS, Positions, blocks
from ..kernels.head.fisher import ROUNDING, largest
from ..kernels.head.gradients import errors
from ..kernels.head.influence import Reference, Table, along, needs, reference, with_bias

CROWD = 8  # one in so many rows that might win, and all are brought up to date instead
LEADING = 4  # directions in which G has moved that are followed row by row


@strategy(
    "glister",
    cite="Killamsetty, Sivasubramanian, Ramakrishnan and Iyer, GLISTER: Generalization based Data Subset Selection for "
    "Efficient and Robust Learning, AAAI 2021 (arXiv 2012.10630)",
    version=1,
    needs={"probabilities", "hidden"},
)
@dataclass(frozen=True)
class Glister:
    """The batch that would lower the loss of reference rows most, one gradient step on each pick after another.

    A pick is the row with the largest product g(x) · G of its last layer's gradient g(x) = (p - e_y) x [h, 1] under the
    predicted label y and the gradient G of the reference rows' mean loss. Then a step of length ``eta`` against g moves
    the reference rows' logits, and G with them (GLISTER-ACTIVE's greedy Taylor steps, as in the authors' DISTIL). The
    ``reference`` is the labelled rows and the ``pool`` under its predictions (DISTIL's default), the ``labelled`` rows
    alone, or a set that the budget paid for (``validation``).

    Where there are more than ``targets`` reference rows, as many are drawn for each query (null: all). All else is
    exact: while G has moved by D, g · G has by at most |g| |D|, so that only rows that might win are looked at again;
    most of D lies in few directions, in which they are followed.
    Where we differ from DISTIL: it first takes one step on all labelled rows, and it offers other objectives besides.
    Cost, with V targets: O(U H C) a few times, O(V H C) a pick, and memory O((U + V) (H + C)).
    """

    eta: float = 0.05
    targets: int | None = 2000
    reference: Reference = "pool"

    def __post_init__(self) -> None:
        if not self.eta > 0:
            raise ValueError(f"glister: eta is {self.eta}; it must be above 0")
        if self.targets is not None and self.targets < 1:
            raise ValueError(f"glister: targets is {self.targets}; it must be at least 1, or null for all rows")

    @property
    def needs(self) -> frozenset[str]:
        return needs(self.reference)

    def select(self, query: Query) -> Rows:
        seen = reference(query, self.reference)
        if self.targets is not None and self.targets < len(seen.labels):
            seen = seen.at(query.rng.choice(len(seen.labels), self.targets, replace=False))
        loss, pool = _Loss(seen), _Pool(Table(query.hidden, query.probs, query.predicted))
        picks = np.empty(query.n, np.int64)
        for i in range(query.n):
            picks[i] = pool.best(loss.gradient(), picks[:i], query.rng)
            loss.step(self.eta * pool.errors[picks[i]], pool.rows.hidden[picks[i]])
        return query.unlabelled[picks]


class _Loss:
    """The mean loss of reference rows (V,), as the weights move."""

    def __init__(self, seen: Table) -> None:
        with np.errstate(divide="ignore"):  # a class of no probability keeps none
            self._logits = np.log(seen.probs.astype(np.float64))
        self._rows, self._labels = with_bias(seen.hidden), seen.labels

    def gradient(self) -> Floats:
        """Return the gradient at the weights as they are, (C, H + 1)."""
        odds = np.exp(self._logits - self._logits.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        gradient: Floats = errors(odds, self._labels, np.float64).T @ self._rows / len(odds)
        return gradient

    def step(self, q: Floats, hidden: Floats) -> None:
        """Move the weights by -q x [h, 1]."""
        self._logits -= np.outer(self._rows @ np.append(hidden, 1.0), q)


class _Pool:
    """Rows with their gradients' products with G: as they were when all were looked at last, and as they may be now."""

    def __init__(self, rows: Table) -> None:
        self.rows, self.errors = rows, rows.errors()
        norms = np.einsum("uh,uh->u", rows.hidden, rows.hidden, dtype=np.float64) + 1
        self._lengths = np.sqrt(norms * np.einsum("uc,uc->u", self.errors, self.errors))
        self._then: Floats | None = None
        self._products = np.empty(0)

    def best(self, gradient: Floats, closed: Positions, rng: np.random.Generator) -> int:
        """Return the position of the largest product with the gradient, of those that are not closed."""
        rivals = self._rivals(gradient, closed)
        if self._then is None or len(rivals) * CROWD > len(self.errors):
            self._then, self._products = gradient, along(self.errors, self.rows.hidden, gradient)
            rivals = self._rivals(gradient, closed)
        return int(rivals[largest(along(self.errors[rivals], self.rows.hidden[rivals], gradient), rng)])

    def _rivals(self, gradient: Floats, closed: Positions) -> Positions:
        if self._then is None:
            return np.empty(0, np.int64)
        change = gradient - self._then
        rivals = self._winners(np.arange(len(self.errors)), self._products, np.linalg.norm(change), closed)
        left = np.linalg.eigh(change @ change.T)[1][:, -LEADING:]
        right = left.T @ change
        products, axes = self._products[rivals], right[:, :-1].T.astype(np.float32)
        for part in blocks(len(rivals)):
            some = rivals[part]
            moved = self.rows.hidden[some] @ axes + right[:, -1]
            products[part] += np.einsum("ul,ul->u", self.errors[some] @ left, moved)
        rest = np.linalg.norm(change - left @ right) + (len(change) + change.shape[1]) * EPS * np.linalg.norm(change)
        return self._winners(rivals, products, rest, closed)

    def _winners(self, rows: Positions, products: Floats, error: np.floating, closed: Positions) -> Positions:
        """Return those of the rows whose product may be the largest, where products are wrong by |g| ``error``."""
        reach = self._lengths[rows] * error + ROUNDING * np.abs(products)
        shut = np.isin(rows, closed)
        low = np.where(shut, -np.inf, products - reach)
        winners: Positions = rows[(products + reach >= low.max()) & ~shut]
        return winners
