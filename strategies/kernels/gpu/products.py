"""The kernels' halves that run on a trial's GPU (torch), whole: nothing crosses to the host between picks.

Rows are centred and put on a grid of 24 bits, as on the CPU (`distances.Euclidean`); here they are kept in double
precision, in which products of the grid's numbers and their sums are exact. So distances are exact, and picks are those
of the CPU, ties included. Cards for games compute slowly in double precision. Axes: M things, D features, K centres,
R and P some of the things.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....benchmark import device
from ....benchmark.types import Features, Floats

if TYPE_CHECKING:  # seconds to import, for which only trials on a GPU wait
    import torch

BLOCK_BYTES = 2**28  # of a block of distances

Positions = NDArray[np.int64]


class OnDevice(ABC):
    """Squared distances (`distances.Distances`) that are computed on the trial's GPU, and exact."""

    error = 0.0

    @abstractmethod
    def squares(self, rows: torch.Tensor | slice, picks: torch.Tensor) -> torch.Tensor:
        """Return the squared distances (R, P) in double precision, on the device."""

    @abstractmethod
    def __len__(self) -> int: ...

    def to(self, rows: Positions | slice, picks: Positions) -> NDArray[np.float32]:
        return device.fetch(self.squares(_there(rows), _there(picks))).astype(np.float32)

    def exact(self, rows: Positions, picks: Positions) -> Floats:
        return device.fetch(self.squares(_there(rows), _there(picks)))

    def nearest(self, rows: Positions | slice, picks: Positions) -> Floats:
        """Return the squared distance (R,) of each row to the nearest pick."""
        everything = np.arange(len(self))[rows]
        if not len(picks):
            return np.full(len(everything), np.inf)
        parts = [self.squares(_there(part), _there(picks)).amin(dim=1) for part in _parts(everything, len(picks))]
        return np.concatenate([device.fetch(part) for part in parts])


class Euclidean(OnDevice):
    """Squared Euclidean distances between rows (M, D)."""

    def __init__(self, rows: Features) -> None:
        import torch  # noqa: PLC0415 - see above

        there = device.put(rows)
        self.mean: torch.Tensor = there.double().mean(dim=0).float()
        centred = there - self.mean
        longest = 1.001 * float(centred.norm(dim=1).max())
        step = 2.0 ** (np.ceil(np.log2(longest or 1.0)) - 24)
        self.rows = torch.round(centred / step).double() * step
        self.norms = self.rows.square().sum(dim=1)

    def __len__(self) -> int:
        return len(self.rows)

    def squares(self, rows: torch.Tensor | slice, picks: torch.Tensor) -> torch.Tensor:
        products = self.rows[rows] @ self.rows[picks].T
        squares: torch.Tensor = self.norms[rows][:, None] + self.norms[picks] - 2 * products
        return squares

    def take(self, positions: Positions) -> Features:
        """Return rows (P, D), centred."""
        return device.fetch(self.rows[_there(positions)]).astype(np.float32)

    def assign(self, centres: Features, weights: NDArray[np.float32]) -> tuple[Positions, Floats, Floats]:
        """Return each row's nearest centre (M,), its squared distance (M,), and the weighted sum of a centre's rows."""
        import torch  # noqa: PLC0415 - see above

        there = device.put(centres).double()
        halves, nearest, squares = there.square().sum(dim=1) / 2, [], []
        for part in _parts(np.arange(len(self)), len(centres)):
            rows = self.rows[part[0] : part[-1] + 1]
            best, found = (rows @ there.T - halves).max(dim=1)
            nearest.append(found)
            squares.append((self.norms[part[0] : part[-1] + 1] - 2 * best).clamp(min=0))
        owner = torch.cat(nearest)
        sums = torch.zeros_like(there).index_add_(0, owner, self.rows * device.put(weights)[:, None])
        return device.fetch(owner), device.fetch(torch.cat(squares)), device.fetch(sums)


class Gradients(OnDevice):
    """Distances between the gradients q x [h, 1] of U rows, factorised (`gradients.Gradients`)."""

    def __init__(self, q: Features, hidden: Features) -> None:
        self._q, self._h = Euclidean(q), Euclidean(hidden)
        self._Q = device.put(q).double().square().sum(dim=1)
        self._H = device.put(hidden).double().square().sum(dim=1) + 1
        self.squared_norms = device.fetch(self._Q * self._H)

    def __len__(self) -> int:
        return len(self._Q)

    def squares(self, rows: torch.Tensor | slice, picks: torch.Tensor) -> torch.Tensor:
        a, b = self._q.squares(rows, picks), self._h.squares(rows, picks)
        Q, H = self._Q[rows][:, None], self._H[rows][:, None]
        twice = a * (H + self._H[picks]) + b * (Q + self._Q[picks]) - a * b
        twice += (Q - self._Q[picks]) * (H - self._H[picks])
        squares: torch.Tensor = twice.clamp(min=0) / 2
        return squares


