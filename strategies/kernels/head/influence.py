"""What a row's gradient does to the loss of other rows, for a softmax head, factorised.

Axes: M rows, H features, V rows of the reference, C classes. Weights stand with the bias as (C, H + 1), rows with a 1
at the end; a row's gradient is q x [h, 1], q = p - e_label (C,).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from ....benchmark.types import Features, Floats, Labels, Query
from ..distances import Matrix, Positions, blocks
from .gradients import errors

ACCURACY = 1e-10  # of the solution, in proportion

Reference = Literal["labelled", "pool", "validation"]
"""On what rows the loss is to fall: the labelled, those and all others under their predicted labels, or a set apart."""


class Table(NamedTuple):
    """Rows with what the model says of them: hidden (M, H), probabilities (M, C), labels (M,)."""

    hidden: Features
    probs: Features
    labels: Labels

    def at(self, positions: Positions | slice) -> Table:
        return Table(self.hidden[positions], self.probs[positions], self.labels[positions])

    def errors(self) -> Floats:
        """Return p - e_label of each row, (M, C), in double precision."""
        return errors(self.probs, self.labels, np.float64)


def needs(reference: Reference) -> frozenset[str]:
    """Return what a rule needs so that it can ask for this reference."""
    return frozenset({"validation"}) if reference == "validation" else frozenset()


def reference(query: Query, which: Reference) -> Table:
    """Return the rows on which the loss is to fall, with their labels."""
    rows, labels = query.validation if which == "validation" else (query.labelled, query.labels)
    if which == "pool":
        rows, labels = np.append(rows, query.unlabelled), np.append(labels, query.predicted)
    said = query.of(rows)
    return Table(said.hidden, said.probs, labels)


def with_bias(hidden: Features) -> Floats:
    """Return rows [h, 1], (M, H + 1), in double precision."""
    return np.column_stack([hidden.astype(np.float64), np.ones(len(hidden))])


def gradient(table: Table) -> Floats:
    """Return the mean of the rows' gradients, (C, H + 1)."""
    total = np.zeros((table.probs.shape[1], table.hidden.shape[1] + 1))
    for part in blocks(len(table.labels)):
        some = table.at(part)
        total += some.errors().T @ with_bias(some.hidden)
    return total / len(table.labels)


def along(q: Matrix, hidden: Features, weights: Floats) -> Floats:
    """Return the products of gradients q x [h, 1], of q (M, C) and hidden (M, H), with weights (C, H + 1), (M,)."""
    found = np.empty(len(q))
    for part in blocks(len(q)):
        found[part] = np.einsum("mc,mc->m", q[part], with_bias(hidden[part]) @ weights.T)
    return found


def solved(hidden: Features, probs: Features, right: Floats, damping: float) -> Floats:
    """Return (Hessian + damping · 1)⁻¹ right, (C, H + 1), by conjugate gradients.

    The Hessian is that of the summed cross-entropy of M rows, Σ (diag p - p pᵀ) x [h, 1] [h, 1]ᵀ; a product with it
    costs O(M H C), and it is never made. With ``damping`` the precision of the weights it is the Hessian of the loss
    that was minimised, but for the bias, which is often free.
    """
    from scipy.sparse.linalg import LinearOperator, cg  # noqa: PLC0415 - a fifth of a second that few rules pay

    rows, p = with_bias(hidden), probs.astype(np.float64)

    def product(flat: Floats) -> Floats:
        step = flat.reshape(right.shape)
        logits = rows @ step.T
        bent = p * (logits - np.einsum("mc,mc->m", p, logits)[:, None])
        curved: Floats = bent.T @ rows + damping * step
        return curved.ravel()

    hessian = LinearOperator((right.size, right.size), matvec=product, dtype=np.float64)
    step: Floats = cg(hessian, right.ravel(), rtol=ACCURACY, atol=0.0)[0]
    return step.reshape(right.shape)
