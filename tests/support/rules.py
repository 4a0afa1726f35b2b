"""Every rule with its default parameters, beside a learner that gives what it asks for."""

from albench.benchmark import registry
from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.mlp import MLP
from albench.benchmark.query import FROM_THE_MODEL
from albench.benchmark.types import Learner, Strategy


def names() -> list[str]:
    """Return the names of the rules that albench itself brings."""
    return [name for name in registry.strategies.names() if registry.strategies.get(name).origin.startswith("albench.")]


def rule(name: str) -> Strategy:
    made: Strategy = registry.strategies.get(name).cls()
    return made


def learner_for(strategy: Strategy) -> Learner:
    """Return the first learner that gives what a rule needs of the model."""
    asked = registry.needs_of(strategy).intersection(FROM_THE_MODEL)
    learners: list[Learner] = [Linear(), Linear(passes="laplace"), MLP(passes="snapshots", steps=50)]
    return next(learner for learner in learners if asked <= learner.gives)
