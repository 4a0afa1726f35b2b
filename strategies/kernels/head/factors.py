"""Square roots of what one row tells of a linear head's weights, its Fisher information, never held as they are.

Of the weights (C, H) of a softmax a row tells I = (diag p - p pᵀ) x h hᵀ: p (C,) are its probabilities, h (H,) what the
head sees of it. Axes: U rows, K parameters, r columns of a row's factor V, c classes of a row; I = V Vᵀ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ....benchmark.types import Features, Floats, Query
from ..distances import Matrix, Positions, blocks

ENTRIES = 2**22  # numbers of a block


class Factors(Protocol):
    """The factors V (K, r) of U rows."""

    def __len__(self) -> int: ...

    def at(self, positions: Positions) -> Factors:
        """Return the factors of some rows."""

    def one(self, position: int) -> tuple[Positions | slice, Floats]:
        """Return the parameters that a row tells of (S,), and its factor there (S, r)."""

    def against(self, columns: Floats) -> Floats:
        """Return Vᵀ columns, (r, s, U), for columns (K, s)."""

    def forms(self, matrix: Floats) -> Floats:
        """Return Vᵀ matrix V, (r, r, U), for a symmetric matrix (K, K)."""

    def information(self) -> Floats:
        """Return the sum of V Vᵀ over the rows, (K, K)."""


class Single(Factors):
    """Factors of one column: the rows (U, K) themselves."""

    def __init__(self, rows: Floats) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, positions: Positions) -> Single:
        return Single(self.rows[positions])

    def one(self, position: int) -> tuple[slice, Floats]:
        return slice(None), self.rows[position, :, None]

    def against(self, columns: Floats) -> Floats:
        seen: Floats = columns.T @ self.rows.T
        return seen[None]

    def forms(self, matrix: Floats) -> Floats:
        parts = [self.rows[part] for part in blocks(len(self))]
        return np.concatenate([np.einsum("uk,uk->u", part @ matrix, part) for part in parts])[None, None]

    def information(self) -> Floats:
        information: Floats = self.rows.T @ self.rows
        return information


class ByClass:
    """Rows (U, H) beside each of their c likeliest classes: U c entries, ordered by class.

    ``top`` (U, c) are those classes and ``probs`` (U, c) their probabilities, the likeliest first. What is asked of a
    row and a class is then one product a class.
    """

    def __init__(self, probs: Features, hidden: Matrix, classes: int) -> None:
        self.C, self.H = probs.shape[1], hidden.shape[1]
        self.top = np.argsort(-probs, axis=1, kind="stable")[:, :classes]
        self.probs = np.take_along_axis(probs, self.top, axis=1).astype(np.float64)
        self._order = np.argsort(self.top, axis=None, kind="stable")
        self.owner = self._order // self.top.shape[1]  # the row of an entry
        self.hidden = hidden[self.owner].astype(np.float64)
        self.others = self.top[self.owner]  # the classes of an entry's row, (U c, c)
        self.places = np.empty_like(self.top)  # the entries of a row, (U, c)
        self.places.ravel()[self._order] = np.arange(self.top.size)
        ends = np.cumsum(np.bincount(self.top.ravel(), minlength=self.C)).tolist()
        self.slices = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]  # class by class

    def parts(self, width: int = 1) -> Iterator[tuple[int, slice]]:
        """Yield the classes with slices of their entries, so short that ``width`` numbers an entry fit in a block."""
        size = max(1, ENTRIES // width)
        for k, whole in enumerate(self.slices):
            for start in range(whole.start, whole.stop, size):
                yield k, slice(start, min(start + size, whole.stop))

    def per_row(self, values: Floats) -> Floats:
        """Return values (..., U c) of the entries row by row, (c, ..., U), a row's likeliest class first."""
        return np.stack([values[..., places] for places in self.places.T])

    def per_entry(self, values: Floats) -> Floats:
        """Return values (U, c, ...) of rows and classes entry by entry, (U c, ...)."""
        entries: Floats = values.reshape(-1, *values.shape[2:])[self._order]
        return entries


