"""Small networks by torch's autograd in double precision, with the weights that ours draw: an oracle for gradients."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from albench.benchmark.types import Floats


class ByAutograd:
    """Dense layers with ReLU between them, and torch's Adam over them."""

    def __init__(self, widths: Sequence[int], rate: float, rng: np.random.Generator) -> None:
        self.layers = [
            (torch.tensor(rng.normal(0, (2 / a) ** 0.5, (a, b))), torch.zeros(b, dtype=torch.float64))
            for a, b in pairwise(widths)
        ]
        self.parameters = [p.requires_grad_() for layer in self.layers for p in layer]
        self.adam = torch.optim.Adam(self.parameters, lr=rate)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        for i, (W, b) in enumerate(self.layers):
            rows = (torch.relu(rows) if i else rows) @ W + b
        return rows

    def learn(self, loss: torch.Tensor) -> None:
        learn([self], loss)

    def gradient(self, loss: torch.Tensor) -> Floats:
        """Return the gradient as the one vector that ours is."""
        found = torch.autograd.grad(loss, self.parameters, retain_graph=True, allow_unused=True)
        filled = [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, found, strict=True)]
        return np.asarray(torch.cat([g.reshape(-1) for g in filled]).numpy())


def learn(nets: Sequence[ByAutograd], loss: torch.Tensor) -> None:
    """Make one step of some networks down one loss."""
    for net in nets:
        net.adam.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch's
    for net in nets:
        net.adam.step()


def seen(rows: NDArray[np.floating]) -> torch.Tensor:
    """Return rows (M, D) centred, and divided by one number so that their mean square is 1."""
    centred = rows.astype(np.float64) - rows.astype(np.float64).mean(axis=0)
    scale = np.sqrt(np.square(centred).mean())
    return torch.tensor(centred / (scale if scale else 1.0))


def elbo(rows: torch.Tensor, rebuilt: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return each row's -ELBO a feature, (B,), up to a constant; the decoder is a Gaussian of variance 1."""
    kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
    return ((rows - rebuilt).square().sum(dim=1) / 2 + kl) / rows.shape[1]


def halves(said: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the means (B, Z) and the logarithms of the variances (B, Z) that an encoder says."""
    Z = said.shape[1] // 2
    return said[:, :Z], said[:, Z:]
