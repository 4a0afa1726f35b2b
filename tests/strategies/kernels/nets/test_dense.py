"""Written-out gradients against torch's autograd, and what a network sees."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nets import ByAutograd, elbo, halves, seen
from support.queries import cloud

from albench.benchmark import device
from albench.strategies.kernels.nets.adam import Adam
from albench.strategies.kernels.nets.autoencoder import VAE, WIDEST
from albench.strategies.kernels.nets.critic import Critic
from albench.strategies.kernels.nets.dense import Dense, Inputs, sigmoid, steps_of

SEEDS = st.integers(0, 10**6)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, widths=st.lists(st.integers(1, 6), min_size=2, max_size=5), size=st.integers(1, 7))
def test_dense_layers_and_their_gradients(seed: int, widths: list[int], size: int) -> None:
    ours = Dense(widths, 1e-3, np.random.default_rng(seed))
    theirs = ByAutograd(widths, 1e-3, np.random.default_rng(seed))
    rows = torch.tensor(cloud(seed, size, widths[0])).requires_grad_()
    towards = cloud(seed + 1, size, widths[-1])
    said = theirs(rows)
    loss = (said * torch.tensor(towards)).sum()
    (at_rows,) = torch.autograd.grad(loss, [rows], retain_graph=True)
    passed = ours.passed(rows.detach().numpy())
    gradient, back = ours.back(passed, towards)
    assert np.allclose(passed[-1], said.detach().numpy(), atol=1e-12)
    assert np.allclose(gradient, theirs.gradient(loss), atol=1e-12)
    assert np.allclose(back, at_rows.numpy(), atol=1e-12)


def test_adam_is_torchs() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = np.ones(5), torch.ones(5, dtype=torch.float64).requires_grad_()
    adam, oracle = Adam(ours, 0.01, 0.1), torch.optim.Adam([theirs], lr=0.01, weight_decay=0.1)
    for _ in range(20):
        gradient = rng.normal(size=5)
        adam.step(gradient)
        theirs.grad = torch.tensor(gradient)
        oracle.step()
    assert np.allclose(ours, theirs.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("spread", [1.0, 1e4])
@pytest.mark.parametrize("given_too", [0, 2])
def test_the_autoencoders_gradients(spread: float, given_too: int) -> None:
    """At 1e4 the logarithms of variances are beyond what is let through, and have no gradient."""
    ours = VAE(6, 3, given_too, 8, 1e-3, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    encoder, decoder = ByAutograd((6, 8, 6), 1e-3, rng), ByAutograd((3 + given_too, 8, 6), 1e-3, rng)
    rows, noise, beside = spread * cloud(2, 7, 6), cloud(3, 7, 3), cloud(4, 7, given_too)
    kept, at_mean, at_drawn = (cloud(seed, 7, 3) for seed in (5, 6, 7))
    x = torch.tensor(rows)
    mean, log_variance = halves(encoder(x))
    let_through = log_variance.clamp(-WIDEST, WIDEST)
    drawn = mean + torch.tensor(noise) * (let_through / 2).exp()
    rebuilt = decoder(torch.cat([drawn * torch.tensor(kept), torch.tensor(beside)], dim=1))
    loss = elbo(x, rebuilt, mean, let_through).mean()
    loss = loss + (mean * torch.tensor(at_mean)).sum() + (drawn * torch.tensor(at_drawn)).sum()
    assert bool((log_variance.abs() > WIDEST).any()) == (spread > 1)
    found = ours.gradients(rows, ours.code(rows, noise), 1.0, kept, beside, at_mean, at_drawn)
    for mine, net in zip(found, (encoder, decoder), strict=True):
        assert np.allclose(mine, net.gradient(loss), rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, dims=st.integers(1, 5), hidden=st.integers(1, 5))
def test_the_critics_gradients(seed: int, dims: int, hidden: int) -> None:
    ours = Critic(dims, hidden, 1e-3, np.random.default_rng(seed))
    net = ByAutograd((dims, hidden, 1), 1e-3, np.random.default_rng(seed))
    known, others = cloud(seed, 3, dims), cloud(seed + 1, 5, dims)
    said = [torch.sigmoid(net(torch.tensor(rows))).mean() for rows in (others, known)]
    assert np.allclose(ours.apart(known, others, 0.3), net.gradient(said[0] - 0.3 * said[1]), atol=1e-12)
    rows = torch.tensor(others).requires_grad_()
    (slopes,) = torch.autograd.grad(torch.sigmoid(net(rows)).sum(), [rows], create_graph=True)
    lengths = (slopes.square().sum(dim=1) + 1e-300).sqrt()
    penalty = (lengths - 1).square().mean()
    assert np.allclose(ours.penalty(others), net.gradient(penalty), atol=1e-9)


def test_rows_are_seen_centred_and_scaled_by_one_number() -> None:
    rows = (3 + 5 * cloud(0, 3000, 4)).astype(np.float32)
    for place in ("cpu", "torch"):
        with device.on(place):
            inputs = Inputs(rows)
            assert np.allclose(device.fetch(inputs[slice(None)]), seen(rows).numpy(), atol=1e-9)
            assert np.allclose(device.fetch(inputs[np.array([7, 2])]), seen(rows).numpy()[[7, 2]], atol=1e-9)
    assert not Inputs(np.ones((5, 3), np.float32))[slice(None)].any()


def test_equal_rows_are_said_the_same_wherever_they_stand() -> None:
    """A product may round by the place of a row in its block: by how much is written out, since libraries differ."""
    rows = np.tile(cloud(1, 5, 33), (900, 1)).astype(np.float32)
    net, inputs = Dense((33, 17, 1), 1e-3, np.random.default_rng(0)), Inputs(rows)
    said = inputs.rowwise(lambda block, _: net(block)[:, 0] + 1e-15 * np.arange(len(block)), np.arange(len(rows)))
    assert len(np.unique(said)) == 5


def test_a_block_is_told_which_rows_it_holds() -> None:
    inputs, asked = Inputs(cloud(0, 5000, 2).astype(np.float32)), np.arange(4999, -1, -2)
    told = inputs.rowwise(lambda block, part: block[:, 0] * 0 + asked[part], asked)
    assert told.tolist() == asked.tolist()


def test_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0, 0.5, 1]


def test_a_large_pool_is_seen_in_part() -> None:
    assert [steps_of(20, rows, 64, 1000) for rows in (1, 64, 65, 10**6)] == [1, 20, 21, 1000]