class Softmax(Factors):
    """Factors (C H, c - 1) of a softmax's information, for each row over its c likeliest classes; exact where c is C.

    Of fewer it is m (diag s - s sᵀ) x h hᵀ, where m is what these classes have of the probability and s their shares
    of that: what the label tells once it is known to be one of them. That is never more than all that it tells. Left
    out is what it tells by being one of them or not, and where it is not. Memory O(U c (H + c)).
    """

    def __init__(self, probs: Features, hidden: Matrix, classes: int) -> None:
        self._probs, self._hidden, self._classes = probs, hidden, classes
        self._by = ByClass(probs, hidden, classes)
        self.roots = roots(self._by.probs)
        self._columns = np.ascontiguousarray(self.roots.transpose(1, 2, 0))  # (c, c - 1, U)

    def __len__(self) -> int:
        return len(self.roots)

    def at(self, positions: Positions) -> Softmax:
        return Softmax(self._probs[positions], self._hidden[positions], self._classes)

    def one(self, position: int) -> tuple[Positions, Floats]:
        h = self._hidden[position].astype(np.float64)
        support = self._by.top[position, :, None] * len(h) + np.arange(len(h))
        factor: Floats = self.roots[position, :, None, :] * h[:, None]
        return support.ravel(), factor.reshape(support.size, self.roots.shape[2])

    def against(self, columns: Floats) -> Floats:
        per_class = columns.reshape(self._by.C, self._by.H, columns.shape[1])
        seen = np.empty((columns.shape[1], len(self._by.hidden)))
        for k, part in self._by.parts():
            seen[:, part] = per_class[k].T @ self._by.hidden[part].T
        return self._rooted(self._by.per_row(seen))

    def forms(self, matrix: Floats) -> Floats:
        C, H = self._by.C, self._by.H
        seen = np.empty(self._by.others.shape)
        for k, part in self._by.parts(C * H):
            rows = self._by.hidden[part]
            products = (rows @ matrix[k * H : (k + 1) * H]).reshape(len(rows), C, H)
            mine = np.take_along_axis(products, self._by.others[part, :, None], axis=1)
            seen[part] = np.einsum("uch,uh->uc", mine, rows)
        half = self._rooted(self._by.per_row(seen.T))
        return self._rooted(half.swapaxes(0, 1))

    def information(self) -> Floats:
        C, H = self._by.C, self._by.H
        covariances = self._by.per_entry(self.roots @ self.roots.swapaxes(1, 2))
        information = np.zeros((C * H, C * H))
        for k, part in self._by.parts(C * H):
            rows = self._by.hidden[part]
            spread = np.zeros((len(rows), C))
            np.put_along_axis(spread, self._by.others[part], covariances[part], axis=1)
            weighed = (spread[:, :, None] * rows[:, None, :]).reshape(len(rows), C * H)
            information[k * H : (k + 1) * H] += rows.T @ weighed
        return information

    def _rooted(self, values: Floats) -> Floats:
        """Return rootsᵀ values, (r, s, U), for values (c, s, U) of classes and rows."""
        rooted: Floats = np.einsum("cru,csu->rsu", self._columns, values)
        return rooted


def roots(probs: Floats) -> Floats:
    """Return L (U, c, c - 1) with L Lᵀ = diag p - p pᵀ / Σ p, for probabilities p (U, c).

    The Cholesky factor of a multinomial's covariance (Tanabe and Sagae, JRSS B 1992): with t_j = Σ_{i >= j} p_i it is
    L_jj = √(p_j t_{j+1} / t_j), and L_ij = -p_i √(p_j / (t_j t_{j+1})) below.
    """
    tails = np.cumsum(probs[:, ::-1], axis=1)[:, ::-1]
    both = tails[:, :-1] * tails[:, 1:]
    ratio = np.sqrt(np.divide(probs[:, :-1], both, out=np.zeros_like(both), where=both > 0))
    c = probs.shape[1]
    factor: Floats = -probs[:, :, None] * ratio[:, None, :] * np.tri(c, c - 1, -1)
    factor[:, np.arange(c - 1), np.arange(c - 1)] = ratio * tails[:, 1:]
    return factor


def projected(query: Query, dims: int) -> tuple[Floats, Floats]:
    """Return what the model's last layer sees of the unlabelled (U, d) and of the labelled rows (L, d), on d axes.

    Those axes hold most of the squared lengths of the unlabelled rows, which are not centred: the length of a gradient
    is that of its row. Where ``dims`` is not below H the rows stay as they are.
    """
    pool, known = query.hidden, query.of(query.labelled).hidden
    H = pool.shape[1]
    axes, moment = np.eye(H), np.zeros((H, H))
    if dims < H:
        for part in blocks(len(pool)):
            rows = pool[part].astype(np.float64)
            moment += rows.T @ rows
        axes = np.linalg.eigh(moment)[1][:, -dims:]
    return _on(pool, axes), _on(known, axes)


def _on(rows: Features, axes: Floats) -> Floats:
    return np.concatenate([rows[part].astype(np.float64) @ axes for part in blocks(len(rows))])
