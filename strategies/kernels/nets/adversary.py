"""The game of VAAL: an autoencoder that hides which rows are labelled from a discriminator that learns to tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from ....benchmark import device
from ....benchmark.types import Array, Floats
from ..distances import Positions
from ..parameters import check
from .autoencoder import VAE
from .dense import Dense, Inputs, sigmoid, steps_of


@dataclass(frozen=True)
class Game:
    """How the two play: the parameters of the rules that stand on it.

    A code has ``latent`` units. ``hidden`` are the units of each hidden layer. In the autoencoder's loss ``beta`` is
    the weight of the KL divergence, ``adversary`` that of the discriminator. After every ``vae_steps`` batches of the
    autoencoder the discriminator has one. Both learn by Adam at the learning rate ``rate``. A batch is ``batch``
    labelled rows and as many others. Training ends after ``epochs`` over the unlabelled rows or ``steps`` turns of the
    discriminator, whichever is first.
    """

    latent: int = 32
    hidden: int = 64
    beta: float = 1.0
    adversary: float = 1.0
    vae_steps: int = 2
    rate: float = 5e-4
    batch: int = 64
    epochs: int = 10
    steps: int = 1000

    def check(self, rule: str) -> None:
        """Raise `ValueError`, with the rule's name, for parameters with which nothing can be learned."""
        ones = dict.fromkeys(("latent", "hidden", "vae_steps", "batch", "epochs", "steps"), 1)
        check(rule, self, {**ones, "beta": 0, "adversary": 0}, {"rate"})


def unlike(
    inputs: Inputs, known: Positions, others: Positions, given: Floats, game: Game, rng: np.random.Generator
) -> Floats:
    """Return for each of the ``others`` how sure the discriminator is that it is no labelled row: -logit D, (U,).

    ``known`` (L,) and ``others`` (U,) are positions in ``inputs`` (M, D); ``given`` (M, E) is what decoder and
    discriminator see of each row besides (E may be 0). A batch holds as many labelled rows as others, drawn with
    replacement. Of ``vae_steps`` batches the autoencoder learns to rebuild rows and to make the discriminator answer
    "labelled" on their mean codes; then, on the last of them, the discriminator learns the truth.
    """
    there, E = device.put(given), given.shape[1]
    xp, size = array_namespace(there), game.batch
    vae = VAE(inputs.width, game.latent, E, game.hidden, game.rate, rng)
    judge = Dense((game.latent + E, game.hidden, game.hidden, 1), game.rate, rng)
    truth = device.put(np.repeat([1.0, 0.0], size)[:, None])
    for _ in range(steps_of(game.epochs, len(others), size, game.steps)):
        for _ in range(game.vae_steps):
            drawn = np.concatenate([known[rng.integers(len(known), size=size)], rng.choice(others, size)])
            rows, beside = inputs[drawn], there[device.put(drawn)]
            code = vae.code(rows, device.put(rng.standard_normal((2 * size, game.latent))))
            seen = judge.passed(xp.concat([code.mean, beside], axis=1))
            fooled = judge.back(seen, (sigmoid(seen[-1]) - 1) * (game.adversary / (2 * size)))[1][:, : game.latent]
            vae.learn(vae.gradients(rows, code, game.beta, xp.ones_like(fooled), beside, fooled, 0.0))
        seen = judge.passed(xp.concat([vae.mean(rows), beside], axis=1))
        judge.learn(judge.back(seen, (sigmoid(seen[-1]) - truth) / (2 * size))[0])

    def doubt(rows: Array, part: slice) -> Array:
        return -judge(xp.concat([vae.mean(rows), there[device.put(others[part])]], axis=1))[:, 0]

    return inputs.rowwise(doubt, others)
