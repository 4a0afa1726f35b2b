"""The graph network of CoreGCN by torch's autograd, on the dense graph in double precision: an oracle."""

import numpy as np
import torch

from albench.benchmark.types import Floats
from albench.strategies.kernels.nets.gcn import Training


def dense(units: Floats) -> Floats:
    similar = units @ units.T
    np.fill_diagonal(similar, 0)
    sums = np.abs(similar).sum(axis=0)
    return np.asarray(np.divide(similar, sums, out=np.zeros_like(similar), where=sums > 1e-6) + np.eye(len(units)))


def by_autograd(units: Floats, n_labelled: int, training: Training, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return hidden features (M, H) and scores (M,) of the paper's network, with the weights and masks of ours."""
    A, X = torch.from_numpy(dense(units)), torch.from_numpy(units)
    D, H = X.shape[1], training.hidden
    first, second = rng.uniform(-1, 1, D * H + H) / np.sqrt(H), rng.uniform(-1, 1, H + 1)
    drawn = (first[: D * H].reshape(D, H), first[D * H :], second[:H, None], second[H:])
    W, b, w, c = (torch.tensor(a, requires_grad=True) for a in drawn)
    adam = torch.optim.Adam([W, b, w, c], lr=training.rate, weight_decay=training.decay)
    for _ in range(training.epochs):
        gates = (rng.random((len(X), H), dtype=np.float32) >= training.dropout) / (1 - training.dropout)
        s = torch.sigmoid(A @ (torch.relu(A @ (X @ W) + b) * torch.from_numpy(gates) @ w) + c)
        loss = -s[:n_labelled].log().mean() - training.weight * (1 - s[n_labelled:]).log().mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        adam.step()
    hidden = torch.relu(A @ (X @ W) + b).detach()
    return hidden.numpy(), torch.sigmoid(A @ (hidden @ w.detach()) + c.detach())[:, 0].numpy()
