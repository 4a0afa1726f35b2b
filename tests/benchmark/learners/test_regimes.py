"""To which regime each learner belongs, by what it declares; what it declares is true."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.datasets import load_digits

from albench.benchmark import registry
from albench.benchmark.grid.tuned import Tuned
from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.mlp import MLP
from albench.benchmark.lesson import Learner, Lesson, Regime, View, regime


def _regime(name: str) -> Regime:
    """Return the regime of a registered learner, whose class declares it: some have a parameter without default."""
    learner: Any = registry.learners.get(name).cls
    return regime(learner)


HEADS = [name for name in registry.learners.names() if _regime(name) == Regime.HEAD]


class Semi(Linear):
    """A head that says that it reads the inputs of unlabelled rows."""

    reads_unlabelled: ClassVar[bool] = True


class Begun(MLP):
    """A network that says that it begins with weights trained elsewhere."""

    pretrained: ClassVar[bool] = True


def test_a_regime_follows_from_what_a_learner_declares() -> None:
    assert _regime("finetune") == Regime.FINE_TUNED
    assert regime(Linear()) == regime(MLP()) == Regime.HEAD
    assert regime(MLP(sees="images")) == Regime.SCRATCH
    assert regime(Begun(sees="images")) == Regime.FINE_TUNED
    assert regime(Semi()) == Regime.SEMI


@pytest.mark.parametrize("learner", [Semi(), Begun(sees="images"), MLP(sees="images"), Linear()])
def test_tuned_a_learner_stays_in_its_regime(learner: Learner) -> None:
    assert regime(Tuned((learner, learner), ("C",))) == regime(learner)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_does_not_read_the_unlabelled_rows(name: str) -> None:
    x, y = load_digits(return_X_y=True)
    features, labels, rows = (x[:60] / 16).astype(np.float32), y[:20].astype(np.int64), np.arange(20)
    features.setflags(write=False)
    said = []
    for unlabelled in (np.arange(20, 60), np.empty(0, np.int64)):
        lesson = Lesson.of(features[:20], labels, 10, np.random.default_rng(0))
        lesson = replace(lesson, view=View(features), rows=rows, unlabelled=unlabelled)
        said.append(registry.learners.get(name).cls().fit(lesson).scores(features))
    assert np.array_equal(*said)
