"""A graph network that learns to tell labelled nodes from the others (Caramalau et al. 2021, section 3.2).

Axes: M nodes, the labelled first, D features, H hidden units. Runs where the trial computes, on numpy or torch alike;
gradients are written out, since for two layers they are short and small pools would wait for autograd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from ....benchmark import device
from ....benchmark.types import Array, Features, Floats, Query, Rows
from ..distances import blocks, unit_rows
from ..sampling import candidates
from .adam import Adam
from .dense import DIGITS, sigmoid


@dataclass(frozen=True)
class Training:
    """How the network is made and trained: the parameters of the rules that stand on it, with the paper's defaults.

    Nodes are all labelled rows and ``candidates`` others; ``weight`` is that of the others in the loss. There are
    ``hidden`` units between the two convolutions. In training each unit of a node drops out with the chance
    ``dropout``, drawn anew in each epoch. Adam has the learning rate ``rate`` and the weight decay ``decay``. An epoch
    is one step on the whole graph; there are ``epochs`` of them.
    """

    candidates: int = 10_000
    hidden: int = 128
    dropout: float = 0.3
    weight: float = 1.2
    rate: float = 1e-3
    decay: float = 5e-4
    epochs: int = 200

    def check(self, rule: str) -> None:
        """Raise `ValueError`, with the rule's name, for parameters that make no network."""
        if min(self.candidates, self.hidden) < 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"{rule}: candidates and hidden must be at least 1, dropout at least 0 and below 1")

    def nodes(self, query: Query) -> tuple[Rows, Features]:
        """Return the rows (M,), the labelled first, and what the model's last layer sees of them as unit rows."""
        rows = np.concatenate([query.labelled, candidates(query, self.candidates)])
        return rows, unit_rows(query.of(rows).hidden)


class Graph:
    """A = S / sums + 1 over unit rows X (M, D): S = XXᵀ with an empty diagonal, divided by what its columns sum to.

    Sums are of absolute values: S may be negative, and the authors' is not. Applied as products with X, in O(M D) a
    column: (M, M) never stands in memory. A node that is like no other keeps itself.
    """

    def __init__(self, units: Array) -> None:
        xp = array_namespace(units)
        own = xp.sum(units * units, axis=1)
        sums = xp.concat([xp.sum(xp.abs(units[part] @ units.T), axis=1) for part in blocks(len(units))]) - own
        alone = sums <= len(units) * xp.finfo(units.dtype).eps
        scale = xp.where(alone, xp.zeros_like(sums), 1 / xp.where(alone, xp.ones_like(sums), sums))
        self.units, self._scale, self._kept = units, scale[:, None], (1 - own * scale)[:, None]

    def __call__(self, columns: Array) -> Array:
        """Return A times columns (M, K)."""
        return self.units @ (self.units.T @ (columns * self._scale)) + columns * self._kept

    def transposed(self, columns: Array) -> Array:
        """Return Aᵀ times columns (M, K)."""
        return self.units @ (self.units.T @ columns) * self._scale + columns * self._kept


class Network:
    """s = sigmoid(A dropout(relu(A X W + b)) w + c), its parameters one vector.

    Weights and biases begin uniform within ±1 / sqrt(units of the layer), as in Kipf and Welling's code.
    """

    def __init__(self, graph: Graph, hidden: int, rng: np.random.Generator) -> None:
        xp = self._xp = array_namespace(graph.units)
        self._graph, self._smooth = graph, graph(graph.units)  # A X never changes: once for all epochs
        D, H = graph.units.shape[1], hidden
        first = rng.uniform(-1, 1, D * H + H) / np.sqrt(H)
        drawn = np.concatenate([first, rng.uniform(-1, 1, H + 1)])
        self.parameters = device.put(drawn)
        self._W = xp.reshape(self.parameters[: D * H], (D, H))
        self._b, self._w, self._c = (self.parameters[i:j] for i, j in ((D * H, -H - 1), (-H - 1, -1), (-1, None)))

    def inputs(self) -> Array:
        """Return what the hidden units (M, H) see."""
        return self._smooth @ self._W + self._b

    def score(self, hidden: Array) -> Array:
        """Return s (M,) of what the hidden units (M, H) say."""
        return sigmoid(self._graph((hidden @ self._w)[:, None])[:, 0] + self._c)

    def gradient(self, gates: Array, n_labelled: int, weight: float) -> Array:
        """Return the gradient of -mean log s over labelled nodes - ``weight`` · mean log (1 - s) over the others.

        ``gates`` (M, H) hold 0 where a unit drops out, else what it is scaled by.
        """
        xp, seen = self._xp, self.inputs()
        gates = gates * (seen > 0)
        hidden = seen * gates
        s = self.score(hidden)
        s[:n_labelled] = (s[:n_labelled] - 1) / n_labelled  # from here on the gradient before the sigmoid
        s[n_labelled:] = s[n_labelled:] * (weight / (len(s) - n_labelled))
        back = self._graph.transposed(s[:, None])
        inner = back * self._w * gates
        layers = (xp.reshape(self._smooth.T @ inner, (-1,)), xp.sum(inner, axis=0), (hidden.T @ back)[:, 0])
        return xp.concat([*layers, xp.sum(s)[None]])


def trained(units: Features, n_labelled: int, training: Training, rng: np.random.Generator) -> Network:
    """Return the network that has learned which of unit rows (M, D) are labelled: the first ones.

    Weights, then one mask of dropout an epoch come from ``rng``. In double precision: in single precision a unit that
    is within rounding of 0 takes another way on every library, and picks follow it. Time O(M² D + epochs · M D H),
    memory O(M (D + H)).
    """
    network = Network(Graph(device.put(units.astype(np.float64))), training.hidden, rng)
    adam, shape = Adam(network.parameters, training.rate, training.decay), (len(units), training.hidden)
    for _ in range(training.epochs):
        kept = rng.random(shape, dtype=np.float32) >= training.dropout
        adam.step(network.gradient(device.put(kept / (1 - training.dropout)), n_labelled, training.weight))
    return network


def hidden_features(units: Features, n_labelled: int, training: Training, rng: np.random.Generator) -> Features:
    """Return the hidden features (M, H) of unit rows (M, D), of which the first are labelled, after training."""
    network = trained(units, n_labelled, training, rng)
    found: Features = np.maximum(device.fetch(network.inputs()), 0).astype(np.float32)
    return found


def scores(units: Features, n_labelled: int, training: Training, rng: np.random.Generator) -> Floats:
    """Return how labelled each of unit rows (M, D) looks after training, (M,) in [0, 1]; nothing drops out."""
    network = trained(units, n_labelled, training, rng)
    inputs = network.inputs()
    return np.round(device.fetch(network.score(inputs * (inputs > 0))), DIGITS)