class Gaussian:
    """exp(-(|x - y| / width)²) between candidates x (M, D) and targets y (T, D), in single precision (`herding`)."""

    def __init__(
        self, candidates: Features, targets: Features, width: float, logs: NDArray[np.float32] | None = None
    ) -> None:
        self._scale = 2 / width**2
        self._left, self._right = device.put(candidates), device.put(targets)
        self._halves = [rows.square().sum(dim=1) * (self._scale / 2) for rows in (self._left, self._right)]
        if logs is not None:
            self._halves[1] -= device.put(logs)

    def there(self, candidates: Positions, targets: Positions) -> torch.Tensor:
        """Return the similarities (R, R') on the device."""
        a, b = _there(candidates), _there(targets)
        similar: torch.Tensor = self._left[a] @ self._right[b].T * self._scale
        similar = similar - self._halves[0][a][:, None] - self._halves[1][b]
        return similar.clamp_(max=0).exp_()

    def __call__(self, candidates: Positions, targets: Positions) -> NDArray[np.float32]:
        return device.fetch(self.there(candidates, targets))

    def between(
        self, candidates: Positions, targets: Positions, low: NDArray[np.float32], high: NDArray[np.float32]
    ) -> Floats:
        """Return how much of the similarities lies between two covers (R',), summed over the targets, (R,)."""
        import torch  # noqa: PLC0415 - see above

        least, most = device.put(low), device.put(high)
        parts = (self.there(part, targets) for part in _parts(candidates, len(targets)))
        sums = [(torch.clamp(part, least, most) - least).sum(dim=1, dtype=torch.float64) for part in parts]
        return np.concatenate([np.empty(0), *map(device.fetch, sums)])


def farthest(
    distances: OnDevice, n: int, rank: Positions, chosen: Positions, closed: NDArray[np.bool_] | None
) -> Positions:
    """Return ``n`` positions as `farthest.farthest` does: the plain loop, a matrix times a vector each."""
    import torch  # noqa: PLC0415 - see above

    order = _there(rank)
    nearest = torch.full((len(distances),), torch.inf, dtype=torch.float64, device=order.device)
    if len(chosen):
        nearest = torch.as_tensor(distances.nearest(slice(None), chosen), device=order.device)
        nearest[_there(chosen)] = -torch.inf
    if closed is not None:
        nearest[_there(closed)] = -torch.inf
    picks, count = torch.empty(n, dtype=torch.int64, device=order.device), torch.zeros_like(order[:1])

    def pick_one() -> None:
        best = torch.where(nearest == nearest.max(), order, len(order))
        pick = best.argmin().view(1)
        torch.minimum(nearest, distances.squares(slice(None), pick)[:, 0], out=nearest)
        nearest.index_fill_(0, pick, -torch.inf)
        picks.index_copy_(0, count, pick)
        count.add_(1)

    device.repeat(pick_one, n)
    return device.fetch(picks)


def largest(closeness: torch.Tensor, k: int) -> tuple[Positions, NDArray[np.float32]]:
    """Return the places (R, k) of each row's ``k`` largest of a tile (R, M), and the k-th largest itself (R,)."""
    found = closeness.topk(k, dim=1)
    return device.fetch(found.indices), device.fetch(found.values[:, -1])


def above(closeness: torch.Tensor, least: float) -> tuple[Positions, Positions, NDArray[np.float32]]:
    """Return the places (P,), (P,) of a tile that are above a number, row by row, and what is there (P,)."""
    i, j = (closeness > least).nonzero(as_tuple=True)
    return device.fetch(i), device.fetch(j), device.fetch(closeness[i, j])


def _parts(rows: Positions, columns: int) -> Iterator[Positions]:
    """Yield rows in blocks whose distances to so many columns take at most `BLOCK_BYTES`."""
    size = max(1, BLOCK_BYTES // (8 * max(1, columns)))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _there(positions: Any) -> Any:
    return positions if isinstance(positions, slice) else device.put(positions)
