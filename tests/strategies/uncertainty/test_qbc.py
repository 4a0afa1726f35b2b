"""Query by committee: the committee is fitted again by hand, and its disagreement written out."""

import math
from collections import Counter

import numpy as np
import pytest
from support.queries import cloud, query
from support.trials import make_pool, make_trial

from albench.benchmark.learners.knn import KNN
from albench.benchmark.learners.linear import Linear
from albench.benchmark.learners.svm import SVM
from albench.benchmark.loop import run_trial
from albench.benchmark.registry import needs_of
from albench.benchmark.types import Features, Floats, Learner, Lesson
from albench.strategies.kernels.sampling import resampled
from albench.strategies.uncertainty.qbc import QBC

LABELLED = [0, 1, 2, 3, 4, 9, 10, 14]
REST = np.delete(np.arange(40), LABELLED)


def committee(points: Features, K: int, seed: int) -> Floats:
    """Return the probabilities (K, U, 3) of the members that the rule's generator draws."""
    rng, labels = np.random.default_rng(seed), np.array(LABELLED) % 3
    members = []
    for _ in range(K):
        drawn = np.array(LABELLED)[resampled(rng, labels)]
        members.append(Linear().fit(Lesson.of(points[drawn], drawn % 3, 3, rng)).scores(points[REST]))
    return np.array(members, np.float64)


@pytest.mark.parametrize("seed", range(8))
def test_votes_and_divergence_are_those_of_the_committee(seed: int) -> None:
    points = cloud(seed, 40).astype(np.float32)
    p = committee(points, 5, seed)
    votes = [Counter(p[:, i].argmax(axis=1).tolist()).values() for i in range(len(REST))]
    by_votes = np.array([-math.fsum(v / 5 * math.log(v / 5) for v in counts) for counts in votes])
    mean = p.mean(axis=0)
    divergence = np.mean([(q * np.log(q / mean)).sum(axis=1) for q in p], axis=0)
    for measure, expected in (("vote-entropy", by_votes), ("kl", divergence)):
        rule = QBC(5, measure)  # type: ignore[arg-type] # one of the two, by name
        found = rule.score(query(points, 4, LABELLED, seed=seed))
        np.testing.assert_allclose(found, expected, atol=1e-6)
        picks = rule.select(query(points, 4, LABELLED, seed=seed))
        np.testing.assert_allclose(np.sort(expected[np.searchsorted(REST, picks)]), np.sort(expected)[-4:], atol=1e-6)
    assert by_votes.max() > 0


def test_equal_votes_for_other_classes_tie_exactly() -> None:
    scores = np.concatenate([QBC(7).score(query(cloud(s, 40), 1, LABELLED, seed=s)) for s in range(30)])
    known = {tuple(sorted((a, b, 7 - a - b))) for a in range(8) for b in range(8 - a)}
    assert 3 < len(np.unique(scores)) <= len(known)


@pytest.mark.parametrize("learner", [SVM(), KNN(k=1), Linear()], ids=str)
def test_votes_need_no_more_than_predictions(learner: Learner) -> None:
    assert needs_of(QBC()) == {"learner"}
    assert needs_of(QBC(measure="kl")) == {"learner", "probabilities"}
    pool, trial = make_pool(spread=3.0), make_trial("qbc", rounds=2)
    first, *others = run_trial(trial, pool, QBC(3), learner)
    assert first.bought_by == "initial"
    assert [r.bought_by for r in others] == ["strategy"] * 2


def test_from_no_labels_the_first_batch_is_that_of_random() -> None:
    bought = [r.bought_by for r in run_trial(make_trial("qbc", "0", 2), make_pool(), QBC(2), Linear())]
    assert bought == ["random", "strategy"]


def test_a_committee_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="qbc: members is 1; it must be at least 2"):
        QBC(1)
