from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from ...benchmark.registry import strategy
from ...benchmark.types import Answers, Array, Floats, Query, Rows
from ..kernels.distances import Matrix, Positions, blocks

ROUNDING = 1e-9  # scores that are so nearly equal, in proportion, are drawn among


@strategy(
    "bait-binary",
    cite="Huseljic, Hahn, Herde, Rauch and Sick, Fast Fishing: Approximating BAIT for Efficient and Scalable Deep "
    "Active Image Classification, 2024 (arXiv 2404.08981); BAIT: Ash, Goel, Krishnamurthy and Kakade, Gone Fishing: "
    "Neural Active Learning with Fisher Embeddings, NeurIPS 2021 (arXiv 2106.09675)",
    version=1,
    needs={"probabilities", "hidden"},
)
@dataclass(frozen=True)
class BaitBinary:
    """The batch that brings its Fisher information nearest the pool's, the predicted class against all others.

    Minimises tr(M⁻¹ F) over batches S. A row has the Fisher information of one logistic unit that tells its predicted
    class from the rest, I(x) = p (1 - p) h hᵀ: p is the largest probability, h (H,) what the model's last layer sees.
    F is the mean of I over the labelled and the unlabelled, and with l labels
    M = ridge · 1 + (Σ_labelled I + n Σ_S I) / (l + n), the weights of the authors' code.
    Forward, ``oversample`` · n rows enter greedily, each the one after which the trace is least; backward, the row
    whose loss costs least leaves, until n are left (Algorithm 1 of BAIT).

    Rank-one updates (Sherman-Morrison) of vᵀM⁻¹v and vᵀM⁻¹FM⁻¹v for all rows v make this exact in O(U H² + n U H)
    instead of O(n U H²): time, and memory O(U H) in double precision. C enters through the probabilities alone.
    The authors' toolbox may keep the first of the two labels alone (I = (1 - p)² h hᵀ) and divides F by the size of a
    block; ours is the full expectation and the mean. Like theirs, h has no bias.
    """

    ridge: float = 1.0
    oversample: int = 2

    def __post_init__(self) -> None:
        if not self.ridge > 0:
            raise ValueError(f"bait-binary: ridge is {self.ridge}; it must be above 0")
        if self.oversample < 1:
            raise ValueError(f"bait-binary: oversample is {self.oversample}; it must be at least 1")

    def select(self, query: Query) -> Rows:
        trace = self.trace(query)
        picks: list[int] = []
        while len(picks) < min(self.oversample * query.n, len(query.unlabelled)):
            falls = trace.falls()
            falls[picks] = -np.inf
            picks.append(_largest(falls, query.rng))
            trace.move(picks[-1], +1)
        return query.unlabelled[pruned(picks, query.n, trace, query.rng)]

    def trace(self, query: Query) -> "Trace":
        """Return the trace before anything is picked, over the unlabelled rows."""
        ours, known = factors(query), factors(query.of(query.labelled))
        together = len(known) + query.n
        of_labelled = known.T @ known
        fisher = (ours.T @ ours + of_labelled) / (len(ours) + len(known))
        inverse = np.linalg.inv(self.ridge * np.eye(len(fisher)) + of_labelled / together)
        ours *= np.sqrt(query.n / together)
        return Trace(ours, inverse, fisher)


class Trace:
    """tr(M⁻¹ F) while rows v (U, H) enter M and leave it: what it is for each row is kept, never M for each.

    M stands as its inverse (H, H). tr((M ± vvᵀ)⁻¹ F) = tr(M⁻¹ F) ∓ vᵀM⁻¹FM⁻¹v / (1 ± vᵀM⁻¹v), by Sherman and Morrison.
    """

    def __init__(self, rows: Floats, inverse: Matrix, fisher: Floats) -> None:
        self.rows, self.inverse, self.fisher = rows, inverse, fisher
        self._outer = inverse @ fisher @ inverse
        self._inner = _forms(rows, inverse)
        self._gains = _forms(rows, self._outer)

    def falls(self) -> Floats:
        """Return by how much the trace falls when a row enters, (U,)."""
        falls: Floats = self._gains / (1 + self._inner)
        return falls

    def rises(self) -> Floats:
        """Return by how much the trace rises when a row leaves, (U,); for rows that are in M."""
        rises: Floats = self._gains / (1 - self._inner)
        return rises

    def move(self, position: int, sign: int) -> None:
        """Let the row at ``position`` enter (+1) or leave (-1)."""
        v = self.rows[position]
        inner, outer = self.inverse @ v, self._outer @ v
        scale = sign / (1 + sign * (v @ inner))
        outer -= scale / 2 * (v @ outer) * inner  # so that both changes of the outer product are one of rank two
        to_inner, to_outer = self.rows @ inner, self.rows @ outer
        self._inner -= scale * to_inner**2
        self._gains -= 2 * scale * to_inner * to_outer
        self.inverse = self.inverse - scale * np.outer(inner, inner)
        change = scale * np.outer(inner, outer)
        self._outer -= change + change.T


def pruned(picks: list[int], n: int, trace: Trace, rng: np.random.Generator) -> Positions:
    """Return ``n`` of the picks, in their order: again and again the one leaves without which the trace rises least."""
    held = Trace(trace.rows[picks], trace.inverse, trace.fisher)  # afresh: what rounding has gathered is gone
    left = np.arange(len(picks))
    while len(left) > n:
        leaver = _largest(-held.rises()[left], rng)
        held.move(int(left[leaver]), -1)
        left = np.delete(left, leaver)
    return np.array(picks, dtype=np.int64)[left]


def factors(answers: Query | Answers) -> Floats:
    """Return the v of each row, (U, H) in double precision: vvᵀ is its Fisher information."""
    spread = np.sqrt(answers.rowwise(_variance).astype(np.float64))
    factors: Floats = answers.hidden.astype(np.float64)
    factors *= spread[:, None]
    return factors


def _variance(probs: Array) -> Array:
    """Return p (1 - p) of the largest probability of each row, (b,)."""
    largest = array_namespace(probs).max(probs, axis=1)
    return largest * (1 - largest)


def _forms(rows: Floats, matrix: Matrix) -> Floats:
    """Return vᵀ matrix v of each row, (U,)."""
    return np.concatenate([np.einsum("uh,uh->u", rows[part] @ matrix, rows[part]) for part in blocks(len(rows))])


def _largest(values: Floats, rng: np.random.Generator) -> int:
    """Return the position of the largest value; among those that rounding cannot tell apart, any with equal chance."""
    best = values.max()
    return int(rng.choice(np.flatnonzero(values >= best - ROUNDING * abs(best))))
