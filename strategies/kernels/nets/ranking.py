"""A network that learns to order rows by the loss of the model on them (Yoo and Kweon 2019).

Axes: L labelled rows, whose losses are known; B of them in a batch, as B / 2 pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from ....benchmark import device
from ....benchmark.types import Array, Features, Floats, Labels, Query
from ..distances import Positions
from ..parameters import check
from .dense import Dense, Inputs, sigmoid, steps_of

SMALLEST = float(np.finfo(np.float32).tiny)  # a probability of 0 counts as this: its loss is 87

Pull = Callable[[Array, Array], Array]
"""From differences of what is predicted and of what is, (P,) each, to the gradient of the pairs' loss at the former."""


@dataclass(frozen=True)
class LossNet:
    """How the network is made and trained: two layers with ``hidden`` units between them, by Adam.

    Adam's learning rate is ``rate``. A batch is up to ``batch`` labelled rows, drawn without replacement and paired;
    training ends after ``epochs`` over the labelled rows or ``steps`` batches, whichever is first.
    """

    hidden: int = 128
    rate: float = 1e-2
    batch: int = 128
    epochs: int = 200
    steps: int = 1000

    def check(self, rule: str) -> None:
        """Raise `ValueError`, with the rule's name, for parameters with which nothing can be learned."""
        check(rule, self, {"hidden": 1, "batch": 2, "epochs": 1, "steps": 1}, {"rate"})

    def predicted(
        self, inputs: Inputs, known: Positions, losses: Floats, pull: Pull, asked: Positions, rng: np.random.Generator
    ) -> Floats:
        """Return a number for each row that is asked for, (R,): the larger, the larger its loss should be.

        Learned from pairs of the rows ``known`` (L,) with these losses (L,); what one row alone says is nothing, and
        all rows get the same number.
        """
        net, there = Dense((inputs.width, self.hidden, 1), self.rate, rng), device.put(losses)
        if len(known) < 2:
            return np.zeros(len(asked))
        pairs = min(self.batch, len(known)) // 2
        for _ in range(steps_of(self.epochs, len(known), 2 * pairs, self.steps)):
            drawn = rng.permutation(len(known))[: 2 * pairs]
            seen, true = net.passed(inputs[known[drawn]]), there[device.put(drawn)]
            said, xp = seen[-1][:, 0], array_namespace(seen[-1])
            at_first = pull(said[:pairs] - said[pairs:], true[:pairs] - true[pairs:]) / pairs
            net.learn(net.back(seen, xp.concat([at_first, -at_first])[:, None])[0])
        return inputs.rowwise(lambda rows, _: net(rows)[:, 0], asked)


def by_margin(margin: float) -> Pull:
    """Return the pull of the loss max(0, ``margin`` - sign(l_i - l_j) (s_i - s_j)) of pairs; none of equal losses."""

    def pull(said: Array, true: Array) -> Array:
        sign = array_namespace(true).sign(true)
        return -sign * (sign * said < margin)

    return pull


def by_odds(said: Array, true: Array) -> Array:
    """Return the pull of the cross-entropy between sigmoid(s_i - s_j) and whether l_i > l_j (1/2: equal)."""
    return sigmoid(said) - (array_namespace(true).sign(true) + 1) / 2


def losses(query: Query) -> Floats:
    """Return the cross-entropy (L,) of the current model on the labelled rows."""
    return cross_entropy(query.of(query.labelled).probs, query.labels)


def cross_entropy(probs: Features, labels: Labels) -> Floats:
    """Return -log of the probability of each row's label, (L,), at most 87."""
    of_label = probs[np.arange(len(labels)), labels].astype(np.float64)
    return np.asarray(-np.log(np.maximum(of_label, SMALLEST)))
