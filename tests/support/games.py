"""The game of VAAL by torch's autograd in double precision, with the weights and draws of ours: an oracle."""

import numpy as np
import torch
from numpy.typing import NDArray

from albench.benchmark.types import Floats
from albench.strategies.kernels.nets.adversary import Game

from .nets import ByAutograd, elbo, halves, learn, seen


def judged(
    rows: NDArray[np.floating],
    known: NDArray[np.int64],
    others: NDArray[np.int64],
    r: Floats,
    game: Game,
    rng: np.random.Generator,
) -> Floats:
    """Return the logit of the discriminator, (U,), on the ``others`` of rows (M, D) that come with r (M, E)."""
    x, given, Z = seen(rows), torch.tensor(r), game.latent
    encoder = ByAutograd((x.shape[1], game.hidden, 2 * Z), game.rate, rng)
    decoder = ByAutograd((Z + given.shape[1], game.hidden, x.shape[1]), game.rate, rng)
    judge = ByAutograd((Z + given.shape[1], game.hidden, game.hidden, 1), game.rate, rng)
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    truth = torch.tensor([1.0, 0.0], dtype=torch.float64).repeat_interleave(game.batch)
    batches = min(int(np.ceil(game.epochs * len(others) / game.batch)), game.steps)
    for _ in range(batches):
        for _ in range(game.vae_steps):
            labelled = known[rng.integers(len(known), size=game.batch)]
            drawn = np.concatenate([labelled, rng.choice(others, game.batch)])
            mean, log_variance = halves(encoder(x[drawn]))
            z = mean + torch.tensor(rng.standard_normal((2 * game.batch, Z))) * (log_variance / 2).exp()
            rebuilt = decoder(torch.cat([z, given[drawn]], dim=1))
            kl = elbo(x[drawn], x[drawn], mean, log_variance)
            vae = ((x[drawn] - rebuilt).square().sum(dim=1) / 2 / x.shape[1] + game.beta * kl).mean()
            said = judge(torch.cat([mean, given[drawn]], dim=1))[:, 0]
            learn([encoder, decoder], vae + game.adversary * bce(said, torch.ones_like(said)))
        mean = encoder(x[drawn])[:, :Z].detach()
        judge.learn(bce(judge(torch.cat([mean, given[drawn]], dim=1))[:, 0], truth))
    codes = encoder(x[others.copy()])[:, :Z]
    return np.asarray(judge(torch.cat([codes, given[others.copy()]], dim=1))[:, 0].detach().numpy())
