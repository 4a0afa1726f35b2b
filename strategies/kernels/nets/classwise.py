"""An autoencoder whose code has a group of units for each class, which is empty where the class is right (VaB-AL).

Axes: B rows of a batch, D features, C classes, G units of a group, Z = C G, H hidden units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from ....benchmark import device
from ....benchmark.types import Array, Floats, Labels
from ..distances import Positions, blocks
from ..parameters import check
from .autoencoder import VAE
from .dense import Inputs, softmax, steps_of


@dataclass(frozen=True)
class ByClass:
    """How the autoencoder is made and trained: its decoder is a Gaussian of this ``variance``.

    ``hidden`` are the units of its hidden layers. ``pull`` is the weight of the classes in the loss, which is times the
    variance; ``draws`` are codes of a row. Adam's learning rate is ``rate``. A batch is ``batch`` rows, drawn with
    replacement. Training ends after ``epochs`` over the rows or ``steps`` batches, whichever is first.
    """

    group: int = 10
    hidden: int = 128
    variance: float = 0.01
    pull: float = 0.005
    rate: float = 1e-2
    batch: int = 128
    epochs: int = 20
    steps: int = 1000
    draws: int = 10

    def check(self, rule: str) -> None:
        """Raise `ValueError`, with the rule's name, for parameters with which nothing can be learned."""
        ones = dict.fromkeys(("group", "hidden", "batch", "epochs", "steps", "draws"), 1)
        check(rule, self, {**ones, "pull": 0}, ("variance", "rate"))

    def trained(
        self, inputs: Inputs, rows: Positions, classes: Labels, n_classes: int, rng: np.random.Generator
    ) -> VAE:
        """Return the autoencoder that has learned ``rows`` (R,), whose classes (R,) are said to be these."""
        vae = VAE(inputs.width, n_classes * self.group, 0, self.hidden, self.rate, rng)
        right = device.put(np.eye(n_classes))
        for _ in range(steps_of(self.epochs, len(rows), self.batch, self.steps)):
            drawn = rng.integers(len(rows), size=self.batch)
            noise = device.put(rng.standard_normal((self.batch, vae.latent)))
            self.learn(vae, inputs[rows[drawn]], right[device.put(classes[drawn])], noise)
        return vae

    def learn(self, vae: VAE, rows: Array, right: Array, noise: Array) -> None:
        """Make one step: what is decoded has the group of the right class (B, C) emptied; see `class_pull`."""
        xp, code = array_namespace(rows), vae.code(rows, noise)
        kept = xp.reshape(xp.ones_like(code.drawn), (len(rows), -1, self.group)) - right[:, :, None]
        at_drawn = self.pull * class_pull(code.drawn, right)
        kept = xp.reshape(kept, code.drawn.shape)
        vae.learn(vae.gradients(rows, code, self.variance, kept, rows[:, :0], 0.0, at_drawn))


def class_pull(drawn: Array, right: Array) -> Array:
    """Return the gradient, at codes (B, Z), of the mean cross-entropy of softmax(-|z_c|²) with classes (B, C)."""
    xp = array_namespace(drawn)
    groups = xp.reshape(drawn, (*right.shape, -1))
    p = softmax(-xp.sum(groups * groups, axis=2))
    return xp.reshape(2 * groups * (right - p)[:, :, None], drawn.shape) / len(drawn)


def likelihoods(
    vae: VAE, inputs: Inputs, rows: Positions, n_classes: int, of: ByClass, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the shares (R, C) of each row's codes that name a class, and its log likelihoods (R, C).

    A code names the class whose group is the shortest. The likelihood of x under a class is that of the Gaussian around
    what is decoded with the class's group emptied, exp(-|x - x'|² / (2 variance)), its logarithm averaged over the
    codes; less what all classes share. In O(draws R C H (G + H)), whatever D: with x' = h V + b,
    |x - x'|² = |x - b|² - 2 h·V(x - b) + h·VVᵀh.
    """
    named, log = np.zeros((len(rows), n_classes)), np.zeros((len(rows), n_classes))
    (U, a), (V, b) = vae.decoder.layers
    G, square, xp = len(U) // n_classes, V @ V.T, array_namespace(U)
    for part in blocks(len(rows)):
        seen = inputs[rows[part]]
        towards = (seen - b) @ V.T
        for _ in range(of.draws):
            z = vae.code(seen, device.put(rng.standard_normal((len(seen), vae.latent)))).drawn
            lengths = xp.sum(xp.reshape(z, (len(seen), n_classes, G)) ** 2, axis=2)
            named[part][np.arange(len(seen)), device.fetch(xp.argmin(lengths, axis=1))] += 1 / of.draws
            whole = z @ U + a
            for c in range(n_classes):
                group = slice(c * G, (c + 1) * G)
                h = whole - z[:, group] @ U[group]
                h = h * (h > 0)
                log[part, c] += device.fetch(xp.sum(h * (2 * towards - h @ square), axis=1)) / (
                    2 * of.variance * of.draws
                )
    return named, log
