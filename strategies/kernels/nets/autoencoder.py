"""A variational autoencoder on features (Kingma and Welling 2014), one step of learning at a time.

Axes: B rows of a batch, D features, Z latent units, E numbers that the decoder is given besides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace

from ....benchmark.types import Array
from .dense import Dense

WIDEST = 20.0  # a logarithm of a variance: beyond, an outlier's would overflow


class Code(NamedTuple):
    """Of B rows: the mean and the standard deviation (B, Z) of their codes, and codes drawn with ``noise``."""

    seen: list[Array]
    mean: Array
    deviation: Array
    noise: Array
    drawn: Array


class VAE:
    """Encoder D → hidden → 2 Z (mean and log variance) and decoder Z + E → hidden → D."""

    def __init__(self, width: int, latent: int, given: int, hidden: int, rate: float, rng: np.random.Generator) -> None:
        self.latent = latent
        self.encoder = Dense((width, hidden, 2 * latent), rate, rng)
        self.decoder = Dense((latent + given, hidden, width), rate, rng)

    def mean(self, rows: Array) -> Array:
        """Return the mean code (B, Z) of each row."""
        return self.encoder(rows)[:, : self.latent]

    def code(self, rows: Array, noise: Array) -> Code:
        """Return the codes of rows (B, D); ``noise`` (B, Z) is standard normal."""
        xp, seen = array_namespace(rows), self.encoder.passed(rows)
        mean, log_variance = seen[-1][:, : self.latent], seen[-1][:, self.latent :]
        deviation = xp.exp(xp.clip(log_variance, -WIDEST, WIDEST) / 2)
        return Code(seen, mean, deviation, noise, mean + noise * deviation)

    def gradients(
        self, rows: Array, code: Code, beta: float, kept: Array, given: Array, at_mean: Array, at_drawn: Array
    ) -> tuple[Array, Array]:
        """Return the gradients at the encoder's and the decoder's parameters.

        The loss is the mean over rows of (|x - x'|² / 2 + ``beta`` KL(q(z|x), N(0, 1))) / D, where x' is decoded from
        z · ``kept`` and ``given`` (B, E); and another loss, of the codes, by its gradients at their means and draws.
        """
        xp, share = array_namespace(rows), 1 / (rows.shape[0] * rows.shape[1])
        shown = self.decoder.passed(xp.concat([code.drawn * kept, given], axis=1))
        decoder, back = self.decoder.back(shown, (shown[-1] - rows) * share)
        at_drawn = at_drawn + back[:, : self.latent] * kept
        variance, inside = code.deviation**2, abs(code.seen[-1][:, self.latent :]) < WIDEST
        at_mean = at_mean + at_drawn + beta * share * code.mean
        at_log_variance = (at_drawn * code.noise * code.deviation + beta * share * (variance - 1)) / 2 * inside
        encoder, _ = self.encoder.back(code.seen, xp.concat([at_mean, at_log_variance], axis=1))
        return encoder, decoder

    def learn(self, gradients: tuple[Array, Array]) -> None:
        """Make one step down the gradients."""
        self.encoder.learn(gradients[0])
        self.decoder.learn(gradients[1])
