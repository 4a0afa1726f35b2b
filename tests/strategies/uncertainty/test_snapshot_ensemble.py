"""Snapshots of one training: the rule by its formula, and beside which learners it can run."""

from collections import Counter

import numpy as np
import pytest
from support.queries import query, random_passes
from support.trials import make_pool, make_trial

from albench.benchmark.grid.params import Choice, choose
from albench.benchmark.grid.study import lacking
from albench.benchmark.learners.mlp import MLP
from albench.benchmark.loop import run_trial
from albench.benchmark.registry import learners, strategies
from albench.strategies.uncertainty.snapshot_ensemble import SnapshotEnsemble


@pytest.mark.parametrize("seed", range(10))
def test_it_takes_the_rows_on_which_snapshots_agree_least(seed: int) -> None:
    passes = random_passes(seed, 7, 12)
    agree = [Counter(passes[:, i].argmax(axis=1).tolist()).most_common(1)[0][1] for i in range(12)]
    picks = SnapshotEnsemble(7).select(query(np.zeros((12, 2)), 4, labelled=[0, 7], passes=passes, seed=seed))
    rest = np.delete(agree, [0, 7])
    assert sorted(agree[i] for i in picks) == np.sort(rest)[:4].tolist()


def chosen(kind: str, said: object) -> Choice:
    problems: list[str] = []
    found = choose({"learner": learners, "strategy": strategies}[kind], said, kind, problems)
    assert found is not None, problems
    return found


@pytest.mark.parametrize(
    ("learner", "reason"),
    [
        ({"name": "mlp", "passes": "snapshots"}, ""),
        ({"name": "mlp", "passes": "snapshots", "rate": "constant", "cycle": 30}, ""),
        ("mlp", "(passes: snapshots makes mlp give them)"),
        ({"name": "mlp", "passes": "dropout"}, "(passes: snapshots makes mlp give them)"),
        ({"name": "linear", "passes": "laplace"}, "gives head, hidden, passes, probabilities, scores"),
        ("svm", "gives scores"),
    ],
)
def test_it_is_unsupported_beside_a_learner_without_snapshots(learner: object, reason: str) -> None:
    said = lacking(chosen("strategy", "snapshot-ensemble"), chosen("learner", learner))
    assert said.endswith(reason)
    assert bool(said) == bool(reason)


def test_what_makes_a_learner_give_passes_is_said_where_something_does() -> None:
    bald = chosen("strategy", "bald")
    assert lacking(bald, chosen("learner", "mlp")).endswith("(passes: dropout makes mlp give them)")
    assert lacking(bald, chosen("learner", "linear")).endswith("(passes: dropout makes linear give them)")
    assert lacking(bald, chosen("learner", "svm")).endswith("svm gives scores")
    assert not lacking(bald, chosen("learner", {"name": "mlp", "passes": "snapshots"}))


def test_a_trial_over_snapshots_can_be_repeated() -> None:
    learner = MLP(width=8, steps=20, passes="snapshots", cycle=5)
    pool = make_pool(spread=3.0)
    one, other = (
        [r.selected.tolist() for r in run_trial(make_trial(rounds=2), pool, SnapshotEnsemble(3), learner)]
        for _ in range(2)
    )
    assert one == other


def test_one_snapshot_is_refused() -> None:
    with pytest.raises(ValueError, match="snapshot-ensemble: snapshots is 1; it must be at least 2"):
        SnapshotEnsemble(1)
