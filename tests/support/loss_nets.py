"""The network that orders rows by their losses, by torch's autograd in double precision: an oracle."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from albench.benchmark.types import Floats
from albench.strategies.kernels.nets.ranking import LossNet

from .nets import ByAutograd, seen

PairLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cross_entropy(probs: Floats, labels: NDArray[np.int64]) -> Floats:
    """Return -log of the probability of each label; the model's answers are in single precision."""
    return np.array([-np.log(np.float64(np.float32(row[label]))) for row, label in zip(probs, labels, strict=True)])


def predicted(
    rows: NDArray[np.floating], losses: Floats, pair: PairLoss, of: LossNet, rng: np.random.Generator
) -> Floats:
    """Return what is said of each of rows (M, D), of which the first L have these losses, after training."""
    net, x, true = ByAutograd((rows.shape[1], of.hidden, 1), of.rate, rng), seen(rows), torch.tensor(losses)
    pairs = min(of.batch, len(losses)) // 2
    for _ in range(min(int(np.ceil(of.epochs * len(losses) / (2 * pairs))), of.steps)):
        drawn = rng.permutation(len(losses))
        first, second = drawn[:pairs], drawn[pairs : 2 * pairs]
        said = net(x)[:, 0]
        net.learn(pair(said[first] - said[second], true[first] - true[second]).mean())
    return np.asarray(net(x)[:, 0].detach().numpy())


def margin(width: float) -> PairLoss:
    """Return the loss of a pair that is to be apart by ``width`` the right way round."""
    return lambda said, true: torch.relu(width - torch.sign(true) * said) * (true != 0)


def odds(said: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of a pair's order."""
    target = torch.where(true > 0, 1.0, torch.where(true < 0, 0.0, 0.5)).double()
    return torch.nn.functional.binary_cross_entropy_with_logits(said, target, reduction="none")
