"""AL-FK against its description on explicit gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.queries import cloud, query, random_probs

from albench.benchmark.types import Floats, Query
from albench.strategies.gradient import al_fk
from albench.strategies.gradient.al_fk import ALFK, Descriptors, spread_out

SEEDS = st.integers(0, 10**6)


def asked(seed: int, size: int, n: int, kept: int, right: bool = False) -> Query:
    """A query with a validation set of which some rows, or none, are misclassified."""
    rng, probs = np.random.default_rng(seed), random_probs(seed, size)
    rows = rng.permutation(size)[: kept + 2].tolist()
    truth = probs[rows[:kept]].argmax(axis=1) if right else rng.integers(4, size=kept)
    return query(
        cloud(seed, size, dims=5), n, rows[kept:], scores=probs, seed=seed, validation=(rows[:kept], truth.tolist())
    )


def similarities(asked: Query) -> Floats:
    """Correlations of features plus those of explicit gradients, for all pairs of the pool, (N, N)."""
    said = asked.of(np.arange(len(asked.features)))
    h, q = said.hidden.astype(np.float64), said.probs - np.eye(4)[said.predicted]
    gradients = np.einsum("nc,nh->nch", q, h).reshape(len(h), -1)
    return np.asarray(np.corrcoef(h) + np.corrcoef(gradients))


def by_description(asked: Query, start: int) -> list[int]:
    similar, (rows, labels) = similarities(asked), asked.validation
    wrong = rows[asked.of(rows).predicted != labels].tolist() or rows.tolist()
    centres = wrong
    if len(wrong) > asked.n:
        centres = [wrong[start]]
        while len(centres) < asked.n:
            left = [row for row in wrong if row not in centres]
            centres.append(min(left, key=lambda row: max(similar[row, centre] for centre in centres)))
    ranked = [sorted(asked.unlabelled.tolist(), key=lambda row: -similar[centre, row]) for centre in centres]
    batch: list[int] = []
    for depth in range(len(asked.unlabelled)):
        offers = {(similar[centre, rank[depth]], rank[depth]) for centre, rank in zip(centres, ranked, strict=True)}
        batch += [row for _, row in sorted(offers, reverse=True)]
    return list(dict.fromkeys(batch))[: asked.n]


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, size=st.integers(20, 60), n=st.integers(1, 8), kept=st.integers(1, 10), right=st.booleans())
def test_al_fk_is_its_description_on_explicit_gradients(seed: int, size: int, n: int, kept: int, right: bool) -> None:
    one = asked(seed, size, n, kept, right)
    start = int(np.random.default_rng(seed).integers(wrongs)) if (wrongs := misclassified(one)) > n else 0
    assert ALFK().select(one).tolist() == by_description(one, start)


def misclassified(asked: Query) -> int:
    rows, labels = asked.validation
    return int((asked.of(rows).predicted != labels).sum()) or len(rows)


@pytest.mark.parametrize("everything", [False, True])
def test_offers_go_as_deep_as_they_must(everything: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    one = asked(3, 40, 38 - 4 if everything else 20, 4)
    expected = ALFK().select(one).tolist()
    monkeypatch.setattr(al_fk, "DEPTH", 1)
    monkeypatch.setattr(al_fk, "WIDTH", 1)
    assert ALFK().select(one).tolist() == expected == by_description(one, 0)


@settings(deadline=None)
@given(seed=SEEDS)
def test_factorised_similarities_are_those_of_explicit_gradients(seed: int) -> None:
    one = asked(seed, 20, 2, 3)
    descriptors = Descriptors.of(one.of(np.arange(20)))
    assert np.allclose(descriptors.similarity(descriptors), similarities(one), atol=1e-4)


def test_centres_are_spread_out_and_come_from_a_draw() -> None:
    points, probs = np.repeat(np.eye(3), 4, axis=0), np.tile([[0.5, 0.3, 0.2]], (12, 1))
    descriptors = Descriptors.of(query(points, 3, [0], probs).of(np.arange(12)))
    draws = [spread_out(descriptors, 3, np.random.default_rng(s)) for s in range(60)]
    assert all(sorted(picks // 4) == [0, 1, 2] for picks in draws)
    assert {int(picks[0]) for picks in draws} == set(range(12))
    assert sorted(spread_out(descriptors, 12, np.random.default_rng(0))) == list(range(12))
