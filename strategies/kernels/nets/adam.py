"""How the small networks learn."""

from __future__ import annotations

from array_api_compat import array_namespace

from ....benchmark.types import Array


class Adam:
    """Adam with its authors' constants and the L2 penalty in the gradient (Kingma and Ba 2015, Algorithm 1)."""

    def __init__(self, parameters: Array, rate: float, decay: float = 0.0) -> None:
        self._xp, self._parameters = array_namespace(parameters), parameters
        self._rate, self._decay, self._steps = rate, decay, 0
        self._mean, self._square = self._xp.zeros_like(parameters), self._xp.zeros_like(parameters)

    def step(self, gradient: Array) -> None:
        """Move the parameters in place."""
        self._steps += 1
        gradient = gradient + self._decay * self._parameters
        self._mean *= 0.9  # ten times the mean: the factor is in ``rate`` below
        self._mean += gradient
        self._square *= 0.999  # a thousand times the mean square
        self._square += gradient * gradient
        unbias = (0.001 / (1 - 0.999**self._steps)) ** 0.5
        rate = self._rate * 0.1 / (1 - 0.9**self._steps) / unbias
        self._parameters -= rate * self._mean / (self._xp.sqrt(self._square) + 1e-8 / unbias)
