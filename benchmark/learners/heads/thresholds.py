"""What is believed of rows without a label: classes that a model is sure enough of, by one threshold or one a class.

Axes: U unlabelled rows, b of a batch, P classes that have labels.
"""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy


def believed(logits: torch.Tensor, threshold: float) -> torch.Tensor:
    """Return the mean cross-entropy of logits (b, P) with their own likeliest class, over the rows sure of it.

    Sure is a probability from ``threshold``; 0 where no row is.
    """
    confidence, guess = torch.softmax(logits.detach(), dim=1).max(dim=1)
    sure = (confidence >= threshold).to(logits.dtype)
    losses = cross_entropy(logits, guess, reduction="none")
    return (sure * losses).sum() / sure.sum().clamp(min=1)


class Thresholds:
    """A threshold a class, as high as it is well learned: FlexMatch (Zhang et al., NeurIPS 2021, algorithm 1).

    Each row is noted with the class that it was last sure of, with a probability from ``threshold``, or as unused. A
    class's threshold is ``threshold`` · β / (2 - β) with β its number of rows over the largest of all classes' and of
    the unused: as long as most are unused all thresholds are low (the warm-up of equation 11).
    """

    def __init__(self, U: int, P: int, threshold: float, home: str) -> None:
        self._threshold, self._P = threshold, P
        self._noted = torch.full((U,), P, device=home)

    def __call__(self, chosen: torch.Tensor, probs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the guess for rows ``chosen`` (b,) of U from probabilities (b, P), and which are believed, (b,).

        They are judged by the thresholds of before, then noted.
        """
        confidence, guess = probs.max(dim=1)
        counts = torch.zeros(self._P + 1, dtype=torch.long, device=self._noted.device)
        counts.scatter_add_(0, self._noted, torch.ones_like(self._noted))  # bincount would wait for the host
        beta = (counts[:-1] / counts.max()).to(probs.dtype)
        believed = confidence >= self._threshold * (beta / (2 - beta))[guess]
        self._noted[chosen] = torch.where(confidence >= self._threshold, guess, self._noted[chosen])
        return guess, believed

    def consistency(self, chosen: torch.Tensor, weak: torch.Tensor, strong: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of strong logits (b, P) with what weak ones (b, P) make believe, over all b rows."""
        guess, believed = self(chosen, torch.softmax(weak.detach(), dim=1))
        losses: torch.Tensor = believed * cross_entropy(strong, guess, reduction="none")
        return losses.mean()
